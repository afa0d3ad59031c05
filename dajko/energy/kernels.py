"""Kernels of the internal energy: value, slope, curvature and conjugate of U.

One number says which U a kernel works with, the exponent ``m`` of (5.3): ``u^m / (m - 1)`` for ``m > 1``, ``u log u`` for
``m = 1``, and none for ``m = 0``.
"""

from __future__ import annotations

import math

import numpy as np

from dajko._numba import kernel
from dajko.energy.internal import ENTROPY_EXPONENT, NO_INTERNAL_ENERGY
from dajko.grid import Array


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


@kernel
def internal_values(u: Array, m: float) -> Array:
    result = np.empty_like(u)
    for j in range(u.size):
        result[j] = internal(u[j], m)
    return result


@kernel
def internal_slopes(u: Array, m: float) -> Array:
    result = np.empty_like(u)
    for j in range(u.size):
        result[j] = internal_slope(u[j], m)
    return result


@kernel
def internal_curvatures(u: Array, m: float) -> Array:
    result = np.empty_like(u)
    for j in range(u.size):
        result[j] = internal_curvature(u[j], m)
    return result
