"""A normal density."""

from __future__ import annotations

from typing import ClassVar

from numpy.typing import ArrayLike

from dajko.checks import number
from dajko.grid import Array
from dajko.profile import Profile, normal, normal_below
from dajko.validation import Number, Positive


class Gaussian(Profile, kind="gaussian"):
    """``mass`` times the normal density with mean ``mean`` and standard deviation ``std``, at all times.

    Parameters
    ----------
    mean, std, mass : float
        Standard deviation and mass are greater than 0.
    """

    label: ClassVar[str] = "a Gaussian"

    mean: Number = 0.0
    std: Positive = 0.1
    mass: Positive = 1.0

    def __call__(self, x: ArrayLike, t: float = 0.0) -> Array:
        number("t", t)
        return self.mass * normal(x, self.mean, self.std**2)

    def share_below(self, x: float, t: float = 0.0) -> float:
        """The part of the mass that lies below ``x``."""
        number("t", t)
        return normal_below(x, self.mean, self.std**2)
