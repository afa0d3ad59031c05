"""Steps in time of ``quantile``, one after the other in one kernel: the elements move on, cells are written down."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dajko._numba import inline_kernel, kernel
from dajko.grid import Array
from dajko.lanes import as_number, lane_count, load, store
from dajko.lanes.pointers import bare
from dajko.solvers.mass_elements.layout import Flows, State, Work
from dajko.solvers.mass_elements.newton import begin, iterate
from dajko.solvers.mass_elements.remap import slopes, to_cells

# What a predicted start cannot do in so many iterations begins again where the last step has ended.
_WARM_ITERATIONS = 15


class Record(NamedTuple):
    """What a march leaves behind; time runs along the first axis, problems along the last."""

    density: Array  # (steps + 1, cells, lanes)
    unit: Array  # (lanes,), of a density for masses of cells that are 1 in all
    iterations: NDArray[np.int32]  # (steps, lanes)
    residual: Array  # (steps, lanes)
    converged: NDArray[np.bool_]  # (steps, lanes)
    alive: NDArray[np.bool_]  # (lanes,), whether the flow still runs


@kernel
def march_in_time(
    n: int,
    numbers: int,
    columns: int,
    values: Array,
    flows: Flows,
    state: State,
    work: Work,
    record: Record,
    limit: int,
    first: int,
    number: Any,
) -> int:
    """Take steps, beginning with number ``first``, until one of them does not converge for some flow that still runs.

    ``values`` has the shape (steps, numbers, lanes). Returns the number of the step that has not converged, or of all steps.
    """
    return _march(n, numbers, columns, values, bare(flows), bare(state), bare(work), record, limit, first, number)


@inline_kernel
def _march(
    n: int,
    numbers: int,
    columns: int,
    values: Array,
    flows: Flows,
    state: State,
    work: Work,
    record: Record,
    limit: int,
    first: int,
    number: Any,
) -> int:
    lanes = lane_count(number)
    steps: int = record.iterations.shape[0]
    cells = record.density.shape[1]
    for step in range(first, steps):
        if numbers > 0:
            _excess(n, state, work, number)
        for lane in range(lanes):
            for o in range(numbers):
                at, value = o * lanes + lane, values[step, o, lane]
                state.seen[at] = 0.0 if math.isnan(value) else 1.0
                state.value[at] = 0.0 if math.isnan(value) else value + flows.quadratic[at] * work.moments[lane]
        for lane in range(lanes):
            work.active[lane], work.iterations[lane] = 1.0 if record.alive[lane] else 0.0, 0.0
        begin(n, numbers, flows, state, work, number)
        iterate(n, numbers, columns, flows, state, work, min(_WARM_ITERATIONS, limit), number)
        left = _left(work, lanes)
        if left > 0:
            _again(n, numbers, state, work, number)
            iterate(n, numbers, columns, flows, state, work, limit, number)
            left = _left(work, lanes)
        slopes(n, state.m, state.x, work.inverse, work.ratio, number)
        for lane in range(lanes):
            if not record.alive[lane]:
                continue
            record.converged[step, lane] = work.active[lane] == 0.0
            record.iterations[step, lane] = int(work.iterations[lane])
            record.residual[step, lane] = work.change[lane]
            state.warm[lane] = 1.0
            to_cells(n, state.m, state.x, work.inverse, work.ratio, cells, lane, lanes, record.density[step + 1])
            for j in range(cells):
                record.density[step + 1, j, lane] *= record.unit[lane]
        if left > 0:
            return step
    return steps


@inline_kernel
def _excess(n: int, state: State, work: Work, number: Any) -> None:
    """By how much the second moment of elements is too large, of a density that is smooth."""
    total, left = as_number(0.0, number), load(state.x, 0, number)
    for i in range(n):
        right = load(state.x, i + 1, number)
        total += load(state.m, i, number) * (right - left) * (right - left)
        left = right
    store(work.moments, 0, total * (1.0 / 6.0), number)


@inline_kernel
def _left(work: Work, lanes: int) -> int:
    """How many problems have not converged."""
    left = 0
    for lane in range(lanes):
        left += work.active[lane] > 0.0
    return left


@inline_kernel
def _again(n: int, numbers: int, state: State, work: Work, number: Any) -> None:
    """Start the problems again that have not converged, at their old ends."""
    lanes = lane_count(number)
    for lane in range(lanes):
        if work.active[lane] > 0.0:
            for i in range(n + 1):
                state.x[i * lanes + lane] = state.before[i * lanes + lane]
            for i in range(n):
                width = state.x[(i + 1) * lanes + lane] - state.x[i * lanes + lane]
                state.contact[i * lanes + lane] = work.gas[lane] / width
    for o in range(numbers):
        active = load(work.active, 0, number)
        store(state.y, o, load(state.y, o, number) * (1.0 - active), number)
