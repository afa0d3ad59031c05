"""``quantile``: the daJKO step for the quantile function; mathematics in :mod:`.newton`.

A step begins with the elements that the step before has left, so that nothing is lost by going to cells and back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator

from dajko.data.data_term import DataTerm
from dajko.data.operator import at_fixed_mass
from dajko.errors import InputError
from dajko.grid import Array, Grid
from dajko.lanes import LANES, PLAIN, WIDTH
from dajko.problem.problem import Path, Problem, Step
from dajko.solvers.mass_elements import layout
from dajko.solvers.mass_elements.march import Record, march_in_time
from dajko.solvers.mass_elements.remap import slopes, to_cells
from dajko.solvers.quantile import Quantile
from dajko.solvers.together import Flow, March, march_together
from dajko.status import Status
from dajko.transport import transport

# Vacuum between a wall and a density that reaches it is as wide as the pressure there demands; as a part of the interval,
# and at most this part of a cell.
_LEAST_GAP, _WIDEST_GAP = 1e-13, 1e-3


class Start(NamedTuple):
    """What a step begins with besides the old density: the elements that density is made of."""

    density: Array  # (cells,), of which they are
    mass: float  # that of the first step: those of later ones differ by rounding
    m: Array  # (n,)
    x: Array  # (n + 1,)
    before: Array  # (n + 1,)
    contact: Array  # (n,)


def solve(solver: Quantile, problem: Problem, warm_start: Start | None = None) -> Step:
    """Solve one daJKO step.

    Parameters
    ----------
    problem : Problem
    warm_start : Start, optional
        :attr:`Step.warm_start` of the previous step.

    Raises
    ------
    InputError
        If the solver cannot take such steps.
    """
    if sentence := solver.why_not(problem):
        raise InputError(sentence)
    if warm_start is not None and not np.array_equal(warm_start.density, problem.initial):
        warm_start = None
    run = _Run([problem], 1, solver, PLAIN, None if warm_start is None else warm_start.mass)
    if warm_start is not None:
        state = run.state
        for name in ("m", "x", "before", "contact"):
            getattr(state, name)[:] = getattr(warm_start, name)
        state.warm[:] = 1.0
    run.march(0)
    return run.step()


def march(solver: Quantile, flows: Sequence[Flow], take_over: Callable[[Problem, Step], Step]) -> list[March]:
    """All steps of flows, see :func:`dajko.solvers.together.march_together`."""
    return march_together(flows, lambda chosen, number: _Run(chosen, flows[0].steps, solver, number), take_over)


class _Run:
    """The arrays of flows, or single problems, that march together; empty lanes are copies of the last that do not run."""

    def __init__(
        self, flows: Sequence[Flow] | Sequence[Problem], steps: int, solver: Quantile, number: Any, mass: float | None = None
    ) -> None:
        self.solver, self.number, self.grid = solver, number, flows[0].grid
        lanes = WIDTH if number is LANES else 1
        filled: list[Flow | Problem] = [*flows, *[flows[-1]] * (lanes - len(flows))]
        grid, points = self.grid, self.grid.points
        self.n = points + 2
        density = np.empty((steps + 1, points, lanes))
        density[0] = np.transpose([flow.density for flow in filled])
        given = [
            float(grid.integrate(flow.density)) if mass is None else mass for flow in filled
        ]  # one by one: the same bits
        self.mass = np.array(given)
        self.length = grid.right - grid.left
        second = np.array([flow.time_scheme == "bdf2" for flow in filled], dtype=np.float64)
        self.flows = _flows(filled, solver, self.mass, second)
        self.values = _values(filled, self.mass, steps, self.flows)
        self.numbers = self.values.shape[1]
        self.columns = self.numbers + bool((self.flows.square != 0.0).any())
        self.state = layout.state(self.n, self.numbers, lanes)
        self.work = layout.work(self.n, self.columns, lanes)
        self.record = Record(
            density=density,
            unit=self.mass / grid.dx,
            iterations=np.zeros((steps, lanes), dtype=np.int32),
            residual=np.full((steps, lanes), np.nan),
            converged=np.zeros((steps, lanes), dtype=np.bool_),
            alive=np.arange(lanes) < len(flows),
        )
        for lane in range(lanes):
            self._place(lane, density[0, :, lane])

    def _place(self, lane: int, density: Array) -> None:
        """Make elements of the cells of a density."""
        lanes, state = self.mass.size, self.state
        m, x = elements(self.grid.wx * density / self.mass[lane], float(self.flows.exponent[lane]))
        state.m.reshape(-1, lanes)[:, lane] = m
        for ends in (state.x, state.before, state.old):
            ends.reshape(-1, lanes)[:, lane] = x
        state.contact.reshape(-1, lanes)[:, lane] = 0.0
        state.warm[lane] = 0.0

    def march(self, first: int) -> int:
        """Steps from number ``first`` to the first that does not converge, whose number is returned."""
        return march_in_time(
            self.n,
            self.numbers,
            self.columns,
            self.values,
            self.flows,
            self.state,
            self.work,
            self.record,
            self.solver.max_iterations,
            first,
            self.number,
        )

    def go_on(self, n: int) -> None:
        """The elements of a density of another solver are its cells."""
        record = self.record
        for lane in np.flatnonzero(record.alive & ~record.converged[n]):
            self._place(int(lane), record.density[n + 1, :, lane])

    def report(self, n: int, lane: int) -> Step:
        """How a step ended that has not converged, without its path."""
        density = self.record.density[n : n + 2, :, lane]
        return self._step(n, lane, Path(density, np.zeros((2, transport(self.grid).places.size))))

    def step(self) -> Step:
        """The only step of a single problem, with its path: the geodesic from the old elements to the new ones."""
        grid, state, work, record = self.grid, self.state, self.work, self.record
        density = np.empty((grid.nt + 1, grid.points, 1))
        density[0], density[-1] = record.density
        for k in range(1, grid.nt):
            share = k * grid.dt
            ends = (1.0 - share) * state.old + share * state.x
            slopes(self.n, state.m, ends, work.inverse, work.ratio, PLAIN)
            to_cells(self.n, state.m, ends, work.inverse, work.ratio, grid.points, 0, 1, density[k])
            density[k] *= record.unit
        densities = density[..., 0]
        flux = np.zeros((grid.nt + 1, transport(grid).places.size))
        if np.isfinite(densities).all():
            flux = transport(grid).flux_between(densities)
        return self._step(0, 0, Path(densities, flux))

    def _step(self, n: int, lane: int, path: Path) -> Step:
        record, state, lanes = self.record, self.state, self.mass.size
        residual, iterations = float(record.residual[n, lane]), int(record.iterations[n, lane])
        if not (math.isfinite(residual) and np.isfinite(path.density).all()):
            status = Status.FAILED
        else:
            status = Status.CONVERGED if record.converged[n, lane] else Status.NOT_CONVERGED
        m, x, before, contact = (
            v.reshape(-1, lanes)[:, lane].copy() for v in (state.m, state.x, state.before, state.contact)
        )
        return Step(
            path=path,
            status=status,
            iterations=iterations,
            residuals={"displacement": residual},
            residual=residual,
            message=f"quantile, {iterations} iterations: {status.message}",
            warm_start=Start(record.density[n + 1, :, lane].copy(), float(self.mass[lane]), m, x, before, contact),
        )


def elements(m: Array, exponent: float) -> tuple[Array, Array]:
    """Elements of masses of cells between -1/2 and 1/2: as many as there are cells, and two for vacuum at the walls.

    Elements go where there is mass. Empty cells that follow one another are one element, and those that this leaves over
    split all other cells into equal parts; what does not suffice for that splits the widest vacuum.

    Parameters
    ----------
    m : array of shape (cells,)
        1 in all.
    exponent : float
        Of the internal energy.

    Returns
    -------
    array of shape (cells + 2,), array of shape (cells + 3,)
        Masses and ends.
    """
    full, edges = np.flatnonzero(m > 0.0), np.linspace(-0.5, 0.5, m.size + 1)
    pressure = m[full] ** exponent
    with np.errstate(divide="ignore"):
        gaps = np.clip(_LEAST_GAP * pressure.max() / pressure[[0, -1]], _LEAST_GAP, _WIDEST_GAP / m.size)
    left, right = edges[full], edges[full + 1]
    left[0], right[-1] = max(left[0], -0.5 + gaps[0]), min(right[-1], 0.5 - gaps[1])
    before = np.flatnonzero(np.diff(full) > 1) + 1  # the cells behind a hole
    parts, rest = divmod(m.size - before.size, full.size)
    starts = left[:, None] + (right - left)[:, None] * np.arange(parts) / parts
    masses = np.insert(np.repeat(m[full] / parts, parts), before * parts, 0.0)
    ends = np.insert(starts.reshape(-1), before * parts, right[before - 1])
    masses, ends = np.pad(masses, 1), np.concatenate([[-0.5], ends, [right[-1], 0.5]])
    if rest > 0:
        widest = int(np.argmax(np.where(masses == 0.0, np.diff(ends), 0.0)))
        ends = np.insert(ends, widest + 1, np.linspace(ends[widest], ends[widest + 1], rest + 2)[1:-1])
        masses = np.insert(masses, widest, np.zeros(rest))
    return masses, ends


def _flows(flows: Sequence[Flow | Problem], solver: Quantile, mass: Array, second: Array) -> layout.Flows:
    """What stays the same along flows, without units; the numbers of data are dealt with by :func:`_values`."""
    grid, lanes = flows[0].grid, mass.size
    length, intervals = grid.right - grid.left, grid.points - 1
    tau = np.array([flow.tau for flow in flows], dtype=np.float64)
    exponent = np.array([flow.energy.exponent for flow in flows])
    with np.errstate(divide="ignore"):
        e = np.where(exponent == 0.0, 1.0, exponent)
        pressure = np.exp((np.log(tau) + (e - 1.0) * np.log(mass / length) - 2.0 * np.log(length)) / e)
    places = (grid.x - 0.5 * (grid.left + grid.right)) / length
    potentials, drive = np.empty(0), np.zeros(lanes)
    given = [flow.energy.potential_on(grid) for flow in flows]
    if any(np.ptp(values) > 0.0 for values in given):
        table = np.empty((4, intervals, lanes))
        for lane, values in enumerate(given):
            values = values * (tau[lane] / length**2)
            table[..., lane] = CubicSpline(places, values - values.mean()).c
            drive[lane] = np.abs(np.diff(values)).max() / grid.dx * length
        potentials = table.reshape(-1)
    law = int(exponent[0]) if len(set(exponent.tolist())) == 1 and exponent[0] in (0.0, 1.0, 2.0, 3.0) else -1
    numbers = max(0 if flow.data is None else np.shape(flow.data.values)[-1] for flow in flows)
    linear, quadratic, square = (np.zeros((numbers, lanes)) for _ in range(3))
    theta, footprint = np.ones((numbers, lanes)), np.zeros((numbers, 4, intervals, lanes))
    fitted = False
    for lane, flow in enumerate(flows):
        if flow.data is None or numbers == 0:
            continue
        seen = _Seen(flow.data, grid, float(mass[lane]))
        fitted |= seen.fitted
        linear[:, lane], quadratic[:, lane], square[:, lane] = seen.linear, seen.quadratic, seen.square
        if not math.isinf(flow.data.theta):
            with np.errstate(over="ignore"):
                theta[:, lane] = float(flow.data.theta) / tau[lane] * mass[lane] * length**2 / seen.scale**2
        for o in np.flatnonzero(seen.table.any(axis=1)):
            footprint[o, ..., lane] = PchipInterpolator(places, seen.table[o]).c
    return layout.Flows(
        law=law,
        intervals=intervals,
        attracted=potentials.size > 0,
        fitted=fitted,
        exponent=exponent,
        pressure=pressure,
        potential=potentials,
        linear=linear.reshape(-1),
        quadratic=quadratic.reshape(-1),
        square=square.reshape(-1),
        footprint=footprint.reshape(-1) if fitted else np.empty(0),
        theta=theta.reshape(-1),
        drive=drive,
        spacing=grid.dx / length,
        start=float(places[0]),
        second=second,
        tol=np.full(lanes, solver.tol),
    )


class _Seen:
    """What is measured of densities of one mass, without units: :class:`dajko.data.operator.FixedMass` divided by scales."""

    def __init__(self, data: DataTerm, grid: Grid, mass: float) -> None:
        length, found = grid.right - grid.left, at_fixed_mass(data.observations, grid, mass)
        polynomial = np.where(np.isnan(found.moments), 0.0, found.moments)
        free = np.isnan(found.moments[:, 0])
        largest = np.where(free, mass * np.abs(found.rows).max(axis=1, initial=0.0), 0.0)
        scale = mass * length * np.abs(polynomial[:, 1]) + mass * length**2 * np.abs(polynomial[:, 2]) + largest
        self.scale = np.where(scale > 0.0, scale, mass)
        self.linear = polynomial[:, 1] * mass * length / self.scale
        self.quadratic = polynomial[:, 2] * mass * length**2 / self.scale
        self.square = found.squares * (mass * length) ** 2 / self.scale
        self.offset = found.offsets + polynomial[:, 0] * mass
        self.table = np.where(free[:, None], found.rows * mass / self.scale[:, None], 0.0)
        self.fitted = bool(free.any())


def _values(flows: Sequence[Flow | Problem], mass: Array, steps: int, constant: layout.Flows) -> Array:
    """The measured numbers without units, shape ``(steps, numbers, lanes)``; NaN where there is none."""
    lanes = mass.size
    values = np.full((steps, constant.theta.size // lanes, lanes), np.nan)
    for lane, flow in enumerate(flows):
        if flow.data is not None and not math.isinf(flow.data.theta):
            seen = _Seen(flow.data, flow.grid, float(mass[lane]))
            values[..., lane] = (np.asarray(flow.data.values) - seen.offset) / seen.scale
    return values
