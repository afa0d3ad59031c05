"""Potentials V of (1.6): a kind each module."""

from __future__ import annotations

from abc import abstractmethod

from numpy.typing import ArrayLike

from dajko.grid import Array
from dajko.ingredient import Ingredient


class Potential(Ingredient, family="potential"):
    """A potential energy ``int V u dx``."""

    @abstractmethod
    def __call__(self, x: ArrayLike) -> Array:
        """V at positions ``x``, of the same shape."""
