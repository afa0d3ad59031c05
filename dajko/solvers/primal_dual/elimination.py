"""The linear system of a Newton step: densities eliminated at each node, nodes along x, data last.

The equations are those of *Elimination* in :mod:`.newton`.
"""

from __future__ import annotations

from typing import Any

from dajko._numba import inline_kernel, kernel
from dajko.grid import Array
from dajko.solvers.primal_dual.lanes import (
    as_group,
    as_number,
    load,
    load_group,
    minus_product,
    shared,
    spread,
    step,
    store,
    store_group,
)
from dajko.solvers.primal_dual.layout import Data, Flows, Mesh, State, Work
from dajko.solvers.primal_dual.panels import Layout, eliminate
from dajko.solvers.primal_dual.sums import dot


@kernel
def eliminate_densities(mesh: Mesh, work: Work, state: State, aim: Any, number: Any) -> None:
    """The numbers that ``S`` is made of, and the right-hand side."""
    levels, entries = mesh.levels, step(number)
    first, last = levels, (mesh.n + 1) * levels
    rho_, s_, v, r_, q, inverse_, bend = state.rho, state.s, work.v, work.r, work.q, work.inverse, work.bend
    a_, b, e, ar_, car, z = work.a, work.b, work.e, work.ar, work.car, work.sides
    time, space, inertia, after_first = mesh.time, mesh.space, mesh.inertia, mesh.after_first
    one, goal, ratio = as_group(1.0, number), as_group(aim, number), mesh.dt / (2.0 * mesh.dx)
    for i in range(first, last, entries):
        rho, s, w = load_group(rho_, i, number), load_group(s_, i, number), shared(time, i, number)
        inverse = one / rho
        d = w * s * inverse + load_group(bend, i, number)
        r = w * (goal * inverse - s) - load_group(r_, i, number)
        a, c = shared(space, i, number) / d, load_group(v, i, number) * ratio
        ac, ar = a * c, a * r
        store_group(inverse_, i, inverse, number)
        store_group(r_, i, r, number)
        store_group(a_, i, a, number)
        store_group(e, i, ac, number)
        store_group(b, i, ac * c + rho * shared(inertia, i, number), number)
        store_group(ar_, i, ar, number)
        store_group(car, i, c * ar, number)
    for i in range(first, last, entries):
        here = load_group(ar_, i, number) - shared(after_first, i, number) * load_group(ar_, i - 1, number)
        here = here - load_group(car, i - levels, number) + load_group(car, i + levels, number)
        store_group(z, i, load_group(q, i, number) + here, number)


@kernel
def observation_columns(mesh: Mesh, work: Work, columns: int, number: Any) -> None:
    """The columns ``c_i``, which live at the last level and its neighbours."""
    n, levels, nodes, cells = mesh.n, mesh.levels, mesh.nodes, mesh.cells
    a, g, v, weighted_, sides = work.a, work.g, work.v, work.weighted, work.sides
    ratio, zero, nothing = mesh.dt / (2.0 * mesh.dx), as_number(0.0, number), as_group(0.0, number)
    for o in range(columns):
        column = (o + 1) * cells
        for i in range(levels, (n + 1) * levels, step(number)):
            store_group(sides, column + i, nothing, number)
        # A node gives c weighted to one neighbour and takes it from the other; c is 0 at the ends.
        before, middle, here = zero, zero, zero
        for j in range(n + 1):
            after, weighted = zero, zero
            if j < n:
                i = (j + 2) * levels - 1
                weighted = load(a, i, number) * load(g, o * nodes + j, number)
                store(weighted_, o * nodes + j, weighted, number)
                after = load(v, i, number) * ratio * weighted
            if j > 0:
                store(sides, column + (j + 1) * levels - 1, here - before + after, number)
            before, middle, here = middle, after, weighted


@inline_kernel
def factorise(mesh: Mesh, work: Work, columns: int, place: Layout, tile: Any, number: Any) -> None:
    """Eliminate the right-hand side and the columns."""
    eliminate(
        mesh.n,
        mesh.levels,
        work.a,
        work.b,
        work.e,
        work.matrix,
        work.pivots,
        work.panel,
        work.factors,
        work.sides,
        mesh.cells,
        1 + columns,
        place.leading,
        place.columns,
        place.stride,
        tile,
        number,
    )


@kernel
def border(mesh: Mesh, flows: Flows, data: Data, state: State, work: Work, columns: int, number: Any) -> None:
    """The dense system for ``t``, and its effect on ``d_phi``."""
    n, levels, nodes, cells = mesh.n, mesh.levels, mesh.nodes, mesh.cells
    lanes = work.u.size // nodes
    numbers = state.y.size // lanes
    sides, v, g, r, along, dense, t_ = work.sides, work.v, work.g, work.r, work.along, work.dense, work.t
    ratio = mesh.dt / (2.0 * mesh.dx)
    for o in range(columns + 1):
        z = o * cells if o > 0 else 0
        for j in range(n):
            i = (j + 2) * levels - 1
            drift = load(sides, z + i + levels, number) - load(sides, z + i - levels, number)
            l_dot = load(sides, z + i, number) - load(v, i, number) * ratio * drift
            given = load(r, i, number) if o == 0 else load(g, (o - 1) * nodes + j, number)
            store(along, o * nodes + j, given - l_dot, number)
    for o in range(columns):
        t = load(work.r3, o, number) + dot(work.weighted, o * nodes, along, 0, nodes, number)
        store(t_, o, t, number)
        for p in range(o + 1):
            entry = dot(work.weighted, o * nodes, along, (p + 1) * nodes, nodes, number)
            if p == o:
                theta = load(data.theta, o, number) if o < numbers else as_number(1.0, number)
                entry += theta / load(flows.tau, 0, number)
            store(dense, o * columns + p, entry, number)
            store(dense, p * columns + o, entry, number)
    solve_dense(dense, t_, columns, number)
    for o in range(columns):
        t = spread(t_, o, number)
        for i in range(levels, (n + 1) * levels, step(number)):
            z = load_group(sides, i, number)
            store_group(sides, i, minus_product(z, t, load_group(sides, (o + 1) * cells + i, number)), number)


@kernel
def solve_dense(matrix: Array, t: Array, size: int, number: Any) -> None:
    """Gaussian elimination of a small positive definite system, in place."""
    for o in range(size):
        for p in range(o + 1, size):
            factor = load(matrix, p * size + o, number) / load(matrix, o * size + o, number)
            for c in range(o, size):
                entry = load(matrix, p * size + c, number) - factor * load(matrix, o * size + c, number)
                store(matrix, p * size + c, entry, number)
            store(t, p, load(t, p, number) - factor * load(t, o, number), number)
    for o in range(size - 1, -1, -1):
        left = load(t, o, number)
        for p in range(o + 1, size):
            left -= load(matrix, o * size + p, number) * load(t, p, number)
        store(t, o, left / load(matrix, o * size + o, number), number)
