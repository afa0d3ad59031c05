"""No unit and no place matters: the same status, iterations and answer, over 20 decades and far from the origin."""

import itertools
import math

import numpy as np
import pytest

from dajko import (
    PD3O,
    DataTerm,
    Energy,
    Entropy,
    Expectation,
    Grid,
    InteriorPoint,
    IntervalMasses,
    Mass,
    Mean,
    PorousMedium,
    Quantile,
    Sensors,
    Spread,
    Variance,
    measure,
)
from dajko.problem.problem import Problem

NX, NT, TAU = 16, 3, 0.02
SOLVERS = {
    "interior_point": InteriorPoint(),
    "finite_volume": InteriorPoint(),
    "pd3o": PD3O(tol=1e-3, constraint_tolerance=1e-3),
    "quantile": Quantile(),
}


def old(x):
    return np.exp(-0.5 * ((x - 0.1) / 0.3) ** 2) + 0.05


def potential(x):
    return 2.0 * (x**2 - 0.3) ** 2 + 0.5 * x


def attraction(difference):
    return 0.5 * difference**2 + 0.3 * np.cos(difference)


# Observations as functions of length and origin, and the unit of what they measure in lengths and masses.
OBSERVATIONS = {
    "mass": (lambda length, origin: Mass(), 0, 1),
    "expectation": (lambda length, origin: Expectation(), 1, 1),
    "mean": (lambda length, origin: Mean(), 1, 0),
    "spread": (lambda length, origin: Spread(), 2, 0),
    "sensors": (lambda length, origin: Sensors([origin - 0.3 * length, origin + 0.4 * length], 0.3 * length), -1, 1),
    "intervals": (lambda length, origin: IntervalMasses([origin + length * e for e in (-0.6, 0.1, 0.5)]), 0, 1),
    "variance": (lambda length, origin: Variance(), 2, 0),  # of densities of mass 1
}


def problem(solver, internal, parts, observation, length=1.0, mass=1.0, origin=0.0):
    """The same step in other units: every term of the objective is ``mass length^2`` times what it is in units of 1."""
    scheme = "finite_volume" if solver in ("finite_volume", "quantile") else "centred"
    grid, position = Grid(origin - length, origin + length, NX, NT, scheme=scheme), Grid(-1.0, 1.0, NX, NT, scheme=scheme).x
    density = old(position)
    density *= mass / float(grid.integrate(density))
    m = internal.m if isinstance(internal, PorousMedium) else 1.0
    tau = TAU * length**2 * (mass / length) ** (1.0 - m)
    unit = length**2 / tau * TAU  # of potentials
    energy = Energy(
        internal,
        potential(position) * unit if "potential" in parts else None,
        attraction(position[:, None] - position) * unit / mass if "interaction" in parts else None,
    )
    if observation is None:
        return Problem(density, energy, grid, tau)
    make, lengths, masses = OBSERVATIONS[observation]
    operator = make(length, origin)
    # Of the same mass: the expectation of another one would depend on where the origin is.
    aim = np.interp(position - 0.05, position, old(position))
    aim *= float(grid.integrate(density) / grid.integrate(aim))
    values = measure([operator], aim, grid)
    theta = 0.05 * (length**lengths * mass**masses) ** 2 / (unit * mass)
    return Problem(density, energy, grid, tau, DataTerm([operator], values, theta))


ENERGIES = [
    (Entropy(), ()),
    (PorousMedium(2.0), ()),
    (PorousMedium(3.5), ("potential",)),
    (None, ("potential",)),
    (Entropy(), ("potential", "interaction")),
]
CASES = [
    *itertools.product(ENERGIES, [None, "mean"]),
    *itertools.product(ENERGIES[:2], [name for name in OBSERVATIONS if name != "mean"]),
]
# The quantile solver takes no interaction.
PAIRS = [(s, n) for s in SOLVERS for n, ((_, parts), _) in enumerate(CASES) if s != "quantile" or "interaction" not in parts]
UNITS = [(1e10, 1.0), (1e-10, 1.0), (1.0, 1e10), (1.0, 1e-10), (1e7, 1e-6), (3e-5, 7e8)]


@pytest.fixture(scope="module")
def plain():
    """The step in units of 1, solved once."""
    found = {}

    def solve(solver, number):
        if (solver, number) not in found:
            (internal, parts), observation = CASES[number]
            found[solver, number] = SOLVERS[solver].solve(problem(solver, internal, parts, observation))
        return found[solver, number]

    return solve


@pytest.mark.parametrize(("solver", "number"), PAIRS)
def test_units(plain, solver, number):
    (internal, parts), observation = CASES[number]
    expected = plain(solver, number)
    assert expected.converged, expected.message
    for length, mass in UNITS:
        if observation == "variance" and mass != 1.0:
            continue
        step = SOLVERS[solver].solve(problem(solver, internal, parts, observation, length, mass))
        assert (step.status, step.iterations) == (expected.status, expected.iterations)
        scaled = step.density * length / mass
        assert np.abs(scaled - expected.density).max() <= 1e-10 * expected.density.max()


@pytest.mark.parametrize(("solver", "number"), PAIRS)
def test_places(plain, solver, number):
    """A million lengths from 0 the nodes themselves are known to 1e-10 lengths, data to as much; the rest is exact."""
    (internal, parts), observation = CASES[number]
    expected = plain(solver, number)
    for origin in (-3.0, 1e3, -1e6):
        step = SOLVERS[solver].solve(problem(solver, internal, parts, observation, origin=origin))
        rounding = 1e-10 + 64 * math.ulp(abs(origin)) * max(1.0, abs(origin))
        assert step.status == expected.status
        assert abs(step.iterations - expected.iterations) <= (0 if abs(origin) < 1e3 else 1 + 0.01 * expected.iterations)
        assert np.abs(step.density - expected.density).max() <= rounding * expected.density.max()
