"""The data term that pulls a JKO step towards measurements.

Pietschmann and Schlottbom, section 4.2. A measurement operator B_h maps a density on the grid to numbers; with data v the
combined energy of a daJKO step is ``E_h = F_h + |B_h - v|^2 / (2 theta)``. ``theta`` has the meaning of section 4.2 (in
(1.7) it stands for ``theta / tau``).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dajko.checks import array, number
from dajko.data.operator import add_gradient, add_hessian_product, observe, operator
from dajko.errors import InputError
from dajko.grid import Array, Grid, checked_grid
from dajko.observation import Observation, as_observations, labels


@dataclass(frozen=True, eq=False)
class DataTerm:
    """Data term ``|B_h(u) - v|^2 / (2 theta)`` of one daJKO step, section 4.2.

    Parameters
    ----------
    observations : sequence of str or Observation
        Names (``"expectation"``, ``"variance"``, ``"mean"``, ``"spread"``, ``"mass"``) or objects (``Sensors``,
        ``IntervalMasses``).
    values : array of shape (numbers,)
        Data v, one number for each number that the observations measure. :func:`dajko.evolve` also takes the shape
        ``(steps, numbers)``; a row of NaN there is a step without data. A masked value is a missing one, as NaN is.
    theta : float
        Weight, greater than 0: the smaller, the more the data is trusted. Infinity switches the data off.

    Raises
    ------
    InputError
        If there is no such observation, the number of values does not fit, or theta is not positive.
    """

    observations: Sequence[str | Observation]
    values: ArrayLike
    theta: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "observations", as_observations(self.observations))
        values = np.atleast_1d(array("data values", self.values, missing=True)).copy()
        object.__setattr__(self, "values", values)
        numbers = len(labels(self.observations))
        if values.ndim > 2 or values.shape[-1] != numbers:
            needed = f"{numbers} numbers, one for each that the observations measure"
            raise InputError(f"data values must be {needed}, got shape {values.shape}")
        missing = np.isnan(values)
        if np.isinf(values).any() or (missing.any(axis=-1) != missing.all(axis=-1)).any():
            raise InputError("data values must be finite; only a whole step may be missing (a row of NaN)")
        object.__setattr__(self, "theta", number("theta", self.theta, above=0.0, finite=False))

    def at_step(self, step: int) -> DataTerm | None:
        """The data term of one step (counted from 0); None where the step has no data."""
        values = np.asarray(self.values)
        row = values[step] if values.ndim == 2 else values
        if math.isinf(self.theta) or np.isnan(row).any():
            return None
        if values.ndim == 1:
            return self
        one = copy.copy(self)  # what has been checked need not be checked at every step
        object.__setattr__(one, "values", row)
        return one

    @property
    def row(self) -> Array:
        """The data v of one step, shape ``(numbers,)``.

        Raises
        ------
        InputError
            If there are several rows, of several steps.
        """
        values = np.asarray(self.values)
        if values.ndim != 1:
            raise InputError(f"the data of one step must be one row of values, got shape {values.shape}")
        return values

    def measure(self, density: ArrayLike, grid: Grid) -> Array:
        """``B_h`` of a density of shape ``(points,)``, shape ``(numbers,)``."""
        return measure(self.observations, density, grid)

    def value(self, density: ArrayLike, grid: Grid) -> float:
        """``|B_h(u) - v|^2 / (2 theta)``."""
        misfit = self.measure(density, grid) - self.row
        return float(misfit @ misfit / (2.0 * self.theta))

    def gradient(self, density: ArrayLike, grid: Grid) -> Array:
        """Gradient of :meth:`value` in the weighted inner product of space, shape ``(points,)``."""
        u = checked_grid(grid).on_points("density", density)
        factor = (self.measure(u, grid) - self.row) / self.theta
        result = np.zeros_like(u)
        add_gradient(operator(self.observations, grid), u, factor, result)
        return result

    def hessian_product(self, density: ArrayLike, direction: ArrayLike, grid: Grid) -> Array:
        """Derivative of :meth:`gradient` in a direction of shape ``(points,)``."""
        u, h = checked_grid(grid).on_points("density", density), grid.on_points("direction", direction)
        op = operator(self.observations, grid)
        result = np.zeros_like(u)
        add_hessian_product(op, u, (self.measure(u, grid) - self.row) / self.theta, h, result)
        for unit in np.eye(op.kind.size):
            gradient = np.zeros_like(u)
            add_gradient(op, u, unit, gradient)
            result += gradient * grid.integrate(gradient * h) / self.theta
        return result


def measure(observations: Iterable[str | Observation], density: ArrayLike, grid: Grid) -> Array:
    """``B_h`` of densities of shape ``(..., points)``, shape ``(..., numbers)``.

    Raises
    ------
    InputError
        If there is no such observation, it does not fit the grid, or the densities are no numbers at its nodes.
    """
    op = operator(as_observations(observations), checked_grid(grid))
    u = grid.on_points("density", density)
    flat = u.reshape(-1, grid.points)
    out = np.empty((flat.shape[0], op.kind.size))
    for row, values in zip(flat, out, strict=True):
        observe(op, row, values)
    return out.reshape(*u.shape[:-1], op.kind.size)
