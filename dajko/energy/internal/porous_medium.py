"""The internal energy of the porous medium equation."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from dajko.energy.internal import InternalEnergy
from dajko.validation import PLAIN


class PorousMedium(InternalEnergy, kind="porous_medium"):
    """Internal energy ``U(u) = u^m / (m - 1)`` of the porous medium equation, (5.3).

    Parameters
    ----------
    m : float
        Exponent, greater than 1.
    """

    label: ClassVar[str] = "the energy of porous medium"
    always_said: ClassVar[tuple[str, ...]] = ("m",)

    m: Annotated[float, Field(strict=True, allow_inf_nan=False, gt=1), PLAIN] = 2.0

    @property
    def exponent(self) -> float:
        """The exponent m."""
        return self.m
