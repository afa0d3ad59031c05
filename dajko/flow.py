"""Algorithm 2: daJKO steps in time; the loop itself is in :mod:`dajko.movement`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dajko.checks import instance, shown, whole_number
from dajko.data.data_term import DataTerm
from dajko.energy.energy import Energy
from dajko.errors import InputError
from dajko.grid import Array, Grid, checked_grid
from dajko.movement import minimizing_movements
from dajko.problem.problem import Problem, Step
from dajko.resolution import check_spreads, odd_even, resolution
from dajko.solvers import DEFAULT_SOLVER, Solver, as_solver, solve, take_over
from dajko.status import Status

if TYPE_CHECKING:
    import xarray as xr


def jko_step(
    density: ArrayLike,
    energy: Energy,
    grid: Grid,
    tau: float,
    data: DataTerm | None = None,
    solver: str | Solver = DEFAULT_SOLVER,
) -> Step:
    """One step of the daJKO scheme, (1.7) in the discrete form of section 4.2.

    Parameters
    ----------
    density : array of shape (points,)
        Previous density.
    energy : Energy
    grid : Grid
    tau : float
        Time step.
    data : DataTerm, optional
        Data at the new time; without it, this is a plain JKO step.
    solver : str or solver object
        ``"pd3o"``, or ``dajko.PD3O(tol=...)`` for other options.

    Returns
    -------
    Step
        With ``density``, ``path``, ``status``, ``iterations`` and ``residuals``. A solve that does not converge is told by
        the status, not by an exception.

    Raises
    ------
    InputError
        If the input cannot be used.

    Examples
    --------
    >>> import dajko
    >>> grid = dajko.Grid(left=-0.7, right=0.7, nx=40, nt=4)
    >>> energy = dajko.Energy(dajko.PorousMedium(2.0))
    >>> step = dajko.jko_step(dajko.Barenblatt()(grid.x), energy, grid, tau=5e-4)
    >>> step.status.message
    'converged'
    """
    return as_solver(solver).solve(Problem(density, energy, grid, tau, data))


TimeScheme = Literal["euler", "bdf2"]
TIME_SCHEMES: tuple[TimeScheme, ...] = ("euler", "bdf2")


def check_time_scheme(scheme: object, solver: Solver, where: str = "time_scheme") -> None:
    """Check that a solver can step in time by a scheme.

    Raises
    ------
    InputError
        If there is no such scheme, or the solver cannot.
    """
    if not (isinstance(scheme, str) and scheme in TIME_SCHEMES):
        raise InputError(f"{where} must be 'euler' or 'bdf2', got {shown(scheme)}")
    if scheme not in solver.time_schemes:
        able = " or ".join(kind for kind, known in Solver.kinds().items() if scheme in known.time_schemes)
        raise InputError(f"{where} {scheme} is for the solver {able}, got {solver.kind}")


@dataclass(frozen=True, eq=False)
class Flow:
    """A daJKO flow to be computed; the parameters are those of :func:`evolve`, and are checked here.

    Raises
    ------
    InputError
        If one of them cannot be used.
    """

    density: ArrayLike
    energy: Energy
    grid: Grid
    tau: float
    steps: int
    data: DataTerm | None = None
    solver: str | Solver = DEFAULT_SOLVER
    time_scheme: TimeScheme = "euler"

    def __post_init__(self) -> None:
        object.__setattr__(self, "density", checked_grid(self.grid).check_density(self.density))
        check_spreads(np.asarray(self.density), self.grid, "density")
        object.__setattr__(self, "steps", whole_number("steps", self.steps, least=1))
        object.__setattr__(self, "solver", as_solver(self.solver))
        check_time_scheme(self.time_scheme, as_solver(self.solver))
        object.__setattr__(self, "tau", Problem(self.density, self.energy, self.grid, self.tau).tau)
        if self.data is not None:
            instance("data", self.data, DataTerm, "a dajko.DataTerm or None")
        rows = None if self.data is None or np.ndim(self.data.values) == 1 else len(np.asarray(self.data.values))
        if rows not in (None, self.steps):
            raise InputError(f"data values must have one row for each of the {self.steps} steps, got {rows}")
        # Potential and interaction are the same at all steps: evaluated once.
        object.__setattr__(self, "energy", self.energy.on(self.grid))

    def problem(self, density: Array, step: int) -> Problem:
        """The problem of one step, counted from 0."""
        data = None if self.data is None else self.data.at_step(step)
        return Problem.unchecked(density, self.energy, self.grid, self.tau, data, self.time_scheme)


def steps_in_time(
    density: ArrayLike,
    energy: Energy,
    grid: Grid,
    tau: float,
    steps: int,
    data: DataTerm | None = None,
    solver: str | Solver = DEFAULT_SOLVER,
    time_scheme: TimeScheme = "euler",
) -> Iterator[Step]:
    """The steps of Algorithm 2, each started from the one before; a failed step is the last."""
    yield from _steps(Flow(density, energy, grid, tau, steps, data, solver, time_scheme))


def _steps(flow: Flow) -> Iterator[Step]:
    solver = as_solver(flow.solver)

    def solve_step(n: int, density: Array, warm_start: Any) -> Step:
        problem = flow.problem(density, n)
        if n == 0:
            return solve(solver, problem, warm_start)
        # The input has taken a step, so whatever is wrong now is a result, and the steps before must not be lost.
        if not flow.grid.integrate(density) > 0.0:
            return _failed(problem, "the step before left no mass")
        try:
            return solve(solver, problem, warm_start)
        except InputError as error:
            return _failed(problem, str(error))

    return minimizing_movements(np.asarray(flow.density), flow.steps, solve_step)


def _failed(problem: Problem, message: str) -> Step:
    return Step(problem.at_rest, Status.FAILED, 0, {}, math.nan, message)


@dataclass(frozen=True, eq=False)
class Trajectory:
    """What a flow leaves behind; time runs along the first axis, the initial density included.

    After a failed step, densities, energies and residuals are NaN and the status stays pending.
    """

    density: Array  # (steps + 1, points)
    energy: Array  # (steps + 1,), F without the data term
    mass: Array  # (steps + 1,)
    status: NDArray[np.int8]  # (steps + 1,), converged at the initial time
    iterations: NDArray[np.int32]  # (steps + 1,), 0 at the initial time
    residual: Array  # (steps + 1,), 0 at the initial time
    messages: dict[int, str] = field(default_factory=dict)  # of steps that failed, as far as more is known than the status

    @property
    def worst_status(self) -> Status:
        """The status of the flow as a whole: that of its worst step."""
        return Status(int(self.status.max()))


def trajectory(
    density: ArrayLike,
    energy: Energy,
    grid: Grid,
    tau: float,
    steps: int,
    data: DataTerm | None = None,
    solver: str | Solver = DEFAULT_SOLVER,
    time_scheme: TimeScheme = "euler",
) -> Trajectory:
    """Algorithm 2 with plain arrays as its result; the parameters are those of :func:`evolve`."""
    return trajectories([Flow(density, energy, grid, tau, steps, data, solver, time_scheme)])[0]


# Is told of every step: the number of its flow, its own, counted from 1, its problem, and how it ended.
Watch = Callable[[int, int, Problem, Step], None]


def trajectories(flows: Sequence[Flow], watch: Watch | None = None) -> list[Trajectory]:
    """Several flows; those that share solver options, grid, number of steps and what is measured are solved together.

    What comes out does not depend on what is solved together, nor on being watched, to the last bit.

    Parameters
    ----------
    flows : sequence of Flow
    watch : function, optional
        Is told of every step, with its path. The steps are then taken one by one, which takes longer.
    """
    found: list[Trajectory | None] = [None] * len(flows)
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i, flow in enumerate(flows):
        measured = None if flow.data is None else tuple(flow.data.observations)
        interacts = flow.energy.interaction is not None
        groups.setdefault((flow.solver, interacts, flow.grid, flow.steps, measured), []).append(i)
    for members in groups.values():
        chosen = [flows[i] for i in members]
        results = [_empty(flow) for flow in chosen]
        solver = as_solver(chosen[0].solver)
        if watch is None and solver.marches(chosen):
            for result, run in zip(results, solver.march(chosen, partial(take_over, solver)), strict=True):
                result.density[1:], result.status[1:] = run.density[1:], run.status
                result.iterations[1:], result.residual[1:] = run.iterations, run.residual
        else:
            for i, flow, result in zip(members, chosen, results, strict=True):
                for n, step in enumerate(_steps(flow), start=1):
                    result.status[n], result.iterations[n] = step.status, step.iterations
                    if step.status != Status.FAILED:
                        result.density[n], result.residual[n] = step.density, step.residual
                    elif step.message:
                        result.messages[n] = step.message
                    if watch is not None:
                        watch(i, n, flow.problem(result.density[n - 1], n - 1), step)
        for i, result in zip(members, results, strict=True):
            known = ~np.isnan(result.density[:, 0])
            result.energy[known] = flows[i].energy.value(result.density[known], flows[i].grid)
            result.mass[known] = flows[i].grid.integrate(result.density[known])
            found[i] = result
    return [result for result in found if result is not None]


def _empty(flow: Flow) -> Trajectory:
    times = flow.steps + 1
    result = Trajectory(
        density=np.full((times, flow.grid.points), np.nan),
        energy=np.full(times, np.nan),
        mass=np.full(times, np.nan),
        status=np.zeros(times, dtype=np.int8),
        iterations=np.zeros(times, dtype=np.int32),
        residual=np.full(times, np.nan),
    )
    result.density[0], result.status[0], result.residual[0] = flow.density, Status.CONVERGED, 0.0
    return result


def evolve(
    density: ArrayLike,
    energy: Energy,
    grid: Grid,
    tau: float,
    steps: int,
    data: DataTerm | None = None,
    solver: str | Solver = DEFAULT_SOLVER,
    time_scheme: TimeScheme = "euler",
) -> xr.Dataset:
    """Run the daJKO scheme, Algorithm 2.

    Parameters
    ----------
    density : array of shape (points,)
        Initial density.
    energy : Energy
    grid : Grid
    tau : float
        Time step.
    steps : int
        Number of steps.
    data : DataTerm, optional
        Its values have shape ``(numbers,)``, the same at every step, or ``(steps, numbers)``, where a row of NaN is a step
        without data. The row of step n is data at the time ``(n + 1) tau``.
    solver : str or solver object
    time_scheme : {"euler", "bdf2"}
        ``"euler"``, the JKO scheme, of first order in tau; or ``"bdf2"``, of second order: the variational scheme of Matthes
        and Plazotta, whose first step is one of Euler's, for the solver ``"quantile"``.

    Returns
    -------
    xarray.Dataset
        ``density`` over ``(time, x)``; ``energy``, ``mass``, ``status``, ``iterations``, ``residual``, and how well the mesh
        resolves the density, ``odd_even`` and ``resolution`` of :mod:`dajko.resolution`, over ``time``. The attribute
        ``messages`` says why a step failed, where more is known than its status.

    Raises
    ------
    InputError
        If the input cannot be used.
    """
    import xarray as xr  # takes long to import, and studies do without

    run = trajectory(density, energy, grid, tau, steps, data, solver, time_scheme)
    steps = len(run.density) - 1
    return xr.Dataset(
        {
            "density": (("time", "x"), run.density, {"long_name": "density", "units": "1"}),
            "energy": ("time", run.energy, {"long_name": "energy F", "units": "1"}),
            "mass": ("time", run.mass, {"long_name": "mass", "units": "1"}),
            "status": (
                "time",
                run.status,
                {"long_name": "how the step ended", **Status.flags()},
            ),
            "iterations": ("time", run.iterations, {"long_name": "iterations of the solver", "units": "1"}),
            "residual": ("time", run.residual, {"long_name": "residual of the stopping rule", "units": "1"}),
            "odd_even": (
                "time",
                odd_even(run.density, grid),
                {"long_name": "relative amplitude of the mode that alternates from point to point", "units": "1"},
            ),
            "resolution": (
                "time",
                resolution(run.density, grid),
                {"long_name": "width of the narrowest peak in mesh widths, 13 at most", "units": "1"},
            ),
        },
        coords={
            "time": ("time", float(tau) * np.arange(steps + 1), {"long_name": "time", "units": "1"}),
            "x": ("x", grid.x, {"long_name": "position", "units": "1"}),
        },
        attrs={"messages": [f"step {n}: {message}" for n, message in run.messages.items()]} if run.messages else {},
    )
