r"""Optimality of one daJKO step: what a minimiser and its dual variable satisfy, and by how much a computed step fails to.

Nothing here depends on the solver; docs/mathematics.md, section 7, derives what is checked. With ``phi`` the multiplier of
the continuity equation, ``v`` its velocity, u the new density, and ``phi(1) = phi_K - w_K v_K^2 / 2``,

- *first-order condition*: ``phi(1) / tau + dE/du`` is constant on the support of u, with one constant for each sublattice of
  the grid, whose masses a step keeps one by one: the even and the odd nodes of centred differences;
- *Hamilton-Jacobi equation* of :mod:`dajko.transport`, on the support of ``rho_k``, again up to those constants;
- *velocity*: ``m = M v``;
- *continuity equation*;
- *duality gap*: the objective of a feasible path is at most this much above the least.

Divided by tau, the first two are in the units of ``dE/du``, velocities are those of the flow, and the gap is an energy.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from dajko.certify.duality import DualBound, dual_bound, feasible_path, potential_of
from dajko.energy.kernels import internal_slope
from dajko.grid import Array
from dajko.problem.problem import Path, Problem, Step
from dajko.status import Status
from dajko.transport import transport


@dataclass(frozen=True)
class Optimality:
    """How far a step is from satisfying the conditions of optimality; all 0 at a minimiser, NaN for a step that failed.

    Attributes
    ----------
    gap : float
        Duality gap divided by tau: the objective of :func:`.feasible_path`, over tau, is at most this much above the least
        one. Not negative, up to rounding.
    certified : bool
        Whether ``gap`` bounds the distance to the minimum of the step itself. Where the step is not convex it is that of the
        convex step that majorises it at the new density.
    spread : float
        Mean absolute deviation of ``phi(1) / tau + dE/du`` from its mean, weighted with the new density; on the sublattice
        where it is largest.
    hamilton_jacobi : float
        The same of ``(dphi/dt + v^2 / 2) / tau``, averaged over the sublattices and over the levels but the last, with the
        density as weight.
    velocity : float
        Root mean square of ``m / M - v``, divided by tau, with the density as weight.
    continuity : float
        L1 norm of the residual of the continuity equation, summed over artificial time, relative to the mass.
    """

    gap: float
    certified: bool
    spread: float
    hamilton_jacobi: float
    velocity: float
    continuity: float


# Of a step that failed.
UNKNOWN = Optimality(math.nan, False, math.nan, math.nan, math.nan, math.nan)
# Names under which studies store the attributes of Optimality.
STORED = {
    "optimality_gap": "gap",
    "gap_certified": "certified",
    "optimality_spread": "spread",
    "hamilton_jacobi": "hamilton_jacobi",
    "velocity_residual": "velocity",
    "continuity_residual": "continuity",
}


class OptimalityOverTime:
    """Optimality of the steps of a flow, each of shape ``(steps + 1,)``; NaN at the initial time and where it is unknown.

    Attributes
    ----------
    values : dict of array
        By the names under which studies store them.
    seconds : float
        Time that it took.
    """

    def __init__(self, steps: int) -> None:
        self.values = {name: np.full(steps + 1, np.nan) for name in STORED}
        self.seconds = 0.0

    def add(self, n: int, problem: Problem, step: Step) -> None:
        """Note the step that leads to time number ``n``."""
        started = time.perf_counter()
        found = optimality(problem, step)
        for name, attribute in STORED.items():
            self.values[name][n] = getattr(found, attribute)
        self.seconds += time.perf_counter() - started


@dataclass(frozen=True, eq=False)
class FirstOrder:
    """The first-order condition at the nodes, with both constants taken off.

    Attributes
    ----------
    potential : array of shape (points,)
        ``phi(1) / tau``.
    variation : array of shape (points,)
        ``dE/du``, less its constants: 0 = ``potential + variation`` on the support of a minimiser.
    """

    potential: Array
    variation: Array

    @property
    def residual(self) -> Array:
        """``phi(1) / tau + dE/du`` less its constants, shape ``(points,)``."""
        return self.potential + self.variation


def optimality(problem: Problem, step: Step) -> Optimality:
    """The conditions of optimality at what a solver returned for a problem.

    Parameters
    ----------
    problem : Problem
    step : Step
        Its potential may be None: one is then made from the path.
    """
    return UNKNOWN if step.status == Status.FAILED else of_path(problem, step.path, step.potential)


def of_path(problem: Problem, path: Path, potential: Array | None = None) -> Optimality:
    """The conditions of optimality at any path and potential.

    Parameters
    ----------
    problem : Problem
    path : Path
        Feasible or not; the gap is that of the nearby path of :func:`dajko.certify.duality.feasible_path`.
    potential : array of shape (nt, points), optional
        Multiplier of the continuity equation, see :attr:`dajko.solvers.Step.potential`; made from the path by default.
    """
    if not (np.isfinite(path.density).all() and np.isfinite(path.flux).all()):
        return UNKNOWN
    grid, tau, operators = problem.grid, problem.tau, transport(problem.grid)
    feasible = feasible_path(path, problem)
    bound = dual_bound(problem, feasible, potential)
    phi = potential_of(path, problem) if potential is None else potential
    density, m, v = np.maximum(path.density, 0.0), path.flux[1:], operators.velocity(phi)
    weight, moving = grid.wt[1:, None] * grid.wx * density[1:], operators.moving(density)
    apart = np.divide(m, moving, out=v.copy(), where=moving > 0.0) - v
    moved = grid.wt[1:, None] * operators.widths * moving
    own = [slice(i, None, grid.sublattices) for i in range(grid.sublattices)]
    slack = operators.slack(phi) / grid.wt[1:-1, None]
    missing = sum(_deviation(slack[:, part], weight[:-1, part]) for part in own)
    condition, shares = _first_order(problem, path.density[-1], phi, bound).residual, weight[-1]
    spreads = [float(_deviation(condition[part], shares[part]) / max(shares[part].sum(), 1e-300)) for part in own]
    residual = operators.residual(path.density, path.flux)
    return Optimality(
        gap=(problem.value(feasible) - bound.value) / tau,
        certified=bound.certified,
        spread=max(spreads),
        hamilton_jacobi=float(np.sum(missing)) / max(float(weight[:-1].sum()), 1e-300) / tau,
        velocity=math.sqrt(float(np.sum(moved * apart**2)) / max(float(moved.sum()), 1e-300)) / tau,
        continuity=float(np.abs(residual).sum() / grid.integrate(problem.initial)),
    )


def first_order(problem: Problem, path: Path, potential: Array | None = None) -> FirstOrder:
    """``phi(1) / tau`` and ``dE/du`` at the points of the grid, up to the constants of its sublattices.

    Parameters
    ----------
    problem : Problem
    path : Path
    potential : array of shape (nt, points), optional
        Made from the path by default.
    """
    phi = potential_of(path, problem) if potential is None else potential
    bound = dual_bound(problem, feasible_path(path, problem), potential)
    return _first_order(problem, path.density[-1], phi, bound)


def _first_order(problem: Problem, u: Array, phi: Array, bound: DualBound) -> FirstOrder:
    """The multipliers of the data are those of the dual bound: ``(B - v) / theta`` magnifies errors of B by 1 / theta."""
    slope = np.array([internal_slope(max(value, 0.0), problem.energy.exponent) for value in u])
    potential, variation = transport(problem.grid).final_potential(phi) / problem.tau, slope + bound.variation
    variation[u <= 0.0] = (bound.variation + np.where(np.isfinite(slope), slope, 0.0))[u <= 0.0]
    weight, step = problem.grid.wx * np.maximum(u, 0.0), problem.grid.sublattices
    for part in (slice(i, None, step) for i in range(step)):
        total = weight[part].sum()
        variation[part] -= weight[part] @ (potential + variation)[part] / total if total > 0.0 else 0.0
    return FirstOrder(potential, variation)


def _deviation(values: Array, weight: Array) -> Array:
    """``sum weight |values - mean|`` over the last axis."""
    total = np.maximum(weight.sum(axis=-1, keepdims=True), 1e-300)
    mean = np.sum(weight * values, axis=-1, keepdims=True) / total
    return np.asarray(np.sum(weight * np.abs(values - mean), axis=-1))
