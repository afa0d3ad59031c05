"""When a step of ``interior_point`` is done, and the density that it ends with.

*The density.* A residual of the continuity equation is mass that has moved without a flux, from the support into the vacuum
that a start fills; over many steps that would add up. So a step ends with the old density moved by its fluxes: mass and
continuity then hold to rounding, and nothing stands where no flux has brought it.

*The stopping rule* looks at complementarity, at both equations and at the data, at what ending like that costs, and at the
objective: no step may end above where it began. A step that would is not done; its tolerance shrinks until it goes down.
"""

from __future__ import annotations

from dajko._numba import kernel
from dajko.energy.kernels import internal
from dajko.grid import Array
from dajko.solvers.primal_dual.layout import Data, Flows, Mesh, Progress, State, Work

# Bounds of the stopping rule: on complementarity relative to mu, on stationarity relative to mu times the length of the
# grid, on continuity relative to the tolerance times the mass, on the mass of a level relative to the mass.
_MU_SLACK, _STATIONARITY_SLACK, _CONTINUITY_SLACK, _MASS_SLACK = 1.5, 10.0, 3.0, 1e-6
# By how much a step may raise the objective, relative to the sizes of its terms; and by what factor its tolerance shrinks if
# it would raise it by more, so many times.
_RISE, _TIGHTER, _MOST_TIGHTER = 1e-10, 1e-2, 3


@kernel
def has_converged(mesh: Mesh, flows: Flows, data: Data, state: State, work: Work, progress: Progress, lane: int) -> bool:
    """The stopping rule; notes the residuals relative to their bounds, and the largest of them.

    Where it holds, ``work.end`` is the density that the step ends with.
    """
    tol, mass, mu, found = data.tol[lane], data.mass[lane], data.mu[lane], progress.relative
    allowed = _STATIONARITY_SLACK * mu * mesh.dx * mesh.n + data.rounding[lane]
    found[lane, 0] = progress.mu[lane] / (_MU_SLACK * mu)
    found[lane, 1] = progress.stationarity[lane] / allowed
    found[lane, 2] = progress.continuity[lane] / (_CONTINUITY_SLACK * tol * mass)
    found[lane, 3] = progress.mass[lane] / (_MASS_SLACK * mass)
    found[lane, 4] = progress.data[lane] / (tol * data.size[lane])
    if found[lane].max() <= 1.0:
        lanes = progress.mu.size
        found[lane, 1] += _cost_of_transport(mesh, state, work, lane, lanes) / allowed
        if found[lane, 1] <= 1.0:
            transport(mesh, state, work, lane, lanes)
            reached, size = objective(mesh, flows, data, work.end, lane, lanes)
            rise = (reached - data.objective[lane]) / (_RISE * (size + data.objective_size[lane]))
            if rise > 1.0:
                found[lane, 1] = rise
                if data.tightened[lane] < _MOST_TIGHTER:
                    data.tightened[lane] += 1.0
                    data.mu[lane] *= _TIGHTER
                    data.tol[lane] *= _TIGHTER
    progress.largest[lane] = found[lane].max()
    return bool(progress.largest[lane] <= 1.0)


@kernel
def _cost_of_transport(mesh: Mesh, state: State, work: Work, lane: int, lanes: int) -> float:
    """What ending a step with the density of its own fluxes may cost: ``sum (|phi| + rho tau U'') |sum R2|``.

    The potential counts less its mean over the density: the masses of the sublattices do not change.
    """
    cost = 0.0
    for sublattice in range(mesh.sublattices):
        mass, mean = 0.0, 0.0
        for j in range(sublattice, mesh.n, mesh.sublattices):
            last = ((j + 2) * mesh.levels - 1) * lanes + lane
            mass += mesh.wx[j] * state.rho[last]
            mean += mesh.wx[j] * state.rho[last] * state.phi[last]
        for j in range(sublattice, mesh.n, mesh.sublattices):
            last = ((j + 2) * mesh.levels - 1) * lanes + lane
            price = abs(state.phi[last] - mean / mass) + state.rho[last] * work.bend[last]
            cost += price * abs(_moved_without_flux(mesh, work, j, lane, lanes))
    return cost


@kernel
def _moved_without_flux(mesh: Mesh, work: Work, j: int, lane: int, lanes: int) -> float:
    """``R2`` of a node, summed over the levels."""
    moved = 0.0
    for i in range((j + 1) * mesh.levels, (j + 2) * mesh.levels):
        moved += work.q[i * lanes + lane]
    return moved


@kernel
def transport(mesh: Mesh, state: State, work: Work, lane: int, lanes: int) -> None:
    """The old density moved by the fluxes, into ``work.end``: that of the last level less the residuals of all levels.

    What this leaves below 0 is taken from the nearest points of the same sublattice.
    """
    n, end = mesh.n, work.end
    for j in range(n):
        last = ((j + 2) * mesh.levels - 1) * lanes + lane
        end[j * lanes + lane] = state.rho[last] - _moved_without_flux(mesh, work, j, lane, lanes) / mesh.wx[j]
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


@kernel
def objective(mesh: Mesh, flows: Flows, data: Data, u: Array, lane: int, lanes: int) -> tuple[float, float]:
    """``E_h(u)``, up to what the masses of the sublattices decide, and the sum of the sizes of its terms.

    ``u`` has the shape of nodes.
    """
    value, size, first = 0.0, 0.0, 0.0
    exponent, stiffness = flows.exponent[lane], flows.stiffness[lane]
    for j in range(mesh.n):
        i = j * lanes + lane
        inner, outer = internal(u[i], exponent) + 0.5 * stiffness * u[i] ** 2, flows.potential[i] * u[i]
        value += mesh.wx[j] * (inner + outer)
        size += mesh.wx[j] * (abs(inner) + abs(outer))
        first += data.moment[i] * u[i]
    for o in range(data.square.size // lanes):
        at = o * lanes + lane
        misfit = -data.square[at] * first * first - data.value[at]
        for j in range(mesh.n):
            misfit += data.weighted_row[(o * mesh.nodes + j) * lanes + lane] * u[j * lanes + lane]
        value += 0.5 * misfit * misfit / data.theta[at]
        # Data are met up to the tolerance only.
        size += abs(misfit) * (0.5 * abs(misfit) + flows.tol[lane] / _RISE * data.size[lane]) / data.theta[at]
    return value, size
