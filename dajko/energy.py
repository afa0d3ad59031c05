"""Driving energies: internal, potential and interaction energy; value, first variation and Hessian.

Pietschmann and Schlottbom, (1.6), (4.1) and (4.16)::

    F(u) = sum_j wx_j (U(u_j) + V_j u_j) + 1/2 sum_ij wx_i wx_j W_ij u_i u_j

The first variation is the gradient in the weighted inner product of space, ``dF/du_j = U'(u_j) + V_j + (W * u)_j`` with
``(W * u)_j = sum_i wx_i W_ij u_i``. (The gradient (4.16) on the space-time grid is this divided by the weight of the last
level; that factor belongs to the solvers.) Interactions are in :mod:`dajko.interaction`.

One number says which internal energy a kernel works with, the exponent ``m`` of (5.3): ``u^m / (m - 1)`` for ``m > 1``,
``u log u`` for ``m = 1``, and none for ``m = 0``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dajko._numba import kernel
from dajko.checks import array, called, number, set_numbers, shown
from dajko.errors import InputError
from dajko.grid import Array, Grid, checked_grid
from dajko.interaction import GridInteraction, Interaction, checked_interaction, interaction_on

NO_INTERNAL_ENERGY = 0.0
ENTROPY_EXPONENT = 1.0
# A power of the density with an exponent below this has an unbounded second derivative at 0.
LEAST_SMOOTH_EXPONENT = 2.0
# Powers beyond this are so steep that a Newton step may meet a slope of any size; solvers take care of them.
STIFF_EXPONENT = 4.0


@kernel
def internal(u: float, m: float) -> float:
    """U(u) of (5.3)."""
    if m == 0.0:
        return 0.0
    if m == 1.0:
        return u * math.log(u) if u > 0.0 else 0.0
    if m == 2.0:
        return u * u
    return float(u**m / (m - 1.0))


@kernel
def internal_slope(u: float, m: float) -> float:
    """U'(u); minus infinity at u = 0 for the entropy."""
    if m == 0.0:
        return 0.0
    if m == 1.0:
        return math.log(u) + 1.0 if u > 0.0 else -math.inf
    if m == 2.0:
        return 2.0 * u
    return float(m / (m - 1.0) * u ** (m - 1.0))


@kernel
def internal_curvature(u: float, m: float) -> float:
    """U''(u); infinite at u = 0 for m < 2."""
    if m == 0.0:
        return 0.0
    if m == 2.0:
        return 2.0
    if u <= 0.0:
        return 0.0 if m > 2.0 else math.inf
    if m == 1.0:
        return 1.0 / u
    return float(m * u ** (m - 2.0))


@kernel
def internal_slope_and_curvature(u: float, m: float) -> tuple[float, float]:
    """U'(u) and U''(u) for u > 0, with one power for both."""
    if m == 0.0 or m == 1.0 or m == 2.0:
        return internal_slope(u, m), internal_curvature(u, m)
    slope = internal_slope(u, m)
    return slope, (m - 1.0) * slope / u


def internal_conjugate(p: Array, m: float) -> tuple[Array, Array, Array]:
    """``U*(p) = sup_{u >= 0} (p u - U(u))``, its slope, which is the maximising u, and its curvature, at each entry of p.

    Without internal energy ``U*`` is 0 for ``p <= 0`` and infinite above.
    """
    if m == NO_INTERNAL_ENERGY:
        return np.where(p <= 0.0, 0.0, np.inf), np.zeros_like(p), np.zeros_like(p)
    if m == ENTROPY_EXPONENT:
        u = np.exp(p - 1.0)
        return u, u, u
    u = (np.maximum(p, 0.0) * (m - 1.0) / m) ** (1.0 / (m - 1.0))
    curvature = np.zeros_like(u)
    np.power(u, 2.0 - m, out=curvature, where=u > 0.0)
    return u**m, u, curvature / m


@dataclass(frozen=True)
class PorousMedium:
    """Internal energy ``U(u) = u^m / (m - 1)`` of the porous medium equation, (5.3).

    Parameters
    ----------
    m : float
        Exponent, greater than 1.
    """

    m: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "m", number("the exponent m of a porous medium energy", self.m, above=1.0))

    @property
    def exponent(self) -> float:
        """The exponent that tells kernels which internal energy this is."""
        return self.m


@dataclass(frozen=True)
class Entropy:
    """Internal energy ``U(u) = u log u`` of linear diffusion, (5.3) with m = 1."""

    @property
    def exponent(self) -> float:
        """The exponent that tells kernels which internal energy this is."""
        return ENTROPY_EXPONENT


@dataclass(frozen=True)
class Quadratic:
    """Potential ``V(x) = stiffness (x - center)^2 / 2`` (Ornstein-Uhlenbeck)."""

    stiffness: float = 1.0
    center: float = 0.0

    def __post_init__(self) -> None:
        set_numbers(self, "a quadratic potential", "stiffness", "center")

    def __call__(self, x: ArrayLike) -> Array:
        return np.asarray(0.5 * self.stiffness * (array("x", x) - self.center) ** 2)


@dataclass(frozen=True)
class DoubleWell:
    """Potential ``V(x) = height ((x - center)^2 / distance^2 - 1)^2``, with minima at ``center +- distance``."""

    height: float = 1.0
    distance: float = 1.0
    center: float = 0.0

    def __post_init__(self) -> None:
        set_numbers(self, "a double well", "height", "center")
        set_numbers(self, "a double well", "distance", above=0.0)

    def __call__(self, x: ArrayLike) -> Array:
        return np.asarray(self.height * ((array("x", x) - self.center) ** 2 / self.distance**2 - 1.0) ** 2)


