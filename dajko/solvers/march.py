"""Steps in time of ``interior_point``: how a step begins, and kernels that take one after the other.

A flow that runs extrapolates its last two densities, and trusts that as far as the extrapolation before it was right; what
does not converge from there begins again, cold, from the old density. A step that does not converge either way stops the
march, so that another solver can take it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dajko._numba import inline_kernel, kernel
from dajko.energy import STIFF_EXPONENT, internal_slope
from dajko.grid import Array
from dajko.observation import LINEAR, MEAN, VARIANCE
from dajko.solvers.lanes import as_number, load, store
from dajko.solvers.layout import Data, Flows, Mesh, Progress, State, Work
from dajko.solvers.newton import iterate
from dajko.solvers.panels import Layout

# How a solve begins: a floor under the density as a share of its maximum, and the mean of rho s as a share of the scale that
# the tolerance refers to. Cold, both are fixed. Warm, they follow from the relative error e of the last prediction: it is e
# at most that a density is too small by, and rho and s are both wrong by e.
_COLD_FLOOR, _COLD_MU = 0.3, 1.0
_FLOOR_OF_ERROR = 0.5
_LEAST_ERROR, _MOST_ERROR = 0.004, 0.6
# The potential is looked at where the density is above this share of its largest; its range counts as at least this share of
# the square of a mesh width, which is rounding.
_SUPPORT, _LEAST_SCALE = 1e-3, 1e-9
# The ceiling of stiff powers in units of what a pressure may be.
_CEILING = 100.0
# What has not converged begins once more, with these, and may take so many times the iterations.
_CAREFUL_ITERATIONS = 5
_CAREFUL_FLOOR, _CAREFUL_MU, _CAREFUL_CENTRING, _CAREFUL_REACH, _CAREFUL_CEILING = 0.1, 10.0, 0.3, 0.05, 1e4
# Rounding in dE/du, relative to its size and to the exponent of U.
_ROUNDING = 1e-14
# The range of a first potential, at most, as a share of the square of the length of the domain.
_REACH = 0.5
# The least share of mu that a Newton step aims at.
_CENTRING = 0.1
# What a warm start cannot do in so many iterations begins again, cold.
_WARM_ITERATIONS = 25


class Record(NamedTuple):
    """What a march leaves behind; time runs along the first axis, problems along the last."""

    density: Array  # (steps + 1, n, lanes)
    iterations: NDArray[np.int32]  # (steps, lanes)
    residual: Array  # (steps, lanes)
    converged: NDArray[np.bool_]  # (steps, lanes)
    warm: NDArray[np.bool_]  # (lanes,), whether the density before the last one is of use
    error: Array  # (lanes,), of the last prediction: its largest, relative to the largest density
    alive: NDArray[np.bool_]  # (lanes,), whether the flow still runs


@kernel
def begin(
    mesh: Mesh,
    flows: Flows,
    density: Array,
    before: Array,
    warm: NDArray[np.bool_],
    error: Array,
    careful: bool,
    values: Array,
    data: Data,
    state: State,
    work: Work,
    number: Any,
) -> None:
    """Start a step: densities that are linear in artificial time, and what the data is.

    Parameters
    ----------
    density, before : arrays of shape (n, lanes)
        The old density and the one before it, which is read where ``warm`` says so.
    error : array of shape (lanes,)
        Error of the last prediction, which is read there too.
    values : array of shape (numbers, lanes)
        Data; NaN where there is none.
    """
    n, levels = mesh.n, mesh.levels
    lanes = warm.size
    numbers = state.y.size // lanes
    first, last, slope_ = work.slope, work.curvature, work.u
    for lane in range(lanes):
        floor, mu = (_CAREFUL_FLOOR, _CAREFUL_MU) if careful else (_COLD_FLOOR, _COLD_MU)
        if warm[lane]:
            wrong = min(max(error[lane], _LEAST_ERROR), _MOST_ERROR)
            floor, mu = _FLOOR_OF_ERROR * wrong, wrong * wrong
        top, mass, mean = 0.0, 0.0, 0.0
        for j in range(n):
            u = density[j, lane]
            top = max(top, u)
            mass += mesh.wx[j] * u
            mean += u
        mean /= n
        for j in range(n):
            u = density[j, lane]
            start = max(u, floor * top)
            end = max(2.0 * u - before[j, lane], floor * top) if warm[lane] else start
            if careful:
                end = top
            first[j * lanes + lane], last[j * lanes + lane] = start, end
        length = mesh.dx * (n - 1)
        bottom, roof = math.inf, -math.inf
        for j in range(n):
            bottom = min(bottom, flows.potential[j * lanes + lane])
            roof = max(roof, flows.potential[j * lanes + lane])
        tau, exponent = flows.tau[lane], flows.exponent[lane]
        data.size[lane] = _measure_with(mesh, flows, density, values, mass, lane, numbers, data)
        pull = roof - bottom + _pull(mesh, density, data, numbers, lane, lanes)
        pressure = max(length**2, tau * pull, 4.0 * tau * internal_slope(mass / length, exponent))
        highest_start = _stiff_density(tau, exponent, pressure)
        ceiling = _stiff_density(tau, exponent, (_CAREFUL_CEILING if careful else _CEILING) * pressure)
        stiff = exponent > STIFF_EXPONENT
        data.ceiling[lane], data.pressed[lane] = ceiling, ceiling - 0.1 * (ceiling - highest_start) if stiff else ceiling
        data.pairs[lane] = n * (levels + stiff)
        for parity in range(2):
            _keep_mass(mesh, density, first, lane, lanes, parity)
            _keep_mass(mesh, density, last, lane, lanes, parity)
            if highest_start < top:
                _level(mesh, first, highest_start, lane, lanes, parity)
                _level(mesh, last, highest_start, lane, lanes, parity)
        for j in range(n):
            u = max(density[j, lane], _SUPPORT * top)
            slope_[j * lanes + lane] = _slope(flows, u, j, lane, lanes)
        scale = max(min(_drive(mesh, density, slope_, _SUPPORT * top, lane, lanes), length**2), _LEAST_SCALE * mesh.dx**2)
        least, largest, steepest = math.inf, -math.inf, 0.0
        for j in range(n):
            slope = _slope(flows, last[j * lanes + lane], j, lane, lanes)
            least, largest, steepest = min(least, slope), max(largest, slope), max(steepest, abs(slope))
            slope_[j * lanes + lane] = slope
        data.mu[lane] = flows.tol[lane] * mean * scale
        data.centring[lane] = _CAREFUL_CENTRING if careful else _CENTRING
        data.rounding[lane] = _ROUNDING * mass * (max(exponent, 1.0) * steepest + tau * pull)
        scale = max(scale, largest - least)
        data.mass[lane], work.sums[lane], data.careful[lane] = mass, mu * mean * scale, careful
        for parity in range(2):
            total = 0.0
            for j in range(parity, n, 2):
                total += slope_[j * lanes + lane]
            level = total / ((n + 1 - parity) // 2)
            data.level[parity * lanes + lane] = level
            for j in range(parity, n, 2):
                slope_[j * lanes + lane] -= level
        # Nothing moves farther than the domain is long: a potential that says so only keeps the first iterations short.
        reach = min(1.0, (_CAREFUL_REACH if careful else _REACH) * length**2 / scale)
        for j in range(n):
            slope_[j * lanes + lane] *= reach
    start_mu = load(work.sums, 0, number)
    for i in range((n + 1) * levels, mesh.cells):
        store(state.rho, i, as_number(1.0, number), number)
        store(state.s, i, as_number(1.0, number), number)
        store(state.phi, i, as_number(0.0, number), number)
    rho_, s, phi, initial = state.rho, state.s, state.phi, data.initial
    for j in range(n):
        start, end, potential = load(first, j, number), load(last, j, number), -load(slope_, j, number)
        for k in range(levels):
            i, share = (j + 1) * levels + k, (k + 1) / levels
            rho = start * (1.0 - share) + end * share
            store(rho_, i, rho, number)
            store(s, i, start_mu / rho, number)
            store(phi, i, potential, number)
        for lane in range(lanes):
            initial[(j + 1) * levels * lanes + lane] = density[j, lane]
    for o in range(numbers):
        store(state.y, o, as_number(0.0, number), number)
    state.slope[:] = math.inf
    for lane in range(lanes):
        if flows.exponent[lane] > STIFF_EXPONENT:
            for j in range(n):
                i = j * lanes + lane
                state.t[i] = work.sums[lane] / (data.ceiling[lane] - state.rho[((j + 2) * levels - 1) * lanes + lane])


@inline_kernel
def _slope(flows: Flows, u: float, j: int, lane: int, lanes: int) -> float:
    """``tau dE/drho`` at a node, without data."""
    i = j * lanes + lane
    pulled = internal_slope(u, flows.exponent[lane]) + flows.stiffness[lane] * u + flows.potential[i]
    return float(flows.tau[lane] * pulled)


@kernel
def _drive(mesh: Mesh, density: Array, slope: Array, support: float, lane: int, lanes: int) -> float:
    """The range of ``tau dE/drho`` over the support, and over what lies beside it and below it."""
    lowest, highest = math.inf, -math.inf
    for j in range(mesh.n):
        if density[j, lane] > support:
            here = slope[j * lanes + lane]
            highest = max(highest, here)
            for near in range(max(j - 2, 0), min(j + 3, mesh.n)):
                lowest = min(lowest, slope[near * lanes + lane])
    return highest - lowest


@kernel
def _pull(mesh: Mesh, density: Array, data: Data, numbers: int, lane: int, lanes: int) -> float:
    """The range of what the data adds to ``dE/drho`` at the old density, at most."""
    total, first = 0.0, 0.0
    for j in range(mesh.n):
        first += mesh.wx[j] * mesh.x[j] * density[j, lane]
    for o in range(numbers):
        lowest, highest, measured, at = math.inf, -math.inf, 0.0, o * lanes + lane
        for j in range(mesh.n):
            i = (o * mesh.nodes + j) * lanes + lane
            row = data.row[i] - 2.0 * data.square[at] * first * mesh.x[j]
            lowest, highest = min(lowest, row), max(highest, row)
            measured += data.weighted_row[i] * density[j, lane]
        misfit = measured - data.square[at] * first * first - data.value[at]
        total += abs(misfit) / data.theta[at] * (highest - lowest)
    return total


@kernel
def _stiff_density(tau: float, exponent: float, pressure: float) -> float:
    """The density whose ``tau U'`` is a given number, for powers so stiff that Newton's method needs a bound; else infinite.

    Potentials differ by the square of the domain's length at most, since nothing moves farther than that.
    """
    if exponent <= STIFF_EXPONENT:
        return math.inf
    highest: float = math.exp(math.log(pressure * (exponent - 1.0) / (tau * exponent)) / (exponent - 1.0))
    return highest


@kernel
def _level(mesh: Mesh, start: Array, highest: float, lane: int, lanes: int, parity: int) -> None:
    """Fill what stands above a density into what lies below it, on every other node."""
    above, below = 0.0, 0.0
    for j in range(parity, mesh.n, 2):
        above += mesh.wx[j] * max(start[j * lanes + lane] - highest, 0.0)
        below += mesh.wx[j] * max(highest - start[j * lanes + lane], 0.0)
    share = above / below if below > 0.0 else 1.0
    for j in range(parity, mesh.n, 2):
        u = start[j * lanes + lane]
        start[j * lanes + lane] = min(u, highest) + share * max(highest - u, 0.0)


@kernel
def _keep_mass(mesh: Mesh, density: Array, start: Array, lane: int, lanes: int, parity: int) -> None:
    """Scale every other node of a density to the mass that the old density has there.

    Centred differences keep the masses of even and odd nodes apart, and a Newton step keeps what is linear: a start of the
    right mass has it for ever, however short the steps are.
    """
    wanted, found = 0.0, 0.0
    for j in range(parity, mesh.n, 2):
        wanted += mesh.wx[j] * density[j, lane]
        found += mesh.wx[j] * start[j * lanes + lane]
    if wanted > 0.0:
        for j in range(parity, mesh.n, 2):
            start[j * lanes + lane] *= wanted / found


@kernel
def _measure_with(
    mesh: Mesh, flows: Flows, density: Array, values: Array, mass: float, lane: int, numbers: int, data: Data
) -> float:
    """Rows, squares, values and weights of one problem's observations, as :mod:`dajko.solvers.newton` defines them.

    A step without data has rows and values 0, so that ``y`` stays 0. Returns what rounding in the observations is relative
    to.
    """
    n, nodes, center = mesh.n, mesh.nodes, mesh.center
    lanes = data.mu.size
    size = 2.2250738585072014e-308
    for o in range(numbers):
        kind, value = flows.kind[o], values[o, lane]
        missing = math.isnan(value)
        constant, linear, quadratic, square, shift = 0.0, 0.0, 0.0, 0.0, 0.0
        if kind == VARIANCE:
            # (5.7) = int x^2 u - (2 - M) B1^2 with moments about the origin, B1 = b + center M
            linear = 2.0 * center * (1.0 - (2.0 - mass) * mass)
            quadratic, square, shift = 1.0, 2.0 - mass, center**2 * mass * (1.0 - (2.0 - mass) * mass)
        elif kind == MEAN:
            linear, shift = 1.0 / mass, center
        elif kind != LINEAR:
            quadratic, square = 1.0 / mass, 1.0 / mass**2
        for j in range(n):
            at = (o * nodes + j) * lanes + lane
            row = flows.footprint[at] if kind == LINEAR else constant + mesh.x[j] * (linear + mesh.x[j] * quadratic)
            data.row[at] = 0.0 if missing else row
        for parity in range(2):
            shift += _centre_row(mesh, density, data.row, o, lane, lanes, parity)
        for j in range(n):
            at = (o * nodes + j) * lanes + lane
            data.weighted_row[at] = mesh.wx[j] * data.row[at]
            size += mesh.wx[j] * abs(data.row[at]) * density[j, lane]
        at = o * lanes + lane
        data.square[at] = 0.0 if missing else square
        data.value[at] = 0.0 if missing else value - shift
        data.theta[at] = 1.0 if missing else flows.theta[lane]
        size += abs(data.value[at])
    return size


@kernel
def _centre_row(mesh: Mesh, density: Array, row: Array, o: int, lane: int, lanes: int, parity: int) -> float:
    """Take the mean off the row of an observation on every other node; what that is of the measurement.

    The mass there is given, so that a constant measures nothing, and would only spoil the digits of the potential.
    """
    total, weight, mass = 0.0, 0.0, 0.0
    for j in range(parity, mesh.n, 2):
        total += mesh.wx[j] * row[(o * mesh.nodes + j) * lanes + lane]
        weight += mesh.wx[j]
        mass += mesh.wx[j] * density[j, lane]
    mean = total / weight
    for j in range(parity, mesh.n, 2):
        row[(o * mesh.nodes + j) * lanes + lane] -= mean
    return mean * mass


@kernel
def march(
    mesh: Mesh,
    flows: Flows,
    values: Array,
    data: Data,
    state: State,
    work: Work,
    progress: Progress,
    record: Record,
    earlier: Array,
    max_iterations: int,
    first: int,
    place: Layout,
    number: Any,
) -> int:
    """Take steps, beginning with number ``first``, until one of them does not converge for some flow that still runs.

    ``values`` has the shape (steps, numbers, lanes); ``earlier``, shape (1, n, lanes), is the density before the first.
    Returns the number of the step that has not converged, or that of all steps.
    """
    lanes = progress.active.size
    steps: int = record.iterations.shape[0]
    cold = np.zeros(lanes, dtype=np.bool_)
    for n in range(first, steps):
        density, before = record.density[n], record.density[n - 1] if n > 0 else earlier[0]
        limit, left = max_iterations, 0
        for lane in range(lanes):
            progress.active[lane] = 1.0 if record.alive[lane] else 0.0
            if record.alive[lane] and record.warm[lane]:
                limit = min(_WARM_ITERATIONS, max_iterations)
        for attempt in range(3):
            if attempt == 1 and limit == max_iterations and not record.warm.any():
                continue  # would be the same again
            careful = attempt == 2
            limit = max_iterations if attempt == 1 else _CAREFUL_ITERATIONS * max_iterations if careful else limit
            begin(
                mesh,
                flows,
                density,
                before,
                record.warm if attempt == 0 else cold,
                record.error,
                careful,
                values[n],
                data,
                state,
                work,
                number,
            )
            for lane in range(lanes):
                progress.iterations[lane] = 0.0
            iterate(mesh, flows, data, state, work, progress, limit, place, number)
            left = _note(mesh, flows, data, state, work, progress, record, n)
            if left == 0:
                break
        if left > 0:
            return n
        for lane in range(lanes):
            record.error[lane] = prediction_error(mesh, record.density[n + 1], density, before, record.warm[lane], lane)
            record.warm[lane] = record.alive[lane]
    return steps


@kernel
def prediction_error(mesh: Mesh, found: Array, density: Array, before: Array, warm: bool, lane: int) -> float:
    """By how much a new density differs from what a start took it to be, at most, relative to its maximum."""
    largest, error = 0.0, 0.0
    for j in range(mesh.n):
        predicted = max(2.0 * density[j, lane] - before[j, lane], 0.0) if warm else density[j, lane]
        largest = max(largest, found[j, lane])
        error = max(error, abs(found[j, lane] - predicted))
    return error / largest


@kernel
def _note(
    mesh: Mesh, flows: Flows, data: Data, state: State, work: Work, progress: Progress, record: Record, step: int
) -> int:
    """Write down the flows that have just ended a step or could not; how many could not."""
    lanes, left = int(progress.active.size), 0
    for lane in range(lanes):
        if not record.alive[lane] or record.converged[step, lane]:
            continue
        record.converged[step, lane] = progress.active[lane] == 0.0
        if progress.active[lane] != 0.0:
            left += 1
        record.iterations[step, lane] = int(progress.iterations[lane])
        record.residual[step, lane] = flows.tol[lane] * progress.largest[lane]
        _transport(mesh, state, work, record.density[step + 1], lane, lanes)
    return left


@kernel
def _transport(mesh: Mesh, state: State, work: Work, density: Array, lane: int, lanes: int) -> None:
    """The old density moved by the fluxes: the one at the last level less the residuals of all levels.

    A residual of the continuity equation is mass that has moved without a flux, from the support into the vacuum that a start
    fills; over many steps that adds up. What this leaves below 0 is taken from the nearest nodes of the same class.
    """
    n, levels = mesh.n, mesh.levels
    for j in range(n):
        moved = 0.0
        for i in range((j + 1) * levels, (j + 2) * levels):
            moved += work.q[i * lanes + lane]
        density[j, lane] = state.rho[((j + 2) * levels - 1) * lanes + lane] - moved / mesh.wx[j]
    for j in range(n):
        missing = -mesh.wx[j] * density[j, lane]
        if missing > 0.0:
            density[j, lane] = 0.0
            for distance in range(2, n, 2):
                left, right = j - distance, j + distance
                if right < n and (left < 0 or density[right, lane] > density[left, lane]):
                    left, right = right, left
                for p in (left, right):
                    if 0 <= p < n and density[p, lane] > 0.0 and missing > 0.0:
                        taken = min(missing, mesh.wx[p] * density[p, lane])
                        density[p, lane] = max(density[p, lane] - taken / mesh.wx[p], 0.0)
                        missing -= taken
                if missing <= 0.0:
                    break
