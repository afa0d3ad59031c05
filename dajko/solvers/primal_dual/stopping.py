"""When a step of ``interior_point`` is done, and the density that it ends with.

*The density.* A residual of the continuity equation is mass that has moved without a flux, from the support into the vacuum
that a start fills; over many steps that would add up. So a step ends with the old density moved by its fluxes: mass and
continuity then hold to rounding, and nothing stands where no flux has brought it.

*The stopping rule* looks at complementarity, at both equations and at the data, at what ending like that costs, and at the
objective: no step may end above where it began. A step that would is not done; its tolerance shrinks until it goes down.
"""

from __future__ import annotations

from typing import Any

from dajko._numba import inline_kernel
from dajko.grid import Array
from dajko.lanes import as_number, lane_count, load, minimum, store
from dajko.solvers.primal_dual.energies import internal_values_in_lanes
from dajko.solvers.primal_dual.layout import RESIDUALS, Data, Flows, Mesh, Progress, State, Work

# Bounds of the stopping rule: on complementarity relative to mu, on stationarity relative to mu times the length of the
# grid, on continuity relative to the tolerance times the mass, on the mass of a level relative to the mass.
_MU_SLACK, _STATIONARITY_SLACK, _CONTINUITY_SLACK, _MASS_SLACK = 1.5, 10.0, 3.0, 1e-6
# Which of the residuals the price of ending like that counts as.
_STATIONARITY = RESIDUALS.index("stationarity")
# By how much a step may raise the objective, relative to the sizes of its terms; and by what factor its tolerance shrinks if
# it would raise it by more, so many times.
_RISE, _TIGHTER, _MOST_TIGHTER = 1e-10, 1e-2, 3


@inline_kernel
def stop_where_converged(
    mesh: Mesh, flows: Flows, data: Data, state: State, work: Work, progress: Progress, iteration: int, number: Any
) -> int:
    """Apply the stopping rule; note the residuals relative to their bounds and the iterations; how many problems go on."""
    moving, within, lanes = 0, False, lane_count(number)
    for lane in range(lanes):
        if progress.active[lane] > 0.0:
            moving += 1
            _relative_to_bounds(mesh, data, progress, lane)
            progress.largest[lane] = progress.relative[lane].max()
            progress.iterations[lane] = iteration + 1.0
            within |= progress.largest[lane] <= 1.0
    if not within:
        return moving
    transport(mesh, state, work, lanes, number)
    store(work.each.cost, 0, _cost_of_transport(mesh, state, work, number), number)
    reached, size = objective(mesh, flows, data, work.numbers, work.end, work.first, number)
    store(work.each.reached, 0, reached, number)
    store(work.each.reached_size, 0, size, number)
    for lane in range(lanes):
        if progress.active[lane] > 0.0 and progress.largest[lane] <= 1.0:
            found = progress.relative[lane]
            found[_STATIONARITY] += work.each.cost[lane] / _allowed_stationarity(mesh, data, lane)
            if found[_STATIONARITY] <= 1.0:
                rise = work.each.reached[lane] - data.objective[lane]
                rise /= _RISE * (work.each.reached_size[lane] + data.objective_size[lane])
                if rise > 1.0:
                    found[_STATIONARITY] = rise
                    if data.tightened[lane] < _MOST_TIGHTER:
                        data.tightened[lane] += 1.0
                        data.mu[lane] *= _TIGHTER
                        data.tol[lane] *= _TIGHTER
            progress.largest[lane] = found.max()
            if progress.largest[lane] <= 1.0:
                progress.active[lane] = 0.0
                progress.iterations[lane] = iteration
                moving -= 1
    return moving


@inline_kernel
def _allowed_stationarity(mesh: Mesh, data: Data, lane: int) -> float:
    return float(_STATIONARITY_SLACK * data.mu[lane] * mesh.dx * mesh.n + data.rounding[lane])


@inline_kernel
def _relative_to_bounds(mesh: Mesh, data: Data, progress: Progress, lane: int) -> None:
    tol, mass, found = data.tol[lane], data.mass[lane], progress.relative
    found[lane, 0] = progress.mu[lane] / (_MU_SLACK * data.mu[lane])
    found[lane, _STATIONARITY] = progress.stationarity[lane] / _allowed_stationarity(mesh, data, lane)
    found[lane, 2] = progress.continuity[lane] / (_CONTINUITY_SLACK * tol * mass)
    found[lane, 3] = progress.mass[lane] / (_MASS_SLACK * mass)
    found[lane, 4] = progress.data[lane] / (tol * data.size[lane])


