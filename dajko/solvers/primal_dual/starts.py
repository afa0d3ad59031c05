"""How a step of ``interior_point`` begins: densities, multipliers, and what the stopping rule refers to.

A flow that runs extrapolates its last two densities, and trusts that as far as the extrapolation before it was right.
Without one, a start is cold: the old density with a floor under it. What does not converge from there begins carefully: a
flat end of the path, a large ``mu``, and a potential that moves nothing yet.

*The scale of* ``mu``. It ends at the tolerance times the mean density times the range of ``tau dF/du`` over the support of
the old density, and over what lies beside it and below it: what a step moves, so that the error of a step falls with tau.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dajko._numba import inline_kernel, kernel
from dajko.energy.internal import STIFF_EXPONENT
from dajko.energy.kernels import internal_slope
from dajko.grid import Array
from dajko.lanes import as_number, load, store
from dajko.observation import LINEAR, MEAN, VARIANCE
from dajko.solvers.primal_dual.layout import Data, Flows, Mesh, State, Work
from dajko.solvers.primal_dual.stiff import level_off, stiff_density
from dajko.solvers.primal_dual.stopping import objective

# How a solve begins: a floor under the density as a share of its maximum, and the mean of rho s as a share of the scale that
# the tolerance refers to. Cold, both are fixed. Warm, they follow from the relative error e of the last prediction: it is e
# at most that a density is too small by, and rho and s are both wrong by e.
_COLD_FLOOR, _COLD_MU = 0.3, 1.0
_FLOOR_OF_ERROR = 0.5
_LEAST_ERROR, _MOST_ERROR = 0.004, 0.6
# The potential is looked at where the density is above this share of its largest; its range counts as at least this share of
# the square of a mesh width, which is rounding.
_SUPPORT, _LEAST_SCALE = 1e-3, 1e-9
# The ceiling of stiff powers in units of what a pressure may be, and the share of the room below it that must stay empty.
_CEILING, _PRESSED = 100.0, 0.1
# What has not converged begins once more, with these.
_CAREFUL_FLOOR, _CAREFUL_MU, _CAREFUL_CENTRING, _CAREFUL_REACH, _CAREFUL_CEILING = 0.1, 10.0, 0.3, 0.05, 1e4
# Rounding in dE/du, relative to its size and to the exponent of U.
_ROUNDING = 1e-14
# The range of a first potential, at most, as a share of the square of the length of the domain.
_REACH = 0.5
# The least share of mu that a Newton step aims at.
_CENTRING = 0.1


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
    careful : bool
        Whether two starts have failed already.
    values : array of shape (numbers, lanes)
        Data; NaN where there is none.
    """
    n, levels, lanes = mesh.n, mesh.levels, warm.size
    numbers = state.y.size // lanes
    for lane in range(lanes):
        mass, top = 0.0, 0.0
        for j in range(n):
            mass += mesh.wx[j] * density[j, lane]
            top = max(top, density[j, lane])
            work.end[j * lanes + lane] = density[j, lane]
        floor, mu = (_CAREFUL_FLOOR, _CAREFUL_MU) if careful else (_COLD_FLOOR, _COLD_MU)
        if warm[lane]:
            wrong = min(max(error[lane], _LEAST_ERROR), _MOST_ERROR)
            floor, mu = _FLOOR_OF_ERROR * wrong, wrong * wrong
        data.mass[lane], data.tol[lane], data.tightened[lane], data.careful[lane] = mass, flows.tol[lane], 0.0, careful
        data.centring[lane] = _CAREFUL_CENTRING if careful else _CENTRING
        data.size[lane] = _measure_with(mesh, flows, density, values, mass, lane, numbers, data)
        data.objective[lane], data.objective_size[lane] = objective(mesh, flows, data, work.end, lane, lanes)
        pull = _pull(mesh, flows, density, data, numbers, lane, lanes)
        highest = _bound_pressure(mesh, flows, data, pull, careful, lane)
        for j in range(n):
            u, i = density[j, lane], j * lanes + lane
            work.first[i] = max(u, floor * top)
            work.last[i] = max(2.0 * u - before[j, lane], floor * top) if warm[lane] else top if careful else work.first[i]
        for sublattice in range(mesh.sublattices):
            for start in (work.first, work.last):
                _keep_mass(mesh, density, start, lane, lanes, sublattice)
                if highest < top:
                    level_off(mesh, start, highest, lane, lanes, sublattice)
        work.start_mu[lane] = mu * _scales(mesh, flows, data, work, density, _SUPPORT * top, pull, careful, lane, lanes)
    _fill(mesh, flows, data, state, work, number)
    for j in range(n):
        for lane in range(lanes):
            data.initial[(j + 1) * levels * lanes + lane] = density[j, lane]


