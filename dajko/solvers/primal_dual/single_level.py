r"""Finite volumes with one level of artificial time: the equations of :mod:`.finite_volume` in four sweeps over the cells.

With K = 1 and ``c = v / (2 h)`` a cell meets two neighbours on either side,

    S = sum a l l^T + sum (M / h) p p^T,        l = (share c[j-1],  1 + share (c[j] - c[j-1]),  -share c[j]),

so that ``S`` is pentadiagonal. A sweep to the right assembles and eliminates it; for every right-hand side a sweep to the
left gives the solution z and what it does to the masses of the cells, ``a (g - l . z)``, of which the rest are sums.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dajko._numba import inline_kernel
from dajko.grid import Array, Grid
from dajko.lanes import LANES, WIDTH, as_number, load, maximum, store
from dajko.lanes.dense import solve_dense
from dajko.lanes.sums import dot
from dajko.solvers.primal_dual.layout import Data, Flows, Mesh, State, Work


class Bands(NamedTuple):
    """What is left of the matrix, cells each: ``L`` has two bands below its diagonal."""

    inverse: Array  # of the pivots
    near: Array  # next to the diagonal
    far: Array


def bands(grid: Grid, mesh: Mesh, number: Any) -> Bands | None:
    """Room for the bands; None for what has several levels, or is not of finite volumes."""
    if grid.scheme == "centred" or grid.nt > 1:
        return None
    cells = mesh.cells * (WIDTH if number is LANES else 1)
    return Bands(*(np.zeros(cells) for _ in Bands._fields))


@inline_kernel
def equations(mesh: Mesh, data: Data, state: State, work: Work, number: Any) -> Any:
    """``R1`` and ``R2``, and the sums of ``rho s``, ``h rho |R1|``, ``|R2|`` and ``R2``."""
    n, h, inverse_h, quarter = mesh.n, mesh.dx, 1.0 / mesh.dx, 0.25 * mesh.share
    half_new, half_old = 0.5 * mesh.share, 0.5 * (1.0 - mesh.share)
    zero = as_number(0.0, number)
    complementarity, stationarity, continuity, mass = zero, zero, zero, zero
    v_left, flux_left = zero, zero
    phi, rho, old = load(state.phi, 1, number), load(state.rho, 1, number), load(data.initial, 1, number)
    for i in range(1, n + 1):
        phi_right, rho_right = load(state.phi, i + 1, number), load(state.rho, i + 1, number)
        old_right, moving, v = load(data.initial, i + 1, number), zero, zero
        if i < n:
            moving = half_new * (rho + rho_right) + half_old * (old + old_right)
            v = (phi_right - phi) * inverse_h
        flux, s = moving * v, load(state.s, i, number)
        r1 = phi - quarter * (v * v + v_left * v_left) - s + load(work.force, i, number)
        r2 = h * (rho - old) + flux - flux_left
        store(work.v, i, v, number)
        store(work.b, i, moving * inverse_h, number)
        store(work.r, i, r1, number)
        store(work.q, i, r2, number)
        complementarity += rho * s
        stationarity += rho * abs(r1)
        continuity += abs(r2)
        mass += r2
        phi, rho, old, v_left, flux_left = phi_right, rho_right, old_right, v, flux
    return complementarity, h * stationarity, continuity, mass


@inline_kernel
def direction(
    mesh: Mesh, flows: Flows, data: Data, state: State, work: Work, bands: Bands, columns: int, aim: Any, number: Any
) -> Any:
    """``d_phi``, ``t``, ``d_rho`` and ``d_s``; by how much densities and multipliers fall relatively, at most."""
    _eliminate(mesh, state, work, bands, aim, number)
    for o in range(columns):
        _eliminate_column(mesh, work, bands, o, number)
    for o in range(columns + 1):
        _substitute(mesh, work, bands, o, number)
    _meet_data(mesh, flows, data, state, work, columns, number)
    return _changes(mesh, state, work, columns, aim, number)


@inline_kernel
def _eliminate(mesh: Mesh, state: State, work: Work, bands: Bands, aim: Any, number: Any) -> None:
    """Assemble and eliminate ``S`` and the right-hand side; ``a`` and ``a r``."""
    n, h, share = mesh.n, mesh.dx, mesh.share / (2.0 * mesh.dx)
    zero, one = as_number(0.0, number), as_number(1.0, number)
    # Entries of S and of the right-hand side that rows still add to: of the cell to the left, of this one, of the next.
    left, left_near, left_far, here, here_near, side_left, side = zero, zero, zero, zero, zero, zero, zero
    # Of the two rows before: the inverse of the pivot, the entries of U behind it, the right-hand side.
    inverse, inverse_before, near, far, far_before, done, done_before = zero, zero, zero, zero, zero, zero, zero
    c_left = zero
    for i in range(1, n + 1):
        rho, r1 = load(state.rho, i, number), load(work.r, i, number)
        s, bend = load(state.s, i, number), load(work.bend, i, number)
        q = h / (s + rho * bend)
        a, ar = rho * q, (aim - rho * (s + r1)) * q
        store(work.a, i, a, number)
        store(work.ar, i, ar, number)
        c, moving = share * load(work.v, i, number), load(work.b, i, number)
        own = one + (c - c_left)
        # The row l of this cell is (c_left, own, -c).
        a_left, a_own, a_right = a * c_left, a * own, a * c
        left, left_near, left_far = left + a_left * c_left, left_near + a_left * own, left_far - a_left * c
        here, here_near = here + (a_own * own + moving), here_near - (a_own * c + moving)
        following = a_right * c + moving
        side_left, side = side_left + ar * c_left, side + (load(work.q, i, number) + ar * own)
        side_right = -(ar * c)
        if i > 1:
            lower, lower_before = near * inverse, far_before * inverse_before
            pivot = left - near * lower - far_before * lower_before
            new_inverse, new_near = one / pivot, left_near - far * lower
            found = side_left - lower * done - lower_before * done_before
            store(work.sides, i - 1, found, number)
            store(bands.inverse, i - 1, new_inverse, number)
            store(bands.near, i - 1, new_near * new_inverse, number)
            store(bands.far, i - 1, left_far * new_inverse, number)
            inverse_before, far_before, done_before = inverse, far, done
            inverse, near, far, done = new_inverse, new_near, left_far, found
        left, left_near, left_far, here, here_near = here, here_near, zero, following, zero
        side_left, side, c_left = side, side_right, c
    lower, lower_before = near * inverse, far_before * inverse_before
    store(work.sides, n, side_left - lower * done - lower_before * done_before, number)
    store(bands.inverse, n, one / (left - near * lower - far_before * lower_before), number)
    store(bands.near, n, zero, number)
    store(bands.far, n, zero, number)


@inline_kernel
def _eliminate_column(mesh: Mesh, work: Work, bands: Bands, o: int, number: Any) -> None:
    """The column ``sum a g l`` of an observation, eliminated."""
    n, share, first = mesh.n, mesh.share / (2.0 * mesh.dx), (o + 1) * mesh.cells
    zero = as_number(0.0, number)
    here, following, near, far_before, far, done, done_before, c_left = zero, zero, zero, zero, zero, zero, zero, zero
    for i in range(1, n + 2):
        weight, c = zero, zero
        if i <= n:
            weight = load(work.a, i, number) * load(work.g, o * mesh.nodes + i - 1, number)
            c = share * load(work.v, i, number)
        if i > 1:
            found = here + weight * c_left - near * done - far_before * done_before
            store(work.sides, first + i - 1, found, number)
            near, far_before, far = load(bands.near, i - 1, number), far, load(bands.far, i - 1, number)
            done_before, done = done, found
        here, following, c_left = following + weight * (1.0 + (c - c_left)), -(weight * c), c


@inline_kernel
def _substitute(mesh: Mesh, work: Work, bands: Bands, o: int, number: Any) -> None:
    """The solution of right-hand side number ``o``, and its responses into ``along``."""
    n, share, first = mesh.n, mesh.share / (2.0 * mesh.dx), o * mesh.cells
    zero = as_number(0.0, number)
    z_right, z_here, c, a, given = zero, zero, zero, zero, zero
    for i in range(n, -1, -1):
        z, c_left = zero, zero
        if i > 0:
            z = load(work.sides, first + i, number) * load(bands.inverse, i, number)
            z = z - load(bands.near, i, number) * z_here - load(bands.far, i, number) * z_right
            store(work.sides, first + i, z, number)
            c_left = share * load(work.v, i, number)
        if i < n:
            # The cell to the right, whose neighbours are known now.
            product = z_here + c_left * (z - z_here) - c * (z_right - z_here)
            store(work.along, o * mesh.nodes + i, given - a * product, number)
        if i > 0:
            a = load(work.a, i, number)
            given = load(work.ar, i, number) if o == 0 else a * load(work.g, (o - 1) * mesh.nodes + i - 1, number)
        z_right, z_here, c = z_here, z, c_left


@inline_kernel
def _meet_data(mesh: Mesh, flows: Flows, data: Data, state: State, work: Work, columns: int, number: Any) -> None:
    """The dense system for ``t``; then ``d_phi`` and the change of the masses of the cells, ``h d_rho``."""
    n, nodes, cells = mesh.n, mesh.nodes, mesh.cells
    numbers = work.numbers
    for o in range(columns):
        store(work.t, o, load(work.r3, o, number) + dot(work.g, o * nodes, work.along, 0, nodes, number), number)
        for p in range(o + 1):
            entry = dot(work.g, o * nodes, work.along, (p + 1) * nodes, nodes, number)
            if p == o:
                theta = load(data.theta, o, number) if o < numbers else as_number(1.0, number)
                entry += theta / load(flows.tau, 0, number)
            store(work.dense, o * columns + p, entry, number)
            store(work.dense, p * columns + o, entry, number)
    solve_dense(work.dense, work.t, columns, number)
    for o in range(columns):
        t = load(work.t, o, number)
        for j in range(n):
            z = load(work.sides, j + 1, number) - t * load(work.sides, (o + 1) * cells + j + 1, number)
            store(work.sides, j + 1, z, number)
            change = load(work.along, j, number) - t * load(work.along, (o + 1) * nodes + j, number)
            store(work.along, j, change, number)


@inline_kernel
def _changes(mesh: Mesh, state: State, work: Work, columns: int, aim: Any, number: Any) -> Any:
    """``d_rho`` and ``d_s``, and by how much densities and multipliers fall relative to themselves, at most."""
    one, inverse_h = as_number(1.0, number), 1.0 / mesh.dx
    # Positive floors, because both are divisors.
    fall_rho, fall_s = as_number(1e-300, number), as_number(1e-300, number)
    for i in range(1, mesh.n + 1):
        rho, s = load(state.rho, i, number), load(state.s, i, number)
        product = one / (rho * s)
        inverse, inverse_s = s * product, rho * product
        d_rho = load(work.along, i - 1, number) * inverse_h
        relative = d_rho * inverse
        d_s = aim * inverse - s - s * relative
        store(work.inverse, i, inverse, number)
        store(work.q, i, d_rho, number)
        store(work.a, i, d_s, number)
        fall_rho, fall_s = maximum(fall_rho, -relative), maximum(fall_s, -(d_s * inverse_s))
    return fall_rho, fall_s
