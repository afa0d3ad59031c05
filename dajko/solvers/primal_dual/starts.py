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

from dajko._numba import inline_kernel
from dajko.energy.internal import STIFF_EXPONENT
from dajko.energy.kernels import internal_slope
from dajko.grid import Array
from dajko.lanes import as_number, lane_count, load, maximum, minimum, store, where_above
from dajko.observation import LINEAR, MEAN, VARIANCE
from dajko.solvers.primal_dual.energies import internal_slopes_in_lanes
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


@inline_kernel
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
    n, levels, lanes = mesh.n, mesh.levels, lane_count(number)
    mass, top = as_number(0.0, number), as_number(0.0, number)
    for j in range(n):
        u = load(density, j, number)
        mass += mesh.wx[j] * u
        top = maximum(top, u)
        store(work.end, j, u, number)
    store(data.mass, 0, mass, number)
    store(work.each.top, 0, top, number)
    for lane in range(lanes):
        floor, mu = (_CAREFUL_FLOOR, _CAREFUL_MU) if careful else (_COLD_FLOOR, _COLD_MU)
        if warm[lane]:
            wrong = min(max(error[lane], _LEAST_ERROR), _MOST_ERROR)
            floor, mu = _FLOOR_OF_ERROR * wrong, wrong * wrong
        work.each.warm[lane], work.each.floor[lane], work.each.start_mu[lane] = warm[lane], floor * work.each.top[lane], mu
        data.tol[lane], data.tightened[lane], data.careful[lane] = flows.tol[lane], 0.0, careful
        data.centring[lane] = _CAREFUL_CENTRING if careful else _CENTRING
    _measure_with(mesh, flows, values, data, work, number)
    reached, size = objective(mesh, flows, data, work.numbers, work.end, work.slope, number)
    store(data.objective, 0, reached, number)
    store(data.objective_size, 0, size, number)
    _pull(mesh, flows, data, work, number)
    warmth, half, floor = load(work.each.warm, 0, number), as_number(0.5, number), load(work.each.floor, 0, number)
    for j in range(n):
        u = load(density, j, number)
        first = maximum(u, floor)
        store(work.first, j, first, number)
        ahead = maximum(2.0 * u - load(before, j, number), floor)
        store(work.last, j, where_above(warmth, half, ahead, top if careful else first), number)
    for sublattice in range(mesh.sublattices):
        for start in (work.first, work.last):
            _keep_mass(mesh, work.end, start, sublattice, number)
    for lane in range(lanes):
        highest = _bound_pressure(mesh, flows, data, work.each.strength[lane], careful, lane)
        if highest < work.each.top[lane]:
            for sublattice in range(mesh.sublattices):
                for start in (work.first, work.last):
                    level_off(mesh, start, highest, lane, lanes, sublattice)
    _scales(mesh, flows, data, work, careful, number)
    _fill(mesh, flows, data, state, work, number)
    for j in range(n):
        store(data.initial, (j + 1) * levels, load(density, j, number), number)


@inline_kernel
def _fill(mesh: Mesh, flows: Flows, data: Data, state: State, work: Work, number: Any) -> None:
    """The unknowns of all cells from ``first`` and ``last``, from ``slope`` and from ``start_mu``."""
    n, levels, lanes = mesh.n, mesh.levels, lane_count(number)
    for i in range((n + 1) * levels, mesh.cells):
        store(state.rho, i, as_number(1.0, number), number)
        store(state.s, i, as_number(1.0, number), number)
        store(state.phi, i, as_number(0.0, number), number)
    rho_, s, phi, mu = state.rho, state.s, state.phi, load(work.each.start_mu, 0, number)
    for j in range(n):
        start, end = load(work.first, j, number), load(work.last, j, number)
        potential = -load(work.slope, j, number)
        for k in range(levels):
            i, share = (j + 1) * levels + k, (k + 1) / levels
            rho = start * (1.0 - share) + end * share
            store(rho_, i, rho, number)
            store(s, i, mu / rho, number)
            store(phi, i, potential, number)
    for o in range(work.numbers):
        store(state.y, o, as_number(0.0, number), number)
    for lane in range(lanes):
        if flows.exponent[lane] > STIFF_EXPONENT:
            for j in range(n):
                i, last = j * lanes + lane, ((j + 2) * levels - 1) * lanes + lane
                state.slope[i] = math.inf
                state.t[i] = work.each.start_mu[lane] / (data.ceiling[lane] - state.rho[last])


@inline_kernel
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


