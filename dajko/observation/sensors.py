"""Local averages of a density."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import numpy as np

from dajko.errors import InputError
from dajko.grid import Array, Grid, checked_grid
from dajko.observation import Observation
from dajko.validation import Numbers, Positive


class Sensors(Observation, kind="sensors"):
    """Local averages ``int K(x - p) u`` with Gaussian footprints K of unit integral.

    Parameters
    ----------
    positions : sequence of float
        Centres p of the footprints, inside the grid.
    width : float
        Standard deviation of the footprints, greater than 0.
    """

    label: ClassVar[str] = "sensors"

    positions: Numbers
    width: Positive

    @property
    def labels(self) -> list[str]:
        return [f"sensor_{i}" for i in range(len(self.positions))]

    def footprints(self, grid: Grid) -> Array:
        checked_grid(grid)
        for p in self.positions:
            if not grid.left <= p <= grid.right:
                raise InputError(f"positions of sensors must lie in [{grid.left}, {grid.right}], got {p}")
        if self.width < 0.5 * grid.dx:
            raise InputError(f"width of sensors must be at least half a cell, {0.5 * grid.dx:.6g}, got {self.width}")
        distance = (grid.x - np.array(self.positions)[:, None]) / self.width
        return np.asarray(np.exp(-0.5 * distance**2) / (self.width * math.sqrt(2.0 * math.pi)))

    def in_words(self, number: Callable[[float], str]) -> str:
        count = len(self.positions)
        return f"{count} sensor{'s' if count > 1 else ''} of width {number(self.width)}"
