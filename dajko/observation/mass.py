"""The mass of a density."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from dajko.grid import Array, Grid, checked_grid
from dajko.observation import Observation


class Mass(Observation, kind="mass"):
    """``M = int u``."""

    label: ClassVar[str] = "mass"

    def footprints(self, grid: Grid) -> Array:
        return np.ones((1, checked_grid(grid).points))