@kernel
def _fill(mesh: Mesh, flows: Flows, data: Data, state: State, work: Work, number: Any) -> None:
    """The unknowns of all cells from ``first`` and ``last``, from ``slope`` and from ``start_mu``."""
    n, levels, lanes = mesh.n, mesh.levels, work.start_mu.size
    for i in range((n + 1) * levels, mesh.cells):
        store(state.rho, i, as_number(1.0, number), number)
        store(state.s, i, as_number(1.0, number), number)
        store(state.phi, i, as_number(0.0, number), number)
    rho_, s, phi, mu = state.rho, state.s, state.phi, load(work.start_mu, 0, number)
    for j in range(n):
        start, end = load(work.first, j, number), load(work.last, j, number)
        potential = -load(work.slope, j, number)
        for k in range(levels):
            i, share = (j + 1) * levels + k, (k + 1) / levels
            rho = start * (1.0 - share) + end * share
            store(rho_, i, rho, number)
            store(s, i, mu / rho, number)
            store(phi, i, potential, number)
    state.y[:], state.slope[:] = 0.0, math.inf
    for lane in range(lanes):
        if flows.exponent[lane] > STIFF_EXPONENT:
            for j in range(n):
                i, last = j * lanes + lane, ((j + 2) * levels - 1) * lanes + lane
                state.t[i] = work.start_mu[lane] / (data.ceiling[lane] - state.rho[last])


@kernel
def _bound_pressure(mesh: Mesh, flows: Flows, data: Data, pull: float, careful: bool, lane: int) -> float:
    """The ceiling of the new density, for stiff powers; the density up to which a start may go."""
    tau, exponent, length = flows.tau[lane], flows.exponent[lane], mesh.dx * (mesh.n - 1)
    pressure = max(length**2, pull, 4.0 * tau * internal_slope(data.mass[lane] / length, exponent))
    highest = stiff_density(tau, exponent, pressure)
    ceiling = stiff_density(tau, exponent, (_CAREFUL_CEILING if careful else _CEILING) * pressure)
    data.ceiling[lane], data.pressed[lane], data.pairs[lane] = ceiling, math.inf, mesh.n * mesh.levels
    if exponent > STIFF_EXPONENT:
        data.pressed[lane] = ceiling - _PRESSED * (ceiling - highest)
        data.pairs[lane] += mesh.n
    return highest


