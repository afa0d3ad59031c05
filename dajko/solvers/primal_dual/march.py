"""Steps in time of ``interior_point``, one after the other in one kernel.

A step that does not converge from a warm start begins again, cold, and then carefully (:mod:`.starts`). One
that does not converge either way stops the march, so that another solver can take it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dajko._numba import kernel
from dajko.grid import Array
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
    number: Any,
) -> int:
    """Take steps, beginning with number ``first``, until one of them does not converge for some flow that still runs.

    ``values`` has the shape (steps, numbers, lanes); ``earlier``, shape (1, n, lanes), is the density before the first.
    Returns the number of the step that has not converged, or that of all steps.
    """
    lanes = progress.active.size
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
            iterate(mesh, flows, data, state, work, progress, limit, place, stencil, number)
            left = _note(mesh, flows, data, state, work, progress, record, n)
            if left == 0:
                break
        for lane in range(lanes):
            record.error[lane] = prediction_error(mesh, record.density[n + 1], density, before, record.warm[lane], lane)
            record.warm[lane] = record.alive[lane]
        if left > 0:
            return n
    return steps


@kernel
def prediction_error(mesh: Mesh, found: Array, density: Array, before: Array, warm: bool, lane: int) -> float:
    """By how much a new density differs from what a start took it to be, at most, relative to its maximum."""
    largest, error = 0.0, 0.0
    for j in range(mesh.n):
        predicted = max(2.0 * density[j, lane] - before[j, lane], 0.0) if warm else density[j, lane]
        largest = max(largest, found[j, lane])
        error = max(error, abs(found[j, lane] - predicted))
    return error / largest


@kernel
def _note(
    mesh: Mesh, flows: Flows, data: Data, state: State, work: Work, progress: Progress, record: Record, step: int
) -> int:
    """Write down the flows that have just ended a step or could not; how many could not."""
    lanes, left = int(progress.active.size), 0
    for lane in range(lanes):
        if not record.alive[lane] or record.converged[step, lane]:
            continue
        record.converged[step, lane] = progress.active[lane] == 0.0
        if progress.active[lane] != 0.0:
            left += 1
        record.iterations[step, lane] = int(progress.iterations[lane])
        record.residual[step, lane] = flows.tol[lane] * progress.largest[lane]
        transport(mesh, state, work, lane, lanes)
        for j in range(mesh.n):
            record.density[step + 1, j, lane] = work.end[j * lanes + lane]
    return left
