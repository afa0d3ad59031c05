"""What one Dask task does: simulate the cells of a block and write them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dajko.solvers import Status
from dajko.study.code import code_hash
from dajko.study.experiment import Experiment, build, simulate_many
from dajko.study.layout import FIELDS, VARIABLES
from dajko.study.members import Group, Plan, make_plan, shape_key
from dajko.study.store import Block, CellStore


@dataclass(frozen=True)
class BlockReport:
    """What the driver learns of a block: the number of cells computed, those without a usable result, and times."""

    block: Block
    cells: int
    failures: tuple[dict[str, Any], ...]
    solver_seconds: float
    seconds: float


@dataclass(frozen=True)
class _Work:
    """What a worker needs to know of a study, once."""

    plan: Plan
    groups: tuple[Group | None, ...]  # of the plan, for each group of the store
    order: tuple[NDArray[np.int64], ...]

    def cell(self, group: int, number: int) -> tuple[int, int]:
        """Point and member of a cell."""
        planned, place = self.groups[group], int(self.order[group][number])
        assert planned is not None
        return planned.points[place // self.plan.members], place % self.plan.members


def run_block(path: str, digest: str, block: Block) -> BlockReport:
    """Simulate and write the cells of a block that have not been computed.

    Parameters
    ----------
    path : str
        The store, which holds the configuration of its study.
    digest : str
        Hash of the study; a worker plans it once.
    block : Block
    """
    started = time.perf_counter()
    store, work = CellStore(Path(path)), _work(path, digest)
    numbers = store.pending_cells(block)
    cells = [work.cell(block.group, number) for number in numbers]
    rows, failures = [], []
    for number, (point, member), (row, message) in zip(numbers, cells, _run_cells(work.plan, cells), strict=True):
        rows.append(row)
        if message:
            failures.append(
                {
                    "group": store.groups[block.group].path,
                    "cell": number,
                    "member": member,
                    "parameters": {**work.plan.points[point], **work.plan.draws(point, member)},
                    "status": Status(int(row["status"])).name.lower(),
                    "message": message,
                }
            )
    if rows:
        shapes = {name: store.array(block.group, name).shape[1:] for name in store.variables(block.group)}
        values = {n: np.array([_fitted(row.get(n), n, shape) for row in rows]) for n, shape in shapes.items()}
        _check(CellStore(Path(path)), digest)  # a worker that was cut off may come back after another run has begun
        store.write(block, values, numbers)
    seconds = time.perf_counter() - started
    return BlockReport(block, len(rows), tuple(failures), sum(float(row["solve_time"]) for row in rows), seconds)


@lru_cache(maxsize=4)
def _work(path: str, digest: str) -> _Work:
    store = CellStore(Path(path))
    _check(store, digest)
    if store.code != code_hash():
        raise RuntimeError(f"the dajko of this worker has other numerical code than the one that made {path}")
    plan, groups = make_plan(store.study_name, store.study), range(len(store.groups))
    planned = {shape_key(plan.studies[group.points[0]]): group for group in plan.groups}
    return _Work(plan, tuple(planned.get(store.shape(i)) for i in groups), tuple(store.order(i) for i in groups))


def _check(store: CellStore, digest: str) -> None:
    if store.hash != digest:
        raise RuntimeError(f"{store.path} belongs to another study now")


def _run_cells(plan: Plan, cells: list[tuple[int, int]]) -> list[tuple[dict[str, Any], str]]:
    """The variables of each cell, points and members given, and a message where there is no usable result."""
    prefix = f"studies.{plan.name}"
    experiments: list[Experiment | Exception] = []
    of_point: dict[int, Experiment | Exception] = {}
    for point, member in cells:
        if plan.perturbed_keys or point not in of_point:
            try:
                of_point[point] = build(plan.cell_study(point, member), prefix)
            except Exception as error:  # a cell that cannot be computed must not end the study
                of_point[point] = error
        experiments.append(of_point[point])
    found: dict[int, dict[str, Any] | Exception] = {i: e for i, e in enumerate(experiments) if isinstance(e, Exception)}
    found |= _simulated(plan, {i: e for i, e in enumerate(experiments) if isinstance(e, Experiment)}, cells)
    return [_judged(found[i]) for i in range(len(cells))]


def _simulated(
    plan: Plan, experiments: dict[int, Experiment], cells: list[tuple[int, int]]
) -> dict[int, dict[str, Any] | Exception]:
    """Simulate cells together; if something unforeseen happens, one by one, to find which of them it is."""

    def run(chosen: list[int]) -> dict[int, dict[str, Any] | Exception]:
        generators = [plan.noise_generator(cells[i][1]) for i in chosen]
        return dict(zip(chosen, simulate_many([experiments[i] for i in chosen], generators), strict=True))

    try:
        return run(list(experiments))
    except Exception:
        found: dict[int, dict[str, Any] | Exception] = {}
        for i in experiments:
            try:
                found |= run([i])
            except Exception as error:
                found[i] = error
        return found


def _judged(found: dict[str, Any] | Exception) -> tuple[dict[str, Any], str]:
    if isinstance(found, Exception):
        return {"status": Status.FAILED, "solve_time": 0.0}, f"{type(found).__name__}: {found}"
    status = Status(int(found["status"]))
    if status.usable:
        return found, ""
    return found, f"step {int(np.argmax(found['step_status'] == status))}: {status.message}"


def _fitted(value: Any, name: str, shape: tuple[int, ...]) -> Any:
    """A variable of a cell in the shape of the store; NaN or 0 where a failed cell has none."""
    if value is None:
        return np.full(shape, np.nan if VARIABLES[name].dtype == "f8" else 0)
    if name in FIELDS and len(shape) == 1:
        return value[-1]
    return value
