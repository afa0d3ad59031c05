"""Densities in closed form: initial data and exact solutions.

A profile is called with positions and a time and gives the density there: ``profile(x, t=0.0)``. Profiles that solve a PDE
depend on the time; the others ignore it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from dajko.checks import array, finite_array, number, set_numbers
from dajko.errors import InputError
from dajko.grid import Array

# A domain that leaves out a greater part of a density's mass is to be doubted.
MOST_OUTSIDE = 1e-3


class Profile(Protocol):
    """A density in closed form."""

    def __call__(self, x: ArrayLike, t: float = 0.0) -> Array:
        """Density at positions ``x`` (any shape) and time ``t``."""

    def share_below(self, x: float, t: float = 0.0) -> float:
        """The part of the mass on the real line that lies below ``x`` at time ``t``, between 0 and 1."""


def share_outside(profile: Profile, left: float, right: float, t: float = 0.0) -> float:
    """The part of the mass of a profile that lies outside an interval.

    Parameters
    ----------
    profile : Profile
    left, right : float
        Ends of the interval.
    t : float
        Time.

    Raises
    ------
    InputError
        If the ends or the time are no finite numbers.
    """
    return profile.share_below(number("left", left), t) + 1.0 - profile.share_below(number("right", right), t)


@dataclass(frozen=True)
class Barenblatt:
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

    m: float = 2.0
    c: float = (3.0 / 16.0) ** (1.0 / 3.0)
    t0: float = 1e-3
    shift: float = 0.0
    time_shift: float = 0.0

    def __post_init__(self) -> None:
        set_numbers(self, "a Barenblatt profile", "m", above=1.0)
        set_numbers(self, "a Barenblatt profile", "c", "t0", above=0.0)
        set_numbers(self, "a Barenblatt profile", "shift", "time_shift")
        if not self.time_shift + self.t0 > 0:
            raise InputError(f"time_shift of a Barenblatt profile must be greater than -t0, got {self.time_shift}")

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


@dataclass(frozen=True)
class Gaussian:
    """``mass`` times the normal density with mean ``mean`` and standard deviation ``std``, at all times."""

    mean: float = 0.0
    std: float = 0.1
    mass: float = 1.0

    def __post_init__(self) -> None:
        set_numbers(self, "a Gaussian profile", "mean")
        set_numbers(self, "a Gaussian profile", "std", "mass", above=0.0)

    def __call__(self, x: ArrayLike, t: float = 0.0) -> Array:
        number("t", t)
        return self.mass * _normal(x, self.mean, self.std**2)

    def share_below(self, x: float, t: float = 0.0) -> float:
        """The part of the mass that lies below ``x``."""
        number("t", t)
        return _normal_below(x, self.mean, self.std**2)


@dataclass(frozen=True)
class GaussianMixture:
    """Normal densities of standard deviation ``std`` around several means, which share ``mass`` equally, at all times."""

    means: Sequence[float]
    std: float = 0.1
    mass: float = 1.0

    def __post_init__(self) -> None:
        means = finite_array("means of a GaussianMixture profile", self.means, "a list of finite numbers", ndim=1)
        object.__setattr__(self, "means", tuple(means.tolist()))
        if not self.means:
            raise InputError("means of a GaussianMixture profile must name at least one position")
        set_numbers(self, "a GaussianMixture profile", "std", "mass", above=0.0)

    def __call__(self, x: ArrayLike, t: float = 0.0) -> Array:
        number("t", t)
        total = sum(_normal(x, mean, self.std**2) for mean in self.means)
        return np.asarray(self.mass / len(self.means) * total)

    def share_below(self, x: float, t: float = 0.0) -> float:
        """The part of the mass that lies below ``x``."""
        number("t", t)
        return sum(_normal_below(x, mean, self.std**2) for mean in self.means) / len(self.means)


@dataclass(frozen=True)
class Heat:
    """Solution of the heat equation from a Gaussian: its variance grows by ``2 t``."""

    mean: float = 0.0
    std: float = 0.1
    mass: float = 1.0

    def __post_init__(self) -> None:
        set_numbers(self, "a Heat profile", "mean")
        set_numbers(self, "a Heat profile", "std", "mass", above=0.0)

    def __call__(self, x: ArrayLike, t: float = 0.0) -> Array:
        return self.mass * _normal(x, self.mean, self._variance(t))

    def share_below(self, x: float, t: float = 0.0) -> float:
        """The part of the mass that lies below ``x`` at time ``t``."""
        return _normal_below(x, self.mean, self._variance(t))

    def _variance(self, t: float) -> float:
        return self.std**2 + 2.0 * number("t", t, above=-0.5 * self.std**2)


@dataclass(frozen=True)
class OrnsteinUhlenbeck:
    """Solution of the Fokker-Planck equation with entropy and ``V = stiffness (x - center)^2 / 2``, from a Gaussian.

    The mean tends to ``center`` and the variance to ``1 / stiffness``, with the rates ``stiffness`` and ``2 stiffness``.
    """

    stiffness: float = 1.0
    center: float = 0.0
    mean: float = 0.0
    std: float = 0.1
    mass: float = 1.0

    def __post_init__(self) -> None:
        set_numbers(self, "a OrnsteinUhlenbeck profile", "center", "mean")
        set_numbers(self, "a OrnsteinUhlenbeck profile", "stiffness", "std", "mass", above=0.0)

    def moments(self, t: float) -> tuple[float, float]:
        """Mean and variance of the normalised density at time ``t``."""
        decay = math.exp(-self.stiffness * number("t", t, least=0.0))
        mean = self.center + (self.mean - self.center) * decay
        return mean, self.std**2 * decay**2 + (1.0 - decay**2) / self.stiffness

    def __call__(self, x: ArrayLike, t: float = 0.0) -> Array:
        mean, variance = self.moments(t)
        return self.mass * _normal(x, mean, variance)

    def share_below(self, x: float, t: float = 0.0) -> float:
        """The part of the mass that lies below ``x`` at time ``t``."""
        return _normal_below(x, *self.moments(t))


def _normal(x: ArrayLike, mean: float, variance: float) -> Array:
    return np.asarray(np.exp(-0.5 * (array("x", x) - mean) ** 2 / variance) / math.sqrt(2.0 * math.pi * variance))


def _normal_below(x: float, mean: float, variance: float) -> float:
    return 0.5 * math.erfc((mean - number("x", x)) / math.sqrt(2.0 * variance))
