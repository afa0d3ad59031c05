"""Powers ``u^m`` with a large m, in ``interior_point``: what keeps Newton's method from being thrown off by them.

Beyond the density at which the pressure can push no farther, ``U'`` grows without measure: one Newton step may meet a slope
of any size. Two things help, and change no minimiser:

- *a ceiling*: a bound ``rho <= c`` at the last level, with ``tau U'(c)`` far above what a pressure may be, and a multiplier
  t, ``(c - rho) t = mu``, that keeps densities away from it, as s keeps them away from 0;
- *the slope as an unknown*: where the density grows, ``log slope = log U'(rho)`` is linearised in the place of ``slope =
  U'(rho)``. Where it falls, U' is convex and Newton's method safe.

A pressure is bounded, because nothing moves farther than the length L of the domain: potentials differ by ``L^2`` at most,
and by what V and the data add.
"""

from __future__ import annotations

import math
from typing import Any

from dajko._numba import inline_kernel
from dajko.energy.internal import STIFF_EXPONENT
from dajko.grid import Array
from dajko.lanes import lane_count, store
from dajko.solvers.primal_dual.layout import Data, Flows, Mesh, State, Work

# A slope of a stiff power, times tau, that is small beside the square of the domain's length.
_LITTLE = 1e-6


@inline_kernel
def stiff_slope(
    mesh: Mesh, flows: Flows, data: Data, state: State, work: Work, slope: float, bend: float, j: int, lane: int, lanes: int
) -> tuple[float, float]:
    """``U'`` and ``U''`` of a stiff power at a node for the next Newton step.

    Where the density has grown, ``U'`` may have outgrown its linearisation by any factor. The slope is then an unknown of
    its own, with the equation ``log slope = log U'``; its linearisation takes the place of ``U'``.
    """
    i, exponent = j * lanes + lane, flows.exponent[lane]
    u, length = work.u[i], mesh.dx * (mesh.n - 1)
    predicted = max(state.slope[i], _LITTLE * length**2 / flows.tau[lane])
    below, t = data.ceiling[lane] - u, state.t[i] / flows.tau[lane]
    work.each.bounded[lane] += below * state.t[i]
    if u > data.pressed[lane]:
        work.each.wrong[lane] += mesh.wx[j] * u * slope
    work.lag[i] = 0.0
    if slope <= predicted:
        state.slope[i] = slope
        return slope + t, bend + t / below
    lag = math.log(exponent / (exponent - 1.0)) + (exponent - 1.0) * math.log(u) - math.log(predicted)
    state.slope[i], work.lag[i] = predicted, lag
    work.each.wrong[lane] += mesh.wx[j] * u * (slope - predicted * (1.0 + lag))
    return predicted * (1.0 + lag) + t, predicted * (exponent - 1.0) / u + t / below


@inline_kernel
def aim_below_ceiling(mesh: Mesh, flows: Flows, data: Data, state: State, work: Work, aim: Any, number: Any) -> None:
    """Put into ``R1`` what brings the multipliers of the ceiling to where the next step aims."""
    store(work.each.aim, 0, aim, number)
    lanes = lane_count(number)
    for lane in range(lanes):
        if flows.exponent[lane] > STIFF_EXPONENT:
            for j in range(mesh.n):
                i, last = j * lanes + lane, ((j + 2) * mesh.levels - 1) * lanes + lane
                work.r[last] += work.each.aim[lane] / (data.ceiling[lane] - work.u[i]) - state.t[i]


@inline_kernel
def falls_of_ceiling(mesh: Mesh, flows: Flows, data: Data, state: State, work: Work, number: Any) -> None:
    """The changes of the multipliers, and by how much these and ``ceiling - rho`` decrease relative to themselves, at most.

    Both have a positive floor, because they are divisors.
    """
    lanes = lane_count(number)
    for lane in range(lanes):
        work.each.fall_rho[lane], work.each.fall_t[lane] = 1e-300, 1e-300
        if flows.exponent[lane] > STIFF_EXPONENT:
            for j in range(mesh.n):
                i, last = j * lanes + lane, ((j + 2) * mesh.levels - 1) * lanes + lane
                below, t = data.ceiling[lane] - work.u[i], state.t[i]
                relative = work.q[last] / below
                work.d_t[i] = work.each.aim[lane] / below - t + t * relative
                work.each.fall_rho[lane] = max(work.each.fall_rho[lane], relative)
                work.each.fall_t[lane] = max(work.each.fall_t[lane], -work.d_t[i] / t)


@inline_kernel
def advance_stiff(mesh: Mesh, flows: Flows, state: State, work: Work, step_rho: Any, step_t: Any, number: Any) -> None:
    """The multipliers of the ceiling after a step, and the slopes of stiff powers as the linearisation has them.

    A slope that falls becomes that of its density.
    """
    store(work.each.step_rho, 0, step_rho, number)
    store(work.each.step_t, 0, step_t, number)
    lanes = lane_count(number)
    for lane in range(lanes):
        if flows.exponent[lane] > STIFF_EXPONENT:
            for j in range(mesh.n):
                i, last = j * lanes + lane, ((j + 2) * mesh.levels - 1) * lanes + lane
                growth = work.lag[i] + (flows.exponent[lane] - 1.0) * work.q[last] * work.inverse[last]
                growth *= work.each.step_rho[lane]
                state.slope[i] = state.slope[i] * (1.0 + growth) if growth > 0.0 else math.inf
                state.t[i] += work.each.step_t[lane] * work.d_t[i]


@inline_kernel
def stiff_density(tau: float, exponent: float, pressure: float) -> float:
    """The density whose ``tau U'`` is a given number, for powers so stiff that Newton's method needs a bound; else infinite.

    Potentials differ by the square of the domain's length at most, since nothing moves farther than that.
    """
    if exponent <= STIFF_EXPONENT:
        return math.inf
    highest: float = math.exp(math.log(pressure * (exponent - 1.0) / (tau * exponent)) / (exponent - 1.0))
    return highest


@inline_kernel
def level_off(mesh: Mesh, start: Array, highest: float, lane: int, lanes: int, sublattice: int) -> None:
    """Fill what stands above a density into what lies below it, on one sublattice."""
    above, below = 0.0, 0.0
    for j in range(sublattice, mesh.n, mesh.sublattices):
        above += mesh.wx[j] * max(start[j * lanes + lane] - highest, 0.0)
        below += mesh.wx[j] * max(highest - start[j * lanes + lane], 0.0)
    share = above / below if below > 0.0 else 1.0
    for j in range(sublattice, mesh.n, mesh.sublattices):
        u = start[j * lanes + lane]
        start[j * lanes + lane] = min(u, highest) + share * max(highest - u, 0.0)