@inline_kernel
def _scales(mesh: Mesh, flows: Flows, data: Data, work: Work, careful: bool, number: Any) -> None:
    """The first potential, into ``slope``; where ``mu`` and the rounding end, and what ``mu`` begins with."""
    n, length, lanes = mesh.n, mesh.dx * (mesh.n - 1), lane_count(number)
    mean, support = as_number(0.0, number), _SUPPORT * load(work.each.top, 0, number)
    for j in range(n):
        u = load(work.end, j, number)
        mean += u / float(n)
        store(work.u, j, maximum(u, support), number)
    _slopes(mesh, flows, work.u, work.slope, number)
    store(work.each.drive, 0, _drive(mesh, work, support, number), number)
    _slopes(mesh, flows, work.last, work.slope, number)
    least, largest, steepest = as_number(math.inf, number), as_number(-math.inf, number), as_number(0.0, number)
    for j in range(n):
        slope = load(work.slope, j, number)
        least, largest, steepest = minimum(least, slope), maximum(largest, slope), maximum(steepest, abs(slope))
    store(work.each.mean, 0, mean, number)
    store(work.each.range, 0, largest - least, number)
    store(work.each.steepest, 0, steepest, number)
    for lane in range(lanes):
        scale = max(min(work.each.drive[lane], length**2), _LEAST_SCALE * mesh.dx**2)
        data.mu[lane] = flows.tol[lane] * work.each.mean[lane] * scale
        size = max(flows.exponent[lane], 1.0) * work.each.steepest[lane] + work.each.strength[lane]
        data.rounding[lane] = _ROUNDING * data.mass[lane] * size
        scale = max(scale, work.each.range[lane])
        work.each.start_mu[lane] *= work.each.mean[lane] * scale
        work.each.reach[lane] = min(1.0, (_CAREFUL_REACH if careful else _REACH) * length**2 / scale)
    reach = load(work.each.reach, 0, number)
    for sublattice in range(mesh.sublattices):
        total, count = as_number(0.0, number), 0
        for j in range(sublattice, n, mesh.sublattices):
            total += load(work.slope, j, number)
            count += 1
        level = total / float(count)
        store(data.level, sublattice, level, number)
        for j in range(sublattice, n, mesh.sublattices):
            store(work.slope, j, reach * (load(work.slope, j, number) - level), number)


@inline_kernel
def _slopes(mesh: Mesh, flows: Flows, u: Array, slope: Array, number: Any) -> None:
    """``tau dE/drho`` of a density, without data, into ``slope``."""
    internal_slopes_in_lanes(u, flows.exponent, mesh.n, slope, number)
    tau, stiffness = load(flows.tau, 0, number), load(flows.stiffness, 0, number)
    for j in range(mesh.n):
        pulled = load(slope, j, number) + stiffness * load(u, j, number) + load(flows.potential, j, number)
        store(slope, j, tau * pulled, number)


@inline_kernel
def _drive(mesh: Mesh, work: Work, support: Any, number: Any) -> Any:
    """The range of ``tau dE/drho``, which is ``slope``, over the support, and over what lies beside it and below it."""
    lowest, highest = as_number(math.inf, number), as_number(-math.inf, number)
    for j in range(mesh.n):
        u, here = load(work.end, j, number), load(work.slope, j, number)
        beside = here
        for near in range(max(j - 2, 0), min(j + 3, mesh.n)):
            beside = minimum(beside, load(work.slope, near, number))
        highest = where_above(u, support, maximum(highest, here), highest)
        lowest = where_above(u, support, minimum(lowest, beside), lowest)
    return highest - lowest


@inline_kernel
def _pull(mesh: Mesh, flows: Flows, data: Data, work: Work, number: Any) -> None:
    """The range of what potential and data add to ``tau dE/drho`` at the old density, at most, into ``strength``."""
    numbers = work.numbers
    lowest, highest = as_number(math.inf, number), as_number(-math.inf, number)
    first = as_number(0.0, number)
    for j in range(mesh.n):
        potential = load(flows.potential, j, number)
        lowest, highest = minimum(lowest, potential), maximum(highest, potential)
        first += mesh.wx[j] * mesh.x[j] * load(work.end, j, number)
    total = highest - lowest
    for o in range(numbers):
        square = load(data.square, o, number)
        lowest, highest = as_number(math.inf, number), as_number(-math.inf, number)
        misfit = -square * first * first - load(data.value, o, number)
        bent = 2.0 * square * first
        for j in range(mesh.n):
            i = o * mesh.nodes + j
            row = load(data.row, i, number) - bent * mesh.x[j]
            lowest, highest = minimum(lowest, row), maximum(highest, row)
            misfit += load(data.weighted_row, i, number) * load(work.end, j, number)
        total += abs(misfit) / load(data.theta, o, number) * (highest - lowest)
    store(work.each.strength, 0, load(flows.tau, 0, number) * total, number)


