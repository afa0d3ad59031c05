r"""The equations of a step with centred differences, and their linearisation; mathematics in :mod:`.newton`."""

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
from dajko.solvers.primal_dual.layout import CONTINUITY, MU, STATIONARITY, Data, Mesh, State, Work


@inline_kernel
def equations(mesh: Mesh, data: Data, state: State, work: Work, number: Any) -> None:
    """Velocities, ``R1`` and ``R2``, and the sums of the stopping rule."""
    levels, entries = mesh.levels, step(number)
    first, last = levels, (mesh.n + 1) * levels
    rho_, s_, phi, v_, flux, force = state.rho, state.s, state.phi, work.v, work.flux, work.force
    speed, time, space, inside, after_first, before_last = (
        mesh.speed,
        mesh.time,
        mesh.space,
        mesh.inside,
        mesh.after_first,
        mesh.before_last,
    )
    for i in range(first, last, entries):
        v = (load_group(phi, i + levels, number) - load_group(phi, i - levels, number)) * shared(speed, i, number)
        store_group(v_, i, v, number)
        store_group(flux, i, v * load_group(rho_, i, number), number)
    initial, r_, q_, sums, half = data.initial, work.r, work.q, work.sums, 0.5 * mesh.dt
    for i in range(first, last, entries):
        rho, s, v, w = (
            load_group(rho_, i, number),
            load_group(s_, i, number),
            load_group(v_, i, number),
            shared(time, i, number),
        )
        r1 = load_group(phi, i, number) - shared(before_last, i, number) * load_group(phi, i + 1, number)
        r1 = r1 - w * (0.5 * v * v + s) + load_group(force, i, number)
        before = load_group(initial, i, number) + shared(after_first, i, number) * load_group(rho_, i - 1, number)
        r2 = shared(space, i, number) * (rho - before)
        r2 = r2 + half * (load_group(flux, i + levels, number) - load_group(flux, i - levels, number))
        store_group(r_, i, r1, number)
        store_group(q_, i, r2, number)
        accumulate(sums, MU, i - first, shared(inside, i, number) * rho * s, number)
        accumulate(sums, STATIONARITY, i - first, shared(space, i, number) * rho * abs(r1), number)
        accumulate(sums, CONTINUITY, i - first, abs(r2), number)


@inline_kernel
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


@inline_kernel
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
def row_product(mesh: Mesh, work: Work, z: int, i: int, number: Any) -> Any:
    """``l . z`` of a node at the last level; z begins at entry ``z`` of the right-hand sides."""
    levels, sides, ratio = mesh.levels, work.sides, mesh.dt / (2.0 * mesh.dx)
    drift = load(sides, z + i + levels, number) - load(sides, z + i - levels, number)
    return load(sides, z + i, number) - load(work.v, i, number) * ratio * drift


@inline_kernel
def changes(mesh: Mesh, state: State, work: Work, aim: Any, number: Any) -> Any:
    """``d_rho`` and ``d_s``, and by how much densities and multipliers fall relative to themselves, at most."""
    levels, entries = mesh.levels, step(number)
    z, v, r, a, q, inverse_, pull, s_ = (
        work.sides,
        work.v,
        work.r,
        work.a,
        work.q,
        work.inverse,
        work.pull,
        state.s,
    )
    inverse_space, inside, before_last, ratio = mesh.inverse_space, mesh.inside, mesh.before_last, mesh.dt / (2.0 * mesh.dx)
    # The largest relative decrease; a positive floor, because it is a divisor.
    fall_rho, fall_s, goal = as_group(1e-300, number), as_group(1e-300, number), as_group(aim, number)
    for i in range(levels, (mesh.n + 1) * levels, entries):
        drift = load_group(z, i + levels, number) - load_group(z, i - levels, number)
        rest = load_group(r, i, number) - load_group(z, i, number) - load_group(pull, i, number)
        rest = rest + shared(before_last, i, number) * load_group(z, i + 1, number)
        rest = rest + load_group(v, i, number) * ratio * drift
        d_rho = rest * load_group(a, i, number) * shared(inverse_space, i, number)
        s, inverse = load_group(s_, i, number), load_group(inverse_, i, number)
        relative = d_rho * inverse
        d_s = shared(inside, i, number) * (goal * inverse - s - s * relative)
        store_group(q, i, d_rho, number)
        store_group(a, i, d_s, number)
        fall_rho = maximum(fall_rho, -relative)
        fall_s = maximum(fall_s, -(d_s / s))
    return fall_rho, fall_s
