"""The constraints of a step as one operator A, its adjoint and its norm: (4.9)-(4.13) of Pietschmann and Schlottbom.

The rows of A carry square roots of quadrature weights, ``A = S D`` with D the plain difference quotients and S diagonal. The
kernels keep ``y = S^-1 phi``, for which A and A* need no roots: ``A* phi = W^-1 D^T S^2 y`` with W the weights of the inner
product (4.2).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from dajko._numba import kernel
from dajko.grid import Array, Grid
from dajko.quadrature import product


class Dual(NamedTuple):
    """Scaled dual variables ``y`` of the four constraints."""

    continuity: Array  # (nt, nx + 1), (4.9)
    boundary: Array  # (nt + 1, 2), (4.10)
    mass: Array  # (nt + 1,), (4.11)
    initial: Array  # (nx + 1,), (4.12)
    data: Array  # (numbers,), empty without data in the dual step


def zero_dual(grid: Grid, numbers: int = 0) -> Dual:
    """Dual variables that are all zero, with ``numbers`` of them for data."""
    nx, nt = grid.nx, grid.nt
    return Dual(np.zeros((nt, nx + 1)), np.zeros((nt + 1, 2)), np.zeros(nt + 1), np.zeros(nx + 1), np.zeros(numbers))


class Weights(NamedTuple):
    """The grid as the kernels read it."""

    wx: Array  # (nx + 1,)
    metric: Array  # (nt + 1,), weights in time of the inner product
    dx: float
    dt: float


def weights(grid: Grid) -> Weights:
    """The weights of a grid."""
    return Weights(grid.wx, grid.wt_metric, grid.dx, grid.dt)


@lru_cache(maxsize=256)
def operator_norm(grid: Grid) -> float:
    """``|AA*|``, the largest eigenvalue, by Lanczos iterations with the kernels of the solver."""
    w = weights(grid)
    shape = (grid.nt + 1, grid.nx + 1)
    zero = np.zeros(grid.nx + 1)

    def normal_product(v: Array) -> Array:
        """W^(1/2) A*A W^(-1/2) v, which is symmetric and has the nonzero eigenvalues of AA*."""
        roots = np.sqrt(np.outer(w.metric, w.wx))
        rho, m = np.ascontiguousarray(v).reshape(2, *shape) / roots
        dual = zero_dual(grid)
        apply(rho, m, zero, 0.0, w, dual)
        rho, m = np.empty(shape), np.empty(shape)
        apply_adjoint(dual, w, rho, m)
        return np.concatenate([(rho * roots).ravel(), (m * roots).ravel()])

    size = 2 * shape[0] * shape[1]
    import scipy.sparse.linalg  # takes long to import, and one of the solvers does without

    linear = scipy.sparse.linalg.LinearOperator((size, size), matvec=normal_product, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(size)
    largest = scipy.sparse.linalg.eigsh(linear, k=1, which="LA", v0=start, tol=1e-8, return_eigenvectors=False)
    return float(largest[0])


@kernel
def apply(rho: Array, m: Array, initial: Array, total_mass: float, w: Weights, out: Dual) -> None:
    """``D u - d``: the residuals of (4.3)-(4.5), (4.6), (4.8) and (4.7), without the weights."""
    last = rho.shape[1] - 1
    for k in range(1, rho.shape[0]):
        row, old, new, flux = out.continuity[k - 1], rho[k - 1], rho[k], m[k]
        for j in range(1, last):
            row[j] = (new[j] - old[j]) / w.dt + (flux[j + 1] - flux[j - 1]) / (2.0 * w.dx)
        row[0] = (new[0] - old[0]) / w.dt + (flux[1] - flux[0]) / w.dx
        row[last] = (new[last] - old[last]) / w.dt + (flux[last] - flux[last - 1]) / w.dx
    for k in range(rho.shape[0]):
        out.boundary[k, 0] = m[k, 0]
        out.boundary[k, 1] = m[k, last]
        out.mass[k] = product(w.wx, rho[k]) - total_mass
    for j in range(last + 1):
        out.initial[j] = rho[0, j] - initial[j]


@kernel
def apply_adjoint(dual: Dual, w: Weights, rho: Array, m: Array) -> None:
    """``A* phi`` of the scaled dual variables, written into ``rho`` and ``m``."""
    nt, last = dual.continuity.shape[0], rho.shape[1] - 1
    for k in range(nt + 1):
        adjoint_density(dual, w, k, rho[k])
        if k == 0:
            m[k] = 0.0
        else:
            adjoint_flux(dual.continuity[k - 1], w, m[k])
        m[k, 0] += dual.boundary[k, 0] / w.wx[0]
        m[k, last] += dual.boundary[k, 1] / w.wx[last]


@kernel
def adjoint_density(dual: Dual, w: Weights, k: int, out: Array) -> None:
    """The density part of ``A* phi`` at level k."""
    nt = dual.continuity.shape[0]
    if k == 0:
        ratio, following = w.metric[1] / w.metric[0] / w.dt, dual.continuity[0]
        for j in range(out.size):
            out[j] = dual.mass[0] + dual.initial[j] / w.metric[0] - ratio * following[j]
    elif k < nt:
        ratio, row, following = w.metric[k + 1] / w.metric[k] / w.dt, dual.continuity[k - 1], dual.continuity[k]
        for j in range(out.size):
            out[j] = dual.mass[k] + row[j] / w.dt - ratio * following[j]
    else:
        row = dual.continuity[nt - 1]
        for j in range(out.size):
            out[j] = dual.mass[nt] + row[j] / w.dt


@kernel
def adjoint_flux(row: Array, w: Weights, out: Array) -> None:
    """The flux part of ``A* phi`` at a level after the first, boundary rows left out."""
    # Each entry of a row times its weight in space is +-1/2, one-sided rows at the ends included.
    last = out.size - 1
    for j in range(1, last):
        out[j] = (row[j - 1] - row[j + 1]) / (2.0 * w.dx)
    out[0] = -0.5 * (row[0] + row[1]) / w.wx[0]
    out[last] = 0.5 * (row[last - 1] + row[last]) / w.wx[last]


@kernel
def violations(residual: Dual, w: Weights) -> Array:
    """Left-hand sides of (4.9)-(4.12), without the squares, from what :func:`apply` gives."""
    squares = np.zeros(4)
    for k in range(residual.continuity.shape[0]):
        squares[0] += w.metric[k + 1] * np.sum(w.wx * residual.continuity[k] ** 2)
    squares[1] = np.sum(w.metric * (residual.boundary[:, 0] ** 2 + residual.boundary[:, 1] ** 2))
    squares[2] = np.sum(w.metric * residual.mass**2)
    squares[3] = np.sum(w.wx * residual.initial**2)
    return np.sqrt(squares)
