"""A potential given by its values."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from dajko.checks import array
from dajko.energy.potential import Potential
from dajko.errors import InputError
from dajko.grid import Array
from dajko.validation import Numbers


class PotentialValues(Potential, kind="values"):
    """Potential given at the points of the grid.

    Parameters
    ----------
    values : sequence of float
        One number for each point.
    """

    label: ClassVar[str] = "a given potential"

    values: Numbers

    def __call__(self, x: ArrayLike) -> Array:
        points = array("x", x).size
        if points != len(self.values):
            raise InputError(f"values must be {points} numbers, one for each point of the grid, got {len(self.values)}")
        return np.array(self.values)
