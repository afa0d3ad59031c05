"""An interaction of bounded range."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from dajko.checks import array
from dajko.energy.interaction import Interaction
from dajko.grid import Array
from dajko.validation import Number, Positive


class GaussianKernel(Interaction, kind="gaussian_kernel"):
    """``W(r) = -strength exp(-r^2 / (2 width^2))``: attraction of bounded range; a negative strength repels.

    Parameters
    ----------
    strength : float
    width : float
        Greater than 0.
    """

    label: ClassVar[str] = "Gaussian interaction"

    strength: Number = 1.0
    width: Positive = 0.1

    def __call__(self, r: ArrayLike) -> Array:
        return np.asarray(-self.strength * np.exp(-0.5 * (array("r", r) / self.width) ** 2))

    def at_zero(self, dx: float) -> float:
        """The value at 0."""
        return -self.strength
