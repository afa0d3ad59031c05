"""``interior_point``: the daJKO step by a primal-dual interior point method; mathematics in :mod:`.newton`.

A step takes two to six Newton iterations once a flow runs, eight to twelve from a cold start. Flows on one grid march
together, eight at a time (:func:`march_together`); a flow alone gives the same result, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from dajko.data.operator import operator
from dajko.grid import Array, Grid
from dajko.lanes import LANES, PLAIN, WIDTH
from dajko.observation import SPREAD, VARIANCE
from dajko.problem.majorize import descend, local_step
from dajko.problem.problem import Path, Problem, Step
from dajko.solvers.interior_point import InteriorPoint
from dajko.solvers.primal_dual import layout, panels
from dajko.solvers.primal_dual.march import Record, march_in_time
from dajko.solvers.primal_dual.single_level import bands
from dajko.solvers.together import Flow, March, march_together
from dajko.status import Status
from dajko.transport import transport

# Where the matrices of eight lanes do not fit into the cache of a core, flows march alone.
_MOST_ENTRIES_IN_LANES = 60_000
# By how much the density of one convex step predicts that of the next one wrongly, about.
_CONVEX_STEP_ERROR = 0.014


# Above this exponent the tolerance shrinks as the exponent grows.
_STEEP = 4.0


class Start(NamedTuple):
    """What a step begins with, besides the old density."""

    before: Array  # (points,), the density before the old one
    error: float  # of the prediction of the old one, see dajko.solvers.primal_dual.march


def solve(solver: InteriorPoint, problem: Problem, warm_start: Start | None = None) -> Step:
    """Solve one daJKO step.

    Parameters
    ----------
    problem : Problem
    warm_start : Start, optional
        :attr:`Step.warm_start` of the previous step.
    """
    if problem.interaction is None:
        return solve_local(solver, problem, warm_start)

    def convex(density: Array, last: Step | None) -> Step:
        local, stiffness = local_step(problem, density)
        # A solve begins at the extrapolation 2 u - before, which is to be the density of the last convex step.
        start = warm_start if last is None else Start(2.0 * problem.initial - last.density, _CONVEX_STEP_ERROR)
        return solve_local(solver, local, start, stiffness)

    step, predicted = descend(problem, convex, solver.tol), problem.initial
    if warm_start is not None:
        predicted = np.maximum(2.0 * predicted - warm_start.before, 0.0)
    error = float(np.abs(step.density - predicted).max() / step.density.max())
    return replace(step, warm_start=Start(problem.initial, error))


def solve_local(solver: InteriorPoint, problem: Problem, warm_start: Start | None, stiffness: float = 0.0) -> Step:
    """A step without interaction; ``stiffness`` c adds the internal energy ``c u^2 / 2``."""
    run = _Run([problem], 1, solver, PLAIN)
    run.flows.stiffness[0] = stiffness
    if warm_start is not None:
        run.record.warm[0] = True
        run.before[0], run.record.error[0] = warm_start.before[:, None], warm_start.error
    run.march(0)
    return run.step()


def march(solver: InteriorPoint, flows: Sequence[Flow], take_over: Callable[[Problem, Step], Step]) -> list[March]:
    """All steps of flows without interaction, see :func:`dajko.solvers.together.march_together`."""
    levels = flows[0].grid.nt
    fits = flows[0].grid.points * levels * (2 * levels + 1) <= _MOST_ENTRIES_IN_LANES
    return march_together(flows, lambda chosen, number: _Run(chosen, flows[0].steps, solver, number), take_over, fits=fits)


class _Run:
    """The arrays of flows, or single problems, that march together; empty lanes are copies of the last that do not run."""

    def __init__(self, flows: Sequence[Flow] | Sequence[Problem], steps: int, solver: InteriorPoint, number: Any) -> None:
        self.solver, self.number, self.grid = solver, number, flows[0].grid
        lanes = WIDTH if number is LANES else 1
        alive = np.arange(lanes) < len(flows)
        filled = [*flows, *[flows[-1]] * (lanes - len(flows))]
        terms = [flow.data for flow in filled]
        numbers = max(0 if term is None else np.shape(term.values)[-1] for term in terms)
        self.mesh = mesh = _mesh(self.grid)
        n = mesh.n
        kind = np.zeros(numbers, dtype=np.int64)
        footprint = np.zeros((numbers, mesh.nodes, lanes))
        self.values = np.full((steps, numbers, lanes), np.nan)
        for lane, term in enumerate(terms):
            if term is not None:
                measured = operator(term.observations, self.grid)
                kind, footprint[:, :n, lane] = measured.kind, measured.footprint
                if not math.isinf(term.theta):
                    self.values[..., lane] = term.values
        potential = np.zeros((mesh.nodes, lanes))
        potential[:n] = np.transpose([flow.energy.potential_on(self.grid) for flow in filled])
        self.flows = layout.Flows(
            tau=np.array([flow.tau for flow in filled], dtype=np.float64),
            exponent=np.array([flow.energy.exponent for flow in filled]),
            stiffness=np.zeros(lanes),
            potential=potential.reshape(-1),
            kind=kind,
            footprint=footprint.reshape(-1),
            theta=np.array([1.0 if term is None else float(term.theta) for term in terms]),
            tol=np.array([solver.tol * min(1.0, _STEEP / max(flow.energy.exponent, 1.0)) for flow in filled]),
        )
        density = np.empty((steps + 1, n, lanes))
        density[0] = np.transpose([flow.density for flow in filled])
        self.record = Record(
            density=density,
            iterations=np.zeros((steps, lanes), dtype=np.int32),
            residual=np.full((steps, lanes), np.nan),
            converged=np.zeros((steps, lanes), dtype=np.bool_),
            warm=np.zeros(lanes, dtype=np.bool_),
            error=np.zeros(lanes),
            alive=alive,
        )
        columns = numbers + bool(np.isin(kind, (VARIANCE, SPREAD)).any())
        self.before = density[:1].copy()
        self.data = layout.empty_data(mesh, numbers, lanes)
        self.state = layout.empty_state(mesh, numbers, lanes)
        self.work = layout.work_space(mesh, numbers, columns, number)
        self.bands = bands(self.grid, mesh, number)
        self.stencil = None if self.bands is not None else layout.stencil(self.grid, mesh, number)
        self.progress = layout.progress(lanes)

    def march(self, first: int) -> int:
        """Steps from number ``first`` to the first that does not converge, whose number is returned."""
        return march_in_time(
            self.mesh,
            self.flows,
            self.values,
            self.data,
            self.state,
            self.work,
            self.progress,
            self.record,
            self.before,
            self.solver.max_iterations,
            first,
            panels.layout(self.mesh.levels),
            self.stencil,
            self.bands,
            self.number,
        )

    def go_on(self, n: int) -> None:
        """What a warm start would extrapolate may be what went wrong."""
        self.record.warm[:] = self.record.alive & self.record.converged[n]

    def report(self, n: int, lane: int) -> Step:
        """How a step ended that has not converged, without its path."""
        density = self.record.density[n : n + 2, :, lane]
        return self._step(n, lane, Path(density, np.zeros((2, transport(self.grid).places.size))), {})

    def step(self) -> Step:
        """The only step of a single problem, with its path."""
        mesh, grid = self.mesh, self.grid
        cells = slice(mesh.levels, mesh.levels * (mesh.n + 1))
        rho, phi = (a[cells].reshape(mesh.n, mesh.levels) for a in (self.state.rho, self.state.phi))
        initial = self.record.density[0, :, 0]
        density, operators = np.concatenate([initial[None], rho.T]), transport(grid)
        flux = operators.velocity(phi.T) * operators.moving(density)
        relative = zip(layout.RESIDUALS, self.progress.relative[0], strict=True)
        residuals = {name: float(self.flows.tol[0] * value) for name, value in relative}
        step = self._step(0, 0, Path(density, np.pad(flux, ((1, 0), (0, 0)))), residuals)
        return replace(step, potential=phi.T.copy(), transported=self.record.density[1, :, 0].copy())

    def _step(self, n: int, lane: int, path: Path, residuals: dict[str, float]) -> Step:
        record = self.record
        residual, iterations = float(record.residual[n, lane]), int(record.iterations[n, lane])
        if not (math.isfinite(residual) and np.isfinite(path.density).all()):
            status = Status.FAILED
        else:
            status = Status.CONVERGED if record.converged[n, lane] else Status.NOT_CONVERGED
        return Step(
            path=path,
            status=status,
            iterations=iterations,
            residuals=residuals,
            residual=residual,
            message=f"interior_point, {iterations} iterations: {status.message}",
            warm_start=Start(record.density[n, :, lane].copy(), float(record.error[lane])),
        )


@lru_cache(maxsize=16)
def _mesh(grid: Grid) -> layout.Mesh:
    return layout.mesh(grid)
