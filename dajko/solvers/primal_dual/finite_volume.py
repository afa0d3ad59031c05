r"""The equations of a step in finite volumes, and their linearisation: what :mod:`.newton` has for centred differences.

Cell j has ``rho``, ``s`` and ``phi``; its right face has the velocity ``v = (phi[j+1] - phi[j]) / dx``, the density
``M = (R[j] + R[j+1]) / 2`` with ``R = share rho[k] + (1 - share) rho[k-1]``, and the flux ``M v``. With ``h = dx``,

    R1 = phi[k] - phi[k+1] - dt / 4 (share (v^2 + v[j-1]^2)[k] + (1 - share) (v^2 + v[j-1]^2)[k+1]) - dt s
         + [k = K] tau dE/drho,
    R2 = h (rho[k] - rho[k-1]) + dt ((M v)[j] - (M v)[j-1]).

Linearised, with ``c = dt v / (2 h)``, the row ``l`` of a cell is

    at level k:       own  1 + share (c[j] - c[j-1]),           right  - share c[j],         left  share c[j-1];
    at level k + 1:   own -1 + (1 - share) (c[j] - c[j-1]),     right  - (1 - share) c[j],   left  (1 - share) c[j-1],

with the c of level k + 1 in the second line; ``S = sum (h / d) l l^T + sum (dt M / h) p p^T``, ``p = e[j+1,k] - e[j,k]``.
There is one sublattice, so that no mode alternates from cell to cell.
"""

from __future__ import annotations

from typing import Any

from dajko._numba import inline_kernel
from dajko.lanes import (
    as_group,
    as_number,
    load,
    load_group,
    maximum,
    shared,
    step,
    store,
    store_group,
)
from dajko.lanes.sums import accumulate
from dajko.solvers.primal_dual.layout import CONTINUITY, MU, STATIONARITY, Data, Mesh, State, Stencil, Work


@inline_kernel
def equations(mesh: Mesh, data: Data, state: State, work: Work, stencil: Stencil, number: Any) -> None:
    """Velocities, the density at faces, ``R1`` and ``R2``, and the sums of the stopping rule."""
    levels, entries = mesh.levels, step(number)
    first, last = levels, (mesh.n + 1) * levels
    rho_, s_, phi, v_, flux, moving, mean = state.rho, state.s, state.phi, work.v, work.flux, work.b, stencil.mean
    initial, speed, inertia, after_first = data.initial, mesh.speed, mesh.inertia, mesh.after_first
    share, rest = mesh.share, 1.0 - mesh.share
    for i in range(first, last, entries):
        before = load_group(initial, i, number) + shared(after_first, i, number) * load_group(rho_, i - 1, number)
        store_group(mean, i, share * load_group(rho_, i, number) + rest * before, number)
        v = (load_group(phi, i + levels, number) - load_group(phi, i, number)) * shared(speed, i, number)
        store_group(v_, i, v, number)
    for i in range(first, last, entries):
        density = 0.5 * (load_group(mean, i, number) + load_group(mean, i + levels, number))
        store_group(moving, i, density * shared(inertia, i, number), number)
        store_group(flux, i, density * load_group(v_, i, number), number)
    force, r_, q_, sums = work.force, work.r, work.q, work.sums
    time, space, inside, before_last = mesh.time, mesh.space, mesh.inside, mesh.before_last
    quarter = 0.25 * mesh.dt
    for i in range(first, last, entries):
        rho, s, w = load_group(rho_, i, number), load_group(s_, i, number), shared(time, i, number)
        right, left = load_group(v_, i, number), load_group(v_, i - levels, number)
        next_right, next_left = load_group(v_, i + 1, number), load_group(v_, i + 1 - levels, number)
        not_last = shared(before_last, i, number)
        energy = share * (right * right + left * left)
        energy = energy + rest * not_last * (next_right * next_right + next_left * next_left)
        r1 = load_group(phi, i, number) - not_last * load_group(phi, i + 1, number)
        r1 = r1 - quarter * energy - w * s + load_group(force, i, number)
        before = load_group(initial, i, number) + shared(after_first, i, number) * load_group(rho_, i - 1, number)
        r2 = shared(space, i, number) * (rho - before)
        r2 = r2 + mesh.dt * (load_group(flux, i, number) - load_group(flux, i - levels, number))
        store_group(r_, i, r1, number)
        store_group(q_, i, r2, number)
        accumulate(sums, MU, i - first, shared(inside, i, number) * rho * s, number)
        accumulate(sums, STATIONARITY, i - first, shared(space, i, number) * rho * abs(r1), number)
        accumulate(sums, CONTINUITY, i - first, abs(r2), number)


