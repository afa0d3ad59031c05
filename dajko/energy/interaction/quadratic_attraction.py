"""An interaction that grows with the square of the distance."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from dajko.checks import array
from dajko.energy.interaction import Interaction
from dajko.grid import Array
from dajko.validation import Number


class QuadraticAttraction(Interaction, kind="quadratic_attraction"):
    """``W(r) = strength r^2 / 2``: for densities of mass M, the potential ``strength M (x - mean)^2 / 2``.

    Parameters
    ----------
    strength : float
    """

    label: ClassVar[str] = "quadratic attraction"

    strength: Number = 1.0

    def __call__(self, r: ArrayLike) -> Array:
        return np.asarray(0.5 * self.strength * array("r", r) ** 2)

    def at_zero(self, dx: float) -> float:
        """The value at 0."""
        return 0.0
