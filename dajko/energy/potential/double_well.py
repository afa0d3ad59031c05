"""A potential with two minima."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from dajko.checks import array
from dajko.energy.potential import Potential
from dajko.grid import Array
from dajko.validation import Number, Positive


class DoubleWell(Potential, kind="double_well"):
    """Potential ``V(x) = height ((x - center)^2 / distance^2 - 1)^2``, with minima at ``center +- distance``.

    Parameters
    ----------
    height : float
    distance : float
        Of the minima from the center, greater than 0.
    center : float
    """

    label: ClassVar[str] = "a double well potential"

    height: Number = 1.0
    distance: Positive = 1.0
    center: Number = 0.0

    def __call__(self, x: ArrayLike) -> Array:
        return np.asarray(self.height * ((array("x", x) - self.center) ** 2 / self.distance**2 - 1.0) ** 2)
