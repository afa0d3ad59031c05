"""The self-similar solution of the porous medium equation."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from dajko.checks import array, number
from dajko.errors import InputError
from dajko.grid import Array
from dajko.profile import Profile
from dajko.validation import PLAIN, Number, Positive


class Barenblatt(Profile, kind="barenblatt"):
    """Self-similar solution of the porous medium equation, (5.4), shifted in space and time as in (5.5).

    With ``s = t + time_shift + t0`` and ``y = x - shift``::

        u(x, t) = s^(-1/(m+1)) (C - (m-1)/(2m(m+1)) y^2 s^(-2/(m+1)))_+^(1/(m-1))

    Parameters
    ----------
    m : float
        Exponent, greater than 1.
    c : float
        The constant C. The default is the paper's, which for m = 2 gives mass 2.
    t0 : float
        Age of the solution at ``t = 0`` and ``time_shift = 0``.
    shift, time_shift : float
        The shifts of (5.5).
    """

    label: ClassVar[str] = "a Barenblatt profile"
    always_said: ClassVar[tuple[str, ...]] = ("m",)

    m: Annotated[float, Field(strict=True, allow_inf_nan=False, gt=1), PLAIN] = 2.0
    c: Positive = (3.0 / 16.0) ** (1.0 / 3.0)
    t0: Positive = 1e-3
    shift: Number = 0.0
    time_shift: Number = 0.0

    @model_validator(mode="after")
    def _has_begun(self) -> Self:
        if not self.time_shift + self.t0 > 0:
            raise PydanticCustomError(
                "time_shift", "time_shift must be greater than -t0, got {a} and t0 {b}", {"a": self.time_shift, "b": self.t0}
            )
        return self

    @property
    def _kappa(self) -> float:
        return (self.m - 1.0) / (2.0 * self.m * (self.m + 1.0))

    @property
    def mass(self) -> float:
        """Integral over the real line, the same at all times."""
        from scipy.special import beta  # takes long to import

        power = 1.0 / (self.m - 1.0)
        return float(self.c ** (power + 0.5) * self._kappa**-0.5 * beta(0.5, power + 1.0))

    def radius(self, t: float = 0.0) -> float:
        """Half the width of the support."""
        age: float = self._age(t) ** (1.0 / (self.m + 1.0))
        return math.sqrt(self.c / self._kappa) * age

    def _age(self, t: float) -> float:
        """``s``, which a time before the beginning would make negative."""
        age = number("t", t) + self.time_shift + self.t0
        if not age > 0.0:
            raise InputError(f"t must be greater than {-(self.time_shift + self.t0):g}, when this solution begins, got {t}")
        return age

    def __call__(self, x: ArrayLike, t: float = 0.0) -> Array:
        s = self._age(t) ** (-1.0 / (self.m + 1.0))
        y = (array("x", x) - self.shift) * s
        return np.asarray(s * np.maximum(self.c - self._kappa * y**2, 0.0) ** (1.0 / (self.m - 1.0)))

    def share_below(self, x: float, t: float = 0.0) -> float:
        """The part of the mass that lies below ``x`` at time ``t``."""
        y = (number("x", x) - self.shift) / self.radius(t)
        if abs(y) >= 1.0:
            return float(y > 0.0)
        from scipy.special import betainc  # takes long to import

        half = 0.5 * float(betainc(0.5, 1.0 / (self.m - 1.0) + 1.0, y**2))
        return 0.5 + math.copysign(half, y)