@kernel
def _scales(
    mesh: Mesh,
    flows: Flows,
    data: Data,
    work: Work,
    density: Array,
    support: float,
    pull: float,
    careful: bool,
    lane: int,
    lanes: int,
) -> float:
    """The first potential, into ``slope``, and where ``mu`` and the rounding end; what ``mu`` begins with, at most."""
    n, length, exponent, mean = mesh.n, mesh.dx * (mesh.n - 1), flows.exponent[lane], 0.0
    for j in range(n):
        mean += density[j, lane] / n
        work.slope[j * lanes + lane] = _slope(flows, max(density[j, lane], support), j, lane, lanes)
    scale = max(min(_drive(mesh, density, work.slope, support, lane, lanes), length**2), _LEAST_SCALE * mesh.dx**2)
    data.mu[lane] = flows.tol[lane] * mean * scale
    least, largest, steepest = math.inf, -math.inf, 0.0
    for j in range(n):
        slope = _slope(flows, work.last[j * lanes + lane], j, lane, lanes)
        least, largest, steepest = min(least, slope), max(largest, slope), max(steepest, abs(slope))
        work.slope[j * lanes + lane] = slope
    data.rounding[lane] = _ROUNDING * data.mass[lane] * (max(exponent, 1.0) * steepest + pull)
    scale = max(scale, largest - least)
    reach = min(1.0, (_CAREFUL_REACH if careful else _REACH) * length**2 / scale)
    for sublattice in range(mesh.sublattices):
        total, count = 0.0, 0
        for j in range(sublattice, n, mesh.sublattices):
            total += work.slope[j * lanes + lane]
            count += 1
        level = total / count
        data.level[sublattice * lanes + lane] = level
        for j in range(sublattice, n, mesh.sublattices):
            i = j * lanes + lane
            work.slope[i] = reach * (work.slope[i] - level)
    return mean * scale


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
def _pull(mesh: Mesh, flows: Flows, density: Array, data: Data, numbers: int, lane: int, lanes: int) -> float:
    """The range of what potential and data add to ``tau dE/drho`` at the old density, at most."""
    lowest, highest, first = math.inf, -math.inf, 0.0
    for j in range(mesh.n):
        potential = flows.potential[j * lanes + lane]
        lowest, highest = min(lowest, potential), max(highest, potential)
        first += mesh.wx[j] * mesh.x[j] * density[j, lane]
    total = highest - lowest
    for o in range(numbers):
        at = o * lanes + lane
        lowest, highest, misfit = math.inf, -math.inf, -data.square[at] * first * first - data.value[at]
        for j in range(mesh.n):
            i = (o * mesh.nodes + j) * lanes + lane
            row = data.row[i] - 2.0 * data.square[at] * first * mesh.x[j]
            lowest, highest = min(lowest, row), max(highest, row)
            misfit += data.weighted_row[i] * density[j, lane]
        total += abs(misfit) / data.theta[at] * (highest - lowest)
    return float(flows.tau[lane] * total)


@kernel
def _keep_mass(mesh: Mesh, density: Array, start: Array, lane: int, lanes: int, sublattice: int) -> None:
    """Scale a density on one sublattice to the mass that the old density has there.

    A step keeps that mass, and a Newton step keeps what is linear: a start of the right mass has it for ever, however short
    the steps are.
    """
    wanted, found = 0.0, 0.0
    for j in range(sublattice, mesh.n, mesh.sublattices):
        wanted += mesh.wx[j] * density[j, lane]
        found += mesh.wx[j] * start[j * lanes + lane]
    if wanted > 0.0:
        for j in range(sublattice, mesh.n, mesh.sublattices):
            start[j * lanes + lane] *= wanted / found


@kernel
def _measure_with(
    mesh: Mesh, flows: Flows, density: Array, values: Array, mass: float, lane: int, numbers: int, data: Data
) -> float:
    """Rows, squares, values and weights of one problem's observations, as :mod:`.newton` defines them.

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
        for sublattice in range(mesh.sublattices):
            shift += _centre_row(mesh, density, data.row, o, lane, lanes, sublattice)
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
def _centre_row(mesh: Mesh, density: Array, row: Array, o: int, lane: int, lanes: int, sublattice: int) -> float:
    """Take the mean off the row of an observation on one sublattice; what that is of the measurement.

    The mass there is given, so that a constant measures nothing, and would only spoil the digits of the potential.
    """
    total, weight, mass = 0.0, 0.0, 0.0
    for j in range(sublattice, mesh.n, mesh.sublattices):
        total += mesh.wx[j] * row[(o * mesh.nodes + j) * lanes + lane]
        weight += mesh.wx[j]
        mass += mesh.wx[j] * density[j, lane]
    mean = total / weight
    for j in range(sublattice, mesh.n, mesh.sublattices):
        row[(o * mesh.nodes + j) * lanes + lane] -= mean
    return mean * mass