@inline_kernel
def _cost_of_transport(mesh: Mesh, state: State, work: Work, number: Any) -> Any:
    """What ending a step with the density of its own fluxes may cost: ``sum (|phi| + rho tau U'') |sum R2|``.

    The potential counts less its mean over the density: the masses of the sublattices do not change.
    """
    cost = as_number(0.0, number)
    for sublattice in range(mesh.sublattices):
        mass, moment = as_number(0.0, number), as_number(0.0, number)
        for j in range(sublattice, mesh.n, mesh.sublattices):
            last = (j + 2) * mesh.levels - 1
            here = mesh.wx[j] * load(state.rho, last, number)
            mass += here
            moment += here * load(state.phi, last, number)
        mean = moment / mass
        for j in range(sublattice, mesh.n, mesh.sublattices):
            last = (j + 2) * mesh.levels - 1
            price = abs(load(state.phi, last, number) - mean)
            price = price + load(state.rho, last, number) * load(work.bend, last, number)
            cost += price * abs(_moved_without_flux(mesh, work, j, number))
    return cost


@inline_kernel
def _moved_without_flux(mesh: Mesh, work: Work, j: int, number: Any) -> Any:
    """``R2`` of a node, summed over the levels."""
    moved = as_number(0.0, number)
    for i in range((j + 1) * mesh.levels, (j + 2) * mesh.levels):
        moved += load(work.q, i, number)
    return moved


@inline_kernel
def transport(mesh: Mesh, state: State, work: Work, lanes: int, number: Any) -> None:
    """The old density moved by the fluxes, into ``work.end``: that of the last level less the residuals of all levels.

    What this leaves below 0 is taken from the nearest points of the same sublattice.
    """
    n, end, least = mesh.n, work.end, as_number(0.0, number)
    for j in range(n):
        moved = _moved_without_flux(mesh, work, j, number) / mesh.wx[j]
        here = load(state.rho, (j + 2) * mesh.levels - 1, number) - moved
        least = minimum(least, here)
        store(end, j, here, number)
    store(work.each.least, 0, least, number)
    for lane in range(lanes):
        if work.each.least[lane] < 0.0:
            _fill_deficits(mesh, end, lane, lanes)


@inline_kernel
def _fill_deficits(mesh: Mesh, end: Array, lane: int, lanes: int) -> None:
    """Take what a density has below 0 from the nearest points of the same sublattice."""
    n = mesh.n
    for j in range(n):
        missing = -mesh.wx[j] * end[j * lanes + lane]
        if missing <= 0.0:
            continue
        end[j * lanes + lane] = 0.0
        for distance in range(mesh.sublattices, n, mesh.sublattices):
            near, far = j - distance, j + distance
            if far < n and (near < 0 or end[far * lanes + lane] > end[near * lanes + lane]):
                near, far = far, near
            for p in (near, far):
                if 0 <= p < n and missing > 0.0:
                    taken = min(missing, mesh.wx[p] * max(end[p * lanes + lane], 0.0))
                    if taken > 0.0:
                        end[p * lanes + lane] = max(end[p * lanes + lane] - taken / mesh.wx[p], 0.0)
                        missing -= taken
            if missing <= 0.0:
                break


@inline_kernel
def objective(mesh: Mesh, flows: Flows, data: Data, numbers: int, u: Array, scratch: Array, number: Any) -> tuple[Any, Any]:
    """``E_h(u)``, up to what the masses of the sublattices decide, and the sum of the sizes of its terms.

    ``u`` and ``scratch`` have the shape of nodes.
    """
    internal_values_in_lanes(u, flows.exponent, mesh.n, scratch, number)
    stiffness = load(flows.stiffness, 0, number)
    value, size, first = as_number(0.0, number), as_number(0.0, number), as_number(0.0, number)
    for j in range(mesh.n):
        here = load(u, j, number)
        inner = load(scratch, j, number) + 0.5 * stiffness * (here * here)
        outer = load(flows.potential, j, number) * here
        value += mesh.wx[j] * (inner + outer)
        size += mesh.wx[j] * (abs(inner) + abs(outer))
        first += load(data.moment, j, number) * here
    tol = load(flows.tol, 0, number)
    for o in range(numbers):
        theta = load(data.theta, o, number)
        misfit = -load(data.square, o, number) * first * first - load(data.value, o, number)
        for j in range(mesh.n):
            misfit += load(data.weighted_row, o * mesh.nodes + j, number) * load(u, j, number)
        value += 0.5 * misfit * misfit / theta
        # Data are met up to the tolerance only.
        size += abs(misfit) * (0.5 * abs(misfit) + tol / _RISE * load(data.size, 0, number)) / theta
    return value, size
