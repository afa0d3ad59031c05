"""Attraction at a distance and repulsion nearby, by powers."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from dajko.checks import array
from dajko.energy.interaction import Interaction
from dajko.grid import Array
from dajko.validation import PLAIN, Number


class PowerLaw(Interaction, kind="power_law"):
    """Attractive-repulsive power law, ``W(r) = strength (|r|^a / a - |r|^b / b)``, with ``log |r|`` for ``|r|^0 / 0``.

    Balague, Carrillo, Laurent and Raoul, *Dimensionality of local minimizers of the interaction energy* (2013). A power that
    is not positive is singular at 0 and averaged over two cells there.

    Parameters
    ----------
    attraction : float
        Exponent a, greater than -1 and than b.
    repulsion : float or None
        Exponent b, greater than -1; with None there is no repulsion.
    strength : float
    """

    label: ClassVar[str] = "interaction by a power law"

    attraction: Annotated[float, Field(strict=True, allow_inf_nan=False, gt=-1), PLAIN] = 2.0
    repulsion: Annotated[float, Field(strict=True, allow_inf_nan=False, gt=-1), PLAIN] | None = 1.0
    strength: Number = 1.0

    @model_validator(mode="after")
    def _attraction_reaches_further(self) -> Self:
        if self.repulsion is not None and not self.attraction > self.repulsion:
            raise PydanticCustomError(
                "power_law",
                "attraction must be greater than repulsion, got {a} and {b}",
                {"a": self.attraction, "b": self.repulsion},
            )
        return self

    def __call__(self, r: ArrayLike) -> Array:
        size = np.abs(array("r", r))
        with np.errstate(divide="ignore", invalid="ignore"):
            repulsion = 0.0 if self.repulsion is None else _power(size, self.repulsion)
            return np.asarray(self.strength * (_power(size, self.attraction) - repulsion))

    def at_zero(self, dx: float) -> float:
        """The value at 0, with averages over two cells for what is singular."""
        repulsion = 0.0 if self.repulsion is None else _power_at_zero(dx, self.repulsion)
        return self.strength * (_power_at_zero(dx, self.attraction) - repulsion)


def _power(r: Array, exponent: float) -> Array:
    return np.asarray(np.log(r) if exponent == 0.0 else r**exponent / exponent)


def _power_at_zero(dx: float, exponent: float) -> float:
    if exponent > 0.0:
        return 0.0
    return math.log(dx) - 1.0 if exponent == 0.0 else dx**exponent / (exponent * (exponent + 1.0))
