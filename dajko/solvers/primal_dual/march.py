"""Steps in time of ``interior_point``, one after the other in one kernel.

A step that does not converge from a warm start begins again, cold, and then carefully (:mod:`.starts`). One
that does not converge either way stops the march, so that another solver can take it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dajko._numba import inline_kernel, kernel
from dajko.grid import Array
from dajko.lanes import as_number, lane_count, load, maximum, store, where_above
from dajko.lanes.pointers import bare
from dajko.solvers.primal_dual.layout import Data, Flows, Mesh, Progress, State, Work
from dajko.solvers.primal_dual.newton import iterate
from dajko.solvers.primal_dual.panels import Layout
from dajko.solvers.primal_dual.starts import begin
from dajko.solvers.primal_dual.stopping import transport

# What a warm start cannot do in so many iterations begins again, cold; what a cold one cannot do, carefully, with so many
# times the iterations.
_WARM_ITERATIONS, _CAREFUL_ITERATIONS = 25, 5


class Record(NamedTuple):
    """What a march leaves behind; time runs along the first axis, problems along the last."""

    density: Array  # (steps + 1, n, lanes)
    iterations: NDArray[np.int32]  # (steps, lanes)
    residual: Array  # (steps, lanes)
    converged: NDArray[np.bool_]  # (steps, lanes)
    warm: NDArray[np.bool_]  # (lanes,), whether the density before the last one is of use
    error: Array  # (lanes,), of the last prediction: its largest, relative to the largest density
    alive: NDArray[np.bool_]  # (lanes,), whether the flow still runs


@kernel
def march_in_time(
    mesh: Mesh,
    flows: Flows,
    values: Array,
    data: Data,
    state: State,
    work: Work,
    progress: Progress,
    record: Record,
    earlier: Array,
    max_iterations: int,
    first: int,
    place: Layout,
    stencil: Any,
    bands: Any,
    number: Any,
) -> int:
    """Take steps, beginning with number ``first``, until one of them does not converge for some flow that still runs.

    ``values`` has the shape (steps, numbers, lanes); ``earlier``, shape (1, n, lanes), is the density before the first.
    Returns the number of the step that has not converged, or that of all steps.
    """
    return _march(
        bare(mesh),
        bare(flows),
        values,
        bare(data),
        bare(state),
        bare(work),
        bare(progress),
        record,
        earlier,
        max_iterations,
        first,
        place,
        bare(stencil),
        bare(bands),
        number,
    )


@inline_kernel
def _march(
    mesh: Mesh,
    flows: Flows,
    values: Array,
    data: Data,
    state: State,
    work: Work,
    progress: Progress,
    record: Record,
    earlier: Array,
    max_iterations: int,
    first: int,
    place: Layout,
    stencil: Any,
    bands: Any,
    number: Any,
) -> int:
    lanes = lane_count(number)
    steps: int = record.iterations.shape[0]
    cold = np.zeros(lanes, dtype=np.bool_)
    for n in range(first, steps):
        density, before = record.density[n], record.density[n - 1] if n > 0 else earlier[0]
        limit, left = max_iterations, 0
        for lane in range(lanes):
            progress.active[lane] = 1.0 if record.alive[lane] else 0.0
            if record.alive[lane] and record.warm[lane]:
                limit = min(_WARM_ITERATIONS, max_iterations)
        for attempt in range(3):
            if attempt == 1 and limit == max_iterations and not record.warm.any():
                continue  # would be the same again
            careful = attempt == 2
            limit = max_iterations if attempt == 1 else _CAREFUL_ITERATIONS * max_iterations if careful else limit
            begin(
                mesh,
                flows,
                density,
                before,
                record.warm if attempt == 0 else cold,
                record.error,
                careful,
                values[n],
                data,
                state,
                work,
                number,
            )
            for lane in range(lanes):
                progress.iterations[lane] = 0.0
            iterate(mesh, flows, data, state, work, progress, limit, place, stencil, bands, number)
            left = _note(mesh, flows, state, work, progress, record, n, number)
            if left == 0:
                break
        prediction_error(mesh, record.density[n + 1], density, before, record.warm, record.error, work, number)
        record.warm[:] = record.alive
        if left > 0:
            return n
    return steps


@inline_kernel
def prediction_error(
    mesh: Mesh,
    found: Array,
    density: Array,
    before: Array,
    warm: NDArray[np.bool_],
    error: Array,
    work: Work,
    number: Any,
) -> None:
    """By how much a new density differs from what a start took it to be, at most, relative to its maximum."""
    for lane in range(lane_count(number)):
        work.each.warm[lane] = warm[lane]
    warmth, half, zero = load(work.each.warm, 0, number), as_number(0.5, number), as_number(0.0, number)
    largest, wrong = zero, zero
    for j in range(mesh.n):
        here, new = load(density, j, number), load(found, j, number)
        predicted = maximum(2.0 * here - load(before, j, number), zero)
        largest = maximum(largest, new)
        wrong = maximum(wrong, abs(new - where_above(warmth, half, predicted, here)))
    store(error, 0, wrong / largest, number)


@inline_kernel
def _note(
    mesh: Mesh, flows: Flows, state: State, work: Work, progress: Progress, record: Record, step: int, number: Any
) -> int:
    """Write down the flows that have just ended a step or could not; how many could not."""
    lanes, left, density = lane_count(number), 0, record.density[step + 1]
    transport(mesh, state, work, lanes, number)
    all_at_once = not record.converged[step].any()
    if all_at_once:
        for j in range(mesh.n):
            store(density, j, load(work.end, j, number), number)
    for lane in range(lanes):
        if not record.alive[lane] or record.converged[step, lane]:
            continue
        record.converged[step, lane] = progress.active[lane] == 0.0
        if progress.active[lane] != 0.0:
            left += 1
        record.iterations[step, lane] = int(progress.iterations[lane])
        record.residual[step, lane] = flows.tol[lane] * progress.largest[lane]
        if not all_at_once:
            for j in range(mesh.n):
                density[j, lane] = work.end[j * lanes + lane]
    return left
