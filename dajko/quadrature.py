"""Weighted sums over the nodes of a level, as they stand in the inner product (4.2) of Pietschmann and Schlottbom.

All arrays have the same shape ``(n,)``; ``w`` are quadrature weights. Nothing is written.
"""

from __future__ import annotations

from dajko._numba import sum_kernel
from dajko.grid import Array


@sum_kernel
def product(a: Array, b: Array) -> float:
    """``sum a b``."""
    total = 0.0
    for j in range(a.size):
        total += a[j] * b[j]
    return total


@sum_kernel
def weighted_product(w: Array, a: Array, b: Array) -> float:
    """``sum w a b``."""
    total = 0.0
    for j in range(a.size):
        total += w[j] * a[j] * b[j]
    return total


@sum_kernel
def weighted_square(w: Array, a: Array) -> float:
    """``sum w a^2``."""
    total = 0.0
    for j in range(a.size):
        total += w[j] * a[j] * a[j]
    return total


@sum_kernel
def squared_change(w: Array, new: Array, old: Array) -> tuple[float, float]:
    """``sum w (new - old)^2`` and ``sum w old^2``."""
    change, size = 0.0, 0.0
    for j in range(new.size):
        change += w[j] * (new[j] - old[j]) * (new[j] - old[j])
        size += w[j] * old[j] * old[j]
    return change, size
