"""The centre of mass of a density."""

from __future__ import annotations

from typing import ClassVar

from dajko.grid import Array, Grid
from dajko.observation import MEAN, Observation, width


class Mean(Observation, kind="mean"):
    """``int x u / M``: the centre of mass."""

    label: ClassVar[str] = "mean"
    formula: ClassVar[int] = MEAN

    def scale(self, density: Array, exact: Array, grid: Grid) -> Array:
        """The width of the density."""
        return width(density, grid)[0]
