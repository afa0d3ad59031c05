"""The interaction of swarms."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from dajko.checks import array
from dajko.energy.interaction import Interaction
from dajko.grid import Array
from dajko.validation import Number, Positive


class Morse(Interaction, kind="morse"):
    """``W(r) = -strength exp(-|r| / width) + repulsion exp(-|r| / repulsion_width)``.

    D'Orsogna, Chuang, Bertozzi and Chayes, *Self-propelled particles with soft-core interactions* (2006).

    Parameters
    ----------
    strength, width : float
        Of the attraction; the width is greater than 0.
    repulsion, repulsion_width : float
        Of the repulsion.
    """

    label: ClassVar[str] = "Morse interaction"

    strength: Number = 1.0
    width: Positive = 0.2
    repulsion: Number = 0.0
    repulsion_width: Positive = 0.1

    def __call__(self, r: ArrayLike) -> Array:
        size = np.abs(array("r", r))
        attraction = self.strength * np.exp(-size / self.width)
        return np.asarray(self.repulsion * np.exp(-size / self.repulsion_width) - attraction)

    def at_zero(self, dx: float) -> float:
        """The value at 0."""
        return self.repulsion - self.strength
