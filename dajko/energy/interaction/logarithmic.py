"""The interaction of chemotaxis."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from dajko.checks import array
from dajko.energy.interaction import Interaction
from dajko.grid import Array
from dajko.validation import NonNegative, Number


class Logarithmic(Interaction, kind="logarithmic"):
    """Chemotaxis in one dimension, ``W(r) = chi / pi log |r|``: (5.9) in the convention of (1.6), d = 1.

    At 0 it is the average over two cells, ``chi / pi (log dx - 1)``, as the paper regularises it (section 5.2, after
    Carrillo, Craig, Wang and Wei 2022).

    Parameters
    ----------
    chi : float
        Sensitivity; positive values attract. Above the mass ``2 pi / chi`` solutions with linear diffusion blow up.
    core : float
        With a positive length, ``log sqrt(r^2 + core^2)`` takes the place of ``log |r|``, so that the force is bounded
        whatever the grid. A core that the grid does not resolve changes nothing at 0: there the logarithm is never less than
        ``log dx - 1``.
    """

    label: ClassVar[str] = "logarithmic interaction"

    chi: Number
    core: NonNegative = 0.0

    def __call__(self, r: ArrayLike) -> Array:
        with np.errstate(divide="ignore"):
            return np.asarray(self.chi / math.pi * np.log(np.hypot(array("r", r), self.core)))

    def at_zero(self, dx: float) -> float:
        """The value at 0, or the average over the two cells around it."""
        average = math.log(dx) - 1.0
        return self.chi / math.pi * (max(math.log(self.core), average) if self.core > 0.0 else average)
