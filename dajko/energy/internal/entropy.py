"""The internal energy of linear diffusion."""

from __future__ import annotations

from typing import ClassVar

from dajko.energy.internal import ENTROPY_EXPONENT, InternalEnergy


class Entropy(InternalEnergy, kind="entropy"):
    """Internal energy ``U(u) = u log u`` of linear diffusion, (5.3) with m = 1."""

    label: ClassVar[str] = "the entropy"

    @property
    def exponent(self) -> float:
        """1, the exponent that stands for the logarithm."""
        return ENTROPY_EXPONENT
