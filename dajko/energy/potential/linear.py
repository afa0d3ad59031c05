"""The potential of a drift."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from dajko.checks import array
from dajko.energy.potential import Potential
from dajko.grid import Array
from dajko.validation import Number


class Linear(Potential, kind="linear"):
    """Potential ``V(x) = slope x`` (drift with constant velocity ``-slope``).

    Parameters
    ----------
    slope : float
    """

    label: ClassVar[str] = "a linear potential"

    slope: Number = 1.0

    def __call__(self, x: ArrayLike) -> Array:
        return np.asarray(self.slope * array("x", x))
