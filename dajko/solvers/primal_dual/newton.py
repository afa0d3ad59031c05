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

from dajko._numba import kernel
from dajko.energy.internal import STIFF_EXPONENT
from dajko.energy.kernels import internal_slope_and_curvature
from dajko.lanes import (
    as_group,
    as_number,
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
from dajko.solvers.primal_dual import centred, finite_volume
from dajko.solvers.primal_dual.elimination import border, factorise
from dajko.solvers.primal_dual.layout import CONTINUITY, MU, STATIONARITY, Data, Flows, Mesh, Progress, State, Work
from dajko.solvers.primal_dual.panels import NARROW, WIDE, Layout, substitute
from dajko.solvers.primal_dual.stiff import advance_stiff, aim_below_ceiling, falls_of_ceiling, stiff_slope
from dajko.solvers.primal_dual.stopping import has_converged

# How far a Newton step may go towards the boundary of rho > 0 and s > 0.
_STEP_SHARE = 0.99
# Careful steps keep mu above this share of the mean of rho |R1|.
_WAITING = 0.1


@kernel
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
    number: Any,
) -> None:
    """Newton steps until every problem has converged, or ``max_iterations``.

    ``stencil`` is None for centred differences, which is known when this is compiled.
    """
    lanes = progress.active.size
    beyond = 0 if stencil is None else 1
    for iteration in range(max_iterations + 1):
        columns = observe(mesh, data, state, work, number)
        residuals(mesh, flows, data, state, work, progress, stencil, number)
        moving = 0
        for lane in range(lanes):
            if progress.active[lane] > 0.0:
                if has_converged(mesh, flows, data, state, work, progress, lane):
                    progress.active[lane] = 0.0
                else:
                    moving += 1
                    progress.iterations[lane] = iteration + 1.0
        if moving == 0 or iteration == max_iterations:
            break
        aim = maximum(load(data.mu, 0, number), load(data.centring, 0, number) * load(progress.mu, 0, number))
        waiting = load(progress.stationarity, 0, number) * (_WAITING / (mesh.dx * mesh.n))
        waiting = minimum(waiting, load(progress.mu, 0, number))
        aim = maximum(aim, load(data.careful, 0, number) * waiting)
        aim_below_ceiling(mesh, flows, data, state, work, aim, number)
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
            beyond,
            number,
        )
        border(mesh, flows, data, state, work, columns, stencil, number)
        advance(mesh, flows, data, state, work, columns, aim, load(progress.active, 0, number), stencil, number)


@kernel
def observe(mesh: Mesh, data: Data, state: State, work: Work, number: Any) -> int:
    """``R3``, the gradients of the observations, and the column of their positive curvature; the number of columns."""
    n, levels, nodes = mesh.n, mesh.levels, mesh.nodes
    lanes = work.u.size // nodes
    numbers, room = state.y.size // lanes, work.r3.size // lanes
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


