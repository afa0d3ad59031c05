"""Algorithm 2: daJKO steps in time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from dajko.energy import Energy
from dajko.errors import InputError
from dajko.grid import Array, Grid, whole_number
from dajko.observation import DataTerm
from dajko.solvers import Problem, Solver, Status, Step, as_solver


def jko_step(
    density: ArrayLike,
    energy: Energy,
    grid: Grid,
    tau: float,
    data: DataTerm | None = None,
    solver: str | Solver = "pd3o",
) -> Step:
    """One step of the daJKO scheme, (1.7) in the discrete form of section 4.2.

    Parameters
    ----------
    density : array of shape (nx + 1,)
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


def steps_in_time(
    density: ArrayLike,
    energy: Energy,
    grid: Grid,
    tau: float,
    steps: int,
    data: DataTerm | None = None,
    solver: str | Solver = "pd3o",
) -> Iterator[Step]:
    """The steps of Algorithm 2, each started from the one before; a failed step is the last."""
    steps = whole_number("steps", steps, least=1)
    if data is not None and np.ndim(data.values) == 2 and len(np.asarray(data.values)) != steps:
        raise InputError(f"data values must have one row for each of the {steps} steps, got {len(np.asarray(data.values))}")
    solver = as_solver(solver)
    warm_start = None
    current = np.asarray(density, dtype=np.float64)
    for n in range(steps):
        term = None if data is None else data.at_step(n)
        step = solver.solve(Problem(current, energy, grid, tau, term), warm_start)
        yield step
        if step.status == Status.FAILED:
            return
        current, warm_start = step.density, step.warm_start


@dataclass(frozen=True, eq=False)
class Trajectory:
    """What a flow leaves behind; time runs along the first axis, the initial density included.

    After a failed step, densities, energies and residuals are NaN and the status stays pending.
    """

    density: Array  # (steps + 1, nx + 1)
    energy: Array  # (steps + 1,), F without the data term
    mass: Array  # (steps + 1,)
    status: NDArray[np.int8]  # (steps + 1,), converged at the initial time
    iterations: NDArray[np.int32]  # (steps + 1,), 0 at the initial time
    residual: Array  # (steps + 1,), 0 at the initial time

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
    solver: str | Solver = "pd3o",
) -> Trajectory:
    """Algorithm 2 with plain arrays as its result; the parameters are those of :func:`evolve`."""
    initial, steps = grid.check_density(density), whole_number("steps", steps, least=1)
    flow = list(steps_in_time(initial, energy, grid, tau, steps, data, solver))
    result = Trajectory(
        density=np.full((steps + 1, grid.nx + 1), np.nan),
        energy=np.full(steps + 1, np.nan),
        mass=np.full(steps + 1, np.nan),
        status=np.zeros(steps + 1, dtype=np.int8),
        iterations=np.zeros(steps + 1, dtype=np.int32),
        residual=np.full(steps + 1, np.nan),
    )
    result.density[0], result.status[0], result.residual[0] = initial, Status.CONVERGED, 0.0
    for n, step in enumerate(flow, start=1):
        result.status[n], result.iterations[n] = step.status, step.iterations
        if step.status != Status.FAILED:
            result.density[n], result.residual[n] = step.density, step.residual
    known = ~np.isnan(result.density[:, 0])
    result.energy[known] = [energy.value(u, grid) for u in result.density[known]]
    result.mass[known] = grid.integrate(result.density[known])
    return result


def evolve(
    density: ArrayLike,
    energy: Energy,
    grid: Grid,
    tau: float,
    steps: int,
    data: DataTerm | None = None,
    solver: str | Solver = "pd3o",
) -> xr.Dataset:
    """Run the daJKO scheme, Algorithm 2.

    Parameters
    ----------
    density : array of shape (nx + 1,)
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

    Returns
    -------
    xarray.Dataset
        ``density`` over ``(time, x)``; ``energy``, ``mass``, ``status``, ``iterations`` and ``residual`` over ``time``.

    Raises
    ------
    InputError
        If the input cannot be used.
    """
    run = trajectory(density, energy, grid, tau, steps, data, solver)
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
        },
        coords={
            "time": ("time", tau * np.arange(steps + 1), {"long_name": "time", "units": "1"}),
            "x": ("x", grid.x, {"long_name": "position", "units": "1"}),
        },
    )
