"""Proximal maps of Algorithm 1: of the action, (4.14) and (4.15), and of the constraints' conjugate by Moreau's identity."""

from __future__ import annotations

import math

from dajko._numba import kernel
from dajko.energy.kernels import internal_curvature, internal_slope
from dajko.grid import Array
from dajko.quadrature import squared_change, weighted_square
from dajko.solvers.algorithm_1.constraints import Dual, Weights


@kernel
def prox_action(rho: Array, m: Array, lam: float, start: Array) -> None:
    """Proximal map of ``lam Phi`` in every node, (4.14), in place.

    The new density is the largest root of ``(x - rho)(x + lam)^2 = lam m^2 / 2`` (4.15), or 0. On the right of
    ``max(rho, -lam)`` the cubic is increasing and convex, so Newton's method from any nonnegative ``start`` passes the root
    at most once and then descends to it; all nodes go together, which vectorises where Cardano's branches do not.
    ``start`` is overwritten.
    """
    n = rho.size
    for j in range(n):
        s = start[j]
        s = s if s > rho[j] else rho[j]
        start[j] = s if s > 0.0 else 0.0
    for _ in range(100):
        moving = 0
        for j in range(n):
            x, r = start[j], rho[j]
            y = x + lam
            value = (x - r) * y * y - 0.5 * lam * m[j] * m[j]
            new = x - value / (y * (y + 2.0 * (x - r)))
            new = new if new > 0.0 else 0.0
            # Newton's method squares the relative error, so after a step this small the next one is below rounding.
            moving += abs(new - x) > 1e-8 * y
            start[j] = new
        if moving == 0:
            break
    for j in range(n):
        x = start[j]
        rho[j] = x
        m[j] = m[j] * x / (x + lam)


@kernel
def prox_action_internal(rho: Array, m: Array, lam: float, weight: float, exponent: float, start: Array) -> None:
    """Proximal map of ``lam (Phi + weight U)`` in every node, in place.

    With the flux eliminated as in (4.14), the new density is the root of the increasing function
    ``x - rho - lam m^2 / (2 (x + lam)^2) + lam weight U'(x)``, or 0 if it is positive there.
    """
    for j in range(rho.size):
        rho[j] = _root_internal(rho[j], 0.5 * lam * m[j] * m[j], lam, lam * weight, exponent, start[j])
        m[j] = m[j] * rho[j] / (rho[j] + lam)


@kernel
def _root_internal(r: float, c: float, lam: float, weight: float, exponent: float, start: float) -> float:
    if r + c / lam**2 - weight * internal_slope(0.0, exponent) <= 0.0:
        return 0.0
    # The root lies below the one without U where U' is positive, and U' is positive beyond 1 / e at the latest.
    low, high = 0.0, max(1.0, r) + c / lam**2
    x = start if low < start < high else min(max(r, 1e-3), 0.5 * high)
    for _ in range(200):
        y = x + lam
        value = x - r - c / (y * y) + weight * internal_slope(x, exponent)
        if value > 0.0:
            high = x
        else:
            low = x
        slope = 1.0 + 2.0 * c / (y * y * y) + weight * internal_curvature(x, exponent)
        # A Newton step in log x, in which the entropy is linear; it cannot leave the positive numbers.
        new = x * math.exp(max(-30.0, min(30.0, -value / (x * slope))))
        if not low < new < high:
            new = 0.5 * (low + high)
        if abs(new - x) <= 4e-16 * x or new == low == 0.0:
            return new
        x = new
    return x


@kernel
def _dual_step(old: Array, out: Array, weight: Array, sigma: float) -> float:
    """``out <- old + sigma out``; returns the sum of ``weight * out^2``."""
    for j in range(old.size):
        out[j] = old[j] + sigma * out[j]
    return weighted_square(weight, out)


@kernel
def _shrink(old: Array, out: Array, weight: Array, factor: float) -> tuple[float, float]:
    """Scale ``out`` and return the weighted sums of squares of its change against ``old``, and of ``old``."""
    for j in range(old.size):
        out[j] *= factor
    return squared_change(weight, out, old)


@kernel
def _shrink_factor(squared_norm: float, radius: float) -> float:
    norm = math.sqrt(squared_norm)
    return 1.0 - radius / norm if norm > radius else 0.0


@kernel
def project_dual(old: Dual, out: Dual, w: Weights, sigma: float, delta: float) -> tuple[float, float]:
    """Line 3 of Algorithm 1: ``out`` holds ``D ubar - d`` and receives the new dual variables.

    Returns the squared norms of the change of phi and of the old phi.
    """
    nt = old.continuity.shape[0]
    total = 0.0
    for k in range(nt):
        total += w.metric[k + 1] * _dual_step(old.continuity[k], out.continuity[k], w.wx, sigma)
    factor = _shrink_factor(total, sigma * delta)
    change, size = 0.0, 0.0
    for k in range(nt):
        c, s = _shrink(old.continuity[k], out.continuity[k], w.wx, factor)
        change += w.metric[k + 1] * c
        size += w.metric[k + 1] * s

    for side in range(2):
        out.boundary[:, side] = old.boundary[:, side] + sigma * out.boundary[:, side]
    total = 0.0
    for k in range(nt + 1):
        total += w.metric[k] * (out.boundary[k, 0] ** 2 + out.boundary[k, 1] ** 2)
    factor = _shrink_factor(total, sigma * delta)
    for side in range(2):
        c, s = _shrink(old.boundary[:, side], out.boundary[:, side], w.metric, factor)
        change += c
        size += s

    factor = _shrink_factor(_dual_step(old.mass, out.mass, w.metric, sigma), sigma * delta)
    c, s = _shrink(old.mass, out.mass, w.metric, factor)
    change += c
    size += s

    factor = _shrink_factor(_dual_step(old.initial, out.initial, w.wx, sigma), sigma * delta)
    c, s = _shrink(old.initial, out.initial, w.wx, factor)
    return change + c, size + s
