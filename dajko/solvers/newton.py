r"""Primal-dual Newton steps for the discrete problem of one daJKO step: the kernels of ``interior_point``.

*Formulation.* Level ``k = 1 ... K`` (K = nt) and node ``j`` carry the density ``rho > 0``, its multiplier ``s > 0`` and
the potential ``phi``, the multiplier of the continuity equation. The flux is no unknown: it is optimal for ``m = rho v``,

    v = dt / w_k * (phi[j+1] - phi[j-1]) / (2 dx),        v = 0 at the ends,

so that, with ``phi[K+1] = 0``, ``w_k`` the weights of the action and ``wx`` those of space, what remains to be solved is

    R1 = phi[k] - phi[k+1] - w_k (v^2 / 2 + s) + [k = K] tau dE/drho = 0,                  (Hamilton-Jacobi)
    R2 = wx (rho[k] - rho[k-1]) + dt/2 ((rho v)[j+1] - (rho v)[j-1]) = 0,                  (continuity, (4.3)-(4.5))
    rho s = mu,                                                                            (complementarity, mu -> 0)
    R3 = B_i(rho[K]) - v_i - theta y_i = 0,     dE/drho = U' + V + sum_i y_i grad B_i.     (data)

Keeping ``y = (B - v) / theta`` as an unknown is what makes the equations well scaled for every theta.

*Observations.* The mass of ``rho[K]`` is that of ``rho[0]``, so each observation is ``B_i = row_i . rho - q_i b^2`` with b
the first moment about the centre of the grid; ``grad B_i = row_i - 2 q_i b x``, and the only second derivative is along
``x x^T``. Its coefficient ``-2 sum_i q_i y_i`` counts where it is positive.

*Elimination.* Linearised, with ``d = w_k s / rho + [k = K] tau U''``, ``c = v dt / (2 dx)`` and, for each node,

    l = e[j,k] - e[j,k+1] - c (e[j+1,k] - e[j-1,k]),        p = e[j+1,k] - e[j-1,k],

the first equation gives ``d_rho = (r - l . d_phi - sum_i g_i t_i) / d`` with ``r = w_k (mu / rho - s) - R1``, ``g_i`` the
gradients of the observations and ``t_i = tau d_y_i``. The second becomes

    S d_phi + sum_i t_i c_i = R2 + sum (wx r / d) l,    S = sum (wx / d) l l^T + sum dt^2 rho / (4 dx w_k) p p^T,

with ``c_i = sum (wx g_i / d) l`` over the last level. S is symmetric positive definite; numbered node by node and, within a
node, level by level, its half-bandwidth is 2K. One more substitution for each column ``c_i``, and a dense system of the size
of the data, give ``t``. The positive curvature of the data term is one more column, ``g = sqrt(coefficient) x``.

The kernels work on one problem or on eight at once, see :mod:`dajko.solvers.lanes`; :mod:`dajko.solvers.layout` says how
the arrays lie. Entry ``j K + k`` belongs to node j and level k + 1.
"""

from __future__ import annotations

import math
from typing import Any

from dajko._numba import exact_kernel, inline_kernel
from dajko.energy import internal_curvature, internal_slope
from dajko.grid import Array
from dajko.solvers.band import eliminate, substitute_backward, substitute_forward
from dajko.solvers.lanes import add, as_number, load, maximum, minimum, minus_product, store
from dajko.solvers.layout import Data, Mesh, Progress, State, Work

# How far a Newton step may go towards the boundary of rho > 0 and s > 0.
_STEP_SHARE = 0.99


@exact_kernel
def iterate(
    mesh: Mesh,
    data: Data,
    state: State,
    work: Work,
    progress: Progress,
    slack: Array,
    max_iterations: int,
    number: Any,
) -> None:
    """Newton steps until every problem has converged, or ``max_iterations``.

    ``slack`` holds the bounds of the stopping rule: on stationarity relative to mu times the length of the grid, on
    continuity and mass relative to the mass, on the data relative to what is measured.
    """
    lanes = progress.active.size
    for iteration in range(max_iterations + 1):
        observe(mesh, data, state, work, number)
        residuals(mesh, data, state, work, progress, number)
        moving = 0
        length = mesh.dx * mesh.x.size
        for lane in range(lanes):
            if progress.active[lane] > 0.0:
                done = (
                    progress.mu[lane] <= 1.5 * data.mu[lane]
                    and progress.stationarity[lane] <= slack[0] * data.mu[lane] * length
                    and progress.continuity[lane] <= slack[1] * data.mass[lane]
                    and progress.mass[lane] <= slack[2] * data.mass[lane]
                    and progress.data[lane] <= slack[3] * data.size[lane]
                )
                if done:
                    progress.active[lane] = 0.0
                else:
                    moving += 1
                    progress.iterations[lane] = iteration + 1.0
        if moving == 0 or iteration == max_iterations:
            break
        target = maximum(load(data.mu, 0, number), load(data.centring, 0, number) * load(progress.mu, 0, number))
        eliminate_densities(mesh, data, state, work, target, number)
        border(mesh, data, state, work, number)
        advance(mesh, data, state, work, target, load(progress.active, 0, number), number)


