"""A solution of the heat equation."""

from __future__ import annotations

from typing import ClassVar

from numpy.typing import ArrayLike

from dajko.checks import number
from dajko.grid import Array
from dajko.profile import Profile, normal, normal_below
from dajko.validation import Number, Positive


class Heat(Profile, kind="heat"):
    """Solution of the heat equation from a Gaussian: its variance grows by ``2 t``.

    Parameters
    ----------
    mean, std, mass : float
        At time 0; standard deviation and mass are greater than 0.
    """

    label: ClassVar[str] = "a solution of the heat equation"

    mean: Number = 0.0
    std: Positive = 0.1
    mass: Positive = 1.0

    def __call__(self, x: ArrayLike, t: float = 0.0) -> Array:
        return self.mass * normal(x, self.mean, self._variance(t))

    def share_below(self, x: float, t: float = 0.0) -> float:
        """The part of the mass that lies below ``x`` at time ``t``."""
        return normal_below(x, self.mean, self._variance(t))

    def _variance(self, t: float) -> float:
        return self.std**2 + 2.0 * number("t", t, above=-0.5 * self.std**2)
