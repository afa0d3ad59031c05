"""U, U' and U'' of densities of one problem or of eight (:mod:`dajko.lanes`), each with the exponent of its own.

Arrays have n entries, the problems innermost. Powers are taken one by one; where all problems have ``U = u^2``, there are
none to be taken, and the lanes stay full.
"""

from __future__ import annotations

from typing import Any

from dajko._numba import inline_kernel
from dajko.energy.kernels import internal, internal_slope, internal_slope_and_curvature
from dajko.grid import Array
from dajko.lanes import as_number, lane_count, load, store

_QUADRATIC = 2.0


@inline_kernel
def _all_quadratic(exponent: Array, lanes: int) -> bool:
    quadratic = True
    for lane in range(lanes):
        quadratic &= exponent[lane] == _QUADRATIC
    return quadratic


@inline_kernel
def internal_values_in_lanes(u: Array, exponent: Array, n: int, value: Array, number: Any) -> None:
    """U(u) into ``value``."""
    lanes = lane_count(number)
    if _all_quadratic(exponent, lanes):
        for j in range(n):
            here = load(u, j, number)
            store(value, j, here * here, number)
        return
    for j in range(n):
        for lane in range(lanes):
            i = j * lanes + lane
            value[i] = internal(u[i], exponent[lane])


@inline_kernel
def internal_slopes_in_lanes(u: Array, exponent: Array, n: int, slope: Array, number: Any) -> None:
    """U'(u) into ``slope``, which may be ``u``."""
    lanes = lane_count(number)
    if _all_quadratic(exponent, lanes):
        for j in range(n):
            store(slope, j, 2.0 * load(u, j, number), number)
        return
    for j in range(n):
        for lane in range(lanes):
            i = j * lanes + lane
            slope[i] = internal_slope(u[i], exponent[lane])


@inline_kernel
def internal_slopes_and_curvatures_in_lanes(
    u: Array, exponent: Array, n: int, slope: Array, curvature: Array, number: Any
) -> None:
    """U'(u) into ``slope``, U''(u) into ``curvature``, for u > 0."""
    lanes = lane_count(number)
    if _all_quadratic(exponent, lanes):
        two = as_number(_QUADRATIC, number)
        for j in range(n):
            store(slope, j, 2.0 * load(u, j, number), number)
            store(curvature, j, two, number)
        return
    for j in range(n):
        for lane in range(lanes):
            i = j * lanes + lane
            slope[i], curvature[i] = internal_slope_and_curvature(u[i], exponent[lane])
