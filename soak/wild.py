"""Wild random problems of one daJKO step: narrow and wide densities, units far from 1, every energy and observation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dajko.data.data_term import DataTerm, measure
from dajko.energy.energy import Energy
from dajko.energy.internal.entropy import Entropy
from dajko.energy.internal.porous_medium import PorousMedium
from dajko.energy.potential.double_well import DoubleWell
from dajko.energy.potential.linear import Linear
from dajko.energy.potential.quadratic import Quadratic
from dajko.grid import Array, Grid
from dajko.observation import Observation
from dajko.observation.expectation import Expectation
from dajko.observation.interval_masses import IntervalMasses
from dajko.observation.mass import Mass
from dajko.observation.mean import Mean
from dajko.observation.sensors import Sensors
from dajko.observation.spread import Spread
from dajko.observation.variance import Variance
from dajko.problem.problem import Problem

# Exponents of the porous medium; 1 stands for the entropy, 0 for no internal energy.
_EXPONENTS = (0.0, 1.0, 1.0, 1.05, 1.5, 2.0, 2.0, 2.5, 3.0, 4.0, 8.0, 20.0, 50.0, 200.0, 1000.0)
_KINDS = ("bump", "narrow", "wide", "vacuum", "two", "box", "rough", "edge")


def wild_problem(seed: int) -> Problem:
    """A problem of one step, the same for the same seed.

    Lengths, masses and energies are drawn in units of 10^-8 to 10^8, the place of the domain up to 1000 lengths from 0.

    Parameters
    ----------
    seed : int
        Of :class:`numpy.random.SeedSequence`.
    """
    rng = np.random.default_rng(np.random.SeedSequence([20, seed]))
    length, mass = 10.0 ** rng.uniform(-8.0, 8.0), 10.0 ** rng.uniform(-8.0, 8.0)
    origin = length * (0.0 if rng.random() < 0.5 else rng.choice([-1.0, 1.0]) * 10.0 ** rng.uniform(-1.0, 3.0))
    nx, nt = int(rng.integers(6, 100)), int(rng.integers(1, 9))
    grid = Grid(origin - length, origin + length, nx, nt, "right" if rng.random() < 0.7 else "trapezoid")
    x = (grid.x - origin) / length  # in (-1, 1)
    start = _density(rng, x, grid.dx / length)
    start *= mass / float(grid.integrate(start))
    exponent = float(rng.choice(_EXPONENTS))
    # By about how much of the domain a step moves the density.
    moved = 10.0 ** rng.uniform(-5.0, 1.0)
    internal: Any = None if exponent == 0.0 else Entropy() if exponent == 1.0 else PorousMedium(exponent)
    # The power of a density may be any number: far from 1 it is one, and tau makes up for the rest.
    if (exponent - 1.0) * abs(math.log10(mass / length)) > 100.0:
        start *= length / mass
        mass = length
    pressure = exponent * (mass / length) ** (exponent - 1.0) if exponent > 1.0 else 1.0
    tau = moved * length**2 / pressure
    energy = Energy(internal, _potential(rng, grid, origin, length, moved * length**2 / tau))
    return Problem(start, energy, grid, tau, _data(rng, start, grid, origin, length, tau, mass))


def _density(rng: np.random.Generator, x: Array, dx: float) -> Array:
    kind, center = str(rng.choice(_KINDS)), rng.uniform(-0.7, 0.7)
    if kind == "box":
        width = max(rng.uniform(0.05, 0.6), 3.0 * dx)
        values = np.clip((width + dx - np.abs(x - center)) / (2.0 * dx), 0.0, 1.0)
    elif kind == "rough":
        values = rng.exponential(size=x.size)
    elif kind == "edge":
        values = np.maximum(x - center, 0.0)
    elif kind == "two":
        values = np.exp(-0.5 * ((x + 0.5) / 0.1) ** 2) + rng.uniform(0.01, 1.0) * np.exp(-0.5 * ((x - 0.5) / 0.07) ** 2)
    else:
        widths = {"bump": rng.uniform(0.1, 0.4), "narrow": rng.uniform(0.6, 2.0) * dx, "wide": rng.uniform(1.0, 5.0)}
        values = np.exp(-0.5 * ((x - center) / widths.get(kind, 0.25)) ** 2)
        if kind == "vacuum":
            values = np.maximum(values - 0.3, 0.0)
    # Neither class of nodes may be empty, else nothing lies between the bounds.
    return np.asarray(values + 1e-12 * values.max() * (min(values[::2].sum(), values[1::2].sum()) < 1e-9 * values.max()))


def _potential(rng: np.random.Generator, grid: Grid, origin: float, length: float, scale: float) -> Any:
    kind, strength = rng.integers(0, 5), scale * 10.0 ** rng.uniform(-2.0, 1.5)
    if kind == 0:
        return None
    if kind == 1:
        return Linear(float(strength / length))
    if kind == 2:
        return Quadratic(float(strength / length**2), float(origin + length * rng.uniform(-0.8, 0.8)))
    if kind == 3:
        return DoubleWell(float(strength), float(0.5 * length)) if origin == 0.0 else None
    return strength * np.cumsum(rng.standard_normal(grid.nx + 1)) / np.sqrt(grid.nx)


def _data(
    rng: np.random.Generator, start: Array, grid: Grid, origin: float, length: float, tau: float, mass: float
) -> DataTerm | None:
    if rng.random() < 0.25:
        return None
    chosen: list[Observation] = []
    for kind in rng.permutation(7)[: int(rng.integers(1, 4))]:
        at = origin + length * np.sort(rng.uniform(-0.9, 0.9, int(rng.integers(2, 5))))
        chosen.append(
            [
                Mass(),
                Expectation(),
                Variance(),
                Mean(),
                Spread(),
                Sensors([float(a) for a in at], 0.2 * length),
                IntervalMasses([float(a) for a in at]),
            ][int(kind)]
        )
    if any(isinstance(o, Variance) for o in chosen) and not 1e-3 < mass < 1e3:
        chosen = [o for o in chosen if not isinstance(o, Variance)] or [Mean()]
    values = np.asarray(measure(chosen, start, grid), dtype=float)
    shifted = np.roll(start, int(rng.integers(-2, 3)))
    goal = np.asarray(measure(chosen, shifted, grid), dtype=float)
    values = values + (goal - values) * 10.0 ** rng.uniform(-2.0, 0.5)
    # theta in the units in which it balances the metric: the misfit squared over the energy of the step.
    size = float(np.mean(np.abs(values)) + np.mean(np.abs(goal - values)))
    if not size > 0.0:
        size = 1.0
    theta = 10.0 ** rng.uniform(-8.0, 8.0) * tau * size**2 / (mass * length**2)
    return DataTerm(chosen, values.tolist(), float(theta))
