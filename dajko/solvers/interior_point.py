"""``interior_point``: the daJKO step by a primal-dual interior point method; mathematics in :mod:`dajko.solvers.newton`.

A step takes three to five Newton iterations once a flow runs, ten to twenty from a cold start. Many steps on one grid are
solved together, eight at a time (:meth:`InteriorPoint.solve_many`); a step solved alone gives the same result, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dajko.errors import InputError
from dajko.grid import Array
from dajko.observation import LINEAR, MEAN, VARIANCE
from dajko.solvers.lanes import LANES, PLAIN, WIDTH
from dajko.solvers.layout import Data, Mesh, Progress, State, work_space
from dajko.solvers.newton import iterate
from dajko.solvers.problem import Path, Problem, Status, Step


class _Start(NamedTuple):
    """How a solve begins: bold, close to a good guess, or cautious."""

    floor: float  # distance from vacuum, as a share of the largest density
    mu: float  # mean of rho s, as a share of the scale that the tolerance refers to
    centring: float  # least share of mu that a Newton step aims at


# A flow that runs extrapolates its last two densities; what that guess cannot do in so many iterations begins again, cold.
_WARM, _WARM_ITERATIONS = _Start(floor=0.014, mu=1e-3, centring=0.01), 25
_COLD = _Start(floor=0.3, mu=1.0, centring=0.1)
# Bounds of the stopping rule, see dajko.solvers.newton.iterate.
_SLACK = np.array([10.0, 1e-6, 1e-10, 1e-8])


@dataclass(frozen=True)
class InteriorPoint:
    """Solver options of the interior point method.

    Parameters
    ----------
    tol : float
        The complementarity ``mean(rho s)`` at the end, relative to ``mean(rho) * (range of tau dF/du)`` of the old density.
        The L1 error of the density is about five times the mass times this.
    max_iterations : int
        Newton iterations.

    Raises
    ------
    InputError
        If an option is out of its range.
    """

    tol: float = 1e-5
    max_iterations: int = 80

    def __post_init__(self) -> None:
        if not (math.isfinite(self.tol) and 0 < self.tol < 1):
            raise InputError(f"solver.tol must be greater than 0 and less than 1, got {self.tol}")
        if int(self.max_iterations) != self.max_iterations or self.max_iterations < 1:
            raise InputError(f"solver.max_iterations must be a whole number of at least 1, got {self.max_iterations}")

    def solve(self, problem: Problem, warm_start: Array | None = None) -> Step:
        """Solve one daJKO step.

        Parameters
        ----------
        problem : Problem
        warm_start : array of shape (nx + 1,), optional
            The density before the old one: :attr:`Step.warm_start` of the previous step.
        """
        return self._solve([problem], [warm_start], PLAIN)[0]

    def solve_many(self, problems: Sequence[Problem], warm_starts: Sequence[Array | None]) -> list[Step]:
        """Solve many steps on one grid, whose data have the same size, together.

        Parameters
        ----------
        problems : sequence of Problem
        warm_starts : sequence of arrays of shape (nx + 1,) or None
        """
        steps = []
        for first in range(0, len(problems), WIDTH):
            chosen, starts = list(problems[first : first + WIDTH]), list(warm_starts[first : first + WIDTH])
            empty = WIDTH - len(chosen)
            steps += self._solve(chosen + chosen[-1:] * empty, starts + starts[-1:] * empty, LANES)[: len(chosen)]
        return steps

    def _solve(self, problems: list[Problem], warm_starts: list[Array | None], number: Any) -> list[Step]:
        warm = [before is not None for before in warm_starts]
        limit = min(_WARM_ITERATIONS, self.max_iterations) if any(warm) else self.max_iterations
        steps = _newton(problems, warm_starts, self.tol, limit, number)
        if any(warm) and not all(step.converged for step in steps):
            again = _newton(problems, [None] * len(problems), self.tol, self.max_iterations, number)
            steps = [step if step.converged else other for step, other in zip(steps, again, strict=True)]
        return steps


def _newton(
    problems: list[Problem], warm_starts: list[Array | None], tol: float, max_iterations: int, number: Any
) -> list[Step]:
    """Solve the problems together, each from its start, in at most so many iterations."""
    grid = problems[0].grid
    n, levels, lanes = grid.nx + 1, grid.nt, len(problems)
    mesh = Mesh(grid.x - 0.5 * (grid.left + grid.right), grid.wx, grid.wt[1:].copy(), grid.dx, grid.dt)
    rho, phi, scale = _start(problems, warm_starts)
    begin = [_COLD if before is None else _WARM for before in warm_starts]
    row, square, value, theta = _observations(problems)
    data = Data(
        tau=np.array([p.tau for p in problems], dtype=np.float64),
        exponent=np.array([p.energy.exponent for p in problems]),
        potential=_flat([p.objective.potential for p in problems]),
        initial=_flat([p.initial for p in problems]),
        row=_flat(row),
        square=_flat(square),
        value=_flat(value),
        theta=_flat(theta),
        mu=tol * scale,
        centring=np.array([b.centring for b in begin]),
        mass=np.array([float(grid.integrate(p.initial)) for p in problems]),
        size=_measured_size(problems, row, value),
    )
    mu = np.array([b.mu for b in begin]) * scale
    state = State(_flat(rho), _flat(mu[:, None, None] / rho), _flat(phi), np.zeros(value.shape[1] * lanes))
    columns = value.shape[1] + int(np.any(square != 0.0))
    progress = Progress(np.ones(lanes), *(np.zeros(lanes) for _ in range(6)))
    iterate(
        mesh,
        data,
        state,
        work_space(n, levels, columns, lanes),
        progress,
        _SLACK,
        max_iterations,
        number,
    )
    densities = np.moveaxis(state.rho.reshape(n, levels, lanes), -1, 0)
    potentials = np.moveaxis(state.phi.reshape(n, levels, lanes), -1, 0)
    return [_step(p, densities[i], potentials[i], progress, data, i, tol) for i, p in enumerate(problems)]


def _step(p: Problem, rho: Array, phi: Array, progress: Progress, data: Data, lane: int, tol: float) -> Step:
    grid = p.grid
    density = np.concatenate([p.initial[None], rho.T])
    flux = np.zeros_like(density)
    flux[1:, 1:-1] = (grid.dt / (2.0 * grid.dx) / grid.wt[1:])[:, None] * (phi[2:] - phi[:-2]).T * rho[1:-1].T
    relative = {
        "complementarity": progress.mu[lane] / (1.5 * data.mu[lane]),
        "stationarity": progress.stationarity[lane] / (_SLACK[0] * data.mu[lane] * grid.dx * (grid.nx + 1)),
        "continuity": progress.continuity[lane] / (_SLACK[1] * data.mass[lane]),
        "mass": progress.mass[lane] / (_SLACK[2] * data.mass[lane]),
        "data": progress.data[lane] / (_SLACK[3] * data.size[lane]),
    }
    residual = tol * float(max(relative.values()))
    if not (math.isfinite(residual) and np.isfinite(density).all()):
        status = Status.FAILED
    else:
        status = Status.NOT_CONVERGED if progress.active[lane] else Status.CONVERGED
    iterations = int(progress.iterations[lane])
    return Step(
        path=Path(density, flux),
        status=status,
        iterations=iterations,
        residuals={name: tol * float(value) for name, value in relative.items()},
        residual=residual,
        message=f"interior_point, {iterations} iterations: {status.message}",
        warm_start=p.initial,
    )


def _start(problems: list[Problem], warm_starts: list[Array | None]) -> tuple[Array, Array, Array]:
    """Densities and potentials to start from, shape ``(problems, nx + 1, nt)``, and the scale of rho s.

    A large floor under the density halves the number of iterations. The densities are linear in artificial time.
    """
    grid = problems[0].grid
    share = np.arange(1, grid.nt + 1) / grid.nt
    rho, phi, scale = [], [], []
    for p, before in zip(problems, warm_starts, strict=True):
        u, top = p.initial, p.initial.max()
        if before is None:
            first = last = np.maximum(u, _COLD.floor * top)
        else:
            first, last = np.maximum(u, _WARM.floor * top), np.maximum(2.0 * u - before, _WARM.floor * top)
        slope = p.tau * p.energy.first_variation(last, grid)
        rho.append(first[:, None] * (1.0 - share) + last[:, None] * share)
        phi.append(np.repeat(-slope[:, None], grid.nt, axis=1))
        scale.append(u.mean() * max(np.ptp(slope), grid.dx**2))
    return np.array(rho), np.array(phi), np.array(scale)


def _observations(problems: list[Problem]) -> tuple[Array, Array, Array, Array]:
    """Rows, squares, values and weights of the observations as :mod:`dajko.solvers.newton` defines them.

    A problem without data among others with data has rows and values 0, so that its ``y`` stays 0.
    """
    numbers = max(p.objective.data.size for p in problems)
    grid = problems[0].grid
    row = np.zeros((len(problems), numbers, grid.nx + 1))
    square, value = np.zeros((len(problems), numbers)), np.zeros((len(problems), numbers))
    theta = np.ones((len(problems), numbers))
    center = 0.5 * (grid.left + grid.right)
    x = grid.x - center
    for i, p in enumerate(problems):
        objective, mass = p.objective, float(grid.integrate(p.initial))
        for o in range(objective.data.size):
            kind, shift = objective.operator.kind[o], 0.0
            if kind == LINEAR:
                row[i, o] = objective.operator.footprint[o]
            elif kind == VARIANCE:
                # (5.7) = int x^2 u - (2 - M) B1^2 with moments about the origin, B1 = b + center M
                row[i, o] = x**2 + 2.0 * center * (1.0 - (2.0 - mass) * mass) * x
                square[i, o], shift = 2.0 - mass, center**2 * mass * (1.0 - (2.0 - mass) * mass)
            elif kind == MEAN:
                row[i, o], shift = x / mass, center
            else:
                row[i, o], square[i, o] = x**2 / mass, 1.0 / mass**2
            value[i, o], theta[i, o] = objective.data[o] - shift, 1.0 / objective.inverse_theta
    return row, square, value, theta


def _measured_size(problems: list[Problem], row: Array, value: Array) -> Array:
    """What rounding in the observations is relative to, for each problem."""
    sizes = [float(np.finfo(float).tiny + np.sum(np.abs(v))) for v in value]
    for i, p in enumerate(problems):
        sizes[i] += float(np.sum(p.grid.integrate(np.abs(row[i]) * p.initial)))
    return np.array(sizes)


def _flat(values: Sequence[Array] | NDArray[np.float64]) -> Array:
    """Problems along the first axis become lanes, the last one; all of it flat."""
    return np.ascontiguousarray(np.moveaxis(np.asarray(values, dtype=np.float64), 0, -1)).reshape(-1)
