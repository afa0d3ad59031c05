"""Densities in closed form, initial data and exact solutions: a kind each module.

A profile is called with positions and a time and gives the density there: ``profile(x, t=0.0)``. Profiles that solve a PDE
depend on the time; the others ignore it.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import numpy as np
from numpy.typing import ArrayLike

from dajko.checks import array, number
from dajko.grid import Array, Grid
from dajko.ingredient import Ingredient

# A domain that leaves out a greater part of a density's mass is to be doubted.
MOST_OUTSIDE = 1e-3


class Profile(Ingredient, family="profile"):
    """A density in closed form."""

    @abstractmethod
    def __call__(self, x: ArrayLike, t: float = 0.0) -> Array:
        """Density at positions ``x`` (any shape) and time ``t``."""

    def on(self, grid: Grid, t: float = 0.0) -> Array:
        """What stands for the density on a grid at a time, shape ``(points,)``: values at nodes, or means over cells."""
        return grid.sample(lambda x: self(x, t))

    @abstractmethod
    def share_below(self, x: float, t: float = 0.0) -> float:
        """The part of the mass on the real line that lies below ``x`` at time ``t``, between 0 and 1."""

    def share_outside(self, left: float, right: float, t: float = 0.0) -> float:
        """The part of the mass that lies outside an interval.

        Parameters
        ----------
        left, right : float
            Ends of the interval.
        t : float
            Time.

        Raises
        ------
        InputError
            If the ends or the time are no finite numbers.
        """
        return self.share_below(number("left", left), t) + 1.0 - self.share_below(number("right", right), t)


def normal(x: ArrayLike, mean: float, variance: float) -> Array:
    """The normal density at positions ``x``."""
    return np.asarray(np.exp(-0.5 * (array("x", x) - mean) ** 2 / variance) / math.sqrt(2.0 * math.pi * variance))


def normal_below(x: float, mean: float, variance: float) -> float:
    """The share of the normal density that lies below ``x``."""
    return 0.5 * math.erfc((mean - number("x", x)) / math.sqrt(2.0 * variance))