@exact_kernel
def observe(mesh: Mesh, data: Data, state: State, work: Work, number: Any) -> None:
    """``R3``, the gradients of the observations, and the column of their positive curvature."""
    n, levels = mesh.x.size, mesh.w.size
    lanes = work.slope.size // n
    numbers, columns = state.y.size // lanes, work.r3.size // lanes
    if numbers == 0:
        return
    first = as_number(0.0, number)
    for j in range(n):
        first += mesh.wx[j] * mesh.x[j] * load(state.rho, j * levels + levels - 1, number)
    coefficient = as_number(0.0, number)
    for i in range(numbers):
        q, y = load(data.square, i, number), load(state.y, i, number)
        total = as_number(0.0, number)
        for j in range(n):
            row = load(data.row, i * n + j, number)
            total += mesh.wx[j] * row * load(state.rho, j * levels + levels - 1, number)
            store(work.g, i * n + j, row - 2.0 * q * first * mesh.x[j], number)
        store(work.r3, i, total - q * first * first - load(data.value, i, number) - load(data.theta, i, number) * y, number)
        coefficient -= 2.0 * q * y
    if columns > numbers:
        store(work.r3, numbers, maximum(coefficient, as_number(0.0, number)), number)
        for lane in range(lanes):
            work.r3[numbers * lanes + lane] = math.sqrt(work.r3[numbers * lanes + lane])
        root = load(work.r3, numbers, number)
        for j in range(n):
            store(work.g, numbers * n + j, root * mesh.x[j], number)
        store(work.r3, numbers, as_number(0.0, number), number)


@exact_kernel
def residuals(mesh: Mesh, data: Data, state: State, work: Work, progress: Progress, number: Any) -> None:
    """Velocities, ``R1`` and ``R2``, and the sums that the stopping rule looks at."""
    n, levels = mesh.x.size, mesh.w.size
    lanes = work.slope.size // n
    numbers = state.y.size // lanes
    for j in range(n):
        for lane in range(lanes):
            u = state.rho[(j * levels + levels - 1) * lanes + lane]
            work.slope[j * lanes + lane] = internal_slope(u, data.exponent[lane])
            work.curvature[j * lanes + lane] = internal_curvature(u, data.exponent[lane])
    phi_, rho_, s_, y_, v_ = state.phi, state.rho, state.s, state.y, work.v
    slope_, potential, g, r_, q_, level_mass = work.slope, data.potential, work.g, work.r, work.q, work.level_mass
    wx, w = mesh.wx, mesh.w
    for j in range(1, n - 1):
        for k in range(levels):
            i = j * levels + k
            difference = load(phi_, i + levels, number) - load(phi_, i - levels, number)
            store(v_, i, difference * (mesh.dt / (2.0 * mesh.dx * w[k])), number)
    zero, tau = as_number(0.0, number), load(data.tau, 0, number)
    mu, stationarity, continuity = zero, zero, zero
    for k in range(levels):
        store(level_mass, k, zero, number)
    for j in range(n):
        before = load(data.initial, j, number)
        for k in range(levels):
            i = j * levels + k
            rho, s, v = load(rho_, i, number), load(s_, i, number), load(v_, i, number)
            r1 = load(phi_, i, number) - w[k] * (0.5 * v * v + s)
            if k < levels - 1:
                r1 -= load(phi_, i + 1, number)
            else:
                slope = load(slope_, j, number) + load(potential, j, number)
                for o in range(numbers):
                    slope += load(g, o * n + j, number) * load(y_, o, number)
                r1 += tau * slope
            r2 = wx[j] * (rho - before)
            if j < n - 1:
                r2 += (0.5 * mesh.dt) * (load(rho_, i + levels, number) * load(v_, i + levels, number))
            if j > 0:
                r2 -= (0.5 * mesh.dt) * (load(rho_, i - levels, number) * load(v_, i - levels, number))
            before = rho
            store(r_, i, r1, number)
            store(q_, i, r2, number)
            store(level_mass, k, load(level_mass, k, number) + r2, number)
            mu += rho * s
            stationarity += wx[j] * rho * abs(r1)
            continuity += abs(r2)
    store(progress.mu, 0, mu * (1.0 / (n * levels)), number)
    store(progress.stationarity, 0, stationarity, number)
    store(progress.continuity, 0, continuity, number)
    mass, largest = zero, zero
    for k in range(levels):
        mass += abs(load(work.level_mass, k, number))
    for o in range(numbers):
        largest = maximum(largest, abs(load(work.r3, o, number)))
    store(progress.mass, 0, mass, number)
    store(progress.data, 0, largest, number)


