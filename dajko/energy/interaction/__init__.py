"""Interaction kernels W of (1.6), functions of the difference of two positions: a kind each module.

Where ``W`` increases with the distance, mass attracts mass; a positive ``strength`` means attraction in all kernels here.
"""

from __future__ import annotations

from abc import abstractmethod

from numpy.typing import ArrayLike

from dajko.grid import Array
from dajko.ingredient import Ingredient


class Interaction(Ingredient, family="interaction"):
    """An interaction energy ``1/2 int int W(x - y) u(x) u(y) dx dy``, W even."""

    @abstractmethod
    def __call__(self, r: ArrayLike) -> Array:
        """W at differences ``r``, of the same shape."""

    def at_zero(self, dx: float) -> float:
        """The value at 0 on a grid of mesh width ``dx``; of a singular W the average over the two cells around 0."""
        return float(self(0.0))
