"""Distances between densities: L1, L2 and the Wasserstein distance of order 2 in one dimension, with its potential.

All three compare shapes and masses as they are, except that the Wasserstein distance first divides each density by its mass.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from dajko._numba import kernel
from dajko.grid import Array, Grid


def l1(u: ArrayLike, v: ArrayLike, grid: Grid) -> Array:
    """``int |u - v| dx`` over the last axis of arrays of shape ``(..., points)``."""
    return grid.integrate(np.abs(np.asarray(u) - np.asarray(v)))


def l2(u: ArrayLike, v: ArrayLike, grid: Grid) -> Array:
    """``(int (u - v)^2 dx)^(1/2)`` over the last axis of arrays of shape ``(..., points)``."""
    return np.sqrt(grid.integrate((np.asarray(u) - np.asarray(v)) ** 2))


def w2(u: ArrayLike, v: ArrayLike, grid: Grid) -> Array:
    """Wasserstein distance of order 2 over the last axis of arrays of the same shape ``(..., points)``.

    A grid function stands for the density that is constant between the edges of the grid: in a cell, or around a node up to
    half way to its neighbours, so that its mass is that of the trapezoidal rule. Its quantile function is then piecewise
    linear, and in one dimension ``W2^2 = int_0^1 (Q_u - Q_v)^2 dq`` is integrated exactly. This is the usual distance,
    without the factor 1/2 of (2.1). The result is NaN where a density is not finite or has no mass.
    """
    a, b = (np.ascontiguousarray(d, dtype=np.float64) for d in np.broadcast_arrays(u, v))
    out = np.empty(a.shape[:-1])
    n = grid.points
    _w2_rows(a.reshape(-1, n), b.reshape(-1, n), grid.wx, grid.edges, out.reshape(-1))
    return out


def kantorovich_potential(u: ArrayLike, v: ArrayLike, grid: Grid) -> Array:
    """Kantorovich potential of the transport from ``v`` to ``u``, on the side of ``u``, by quantiles.

    With S the monotone map that takes ``u / int u`` to ``v / int v``, the potential has the derivative ``x - S(x)``, the
    displacement with which mass arrives at x; it is that of geodesics at time 1, ``phi_t + phi_x^2 / 2 = 0``. Grid functions
    stand for the same measures as in :func:`w2`, and the integral over x is exact for them.

    Parameters
    ----------
    u, v : array of shape (points,)
        New and old density, of positive mass.

    Returns
    -------
    array of shape (points,)
        Of mean 0 with respect to u; NaN where u is 0, where the potential is not unique.
    """
    new, old = np.asarray(u, dtype=np.float64), np.asarray(v, dtype=np.float64)
    edges, width = grid.edges, np.diff(grid.edges)
    p, q = (d * grid.wx / float(grid.integrate(d)) for d in (new, old))
    before_p, before_q = np.cumsum(p) - p, np.cumsum(q) - q
    at_nodes = before_p + p * (grid.x - edges[:-1]) / width
    levels = np.unique(np.clip(np.concatenate([before_p, before_q, at_nodes, [0.0, 1.0]]), 0.0, 1.0))
    middle = 0.5 * (levels[1:] + levels[:-1])

    def quantiles(mass: Array, before: Array) -> tuple[Array, Array]:
        """Positions at both ends of each interval of levels, which lies within one cell."""
        full = np.flatnonzero(mass > 0.0)
        cell = full[np.searchsorted(before[full], middle, side="right") - 1]
        start, end = ((level - before[cell]) / mass[cell] for level in (levels[:-1], levels[1:]))
        return edges[cell] + width[cell] * np.clip(start, 0.0, 1.0), edges[cell] + width[cell] * np.clip(end, 0.0, 1.0)

    (left, right), (from_left, from_right) = quantiles(p, before_p), quantiles(q, before_q)
    gained = 0.5 * (left - from_left + right - from_right) * (right - left)
    # Between two intervals of levels lies vacuum of u, or nothing.
    across = 0.5 * (right[:-1] - from_right[:-1] + left[1:] - from_left[1:]) * (left[1:] - right[:-1])
    potential = np.concatenate([[0.0], np.cumsum(gained + np.concatenate([across, [0.0]]))])
    found = np.where(p > 0.0, potential[np.searchsorted(levels, np.clip(at_nodes, 0.0, 1.0))], np.nan)
    return np.asarray(found - np.nansum(p * found))


@kernel
def _w2_rows(u: Array, v: Array, wx: Array, edges: Array, out: Array) -> None:
    for i in range(out.size):
        mass_u, mass_v = np.sum(wx * u[i]), np.sum(wx * v[i])
        if mass_u > 0.0 and mass_v > 0.0:
            out[i] = _w2(wx * u[i] / mass_u, wx * v[i] / mass_v, edges)
        else:
            out[i] = math.nan


@kernel
def _w2(p: Array, q: Array, edges: Array) -> float:
    """W2 between measures that spread the masses ``p`` and ``q`` evenly over the cells between ``edges``."""
    n = p.size
    i, j = 0, 0  # cells
    a, b = 0.0, 0.0  # mass of these cells that has been moved
    total = 0.0
    while True:
        while i < n and p[i] - a <= 0.0:
            i, a = i + 1, 0.0
        while j < n and q[j] - b <= 0.0:
            j, b = j + 1, 0.0
        if i == n or j == n:
            return math.sqrt(total)
        moved = min(p[i] - a, q[j] - b)
        # Shares of the cells first: a width divided by the mass of a cell overflows where that is 1e-310.
        width_p, width_q = edges[i + 1] - edges[i], edges[j + 1] - edges[j]
        start = edges[i] - edges[j] + a / p[i] * width_p - b / q[j] * width_q
        end = start + moved / p[i] * width_p - moved / q[j] * width_q
        total += moved * (start * start + start * end + end * end) / 3.0
        # One of the two cells is used up; saying so exactly keeps rounding from leaving a sliver of it.
        if p[i] - a <= q[j] - b:
            i, a, b = i + 1, 0.0, b + moved
        else:
            j, b, a = j + 1, 0.0, a + moved
