r"""A step without units: the same problem on the paper's interval, with the paper's mass, wherever and however large it was.

With the centre c of the grid, the length l and the mass a, and

    x = c + l x',    u = (a / l) u',    m = a m',    E = e E',    tau = (a l^2 / e) tau',

the objective is ``a l^2`` times that of a step of size tau' on ``(-0.7, 0.7)`` from a density of mass 2: the setting of
Pietschmann and Schlottbom, for which their step size, tolerance and radius were chosen, and which this maps onto itself. The
unit of energy e keeps U as it is, ``a (a / l)^(m - 1)``; without internal energy it makes tau' the paper's.

A step keeps the mass, so what energy and data say of it does not count. Constants in V, among them those that entropy and
logarithmic kernel gain with a unit, are taken off, so are the averages of W (:attr:`GridInteraction.centred`), and measured
numbers become moments about c (:func:`dajko.observation.at_fixed_mass`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from dajko.data.data_term import DataTerm
from dajko.data.operator import Row, at_fixed_mass
from dajko.energy.energy import Energy
from dajko.energy.internal import LEAST_SMOOTH_EXPONENT, NO_INTERNAL_ENERGY
from dajko.energy.on_grid import GridInteraction
from dajko.grid import Array, Grid
from dajko.problem.problem import Path, Problem

HALF_LENGTH, MASS, TAU = 0.7, 2.0, 5e-4
# Without a bounded second derivative of U at 0, which the paper's step size was not chosen for: an error that is 5 times
# smaller, for the heat equation and chemotaxis, at the same tolerance and as many iterations.
SINGULAR_MASS = 0.5

# Bits of a unit of mass. Masses that differ by rounding have the same unit, and so the same interaction, whose eigenvalues
# are kept.
_BITS = 40


@dataclass(frozen=True, eq=False)
class Dimensionless:
    """A step and the same step without units.

    Attributes
    ----------
    original, problem : Problem
        With and without units.
    length, mass : float
        The units l and a.
    """

    original: Problem
    problem: Problem
    length: float
    mass: float

    def without_units(self, path: Path) -> Path:
        """A path of the original problem in the other one."""
        return Path(path.density * self.length / self.mass, path.flux / self.mass)

    def with_units(self, path: Path) -> Path:
        """A path of the problem without units in the original one; it starts from the very density that is given there."""
        density = path.density / self.length * self.mass
        if np.array_equal(path.density[0], self.problem.initial):
            density[0] = self.original.initial
        return Path(density, path.flux * self.mass)

    def potential_without_units(self, potential: Array) -> Array:
        """Multipliers of the continuity equation; a constant that they may have is not carried along."""
        return np.asarray(potential / self.length / self.length)

    def potential_with_units(self, potential: Array) -> Array:
        """The inverse of :meth:`potential_without_units`."""
        return np.asarray(potential * self.length * self.length)


def dimensionless(problem: Problem) -> Dimensionless:
    """A problem without units.

    Raises
    ------
    ArithmeticError
        If its numbers are too large or too small for one another.
    """
    given, exponent = problem.grid, problem.energy.exponent
    grid, initial = _unit_grid(given), problem.initial
    length = 0.5 * (given.right - given.left) / HALF_LENGTH
    total = float(given.integrate(initial))
    mass = _rounded(total / (MASS if exponent >= LEAST_SMOOTH_EXPONENT else SINGULAR_MASS))
    with np.errstate(all="ignore"):
        if exponent == NO_INTERNAL_ENERGY:
            energy = mass * length * length / problem.tau * TAU
        else:
            energy = mass * float(np.float64(mass / length) ** (exponent - 1.0))
        tau = problem.tau / (length * length) * (energy / mass)
        potential, interaction = problem.objective.potential, problem.interaction
        if interaction is not None:
            potential = potential + interaction.potential(total)
        # The mean under the old density, so that at rest it has no part in what the mass would like to be.
        mean = float(given.integrate((potential - potential[0]) * initial)) / total + potential[0]
        potential = (potential - mean) * (mass / energy)
        data = _data(problem, total, mass, length, energy)
        kernel = None if interaction is None else _unit_interaction(interaction, mass * (mass / energy), grid)
        density = initial * (length / mass)
    numbers = (length, mass, energy, tau, energy / tau, *([] if data is None else [data.theta, *np.asarray(data.values)]))
    finite = all(0.0 <= abs(number) < math.inf for number in numbers) and min(length, mass, energy, tau) > 0.0
    if not (finite and np.isfinite(density).all() and density.any() and np.isfinite(potential).all()):
        raise ArithmeticError("the numbers of this step are too large or too small for one another")
    if kernel is not None and not np.isfinite(kernel.matrix).all():
        raise ArithmeticError("the numbers of the interaction are too large or too small for the other ones")
    same = Problem(density, Energy(problem.energy.internal, potential, kernel), grid, tau, data)
    return Dimensionless(problem, same, length, mass)


def _data(problem: Problem, total: float, mass: float, length: float, energy: float) -> DataTerm | None:
    """The data as moments of densities of the given mass, scaled by the largest of their footprints."""
    data = None if problem.data is None else problem.data.at_step(0)
    if data is None:
        return None
    found = at_fixed_mass(data.observations, problem.grid, total)
    rows, squares = mass * found.rows, (mass * length) ** 2 * found.squares
    largest = max(float(np.abs(rows).max()), 1e-300)
    values = (np.asarray(data.values) - found.offsets) / largest
    theta = data.theta / largest / largest * energy
    if not (np.isfinite(values).all() and theta > 0.0):
        raise ArithmeticError("the data are too large or too small for the other numbers of this step")
    return DataTerm(
        [Row(row, float(square)) for row, square in zip(rows / largest, squares / largest, strict=True)], values, theta
    )


@lru_cache(maxsize=256)
def _unit_grid(grid: Grid) -> Grid:
    return replace(grid, left=-HALF_LENGTH, right=HALF_LENGTH)


@lru_cache(maxsize=16)
def _unit_interaction(interaction: GridInteraction, factor: float, grid: Grid) -> GridInteraction:
    return GridInteraction(grid, factor * interaction.centred)


def _rounded(value: float) -> float:
    mantissa, power = math.frexp(value)
    return math.ldexp(round(math.ldexp(mantissa, _BITS)), power - _BITS)
