"""Flows that march together: all their steps in compiled loops, eight flows at a time, whichever method takes the steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dajko.data.data_term import DataTerm
from dajko.energy.energy import Energy
from dajko.grid import Array, Grid
from dajko.lanes import LANES, PLAIN, WIDTH
from dajko.problem.problem import Problem, Step
from dajko.status import Status

# Eight lanes cost as much as four flows alone.
_FEWEST_IN_LANES = 4


class Flow(Protocol):
    """What a march has to know of a flow, see :class:`dajko.flow.Flow`."""

    @property
    def density(self) -> ArrayLike: ...
    @property
    def energy(self) -> Energy: ...
    @property
    def grid(self) -> Grid: ...
    @property
    def tau(self) -> float: ...
    @property
    def steps(self) -> int: ...
    @property
    def data(self) -> DataTerm | None: ...
    @property
    def time_scheme(self) -> str: ...

    def problem(self, density: Array, step: int) -> Problem:
        """The problem of one step, counted from 0."""


class March(NamedTuple):
    """The densities of a flow and how each of its steps ended; NaN and pending from a failed step on."""

    density: Array  # (steps + 1, points)
    status: NDArray[np.int8]  # (steps,)
    iterations: NDArray[np.int32]  # (steps,)
    residual: Array  # (steps,)


class Record(Protocol):
    """What a compiled loop leaves behind; time runs along the first axis, flows along the last."""

    @property
    def density(self) -> Array: ...  # (steps + 1, points, lanes)
    @property
    def iterations(self) -> NDArray[np.int32]: ...  # (steps, lanes)
    @property
    def residual(self) -> Array: ...  # (steps, lanes)
    @property
    def converged(self) -> NDArray[np.bool_]: ...  # (steps, lanes)
    @property
    def alive(self) -> NDArray[np.bool_]: ...  # (lanes,), whether the flow still runs


class Run(Protocol):
    """The arrays of flows that march together, in lanes; empty lanes are copies of the last that do not run."""

    @property
    def record(self) -> Record: ...

    def march(self, first: int) -> int:
        """Steps from number ``first`` to the first that does not converge, whose number is returned."""

    def report(self, n: int, lane: int) -> Step:
        """How a step ended that has not converged, without its path."""

    def go_on(self, n: int) -> None:
        """Make ready for the step after number ``n``, whose densities may be those of another solver."""


def march_together(
    flows: Sequence[Flow],
    run_of: Callable[[Sequence[Flow], Any], Run],
    take_over: Callable[[Problem, Step], Step],
    *,
    fits: bool = True,
) -> list[March]:
    """All steps of flows with the same grid, the same number of steps and of measured numbers.

    Parameters
    ----------
    flows : sequence of Flow
    run_of : callable
        The run of some flows with the number type of :mod:`dajko.lanes`.
    take_over : callable
        Takes a step that has not converged: gets the problem and the step, returns another one.
    fits : bool
        Whether what eight flows need fits into the cache of a core. Results are the same either way.
    """
    found = []
    for first in range(0, len(flows), WIDTH):
        chosen = flows[first : first + WIDTH]
        if fits and len(chosen) >= _FEWEST_IN_LANES:
            found += _march(run_of(chosen, LANES), chosen, take_over)
        else:
            found += [march for flow in chosen for march in _march(run_of([flow], PLAIN), [flow], take_over)]
    return found


def _march(run: Run, flows: Sequence[Flow], take_over: Callable[[Problem, Step], Step]) -> list[March]:
    steps, record = flows[0].steps, run.record
    status = np.zeros((steps, len(flows)), dtype=np.int8)
    n = 0
    while (n := run.march(n)) < steps:
        for lane, flow in enumerate(flows):
            if record.alive[lane] and not record.converged[n, lane]:
                step = take_over(flow.problem(record.density[n, :, lane].copy(), n), run.report(n, lane))
                status[n, lane], record.iterations[n, lane] = step.status, step.iterations
                record.residual[n, lane] = step.residual
                record.alive[lane] = step.status != Status.FAILED
                record.density[n + 1, :, lane] = step.density
        run.go_on(n)
        n += 1
    status[record.converged[:, : len(flows)]] = Status.CONVERGED
    return [_march_of(record, status[:, lane], lane) for lane in range(len(flows))]


def _march_of(record: Record, status: NDArray[np.int8], lane: int) -> March:
    density, residual = record.density[..., lane].copy(), record.residual[:, lane].copy()
    if (status == Status.FAILED).any():
        failed = int(np.argmax(status == Status.FAILED))
        density[failed + 1 :], residual[failed:] = np.nan, np.nan
    return March(density, status.copy(), record.iterations[:, lane].copy(), residual)
