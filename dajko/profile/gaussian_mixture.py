"""A sum of normal densities."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from dajko.checks import number
from dajko.grid import Array
from dajko.profile import Profile, normal, normal_below
from dajko.validation import Numbers, Positive


class GaussianMixture(Profile, kind="gaussian_mixture"):
    """Normal densities of standard deviation ``std`` around several means, which share ``mass`` equally, at all times.

    Parameters
    ----------
    means : sequence of float
    std : float
        Greater than 0.
    mass : float
        Of all together, greater than 0.
    """

    label: ClassVar[str] = "a mixture of Gaussians"

    means: Numbers
    std: Positive = 0.1
    mass: Positive = 1.0

    def __call__(self, x: ArrayLike, t: float = 0.0) -> Array:
        number("t", t)
        total = sum(normal(x, mean, self.std**2) for mean in self.means)
        return np.asarray(self.mass / len(self.means) * total)

    def share_below(self, x: float, t: float = 0.0) -> float:
        """The part of the mass that lies below ``x``."""
        number("t", t)
        return sum(normal_below(x, mean, self.std**2) for mean in self.means) / len(self.means)
