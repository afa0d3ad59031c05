"""What one Dask task does: simulate the cells of a block and write them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from dajko.energy import Energy, Entropy, PorousMedium
from dajko.flow import Flow, trajectories
from dajko.grid import Grid
from dajko.observation import DataTerm
from dajko.solvers import PD3O, InteriorPoint, Status
from dajko.study.experiment import Experiment, build, simulate_many
from dajko.study.members import Plan, make_plan
from dajko.study.store import ALL_VARIABLES, FIELDS, Block, CellStore


@dataclass(frozen=True)
class BlockReport:
    """What the driver learns of a block: times, and the cells without a usable result."""

    block: Block
    failures: tuple[dict[str, Any], ...]
    solver_seconds: float
    seconds: float


def run_block(path: str, digest: str, block: Block) -> BlockReport:
    """Simulate and write the cells of a block.

    Parameters
    ----------
    path : str
        The store, which holds the configuration of its study.
    digest : str
        Hash of the study; a worker plans it once.
    block : Block
    """
    started = time.perf_counter()
    store, plan = CellStore(Path(path)), _plan(path, digest)
    group = plan.groups[block.group]
    cells = [(group.points[i // plan.members], i % plan.members) for i in range(block.start, block.stop)]
    rows, failures = [], []
    for cell, (point, member), (row, message) in zip(
        range(block.start, block.stop), cells, _run_cells(plan, cells), strict=True
    ):
        rows.append(row)
        if message:
            failures.append(
                {
                    "group": group.name,
                    "cell": cell,
                    "member": member,
                    "parameters": {**plan.points[point], **plan.draws(point, member)},
                    "status": Status(int(row["status"])).name.lower(),
                    "message": message,
                }
            )
    shapes = {name: store.array(block.group, name).shape[1:] for name in store.variables(block.group)}
    values = {n: np.array([_fitted(row.get(n), n, shape) for row in rows]) for n, shape in shapes.items()}
    store.write(block, values)
    return BlockReport(block, tuple(failures), sum(float(row["solve_time"]) for row in rows), time.perf_counter() - started)


@lru_cache(maxsize=4)
def _plan(path: str, digest: str) -> Plan:
    store = CellStore(Path(path))
    if store.hash != digest:
        raise RuntimeError(f"{path} belongs to another study now")
    return make_plan(store.study_name, store.study)


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
        return np.full(shape, np.nan if ALL_VARIABLES[name].dtype == "f8" else 0)
    if name in FIELDS and len(shape) == 1:
        return value[-1]
    return value


def warm_up() -> None:
    """Compile every kernel, or load it from the cache, before several processes want it at once."""
    grid = Grid(0.0, 1.0, 4, 1)
    density = np.ones(grid.nx + 1)
    for internal in (PorousMedium(2.0), Entropy()):
        term = DataTerm(["mean"], [0.5], 1.0)
        for solver in (PD3O(max_iterations=1), InteriorPoint()):
            flow = Flow(density, Energy(internal), grid, 1e-3, 1, term, solver)
            trajectories([flow, flow])
