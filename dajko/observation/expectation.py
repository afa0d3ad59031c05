"""The first moment of a density."""

from __future__ import annotations

from typing import ClassVar

from dajko.grid import Array, Grid, checked_grid
from dajko.observation import Observation, width


class Expectation(Observation, kind="expectation"):
    """``B1 = int x u``, (5.6): not divided by the mass."""

    label: ClassVar[str] = "expectation"

    def footprints(self, grid: Grid) -> Array:
        return checked_grid(grid).x[None, :].copy()

    def scale(self, density: Array, exact: Array, grid: Grid) -> Array:
        """The width of the density times its mass."""
        size, mass = width(density, grid)
        return size * mass