@dataclass(frozen=True)
class Linear:
    """Potential ``V(x) = slope x`` (drift with constant velocity ``-slope``)."""

    slope: float

    def __post_init__(self) -> None:
        set_numbers(self, "a linear potential", "slope")

    def __call__(self, x: ArrayLike) -> Array:
        return np.asarray(self.slope * array("x", x))


InternalEnergy = PorousMedium | Entropy
Potential = Callable[[Array], ArrayLike] | ArrayLike


@dataclass(frozen=True, eq=False)
class Energy:
    """Driving energy ``F(u) = int U(u) + V u dx + 1/2 int int W(x, y) u(x) u(y) dx dy``, (1.6).

    Parameters
    ----------
    internal : PorousMedium, Entropy or None
        Internal energy U.
    potential : callable, array of shape (nx + 1,) or None
        Potential V, evaluated at the nodes of the grid.
    interaction : named kernel, matrix of shape (nx + 1, nx + 1), callable or None
        Interaction W: a kernel of :mod:`dajko.interaction`, a symmetric matrix, an even function of an array of differences
        ``x - y``, or a symmetric function of ``x`` and ``y``.
    """

    internal: InternalEnergy | None = None
    potential: Potential | None = None
    interaction: Interaction | None = None

    def __post_init__(self) -> None:
        if self.internal is not None and not isinstance(self.internal, InternalEnergy):
            raise InputError(f"internal must be PorousMedium(m), Entropy() or None, got {shown(self.internal)}")
        if self.potential is not None and not callable(self.potential):
            object.__setattr__(self, "potential", _values(self.potential))
        if self.interaction is not None:
            object.__setattr__(self, "interaction", checked_interaction(self.interaction))

    @property
    def exponent(self) -> float:
        """Exponent of the internal energy; 1 for the entropy, 0 without internal energy."""
        return NO_INTERNAL_ENERGY if self.internal is None else self.internal.exponent

    def potential_on(self, grid: Grid) -> Array:
        """Potential at the nodes, shape ``(nx + 1,)``.

        Raises
        ------
        InputError
            If the potential has the wrong shape or is not finite somewhere.
        """
        checked_grid(grid)
        if self.potential is None:
            return np.zeros(grid.nx + 1)
        given = called("potential", self.potential, grid.x) if callable(self.potential) else self.potential
        values = _values(given).copy()
        if values.ndim == 0:
            values = np.full(grid.nx + 1, float(values))
        if values.shape != (grid.nx + 1,):
            raise InputError(f"potential must have the shape ({grid.nx + 1},) of the grid, got {values.shape}")
        if not np.isfinite(values).all():
            raise InputError("potential must be finite at every node of the grid")
        return values

    def interaction_on(self, grid: Grid) -> GridInteraction | None:
        """The interaction between the nodes, None without one.

        Raises
        ------
        InputError
            If the interaction has the wrong shape, is not finite somewhere, or is not symmetric.
        """
        checked_grid(grid)
        return None if self.interaction is None else interaction_on(self.interaction, grid)

    def on(self, grid: Grid) -> Energy:
        """The same energy with its potential and its interaction evaluated on a grid, once for all."""
        return Energy(self.internal, self.potential_on(grid), self.interaction_on(grid))

    def value(self, density: ArrayLike, grid: Grid) -> Array:
        """Energy ``F_h`` of (4.1) of densities of shape ``(..., nx + 1)``, shape ``(...)``."""
        u = checked_grid(grid).on_nodes("density", density)
        internal_energy = _internal(u.reshape(-1), self.exponent).reshape(u.shape)
        local, interaction = grid.integrate(internal_energy + self.potential_on(grid) * u), self.interaction_on(grid)
        return local if interaction is None else np.asarray(local + interaction.value(u))

    def first_variation(self, density: ArrayLike, grid: Grid) -> Array:
        """``U'(u) + V + W * u`` at the nodes, shape ``(nx + 1,)``."""
        u = checked_grid(grid).on_nodes("density", density)
        local, interaction = _internal_slope(u, self.exponent) + self.potential_on(grid), self.interaction_on(grid)
        return np.asarray(local if interaction is None else local + interaction.mean_field(u))

    def hessian_product(self, density: ArrayLike, direction: ArrayLike, grid: Grid) -> Array:
        """Derivative of :meth:`first_variation` in a direction, ``U''(u) h + W * h``, shape ``(nx + 1,)``."""
        checked_grid(grid)
        u, h = grid.on_nodes("density", density), grid.on_nodes("direction", direction)
        local, interaction = _internal_curvature(u, self.exponent) * h, self.interaction_on(grid)
        return np.asarray(local if interaction is None else local + interaction.mean_field(h))


def _values(given: object) -> Array:
    return array("potential", given, "a number at each node of the grid, or a function of x")


@kernel
def _internal(u: Array, m: float) -> Array:
    result = np.empty_like(u)
    for j in range(u.size):
        result[j] = internal(u[j], m)
    return result


@kernel
def _internal_slope(u: Array, m: float) -> Array:
    result = np.empty_like(u)
    for j in range(u.size):
        result[j] = internal_slope(u[j], m)
    return result


@kernel
def _internal_curvature(u: Array, m: float) -> Array:
    result = np.empty_like(u)
    for j in range(u.size):
        result[j] = internal_curvature(u[j], m)
    return result
