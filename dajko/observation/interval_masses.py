"""The masses in adjacent intervals."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import ClassVar, Self

import numpy as np
from pydantic import model_validator
from pydantic_core import PydanticCustomError

from dajko.errors import InputError
from dajko.grid import Array, Grid, checked_grid
from dajko.observation import Observation
from dajko.validation import Positions


class IntervalMasses(Observation, kind="interval_masses"):
    """Mass between each position and the next, ``int_a^b u``.

    A node belongs to an interval with the share of its own cell that lies in there, so that the masses of adjacent intervals
    add up to that of their union.

    Parameters
    ----------
    edges : sequence of float
        Ends of the intervals, increasing, inside the grid; at least two.
    """

    label: ClassVar[str] = "masses in intervals"

    edges: Positions

    @model_validator(mode="after")
    def _increase(self) -> Self:
        if not all(a < b for a, b in pairwise(self.edges)):
            raise PydanticCustomError(
                "edges", "edges must be increasing positions, got {edges}", {"edges": str(list(self.edges))}
            )
        return self

    @property
    def labels(self) -> list[str]:
        return [f"interval_mass_{i}" for i in range(len(self.edges) - 1)]

    def footprints(self, grid: Grid) -> Array:
        checked_grid(grid)
        for edge in self.edges:
            if not grid.left <= edge <= grid.right:
                raise InputError(f"edges of intervals must lie in [{grid.left}, {grid.right}], got {edge}")
        ends = np.clip(grid.x[:, None] + 0.5 * grid.dx * np.array([-1.0, 1.0]), grid.left, grid.right)
        edges = np.array(self.edges)
        common = np.minimum(ends[:, 1], edges[1:, None]) - np.maximum(ends[:, 0], edges[:-1, None])
        return np.asarray(np.maximum(common, 0.0) / grid.wx)

    def in_words(self, number: Callable[[float], str]) -> str:
        first, last = number(self.edges[0]), number(self.edges[-1])
        return f"the masses in {len(self.edges) - 1} intervals between {first} and {last}"
