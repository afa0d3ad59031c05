r"""Optimality of one daJKO step: what a minimiser and its dual variable satisfy, and by how much a computed step fails to.

Nothing here depends on the solver; docs/mathematics.md, section 7, derives what is checked. With ``phi`` the multiplier of
the continuity equation, ``v`` its velocity, u the new density, and ``phi(1) = phi_K - w_K v_K^2 / 2``,

- *first-order condition*: ``phi(1) / tau + dE/du`` is constant on the support of u, with one constant for the even and one
  for the odd nodes, because centred differences keep their masses apart;
- *Hamilton-Jacobi equation*: ``(phi_{k+1} - phi_k) / w_k + v_k^2 / 2`` is 0 on the support of ``rho_k``, and at most 0
  elsewhere, again up to two constants for each level;
- *velocity*: ``m = rho v``;
- *continuity*: (4.3)-(4.5);
- *duality gap*: the objective of a feasible path is at most this much above the least.

Divided by tau, the first two are in the units of ``dE/du``, velocities are those of the flow, and the gap is an energy.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from dajko.certify.duality import DualBound, dual_bound, feasible_path, final_potential, potential_of, slack, velocity
from dajko.energy.kernels import internal_slope
from dajko.grid import Array
from dajko.problem.problem import Path, Problem, Step
from dajko.status import Status


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
    spread_even, spread_odd : float
        Mean absolute deviation of ``phi(1) / tau + dE/du`` from its mean, over the even and the odd nodes, weighted with the
        new density.
    hamilton_jacobi : float
        The same of ``(dphi/dt + v^2 / 2) / tau`` over the nodes of either class, averaged over both and over the levels but
        the last, with the density as weight.
    velocity : float
        Root mean square of ``m / rho - v``, divided by tau, with the density as weight.
    continuity : float
        L1 norm of the residual of the continuity equation, summed over artificial time, relative to the mass.
    """

    gap: float
    certified: bool
    spread_even: float
    spread_odd: float
    hamilton_jacobi: float
    velocity: float
    continuity: float

    @property
    def spread(self) -> float:
        """The larger one of the spreads on even and on odd nodes."""
        return max(self.spread_even, self.spread_odd)


# Of a step that failed.
UNKNOWN = Optimality(math.nan, False, math.nan, math.nan, math.nan, math.nan, math.nan)
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
    potential : array of shape (nx + 1,)
        ``phi(1) / tau``.
    variation : array of shape (nx + 1,)
        ``dE/du``, less its constants: 0 = ``potential + variation`` on the support of a minimiser.
    """

    potential: Array
    variation: Array

    @property
    def residual(self) -> Array:
        """``phi(1) / tau + dE/du`` less its constants, shape ``(nx + 1,)``."""
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
    potential : array of shape (nt, nx + 1), optional
        Multiplier of the continuity equation, see :attr:`dajko.solvers.Step.potential`; made from the path by default.
    """
    if not (np.isfinite(path.density).all() and np.isfinite(path.flux).all()):
        return UNKNOWN
    grid, tau = problem.grid, problem.tau
    feasible = feasible_path(path, problem)
    bound = dual_bound(problem, feasible, potential)
    phi = potential_of(path, problem) if potential is None else potential
    rho, m = np.maximum(path.density[1:], 0.0), path.flux[1:]
    weight = grid.wt[1:, None] * grid.wx * rho
    v = velocity(phi, grid)
    apart = np.divide(m, rho, out=v.copy(), where=rho > 0.0) - v
    missing = sum(_deviation(slack(phi, grid)[:, i::2], weight[:-1, i::2]) for i in (0, 1))
    condition, shares = _first_order(problem, path.density[-1], phi, bound).residual, weight[-1]
    even, odd = (float(_deviation(condition[i::2], shares[i::2]) / max(shares[i::2].sum(), 1e-300)) for i in (0, 1))
    return Optimality(
        gap=(problem.value(feasible) - bound.value) / tau,
        certified=bound.certified,
        spread_even=even,
        spread_odd=odd,
        hamilton_jacobi=float(np.sum(missing)) / max(float(weight[:-1].sum()), 1e-300) / tau,
        velocity=math.sqrt(float(np.sum(weight * apart**2) / weight.sum())) / tau,
        continuity=_continuity(path, problem),
    )


def first_order(problem: Problem, path: Path, potential: Array | None = None) -> FirstOrder:
    """``phi(1) / tau`` and ``dE/du`` at the nodes, up to the constants of even and odd nodes.

    Parameters
    ----------
    problem : Problem
    path : Path
    potential : array of shape (nt, nx + 1), optional
        Made from the path by default.
    """
    phi = potential_of(path, problem) if potential is None else potential
    bound = dual_bound(problem, feasible_path(path, problem), potential)
    return _first_order(problem, path.density[-1], phi, bound)


def _first_order(problem: Problem, u: Array, phi: Array, bound: DualBound) -> FirstOrder:
    """The multipliers of the data are those of the dual bound: ``(B - v) / theta`` magnifies errors of B by 1 / theta."""
    slope = np.array([internal_slope(max(value, 0.0), problem.energy.exponent) for value in u])
    potential, variation = final_potential(phi, problem.grid) / problem.tau, slope + bound.variation
    variation[u <= 0.0] = (bound.variation + np.where(np.isfinite(slope), slope, 0.0))[u <= 0.0]
    weight = problem.grid.wx * np.maximum(u, 0.0)
    for i in (0, 1):
        total = weight[i::2].sum()
        variation[i::2] -= weight[i::2] @ (potential + variation)[i::2] / total if total > 0.0 else 0.0
    return FirstOrder(potential, variation)


def _deviation(values: Array, weight: Array) -> Array:
    """``sum weight |values - mean|`` over the last axis."""
    total = np.maximum(weight.sum(axis=-1, keepdims=True), 1e-300)
    mean = np.sum(weight * values, axis=-1, keepdims=True) / total
    return np.asarray(np.sum(weight * np.abs(values - mean), axis=-1))


def _continuity(path: Path, problem: Problem) -> float:
    grid, rho, m = problem.grid, path.density, path.flux[1:]
    residual = grid.wx * np.diff(rho, axis=0)
    residual[:, 1:-1] += 0.5 * grid.dt * (m[:, 2:] - m[:, :-2])
    residual[:, 0] += 0.5 * grid.dt * (m[:, 1] - m[:, 0])
    residual[:, -1] += 0.5 * grid.dt * (m[:, -1] - m[:, -2])
    return float(np.abs(residual).sum() / grid.integrate(problem.initial))