@inline_kernel
def eliminate_densities(mesh: Mesh, work: Work, state: State, stencil: Stencil, aim: Any, number: Any) -> None:
    """The rows ``l``, what else ``S`` is made of, and the right-hand side."""
    levels, entries = mesh.levels, step(number)
    first, last = levels, (mesh.n + 1) * levels
    rho_, s_, v, r_, q, inverse_, bend = state.rho, state.s, work.v, work.r, work.q, work.inverse, work.bend
    a_, ar_, onwards, z = work.a, work.ar, work.car, work.sides
    own, right, left = stencil.own, stencil.right, stencil.left
    own_after, right_after, left_after = stencil.own_after, stencil.right_after, stencil.left_after
    time, space, after_first, before_last = mesh.time, mesh.space, mesh.after_first, mesh.before_last
    one, goal, ratio = as_group(1.0, number), as_group(aim, number), mesh.dt / (2.0 * mesh.dx)
    share, rest = mesh.share * ratio, (1.0 - mesh.share) * ratio
    for i in range(first, last, entries):
        rho, s, w = load_group(rho_, i, number), load_group(s_, i, number), shared(time, i, number)
        inverse = one / rho
        d = w * s * inverse + load_group(bend, i, number)
        r = w * (goal * inverse - s) - load_group(r_, i, number)
        a = shared(space, i, number) / d
        store_group(inverse_, i, inverse, number)
        store_group(r_, i, r, number)
        store_group(a_, i, a, number)
        store_group(ar_, i, a * r, number)
        c, c_left = load_group(v, i, number), load_group(v, i - levels, number)
        store_group(own, i, one + share * (c - c_left), number)
        store_group(right, i, -(share * c), number)
        store_group(left, i, share * c_left, number)
        not_last = shared(before_last, i, number)
        c, c_left = not_last * load_group(v, i + 1, number), not_last * load_group(v, i + 1 - levels, number)
        store_group(own_after, i, rest * (c - c_left) - not_last, number)
        store_group(right_after, i, -(rest * c), number)
        store_group(left_after, i, rest * c_left, number)
    for i in range(first, last, entries):
        ar, ar_left, ar_right = (
            load_group(ar_, i, number),
            load_group(ar_, i - levels, number),
            load_group(ar_, i + levels, number),
        )
        here = ar * load_group(own, i, number) + ar_left * load_group(right, i - levels, number)
        here = here + ar_right * load_group(left, i + levels, number)
        store_group(z, i, load_group(q, i, number) + here, number)
        after = ar * load_group(own_after, i, number) + ar_left * load_group(right_after, i - levels, number)
        after = after + ar_right * load_group(left_after, i + levels, number)
        store_group(onwards, i, after, number)
    for i in range(first, last, entries):
        arrived = shared(after_first, i, number) * load_group(onwards, i - 1, number)
        store_group(z, i, load_group(z, i, number) + arrived, number)


@inline_kernel
def observation_columns(mesh: Mesh, work: Work, stencil: Stencil, columns: int, number: Any) -> None:
    """The columns ``c_i``, which live at the last level of a cell and its neighbours."""
    n, levels, nodes, cells = mesh.n, mesh.levels, mesh.nodes, mesh.cells
    a, g, weighted_, sides, own, right, left = (
        work.a,
        work.g,
        work.weighted,
        work.sides,
        stencil.own,
        stencil.right,
        stencil.left,
    )
    zero, nothing = as_number(0.0, number), as_group(0.0, number)
    for o in range(columns):
        column = (o + 1) * cells
        for i in range(levels, (n + 1) * levels, step(number)):
            store_group(sides, column + i, nothing, number)
        before, here = zero, zero
        for j in range(n + 1):
            i, after = (j + 2) * levels - 1, zero
            if j < n:
                after = load(a, i, number) * load(g, o * nodes + j, number)
                store(weighted_, o * nodes + j, after, number)
            if j > 0:
                p = i - levels
                entry = here * load(own, p, number) + before * load(right, p - levels, number)
                entry = entry + after * load(left, i, number)
                store(sides, column + p, entry, number)
            before, here = here, after


@inline_kernel
def row_product(stencil: Stencil, sides: Any, z: int, i: int, levels: int, number: Any) -> Any:
    """``l . z`` of a cell at the last level; z begins at entry ``z`` of ``sides``."""
    found = load(stencil.own, i, number) * load(sides, z + i, number)
    found = found + load(stencil.right, i, number) * load(sides, z + i + levels, number)
    return found + load(stencil.left, i, number) * load(sides, z + i - levels, number)


@inline_kernel
def changes(mesh: Mesh, state: State, work: Work, stencil: Stencil, aim: Any, number: Any) -> Any:
    """``d_rho`` and ``d_s``, and by how much densities and multipliers fall relative to themselves, at most."""
    levels, entries = mesh.levels, step(number)
    z, r, a, q, inverse_, pull, s_ = work.sides, work.r, work.a, work.q, work.inverse, work.pull, state.s
    own, right, left = stencil.own, stencil.right, stencil.left
    own_after, right_after, left_after = stencil.own_after, stencil.right_after, stencil.left_after
    inverse_space, inside = mesh.inverse_space, mesh.inside
    # The largest relative decrease; a positive floor, because it is a divisor.
    fall_rho, fall_s, goal = as_group(1e-300, number), as_group(1e-300, number), as_group(aim, number)
    for i in range(levels, (mesh.n + 1) * levels, entries):
        row = load_group(own, i, number) * load_group(z, i, number)
        row = row + load_group(right, i, number) * load_group(z, i + levels, number)
        row = row + load_group(left, i, number) * load_group(z, i - levels, number)
        row = row + load_group(own_after, i, number) * load_group(z, i + 1, number)
        row = row + load_group(right_after, i, number) * load_group(z, i + 1 + levels, number)
        row = row + load_group(left_after, i, number) * load_group(z, i + 1 - levels, number)
        rest = load_group(r, i, number) - load_group(pull, i, number) - row
        d_rho = rest * load_group(a, i, number) * shared(inverse_space, i, number)
        s, inverse = load_group(s_, i, number), load_group(inverse_, i, number)
        relative = d_rho * inverse
        d_s = shared(inside, i, number) * (goal * inverse - s - s * relative)
        store_group(q, i, d_rho, number)
        store_group(a, i, d_s, number)
        fall_rho = maximum(fall_rho, -relative)
        fall_s = maximum(fall_s, -(d_s / s))
    return fall_rho, fall_s
