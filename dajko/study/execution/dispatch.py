"""Hand tasks to the workers of a cluster, a bounded number at a time, and find the cell that kills them.

Dask gives a task up when several workers have died with it. That may be the fault of one of its cells, or of another task on
the same worker. So its cells are computed at the end, one by one and with nothing else under way; only a cell that kills its
workers alone is at fault. It fails, and all others are there.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from distributed import Client, Future, as_completed
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from dajko.errors import InputError
from dajko.study.execution.batches import Batches
from dajko.study.execution.task import BlockReport, LostTask, Task, compute_cells, killed_cell, run_tasks, write_cells
from dajko.study.execution.workers import Attendance
from dajko.study.store.cells import CellStore
from dajko.study.store.disk import no_space

# Batches under way for each worker: one computing, one waiting.
_WINDOW = 2


def results(
    client: Client, store: CellStore, tasks: Sequence[Task], there: Attendance, logger: logging.Logger
) -> Iterator[BlockReport]:
    """Reports of the tasks as they finish; a task that is lost has none, and its cells stay as they are.

    What Dask knows as one task is a batch of these. The scheduler holds no more than two batches for each worker.

    Raises
    ------
    InputError
        If a worker finds the disk full, or there is no worker for too long.
    """
    workers = there.workers
    waiting, suspects = Batches(tasks, workers), []

    def submit(batch: Sequence[Task]) -> Future[list[BlockReport | LostTask]]:
        cells = [len(task.numbers(store)) for task in batch]  # now: once it is submitted, it may be done at once
        future = client.submit(run_tasks, str(store.path), store.hash, batch, pure=False)
        of[future.key] = batch, cells
        return future

    of: dict[Any, tuple[Sequence[Task], list[int]]] = {}
    running = as_completed([submit(batch) for batch in itertools.islice(waiting, workers * _WINDOW)])
    for future in there.finished(running):
        found, (batch, cells) = there.outcome(future), of.pop(future.key)
        if not isinstance(found, Exception):
            waiting.learn([report for report in found if isinstance(report, BlockReport)])
            for report, number in zip(found, cells, strict=True):
                if isinstance(report, LostTask):
                    # The cells stay pending in the store, so the next run takes them up again.
                    logger.error("a block was lost: %s: %s", _cells(report.task), report.message)
                elif report.no_space:
                    raise no_space(store.path.parent, report.no_space)  # all others would find the same
                else:
                    # Where a worker took its report with it into death, the task ran again, and found nothing left to do.
                    yield replace(report, cells=number)
        elif isinstance(found, KilledWorker):
            logger.warning("%s: their workers died; computed one by one at the end", _named(batch))
            for task, number in zip(batch, cells, strict=True):
                if task.numbers(store):
                    suspects.append(task)
                else:
                    yield BlockReport(task.block, number, (), 0.0)
        else:
            logger.error("a block was lost: %s: %s: %s", _named(batch), type(found).__name__, found)
        future.release()
        for following in itertools.islice(waiting, max(0, there.workers * _WINDOW - running.count())):
            running.add(submit(following))
    for task in suspects:
        yield _one_by_one(client, store, task, there, logger)


@contextmanager
def silent_client() -> Iterator[None]:
    """Keep Dask's client from showing tracebacks, which it does until it is closed; what it raises is answered here."""
    voices = [logging.getLogger(f"distributed.{name}") for name in ("client", "batched")]
    levels = [voice.level for voice in voices]
    for voice in voices:
        voice.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for voice, level in zip(voices, levels, strict=True):
            voice.setLevel(level)


@contextmanager
def connected(client: Client) -> Iterator[None]:
    """Say what to do if the scheduler is lost.

    Raises
    ------
    InputError
        If it is.
    """
    address = client.scheduler_info(n_workers=0)["address"]
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        # Once it has given the scheduler up, a client answers with errors of all kinds.
        if not isinstance(error, CancelledError | CommClosedError) and client.status == "running":
            raise
        raise InputError(
            f"cluster: the connection to the scheduler at {address} was lost; what is computed is kept: see that a "
            "scheduler runs, and the same command goes on"
        ) from None


def _one_by_one(client: Client, store: CellStore, task: Task, there: Attendance, logger: logging.Logger) -> BlockReport:
    """Compute the cells of a task alone, one after the other, and write them together: one task, one writer."""
    found = []
    for number in task.numbers(store):
        single = Task(task.block, (number,), task.setting)
        future = client.submit(compute_cells, str(store.path), store.hash, single, pure=False)
        computed = there.outcome(future)
        if not isinstance(computed, Exception):
            found += computed
        elif isinstance(computed, KilledWorker):
            found.append(killed_cell(store, single, computed.allowed_failures + 1))
        else:
            logger.error("a cell was lost: %s: %s: %s", _cells(single), type(computed).__name__, computed)
        future.release()
    return write_cells(store, task, found)


def _named(batch: Sequence[Task]) -> str:
    return ", ".join(_cells(task) for task in batch)


def _cells(task: Task) -> str:
    if task.cells is not None and len(task.cells) == 1:
        return f"cell {task.cells[0]}"
    return f"cells {task.block.start} to {task.block.stop - 1}"
