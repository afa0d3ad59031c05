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
    """Potential given at the nodes of the grid.

    Parameters
    ----------
    values : sequence of float
        One number for each node.
    """

    label: ClassVar[str] = "a given potential"

    values: Numbers

    def __call__(self, x: ArrayLike) -> Array:
        nodes = array("x", x).size
        if nodes != len(self.values):
            raise InputError(
                f"values must be {nodes} numbers, one for each node of the grid (nx + 1), got {len(self.values)}"
            )
        return np.array(self.values)