@inline_kernel
def _keep_mass(mesh: Mesh, density: Array, start: Array, sublattice: int, number: Any) -> None:
    """Scale a density on one sublattice to the mass that the old density has there.

    A step keeps that mass, and a Newton step keeps what is linear: a start of the right mass has it for ever, however short
    the steps are.
    """
    wanted, found = as_number(0.0, number), as_number(0.0, number)
    for j in range(sublattice, mesh.n, mesh.sublattices):
        wanted += mesh.wx[j] * load(density, j, number)
        found += mesh.wx[j] * load(start, j, number)
    one = as_number(1.0, number)
    factor = where_above(wanted, as_number(0.0, number), wanted / found, one)
    for j in range(sublattice, mesh.n, mesh.sublattices):
        store(start, j, load(start, j, number) * factor, number)


@inline_kernel
def _measure_with(mesh: Mesh, flows: Flows, values: Array, data: Data, work: Work, number: Any) -> None:
    """Rows, squares, values and weights of the observations, as :mod:`.newton` defines them.

    A step without data has rows and values 0, so that ``y`` stays 0. ``size`` becomes what rounding in the observations is
    relative to.
    """
    n, nodes, center, lanes = mesh.n, mesh.nodes, mesh.center, lane_count(number)
    mass, size, zero = load(data.mass, 0, number), as_number(2.2250738585072014e-308, number), as_number(0.0, number)
    for o in range(work.numbers):
        kind = flows.kind[o]
        for lane in range(lanes):
            work.each.present[lane] = 0.0 if math.isnan(values[o, lane]) else 1.0
        present = load(work.each.present, 0, number)
        linear, quadratic, square, shift = zero, zero, zero, zero
        if kind == VARIANCE:
            # (5.7) = int x^2 u - (2 - M) B1^2 with moments about the origin, B1 = b + center M
            linear = 2.0 * center * (1.0 - (2.0 - mass) * mass)
            square, shift = 2.0 - mass, center**2 * mass * (1.0 - (2.0 - mass) * mass)
            quadratic = as_number(1.0, number)
        elif kind == MEAN:
            linear, shift = 1.0 / mass, as_number(center, number)
        elif kind != LINEAR:
            quadratic, square = 1.0 / mass, 1.0 / (mass * mass)
        for j in range(n):
            at = o * nodes + j
            row = mesh.x[j] * (linear + mesh.x[j] * quadratic)
            if kind == LINEAR:
                row = load(flows.footprint, at, number)
            store(data.row, at, present * row, number)
        for sublattice in range(mesh.sublattices):
            shift += _centre_row(mesh, work.end, data.row, o, sublattice, number)
        for j in range(n):
            at = o * nodes + j
            row = load(data.row, at, number)
            store(data.weighted_row, at, mesh.wx[j] * row, number)
            size += mesh.wx[j] * abs(row) * load(work.end, j, number)
        store(data.square, o, present * square, number)
        store(data.value, o, shift, number)
        for lane in range(lanes):
            at = o * lanes + lane
            missing = work.each.present[lane] == 0.0
            data.value[at] = 0.0 if missing else values[o, lane] - data.value[at]
            data.theta[at] = 1.0 if missing else flows.theta[lane]
        size += abs(load(data.value, o, number))
    store(data.size, 0, size, number)


@inline_kernel
def _centre_row(mesh: Mesh, density: Array, row: Array, o: int, sublattice: int, number: Any) -> Any:
    """Take the mean off the row of an observation on one sublattice; what that is of the measurement.

    The mass there is given, so that a constant measures nothing, and would only spoil the digits of the potential.
    """
    total, mass, weight = as_number(0.0, number), as_number(0.0, number), 0.0
    for j in range(sublattice, mesh.n, mesh.sublattices):
        total += mesh.wx[j] * load(row, o * mesh.nodes + j, number)
        mass += mesh.wx[j] * load(density, j, number)
        weight += mesh.wx[j]
    mean = total / weight
    for j in range(sublattice, mesh.n, mesh.sublattices):
        at = o * mesh.nodes + j
        store(row, at, load(row, at, number) - mean, number)
    return mean * mass
