"""A density given by its values."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from dajko.checks import array, number
from dajko.errors import InputError
from dajko.grid import Array, Grid
from dajko.profile import Profile
from dajko.validation import NonNegativeNumbers


class ProfileValues(Profile, kind="values"):
    """A density given at the nodes of the grid, or by its means over the cells, at all times.

    Parameters
    ----------
    values : sequence of float
        One number for each point of the grid, none negative.
    """

    label: ClassVar[str] = "given values"

    values: NonNegativeNumbers

    def __call__(self, x: ArrayLike, t: float = 0.0) -> Array:
        number("t", t)
        return self._checked(array("x", x).size)

    def on(self, grid: Grid, t: float = 0.0) -> Array:
        return self._checked(grid.points)

    def _checked(self, points: int) -> Array:
        if points != len(self.values):
            raise InputError(f"values must be {points} numbers, one for each point of the grid, got {len(self.values)}")
        return np.array(self.values)

    def share_below(self, x: float, t: float = 0.0) -> float:
        raise InputError("of a density of given values it is known on the grid only where its mass lies")

    def share_outside(self, left: float, right: float, t: float = 0.0) -> float:
        """Nothing: what is given on a grid lies inside of it."""
        return 0.0