@kernel
def residuals(
    mesh: Mesh, flows: Flows, data: Data, state: State, work: Work, progress: Progress, stencil: Any, number: Any
) -> None:
    """Velocities, ``R1`` and ``R2``, and the sums that the stopping rule looks at."""
    n, levels, nodes, entries = mesh.n, mesh.levels, mesh.nodes, step(number)
    lanes = work.u.size // nodes
    numbers = state.y.size // lanes
    tau = load(flows.tau, 0, number)
    for lane in range(lanes):
        work.wrong[lane], work.bounded[lane] = 0.0, 0.0
    for j in range(n):
        for lane in range(lanes):
            u = work.u[j * lanes + lane]
            i = j * lanes + lane
            slope, bend = internal_slope_and_curvature(u, flows.exponent[lane])
            if flows.exponent[lane] > STIFF_EXPONENT:
                slope, bend = stiff_slope(mesh, flows, data, state, work, slope, bend, j, lane, lanes)
            work.slope[i], work.curvature[i] = slope + flows.stiffness[lane] * u, bend + flows.stiffness[lane]
    slope_, curvature, potential, g, y, force, bend_ = (
        work.slope,
        work.curvature,
        flows.potential,
        work.g,
        state.y,
        work.force,
        work.bend,
    )
    for j in range(n):
        pulled = load(slope_, j, number) + load(potential, j, number)
        for o in range(numbers):
            pulled += load(g, o * nodes + j, number) * load(y, o, number)
        store(force, (j + 2) * levels - 1, tau * pulled - load(data.level, j % mesh.sublattices, number), number)
        store(bend_, (j + 2) * levels - 1, tau * load(curvature, j, number), number)
    sums, level_mass, q_, zero = work.sums, work.level_mass, work.q, as_number(0.0, number)
    for i in range(sums.size // lanes):
        store(sums, i, zero, number)
    for i in range(level_mass.size // lanes):
        store(level_mass, i, zero, number)
    if stencil is None:
        centred.equations(mesh, data, state, work, number)
    else:
        finite_volume.equations(mesh, data, state, work, stencil, number)
    for j in range(n):
        for k in range(0, levels, entries):
            change = load_group(q_, (j + 1) * levels + k, number)
            store_group(level_mass, k, load_group(level_mass, k, number) + change, number)
    mass, largest = zero, zero
    for k in range(levels):
        mass += abs(load(level_mass, k, number))
    for o in range(numbers):
        largest = maximum(largest, abs(load(work.r3, o, number)))
    complementarity = total(sums, MU, number) + load(work.bounded, 0, number)
    store(progress.mu, 0, complementarity / load(data.pairs, 0, number), number)
    store(progress.stationarity, 0, total(sums, STATIONARITY, number) + tau * load(work.wrong, 0, number), number)
    store(progress.continuity, 0, total(sums, CONTINUITY, number), number)
    store(progress.mass, 0, mass, number)
    store(progress.data, 0, largest, number)


@kernel
def advance(
    mesh: Mesh,
    flows: Flows,
    data: Data,
    state: State,
    work: Work,
    columns: int,
    aim: Any,
    active: Any,
    stencil: Any,
    number: Any,
) -> None:
    """Recover ``d_rho`` and ``d_s``, find how far the primal and the dual step may go, and take them."""
    n, levels, nodes, entries = mesh.n, mesh.levels, mesh.nodes, step(number)
    first, last = levels, (n + 1) * levels
    rho_, s_, phi_, z, a, q, g, t, pull = (
        state.rho,
        state.s,
        state.phi,
        work.sides,
        work.a,
        work.q,
        work.g,
        work.t,
        work.pull,
    )
    zero = as_number(0.0, number)
    for j in range(n):
        pulled = zero
        for o in range(columns):
            pulled += load(g, o * nodes + j, number) * load(t, o, number)
        store(pull, (j + 2) * levels - 1, pulled, number)
    if stencil is None:
        fall_rho, fall_s = centred.changes(mesh, state, work, aim, number)
    else:
        fall_rho, fall_s = finite_volume.changes(mesh, state, work, stencil, aim, number)
    one = as_number(1.0, number)
    falls_of_ceiling(mesh, flows, data, state, work)
    primal = maximum(largest_of(fall_rho, number), load(work.fall_rho, 0, number))
    step_s = active * minimum(one, _STEP_SHARE / maximum(largest_of(fall_s, number), load(work.fall_t, 0, number)))
    share = active * minimum(one, _STEP_SHARE / primal)
    advance_stiff(mesh, flows, state, work, share, step_s, number)
    step_rho = as_group(share, number)
    for o in range(state.y.size // (work.u.size // nodes)):
        change = step_s * load(t, o, number) / load(flows.tau, 0, number)
        store(state.y, o, load(state.y, o, number) + change, number)
    dual = as_group(step_s, number)
    for i in range(first, last, entries):
        store_group(rho_, i, load_group(rho_, i, number) + step_rho * load_group(q, i, number), number)
        store_group(s_, i, load_group(s_, i, number) + dual * load_group(a, i, number), number)
        store_group(phi_, i, load_group(phi_, i, number) + dual * load_group(z, i, number), number)
