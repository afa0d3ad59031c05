"""The linear system of a Newton step, densities eliminated: points along x, data last. Its entries: :mod:`.newton`."""

from __future__ import annotations

from typing import Any

from dajko._numba import inline_kernel
from dajko.lanes import (
    as_number,
    load,
    load_group,
    minus_product,
    spread,
    step,
    store,
    store_group,
)
from dajko.lanes.dense import solve_dense
from dajko.lanes.sums import dot
from dajko.solvers.primal_dual import centred, finite_volume
from dajko.solvers.primal_dual.layout import Data, Flows, Mesh, State, Work
from dajko.solvers.primal_dual.panels import Layout, eliminate


@inline_kernel
def factorise(mesh: Mesh, work: Work, columns: int, place: Layout, tile: Any, stencil: Any, number: Any) -> None:
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
        stencil,
        number,
    )


@inline_kernel
def border(mesh: Mesh, flows: Flows, data: Data, state: State, work: Work, columns: int, stencil: Any, number: Any) -> None:
    """The dense system for ``t``, and its effect on ``d_phi``."""
    n, levels, nodes, cells = mesh.n, mesh.levels, mesh.nodes, mesh.cells
    numbers = work.numbers
    sides, g, r, along, dense, t_ = work.sides, work.g, work.r, work.along, work.dense, work.t
    for o in range(columns + 1):
        z = o * cells if o > 0 else 0
        for j in range(n):
            i = (j + 2) * levels - 1
            if stencil is None:
                l_dot = centred.row_product(mesh, work, z, i, number)
            else:
                l_dot = finite_volume.row_product(stencil, sides, z, i, levels, number)
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
