"""What one Dask task does: simulate cells of blocks and write them, with a line in the journal for each that fails."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dajko.status import Status
from dajko.study.config.foreign import own
from dajko.study.design.identity import id_text, words_of
from dajko.study.design.members import known_plan
from dajko.study.design.plan import Group, Plan
from dajko.study.design.sources import sources
from dajko.study.execution.simulate import CellResult, killed, run_cells
from dajko.study.store.cells import Block, CellStore
from dajko.study.store.disk import is_full, reason
from dajko.study.store.journal import record
from dajko.study.store.variables import ALL_VARIABLES, FIELDS


@dataclass(frozen=True)
class Task:
    """Cells of a block to be computed: by default those that are pending, with the study's own setting."""

    block: Block
    cells: tuple[int, ...] | None = None
    setting: int = 0

    @property
    def size(self) -> int:
        """Number of cells, or a bound of it: of the block as a whole, some may be there already."""
        return self.block.stop - self.block.start if self.cells is None else len(self.cells)

    def numbers(self, store: CellStore) -> list[int]:
        """The cells of the task."""
        return store.pending_cells(self.block) if self.cells is None else list(self.cells)


@dataclass(frozen=True)
class BlockReport:
    """What the driver learns of a task: the number of cells computed, those without a usable result, and times."""

    block: Block
    cells: int
    failures: tuple[dict[str, Any], ...]
    solver_seconds: float
    seconds: float = 0.0
    worker: str = ""  # the process that computed it
    no_space: str = ""  # why nothing could be written: the disk is full


@dataclass(frozen=True)
class LostTask:
    """A task that could not be done, and why; its cells are as they were."""

    task: Task
    message: str


@dataclass(frozen=True)
class Work:
    """What a process needs to know of a study, once."""

    store: CellStore
    plan: Plan
    groups: tuple[Group | None, ...]  # of the plan, for each group of the store
    order: tuple[NDArray[np.int64], ...]
    is_current: bool  # whether this process computes what the store was made for

    def cell(self, group: int, number: int) -> tuple[int, int]:
        """Point and member of a cell."""
        planned, place = self.groups[group], int(self.order[group][number])
        assert planned is not None
        return planned.points[place // self.plan.members], place % self.plan.members


def run_tasks(path: str, digest: str, tasks: Sequence[Task]) -> list[BlockReport | LostTask]:
    """Simulate and write the cells of several tasks, one after the other; each is there as soon as it is done.

    A task that cannot be written, say, is no reason to lose the others.

    Parameters
    ----------
    path : str
        The store, which holds the configuration of its study.
    digest : str
        Hash of the study; a worker plans it once.
    tasks : sequence of Task
    """
    found: list[BlockReport | LostTask] = []
    for task in tasks:
        try:
            report = run_block(path, digest, task)
        except Exception as error:
            found.append(LostTask(task, f"{type(error).__name__}: {error}"))
            continue
        found.append(report)
        if report.no_space:  # the others would find the same
            break
    return found


def run_block(path: str, digest: str, task: Task) -> BlockReport:
    """Simulate and write the cells of one task; see :func:`run_tasks`."""
    started = time.perf_counter()
    found = compute_cells(path, digest, task)
    store = work_of(path, digest).store  # a worker that was cut off may come back after another run has begun
    try:
        report = write_cells(store, task, found)
    except OSError as error:
        if not is_full(error):
            raise
        return BlockReport(task.block, 0, (), 0.0, no_space=reason(error))  # a value, so that no worker shows a traceback
    worker = f"{socket.gethostname()}:{os.getpid()}"
    return replace(report, seconds=time.perf_counter() - started, worker=worker)


def compute_cells(path: str, digest: str, task: Task) -> list[tuple[int, CellResult]]:
    """Simulate the cells of a task, and write nothing."""
    known = work_of(path, digest)
    if not known.is_current:
        raise RuntimeError(f"the dajko of this worker has other numerical code than the one that made {path}")
    numbers = task.numbers(known.store)
    cells = [known.cell(task.block.group, number) for number in numbers]
    return list(zip(numbers, run_cells(known.plan, cells, known.store.settings[task.setting]), strict=True))


def killed_cell(store: CellStore, task: Task, deaths: int) -> tuple[int, CellResult]:
    """The result of the only cell of a task, which has killed its workers."""
    (number,) = task.numbers(store)
    return number, killed(deaths)


def write_cells(store: CellStore, task: Task, found: Sequence[tuple[int, CellResult]]) -> BlockReport:
    """Write the results of cells of one block: what failed into the journal, then the data, then the status.

    A cell that has been computed before keeps what it has, unless the new result is better.
    """
    group, block = task.block.group, task.block
    failures = tuple(_entry(store, task, number, result) for number, result in found if result.message)
    record(store.path.parent, failures)
    before = store.block_status(block)
    kept = [(n, r.row) for n, r in found if before[n - block.start] in (Status.PENDING, *range(r.status + 1, len(Status)))]
    if kept:
        rows = [{**row, "setting": task.setting} for _, row in kept]
        shapes = {name: store.array(group, name).shape[1:] for name in store.variables(group)}
        values = {n: np.array([fitted(row.get(n), n, shape) for row in rows]) for n, shape in shapes.items()}
        store.write(block, values, [number for number, _ in kept])
    return BlockReport(block, len(found), failures, sum(float(result.row["solve_time"]) for _, result in found))


def work_of(path: str, digest: str) -> Work:
    """The plan of a store's study, and which of its cells stand where; looked up again when the store has changed.

    Raises
    ------
    RuntimeError
        If the store belongs to another study now.
    """
    try:
        found = (Path(path) / "zarr.json").stat()
    except FileNotFoundError:
        return _work_of(path, digest, (0, 0, 0))  # which says that there is no store
    return _work_of(path, digest, (found.st_ino, found.st_mtime_ns, found.st_size))


@lru_cache(maxsize=4)
def _work_of(path: str, digest: str, _version: tuple[int, int, int]) -> Work:
    store = CellStore(Path(path))
    if store.hash != digest:
        raise RuntimeError(f"{store.path} belongs to another study now")
    plan, groups = known_plan(store.study_name, own(store.study, store.path)), range(len(store.groups))
    planned = {plan.shape(group.points[0]).written: group for group in plan.groups}
    found = tuple(planned.get(store.shape(i).written) for i in groups)
    is_current = store.code == sources().code(words_of(store.study))
    return Work(store, plan, found, tuple(store.order(i) for i in groups), is_current)


def _entry(store: CellStore, task: Task, number: int, result: CellResult) -> dict[str, Any]:
    """What the journal says of a cell that failed."""
    group, known = task.block.group, work_of(str(store.path), store.hash)
    point, member = known.cell(group, number)
    return {
        "id": id_text(int(store.known_ids(group)[number])),
        "group": store.groups[group].path,
        "cell": number,
        "member": member,
        "parameters": {**known.plan.points[point], **known.plan.draws(point, member)},
        "setting": store.settings[task.setting],
        "status": result.status.name.lower(),
        "kind": result.kind,
        "message": result.message,
        "history": result.history,
    }


def fitted(value: Any, name: str, shape: tuple[int, ...]) -> Any:
    """A variable of a cell in the shape of the store; NaN or 0 where a failed cell has none."""
    if value is None:
        return np.full(shape, np.nan if ALL_VARIABLES[name].dtype == "f8" else 0)
    if name in FIELDS and len(shape) == 1:
        return value[-1]
    return value
