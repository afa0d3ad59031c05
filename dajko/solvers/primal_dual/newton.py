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

with ``c_i = sum (wx g_i / d) l`` over the last level. S is symmetric positive definite, with one block row for each node
(:mod:`.panels`). One more right-hand side for each column ``c_i``, and a dense system of the size of the data,
give ``t``. The positive curvature of the data term is one more column, ``g = sqrt(coefficient) x``.

The kernels work on one problem or on eight at once, see :mod:`dajko.lanes`; :mod:`.layout` says how
the arrays lie. In a loop over cells, i is the first entry of a group, so that ``i - K`` and ``i + K`` are the same levels
one node to the left and to the right, ``i - 1`` and ``i + 1`` the level before and after.
"""

from __future__ import annotations

import math
from typing import Any

from dajko._numba import inline_kernel
from dajko.energy.internal import STIFF_EXPONENT
from dajko.lanes import (
    WIDTH,
    as_group,
    as_number,
    lane_count,
    largest_of,
    load,
    load_group,
    maximum,
    minimum,
    shared,
    spread,
    step,
    store,
    store_group,
)
from dajko.lanes.sums import dot, total
from dajko.solvers.primal_dual import centred, finite_volume, single_level
from dajko.solvers.primal_dual.elimination import border, factorise
from dajko.solvers.primal_dual.energies import internal_slopes_and_curvatures_in_lanes
from dajko.solvers.primal_dual.layout import CONTINUITY, MU, STATIONARITY, SUMS, Data, Flows, Mesh, Progress, State, Work
from dajko.solvers.primal_dual.panels import NARROW, WIDE, Layout, substitute
from dajko.solvers.primal_dual.stiff import advance_stiff, aim_below_ceiling, falls_of_ceiling, stiff_slope
from dajko.solvers.primal_dual.stopping import stop_where_converged

# How far a Newton step may go towards the boundary of rho > 0 and s > 0.
_STEP_SHARE = 0.99
# Careful steps keep mu above this share of the mean of rho |R1|.
_WAITING = 0.1


@inline_kernel
def iterate(
    mesh: Mesh,
    flows: Flows,
    data: Data,
    state: State,
    work: Work,
    progress: Progress,
    max_iterations: int,
    place: Layout,
    stencil: Any,
    bands: Any,
    number: Any,
) -> None:
    """Newton steps until every problem has converged, or ``max_iterations``.

    ``stencil`` is None for centred differences, ``bands`` for all that has several levels, which is known when this is
    compiled.
    """
    for iteration in range(max_iterations + 1):
        columns = observe(mesh, data, state, work, number)
        residuals(mesh, flows, data, state, work, progress, stencil, bands, number)
        moving = stop_where_converged(mesh, flows, data, state, work, progress, iteration, number)
        if moving == 0 or iteration == max_iterations:
            break
        aim = maximum(load(data.mu, 0, number), load(data.centring, 0, number) * load(progress.mu, 0, number))
        waiting = load(progress.stationarity, 0, number) * (_WAITING / (mesh.dx * mesh.n))
        waiting = minimum(waiting, load(progress.mu, 0, number))
        aim = maximum(aim, load(data.careful, 0, number) * waiting)
        aim_below_ceiling(mesh, flows, data, state, work, aim, number)
        if bands is not None:
            fall_rho, fall_s = single_level.direction(mesh, flows, data, state, work, bands, columns, aim, number)
        else:
            direction(mesh, flows, data, state, work, columns, aim, place, stencil, number)
            fall_rho, fall_s = changes(mesh, state, work, columns, aim, stencil, number)
        advance(mesh, flows, data, state, work, fall_rho, fall_s, load(progress.active, 0, number), number)


@inline_kernel
def direction(
    mesh: Mesh,
    flows: Flows,
    data: Data,
    state: State,
    work: Work,
    columns: int,
    aim: Any,
    place: Layout,
    stencil: Any,
    number: Any,
) -> None:
    """``d_phi`` and ``t``, in the place of the right-hand side."""
    if stencil is None:
        centred.eliminate_densities(mesh, work, state, aim, number)
        centred.observation_columns(mesh, work, columns, number)
    else:
        finite_volume.eliminate_densities(mesh, work, state, stencil, aim, number)
        finite_volume.observation_columns(mesh, work, stencil, columns, number)
    if place.wide:
        factorise(mesh, work, columns, place, WIDE, stencil, number)
    else:
        factorise(mesh, work, columns, place, NARROW, stencil, number)
    substitute(
        mesh.n,
        mesh.levels,
        work.matrix,
        work.pivots,
        work.sides,
        mesh.cells,
        1 + columns,
        place.leading,
        place.columns,
        0 if stencil is None else 1,
        number,
    )
    border(mesh, flows, data, state, work, columns, stencil, number)


@inline_kernel
def observe(mesh: Mesh, data: Data, state: State, work: Work, number: Any) -> int:
    """``R3``, the gradients of the observations, and the column of their positive curvature; the number of columns."""
    n, levels, nodes = mesh.n, mesh.levels, mesh.nodes
    numbers, room, lanes = work.numbers, work.columns, lane_count(number)
    rho, u, g, row_, x = state.rho, work.u, work.g, data.row, mesh.x
    for j in range(n):
        store(u, j, load(rho, (j + 2) * levels - 1, number), number)
    if numbers == 0:
        return 0
    first = dot(data.moment, 0, u, 0, nodes, number)
    coefficient = as_number(0.0, number)
    for i in range(numbers):
        q, y = load(data.square, i, number), load(state.y, i, number)
        measured = dot(data.weighted_row, i * nodes, u, 0, nodes, number) - q * first * first
        store(work.r3, i, measured - load(data.value, i, number) - load(data.theta, i, number) * y, number)
        bent = as_group(2.0 * q * first, number)
        for j in range(0, nodes, step(number)):
            store_group(g, i * nodes + j, load_group(row_, i * nodes + j, number) - bent * shared(x, j, number), number)
        coefficient -= 2.0 * q * y
    if room == numbers:
        return numbers
    store(work.r3, numbers, coefficient, number)
    positive = False
    for lane in range(lanes):
        i = numbers * lanes + lane
        positive |= work.r3[i] > 0.0
        work.r3[i] = math.sqrt(max(work.r3[i], 0.0))
    if not positive:
        return numbers
    root = spread(work.r3, numbers, number)
    for j in range(0, nodes, step(number)):
        store_group(g, numbers * nodes + j, root * shared(x, j, number), number)
    store(work.r3, numbers, as_number(0.0, number), number)
    return room


@inline_kernel
def residuals(
    mesh: Mesh,
    flows: Flows,
    data: Data,
    state: State,
    work: Work,
    progress: Progress,
    stencil: Any,
    bands: Any,
    number: Any,
) -> None:
    """Velocities, ``R1`` and ``R2``, and the sums that the stopping rule looks at."""
    tau = load(flows.tau, 0, number)
    forces(mesh, flows, data, state, work, number)
    if bands is not None:
        complementarity, stationarity, continuity, mass = single_level.equations(mesh, data, state, work, number)
    else:
        complementarity, stationarity, continuity, mass = equations(mesh, data, state, work, stencil, number)
    largest = as_number(0.0, number)
    for o in range(work.numbers):
        largest = maximum(largest, abs(load(work.r3, o, number)))
    complementarity = complementarity + load(work.each.bounded, 0, number)
    store(progress.mu, 0, complementarity / load(data.pairs, 0, number), number)
    store(progress.stationarity, 0, stationarity + tau * load(work.each.wrong, 0, number), number)
    store(progress.continuity, 0, continuity, number)
    store(progress.mass, 0, abs(mass), number)
    store(progress.data, 0, largest, number)


@inline_kernel
def forces(mesh: Mesh, flows: Flows, data: Data, state: State, work: Work, number: Any) -> None:
    """``tau dE/drho`` at the last level, less its mean, and ``tau U''``."""
    n, levels, nodes, lanes = mesh.n, mesh.levels, mesh.nodes, lane_count(number)
    tau, stiffness = load(flows.tau, 0, number), load(flows.stiffness, 0, number)
    internal_slopes_and_curvatures_in_lanes(work.u, flows.exponent, n, work.slope, work.curvature, number)
    for lane in range(lanes):
        work.each.wrong[lane], work.each.bounded[lane] = 0.0, 0.0
        if flows.exponent[lane] > STIFF_EXPONENT:
            for j in range(n):
                i = j * lanes + lane
                slope, bend = work.slope[i], work.curvature[i]
                slope, bend = stiff_slope(mesh, flows, data, state, work, slope, bend, j, lane, lanes)
                work.slope[i], work.curvature[i] = slope, bend
    for j in range(n):
        pulled = load(work.slope, j, number) + stiffness * load(work.u, j, number)
        pulled = pulled + load(flows.potential, j, number)
        for o in range(work.numbers):
            pulled += load(work.g, o * nodes + j, number) * load(state.y, o, number)
        last, level = (j + 2) * levels - 1, load(data.level, j % mesh.sublattices, number)
        store(work.force, last, tau * pulled - level, number)
        store(work.bend, last, tau * (load(work.curvature, j, number) + stiffness), number)


@inline_kernel
def equations(mesh: Mesh, data: Data, state: State, work: Work, stencil: Any, number: Any) -> Any:
    """``R1`` and ``R2``, and the sums of ``rho s``, ``wx rho |R1|``, ``|R2|``, and over the levels of ``|sum R2|``."""
    n, levels = mesh.n, mesh.levels
    sums, level_mass, q_, zero = work.sums, work.level_mass, work.q, as_number(0.0, number)
    for i in range(SUMS * WIDTH):
        store(sums, i, zero, number)
    for i in range(levels + -levels % WIDTH):
        store(level_mass, i, zero, number)
    if stencil is None:
        centred.equations(mesh, data, state, work, number)
    else:
        finite_volume.equations(mesh, data, state, work, stencil, number)
    for j in range(n):
        for k in range(0, levels, step(number)):
            change = load_group(q_, (j + 1) * levels + k, number)
            store_group(level_mass, k, load_group(level_mass, k, number) + change, number)
    mass = zero
    for k in range(levels):
        mass += abs(load(level_mass, k, number))
    return total(sums, MU, number), total(sums, STATIONARITY, number), total(sums, CONTINUITY, number), mass


@inline_kernel
def changes(mesh: Mesh, state: State, work: Work, columns: int, aim: Any, stencil: Any, number: Any) -> Any:
    """``d_rho`` and ``d_s``, and by how much densities and multipliers fall relative to themselves, at most."""
    n, levels, nodes = mesh.n, mesh.levels, mesh.nodes
    for j in range(n):
        pulled = as_number(0.0, number)
        for o in range(columns):
            pulled += load(work.g, o * nodes + j, number) * load(work.t, o, number)
        store(work.pull, (j + 2) * levels - 1, pulled, number)
    if stencil is None:
        fall_rho, fall_s = centred.changes(mesh, state, work, aim, number)
    else:
        fall_rho, fall_s = finite_volume.changes(mesh, state, work, stencil, aim, number)
    return largest_of(fall_rho, number), largest_of(fall_s, number)


@inline_kernel
def advance(
    mesh: Mesh,
    flows: Flows,
    data: Data,
    state: State,
    work: Work,
    fall_rho: Any,
    fall_s: Any,
    active: Any,
    number: Any,
) -> None:
    """Find how far the primal and the dual step may go, and take them."""
    first, last, one = mesh.levels, (mesh.n + 1) * mesh.levels, as_number(1.0, number)
    falls_of_ceiling(mesh, flows, data, state, work, number)
    primal = maximum(fall_rho, load(work.each.fall_rho, 0, number))
    step_s = active * minimum(one, _STEP_SHARE / maximum(fall_s, load(work.each.fall_t, 0, number)))
    share = active * minimum(one, _STEP_SHARE / primal)
    advance_stiff(mesh, flows, state, work, share, step_s, number)
    for o in range(work.numbers):
        change = step_s * load(work.t, o, number) / load(flows.tau, 0, number)
        store(state.y, o, load(state.y, o, number) + change, number)
    rho_, s_, phi_, z, a, q = state.rho, state.s, state.phi, work.sides, work.a, work.q
    step_rho, dual = as_group(share, number), as_group(step_s, number)
    for i in range(first, last, step(number)):
        store_group(rho_, i, load_group(rho_, i, number) + step_rho * load_group(q, i, number), number)
        store_group(s_, i, load_group(s_, i, number) + dual * load_group(a, i, number), number)
        store_group(phi_, i, load_group(phi_, i, number) + dual * load_group(z, i, number), number)