@exact_kernel
def eliminate_densities(mesh: Mesh, data: Data, state: State, work: Work, target: Any, number: Any) -> None:
    """Assemble ``S`` and its right-hand side node by node, eliminating what is complete while it is in the cache.

    A node adds ``(wx / d) l l^T``, ``p p^T`` with its factor, and ``(wx r / d) l``, and leaves ``r`` and ``wx / d`` behind.
    """
    n, levels = mesh.x.size, mesh.w.size
    b = 2 * levels
    width, size = b + 1, n * levels
    # Arrays get names of their own here and below: a field of a tuple costs a reference count wherever it is read.
    matrix, z, v_, r_, a_ = work.matrix, work.z, work.v, work.r, work.a
    rho_, s_, curvature, wx, w = state.rho, state.s, work.curvature, mesh.wx, mesh.w
    tau, one, zero = load(data.tau, 0, number), as_number(1.0, number), as_number(0.0, number)
    for i in range(size):
        store(z, i, load(work.q, i, number), number)
    for i in range(size, size + b):
        store(z, i, zero, number)
    for i in range(levels * width):
        store(matrix, i, zero, number)
    for j in range(n):
        for i in range((j + 1) * levels * width, (j + 2) * levels * width):
            store(matrix, i, zero, number)
        for k in range(levels):
            i = j * levels + k
            rho, s = load(rho_, i, number), load(s_, i, number)
            inverse = one / rho
            d = w[k] * s * inverse
            if k == levels - 1:
                d += tau * load(curvature, j, number)
            r = w[k] * (target * inverse - s) - load(r_, i, number)
            a = wx[j] / d
            store(r_, i, r, number)
            store(a_, i, a, number)
            ar = a * r
            here = i * width
            add(z, i, ar, number)
            add(matrix, here, a, number)
            if k < levels - 1:
                add(z, i + 1, -ar, number)
                add(matrix, here + 1, -a, number)
                add(matrix, here + width, a, number)
            if 0 < j < n - 1:
                c = load(v_, i, number) * (mesh.dt / (2.0 * mesh.dx))
                ac = a * c
                pp = ac * c + rho * (mesh.dt * mesh.dt / (4.0 * mesh.dx * w[k]))
                left, right = here - levels * width, here + levels * width
                add(z, i + levels, -(c * ar), number)
                add(z, i - levels, c * ar, number)
                add(matrix, left, pp, number)
                add(matrix, right, pp, number)
                add(matrix, left + 2 * levels, -pp, number)
                add(matrix, left + levels, ac, number)
                add(matrix, here + levels, -ac, number)
                if k < levels - 1:
                    add(matrix, left + levels + 1, -ac, number)
                    add(matrix, here + width + levels - 1, ac, number)
        if j > 0:
            eliminate(matrix, z, (j - 1) * levels, j * levels, b, number)
    for i in range((n + 1) * levels * width, (n + 2) * levels * width):
        store(matrix, i, zero, number)
    eliminate(matrix, z, (n - 1) * levels, size, b, number)
    for i in range(size, size + b):
        store(z, i, zero, number)
    substitute_backward(matrix, z, size, b, number)


@inline_kernel
def _l_dot(z: Array, v: Array, j: int, n: int, levels: int, ratio: float, number: Any) -> Any:
    """``l . z`` of node j at the last level; ``ratio`` is ``dt / (2 dx)``."""
    i = j * levels + levels - 1
    total = load(z, i, number)
    if 0 < j < n - 1:
        c = load(v, i, number) * ratio
        total -= c * (load(z, i + levels, number) - load(z, i - levels, number))
    return total


