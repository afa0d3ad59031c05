"""Simulate some cells of a plan; whatever goes wrong in one of them is its result, with a kind and a message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dajko.status import Status
from dajko.study.design.plan import Plan
from dajko.study.twin.experiment import Experiment, build, simulate_many

# Kinds of failures that are no exceptions.
ITERATION_LIMIT, NOT_FINITE, WORKER_DIED = "iteration limit", "not finite", "worker died"

_KINDS = {Status.NOT_CONVERGED: ITERATION_LIMIT, Status.FAILED: NOT_FINITE}


@dataclass(frozen=True)
class CellResult:
    """What became of a cell.

    Attributes
    ----------
    row : dict
        The variables of the store that there are, at least ``status`` and ``solve_time``.
    kind, message : str
        Why there is no usable result; empty if there is one.
    """

    row: dict[str, Any]
    kind: str = ""
    message: str = ""

    @property
    def status(self) -> Status:
        """How the cell ended."""
        return Status(int(self.row["status"]))

    @property
    def history(self) -> dict[str, list[Any]]:
        """Status, iterations and residual of each step that was taken, for the journal of failures."""
        if "step_status" not in self.row:
            return {}
        taken = np.flatnonzero(np.asarray(self.row["step_status"]) != Status.PENDING)
        names = {"status": "step_status", "iterations": "iterations", "residual": "residual"}
        return {word: np.asarray(self.row[name])[taken[1:]].tolist() for word, name in names.items()}


def run_cells(
    plan: Plan,
    cells: Sequence[tuple[int, int]],
    setting: Mapping[str, Any] | None = None,
) -> list[CellResult]:
    """Simulate cells, given as points and members.

    Parameters
    ----------
    plan : Plan
    cells : sequence of (int, int)
    setting : mapping from str to object, optional
        Values of dotted keys in place of the study's own.
    """
    prefix = f"studies.{plan.name}"
    experiments: list[Experiment | Exception] = []
    known: dict[Any, Experiment | Exception] = {}
    for point, member in cells:
        key = point, member if plan.perturbed_keys else 0
        if key not in known:
            try:
                known[key] = build(plan.cell_study(point, member, setting), prefix)
            except Exception as error:  # a cell that cannot be computed must not end the study
                known[key] = error
        experiments.append(known[key])
    found: dict[int, dict[str, Any] | Exception] = {i: e for i, e in enumerate(experiments) if isinstance(e, Exception)}
    found |= _simulated(plan, {i: e for i, e in enumerate(experiments) if isinstance(e, Experiment)}, cells)
    return [_judged(found[i]) for i in range(len(cells))]


def killed(deaths: int) -> CellResult:
    """The result of a cell that kills its workers."""
    message = (
        f"its worker died {deaths} times, each time while it computed this cell alone; "
        "perhaps the memory does not suffice, see grid.nx, grid.nt and time.steps"
    )
    return CellResult({"status": Status.FAILED, "solve_time": 0.0}, WORKER_DIED, message)


def _simulated(
    plan: Plan, experiments: dict[int, Experiment], cells: Sequence[tuple[int, int]]
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


def _judged(found: dict[str, Any] | Exception) -> CellResult:
    if isinstance(found, Exception):
        name = type(found).__name__
        return CellResult({"status": Status.FAILED, "solve_time": 0.0}, name, f"{name}: {found}")
    status = Status(int(found["status"]))
    if status.usable:
        return CellResult(found)
    step = int(np.argmax(found["step_status"] == status))
    return CellResult(found, _KINDS[status], f"step {step}: {found['messages'].get(step) or status.message}")
