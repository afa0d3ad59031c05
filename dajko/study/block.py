"""What one Dask task does: simulate the cells of a block and write them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from dajko.energy import Energy, Entropy, PorousMedium
from dajko.flow import trajectory
from dajko.grid import Grid
from dajko.observation import DataTerm
from dajko.solvers import PD3O, Status
from dajko.study.experiment import build, simulate
from dajko.study.members import Plan, make_plan
from dajko.study.store import FIELDS, VARIABLES, Block, CellStore


@dataclass(frozen=True)
class BlockReport:
    """What the driver learns of a block: counts, times, and the cells that did not converge."""

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
    rows, failures = [], []
    for cell in range(block.start, block.stop):
        position, member = divmod(cell, plan.members)
        point = group.points[position]
        row, message = _run_cell(plan, point, member)
        rows.append(row)
        if row["status"] != Status.CONVERGED:
            parameters = {**plan.points[point], **plan.draws(point, member)}
            failures.append(
                {
                    "group": group.name,
                    "cell": cell,
                    "member": member,
                    "parameters": parameters,
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


def _run_cell(plan: Plan, point: int, member: int) -> tuple[dict[str, Any], str]:
    """The variables of a cell, and a message if it did not converge. Whatever goes wrong stays inside the cell."""
    try:
        experiment = build(plan.cell_study(point, member), f"studies.{plan.name}")
        row = simulate(experiment, plan.noise_generator(member))
    except Exception as error:  # a member that cannot be computed must not end the study
        return {"status": Status.FAILED, "solve_time": 0.0}, f"{type(error).__name__}: {error}"
    status = Status(int(row["status"]))
    if status == Status.CONVERGED:
        return row, ""
    step = int(np.argmax(row["step_status"] == status))
    return row, f"step {step}: {status.message}"


def _fitted(value: Any, name: str, shape: tuple[int, ...]) -> Any:
    """A variable of a cell in the shape of the store; NaN or 0 where a failed cell has none."""
    if value is None:
        return np.full(shape, np.nan if VARIABLES[name].dtype == "f8" else 0)
    if name in FIELDS and len(shape) == 1:
        return value[-1]
    return value


def warm_up() -> None:
    """Compile every kernel, or load it from the cache, before several processes want it at once."""
    grid = Grid(0.0, 1.0, 4, 1)
    density = np.ones(grid.nx + 1)
    for internal in (PorousMedium(2.0), Entropy()):
        term = DataTerm(["mean"], [0.5], 1.0)
        trajectory(density, Energy(internal), grid, 1e-3, 1, term, PD3O(max_iterations=1))
