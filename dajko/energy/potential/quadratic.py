"""The potential of an Ornstein-Uhlenbeck process."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from dajko.checks import array
from dajko.energy.potential import Potential
from dajko.grid import Array
from dajko.validation import Number


class Quadratic(Potential, kind="quadratic"):
    """Potential ``V(x) = stiffness (x - center)^2 / 2`` (Ornstein-Uhlenbeck).

    Parameters
    ----------
    stiffness, center : float
    """

    label: ClassVar[str] = "a quadratic potential"

    stiffness: Number = 1.0
    center: Number = 0.0

    def __call__(self, x: ArrayLike) -> Array:
        return np.asarray(0.5 * self.stiffness * (array("x", x) - self.center) ** 2)
