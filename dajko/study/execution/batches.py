"""How many blocks one Dask task takes: as many as a worker computes in about a second, by what has been measured so far."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dajko.study.execution.task import BlockReport, Task

# Seconds that a batch should last: long against the few milliseconds that a task costs the scheduler, short against what
# may be lost with a worker, and so that progress is seen.
_SECONDS = 1.0

# Share of the newest measurement in the cost of a cell; costs differ between points.
_NEWEST = 0.5


class Batches(Iterator[tuple[Task, ...]]):
    """Tasks in their order, some at a time: one by one at first, then by measured cost.

    A batch is at most half of a worker's share of what is left, so that all workers end at the same time.

    Parameters
    ----------
    tasks : sequence of Task
    workers : int
        Number of workers.
    """

    def __init__(self, tasks: Sequence[Task], workers: int) -> None:
        self._tasks, self._workers, self._next = tasks, max(workers, 1), 0
        self._cell_seconds: float | None = None

    def learn(self, reports: Sequence[BlockReport]) -> None:
        """Take account of what a batch has cost; cells that were there already cost nothing and teach nothing."""
        cells, seconds = sum(r.cells for r in reports), sum(r.seconds for r in reports)
        if cells:
            before = self._cell_seconds
            self._cell_seconds = seconds / cells if before is None else before + _NEWEST * (seconds / cells - before)

    def __next__(self) -> tuple[Task, ...]:
        left = len(self._tasks) - self._next
        if left == 0:
            raise StopIteration
        found, cells, most = [self._tasks[self._next]], 0, max(1, left // (2 * self._workers))
        while self._cell_seconds is not None and len(found) < most:
            cells += found[-1].size
            if (cells + self._tasks[self._next + len(found)].size) * self._cell_seconds > _SECONDS:
                break
            found.append(self._tasks[self._next + len(found)])
        self._next += len(found)
        return tuple(found)
