"""A solution of the Fokker-Planck equation."""

from __future__ import annotations

import math
from typing import ClassVar

from numpy.typing import ArrayLike

from dajko.checks import number
from dajko.grid import Array
from dajko.profile import Profile, normal, normal_below
from dajko.validation import Number, Positive


class OrnsteinUhlenbeck(Profile, kind="ornstein_uhlenbeck"):
    """Solution of the Fokker-Planck equation with entropy and ``V = stiffness (x - center)^2 / 2``, from a Gaussian.

    The mean tends to ``center`` and the variance to ``1 / stiffness``, with the rates ``stiffness`` and ``2 stiffness``.

    Parameters
    ----------
    stiffness, center : float
        Of the potential.
    mean, std, mass : float
        At time 0; standard deviation and mass are greater than 0.
    """

    label: ClassVar[str] = "an Ornstein\N{EN DASH}Uhlenbeck density"

    stiffness: Positive = 1.0
    center: Number = 0.0
    mean: Number = 0.0
    std: Positive = 0.1
    mass: Positive = 1.0

    def moments(self, t: float) -> tuple[float, float]:
        """Mean and variance of the normalised density at time ``t``."""
        decay = math.exp(-self.stiffness * number("t", t, least=0.0))
        mean = self.center + (self.mean - self.center) * decay
        return mean, self.std**2 * decay**2 + (1.0 - decay**2) / self.stiffness

    def __call__(self, x: ArrayLike, t: float = 0.0) -> Array:
        mean, variance = self.moments(t)
        return self.mass * normal(x, mean, variance)

    def share_below(self, x: float, t: float = 0.0) -> float:
        """The part of the mass that lies below ``x`` at time ``t``."""
        return normal_below(x, *self.moments(t))