@exact_kernel
def border(mesh: Mesh, data: Data, state: State, work: Work, number: Any) -> None:
    """The data's part of the linear system: columns ``c_i``, the dense system for ``t``, and its effect on ``d_phi``."""
    n, levels = mesh.x.size, mesh.w.size
    lanes = work.slope.size // n
    numbers, columns = state.y.size // lanes, work.r3.size // lanes
    size, b = n * levels, 2 * levels
    matrix, a, g, v, z, r, dense, t_, column_ = (
        work.matrix,
        work.a,
        work.g,
        work.v,
        work.z,
        work.r,
        work.dense,
        work.t,
        work.column,
    )
    ratio, zero = mesh.dt / (2.0 * mesh.dx), as_number(0.0, number)
    for o in range(columns):
        column = column_[o]
        for i in range(size + b):
            store(column, i, zero, number)
        for j in range(n):
            i = j * levels + levels - 1
            weighted = load(a, i, number) * load(g, o * n + j, number)
            add(column, i, weighted, number)
            if 0 < j < n - 1:
                c = load(v, i, number) * ratio
                add(column, i + levels, -(c * weighted), number)
                add(column, i - levels, c * weighted, number)
        substitute_forward(matrix, column, size, b, number)
        for i in range(size, size + b):
            store(column, i, zero, number)
        substitute_backward(matrix, column, size, b, number)

    for o in range(columns):
        t = load(work.r3, o, number)
        for j in range(n):
            i = j * levels + levels - 1
            weighted = load(a, i, number) * load(g, o * n + j, number)
            t += weighted * (load(r, i, number) - _l_dot(z, v, j, n, levels, ratio, number))
        store(t_, o, t, number)
        for p in range(columns):
            total = zero
            for j in range(n):
                weighted = load(a, j * levels + levels - 1, number) * load(g, o * n + j, number)
                total += weighted * (load(g, p * n + j, number) - _l_dot(column_[p], v, j, n, levels, ratio, number))
            if p == o:
                theta = load(data.theta, o, number) if o < numbers else as_number(1.0, number)
                total += theta / load(data.tau, 0, number)
            store(dense, o * columns + p, total, number)
    solve_dense(dense, t_, columns, number)
    for o in range(columns):
        t = load(t_, o, number)
        for i in range(size):
            store(z, i, minus_product(load(z, i, number), t, load(column_[o], i, number)), number)


@exact_kernel
def solve_dense(matrix: Array, t: Array, size: int, number: Any) -> None:
    """Gaussian elimination of a small positive definite system, in place."""
    for o in range(size):
        for p in range(o + 1, size):
            factor = load(matrix, p * size + o, number) / load(matrix, o * size + o, number)
            for c in range(o, size):
                add(matrix, p * size + c, -(factor * load(matrix, o * size + c, number)), number)
            add(t, p, -(factor * load(t, o, number)), number)
    for o in range(size - 1, -1, -1):
        total = load(t, o, number)
        for p in range(o + 1, size):
            total -= load(matrix, o * size + p, number) * load(t, p, number)
        store(t, o, total / load(matrix, o * size + o, number), number)


@exact_kernel
def advance(mesh: Mesh, data: Data, state: State, work: Work, target: Any, active: Any, number: Any) -> None:
    """Recover ``d_rho`` and ``d_s``, find how far the primal and the dual step may go, and take them."""
    n, levels = mesh.x.size, mesh.w.size
    lanes = work.slope.size // n
    numbers, columns = state.y.size // lanes, work.r3.size // lanes
    rho_, s_, phi_, z, v_, r_, a_, q_, g, t_ = (
        state.rho,
        state.s,
        state.phi,
        work.z,
        work.v,
        work.r,
        work.a,
        work.q,
        work.g,
        work.t,
    )
    ratio, one = mesh.dt / (2.0 * mesh.dx), as_number(1.0, number)
    # The largest relative decrease; a positive floor, because it is a divisor.
    fall_rho, fall_s = as_number(1e-300, number), as_number(1e-300, number)
    for j in range(n):
        inverse_wx = 1.0 / mesh.wx[j]
        for k in range(levels):
            i = j * levels + k
            total = load(r_, i, number) - load(z, i, number)
            if k < levels - 1:
                total += load(z, i + 1, number)
            else:
                for o in range(columns):
                    total -= load(g, o * n + j, number) * load(t_, o, number)
            if 0 < j < n - 1:
                c = load(v_, i, number) * ratio
                total += c * (load(z, i + levels, number) - load(z, i - levels, number))
            d_rho = total * load(a_, i, number) * inverse_wx
            s = load(s_, i, number)
            inverse = one / load(rho_, i, number)
            relative = d_rho * inverse
            d_s = target * inverse - s - s * relative
            store(q_, i, d_rho, number)
            store(a_, i, d_s, number)
            fall_rho = maximum(fall_rho, -relative)
            fall_s = maximum(fall_s, -(d_s / s))
    step_rho = active * minimum(one, _STEP_SHARE / fall_rho)
    step_s = active * minimum(one, _STEP_SHARE / fall_s)
    for i in range(n * levels):
        add(rho_, i, step_rho * load(q_, i, number), number)
        add(s_, i, step_s * load(a_, i, number), number)
        add(phi_, i, step_s * load(z, i, number), number)
    for o in range(numbers):
        add(state.y, o, step_s * load(work.t, o, number) / load(data.tau, 0, number), number)
