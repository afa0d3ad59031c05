"""The arrays of the interior point method: what is in which, and how long they are.

Problems that are solved together are lanes, the innermost axis: an array that is said to have shape ``(n, K)`` is flat, and
entry ``j K + k`` of problem ``l`` of ``L`` stands at ``(j K + k) L + l``. The letters are those of
:mod:`dajko.solvers.newton`; n is the number of nodes, K the number of levels after the first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dajko.grid import Array


class Mesh(NamedTuple):
    """The grid, the same for all problems that are solved together."""

    x: Array  # (n,), from the centre of the grid
    wx: Array  # (n,)
    w: Array  # (K,), weights of the action at the levels 1 ... K
    dx: float
    dt: float


class Data(NamedTuple):
    """What differs between problems."""

    tau: Array  # ()
    exponent: Array  # ()
    potential: Array  # (n,)
    initial: Array  # (n,)
    row: Array  # (numbers, n)
    square: Array  # (numbers,), q
    value: Array  # (numbers,), v
    theta: Array  # (numbers,)
    mu: Array  # (), where mu ends
    centring: Array  # (), least share of mu that a Newton step aims at
    mass: Array  # ()
    size: Array  # (), of what is measured


class State(NamedTuple):
    """The unknowns."""

    rho: Array  # (n, K)
    s: Array  # (n, K)
    phi: Array  # (n, K)
    y: Array  # (numbers,)


class Work(NamedTuple):
    """Scratch space."""

    matrix: Array  # (n K + 2 K, 2 K + 1), S
    z: Array  # (n K + 2 K,), right-hand side, then d_phi
    v: Array  # (n, K)
    r: Array  # (n, K), R1, then r
    q: Array  # (n, K), R2, then d_rho
    a: Array  # (n, K), wx / d, then d_s
    slope: Array  # (n,), U' at the last level
    curvature: Array  # (n,), U'' at the last level
    level_mass: Array  # (K,)
    g: Array  # (columns, n), gradients of the observations, and the column of their curvature
    column: Array  # (columns, n K + 2 K), c_i, then S^-1 c_i
    r3: Array  # (columns,)
    dense: Array  # (columns, columns)
    t: Array  # (columns,)


class Progress(NamedTuple):
    """How far each problem is, shape ``(lanes,)`` each."""

    active: Array  # 1, or 0 once it has converged
    iterations: Array
    mu: Array  # mean of rho s
    stationarity: Array  # sum of wx rho |R1|
    continuity: Array  # sum of |R2|
    mass: Array  # sum over the levels of |sum of R2|
    data: Array  # largest |R3|


def work_space(n: int, levels: int, columns: int, lanes: int) -> Work:
    """Scratch space for problems of one size."""
    size, b = n * levels, 2 * levels
    node, full = n * levels * lanes, (size + b) * lanes
    return Work(
        matrix=np.zeros((size + b) * (b + 1) * lanes),
        z=np.zeros(full),
        v=np.zeros(node),
        r=np.zeros(node),
        q=np.zeros(node),
        a=np.zeros(node),
        slope=np.zeros(n * lanes),
        curvature=np.zeros(n * lanes),
        level_mass=np.zeros(levels * lanes),
        g=np.zeros(columns * n * lanes),
        column=np.zeros((columns, full)),
        r3=np.zeros(columns * lanes),
        dense=np.zeros(columns * columns * lanes),
        t=np.zeros(columns * lanes),
    )
