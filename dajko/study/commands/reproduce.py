"""Run one cell again, alone, with everything that can be said about it, and compare it with the stored one bit by bit."""

from __future__ import annotations

import multiprocessing
import re
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dajko.errors import InputError
from dajko.flow import Flow, steps_in_time
from dajko.problem.problem import Step
from dajko.solvers import as_solver
from dajko.status import Status
from dajko.study.design.identity import cell_ids, id_text
from dajko.study.design.plan import Group
from dajko.study.design.seeds import noise_key
from dajko.study.design.sources import sources
from dajko.study.execution.cluster import check_address_space
from dajko.study.execution.simulate import run_cells
from dajko.study.execution.task import fitted, work_of
from dajko.study.store.cells import CellStore, cells_path
from dajko.study.store.variables import NOT_ASKED, NOT_REPRODUCIBLE
from dajko.study.twin.experiment import Experiment, build

# Not a result of computing the cell.
_NOT_COMPARED = (*NOT_REPRODUCIBLE, "setting")


@dataclass(frozen=True)
class Reproduction:
    """What became of a cell that was run again.

    Attributes
    ----------
    id, group : str
    cell, member : int
    parameters : dict
        Swept and drawn values.
    seed : int
    seed_key : tuple of int
    setting : dict
        Keys of the solver that were not the study's own.
    same_code : bool
        Whether the code that decides its numbers is that which computed the stored cell.
    stored, status : str
        How the stored cell ended, and how this one did.
    message : str
        Why this one has no usable result, if it has none.
    differences : dict from str to float
        Largest absolute difference of each variable that is not equal to the last bit; infinite where one has no number.
    steps : list of dict
        Number, status, iterations, residual, residuals and message of each step.
    iterations : list of dict
        For the first step that did not converge: the residual that the solver has reached after so many iterations.
    """

    id: str
    group: str
    cell: int
    member: int
    parameters: dict[str, Any]
    seed: int
    seed_key: tuple[int, int]
    setting: dict[str, Any]
    same_code: bool
    stored: str
    status: str
    message: str
    differences: dict[str, float]
    steps: list[dict[str, Any]]
    iterations: list[dict[str, Any]]

    @property
    def equal(self) -> bool:
        """Whether the cell is there and came out the same, to the last bit."""
        return self.stored != Status.PENDING.name.lower() and not self.differences

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "equal": self.equal}


def reproduce_cell(results: str | Path, cell: str) -> Reproduction:
    """Run one cell of a study again, in a process of its own, and compare it with what is stored. Nothing is written.

    Parameters
    ----------
    results : str or Path
        Directory of the study.
    cell : str
        Its id, 16 hexadecimal digits; or its number along ``cell``, after the name of its group and a slash if the store has
        several.

    Raises
    ------
    InputError
        If there is no such cell, or the study does not ask for it any more.
    """
    check_address_space()
    directory = Path(results).absolute()
    store = CellStore(cells_path(directory))
    group, number = _find(store, cell)
    if store.order(group)[number] == NOT_ASKED:
        raise InputError(
            f"{directory}: the study does not ask for the cell {cell} any more; widen the study so that it does"
        )
    known = work_of(str(store.path), store.hash)
    point, member = known.cell(group, number)
    now = int(cell_ids(known.plan, Group("", (point,)), sources())[member])
    names = store.variables(group)
    stored = {name: store.rows(group, name, np.array([number]))[0] for name in names}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as process:
        try:
            again: dict[str, Any] = process.submit(_run, str(store.path), group, number).result()
        except BrokenProcessPool:
            again = {"row": {"status": Status.FAILED}, "message": "the process that computed it died", "steps": []}
    row = {name: np.asarray(fitted(again["row"].get(name), name, stored[name].shape)) for name in names}
    return Reproduction(
        id=id_text(int(store.known_ids(group)[number])),
        group=str(store.groups[group].path),
        cell=number,
        member=member,
        parameters={**known.plan.points[point], **known.plan.draws(point, member)},
        seed=known.plan.study.ensemble.seed,
        seed_key=noise_key(member),
        setting=store.settings[int(stored["setting"])],
        same_code=now == int(store.known_ids(group)[number]),
        stored=Status(int(stored["status"])).name.lower(),
        status=Status(int(row["status"])).name.lower(),
        message=again["message"],
        differences=_differences(stored, row),
        steps=again["steps"],
        iterations=again.get("iterations", []),
    )


def _find(store: CellStore, cell: str) -> tuple[int, int]:
    """Group and number of a cell."""
    name, _, text = cell.rpartition("/")
    names = [str(group.path) for group in store.groups]
    if not name and re.fullmatch("[0-9a-f]{16}", text):
        for group in range(len(names)):
            (found,) = np.nonzero(store.known_ids(group) == np.uint64(int(text, 16)))
            if found.size:
                return group, int(found[0])
    elif name in names and text.isdecimal():
        group = names.index(name)
        if int(text) < store.array(group, "status").shape[0]:
            return group, int(text)
    forms = "an id of 16 digits" + (", or a number" if names == [""] else f", or {names[0]}/NUMBER")
    raise InputError(f"{store.path.parent}: has no cell {cell!r}; name it by {forms}")


def _run(path: str, group: int, number: int) -> dict[str, Any]:
    """Run a cell as a worker does, then its steps one by one. In a process of its own, because the cell may kill it."""
    store = CellStore(Path(path))
    known = work_of(path, store.hash)
    point, member = known.cell(group, number)
    setting = store.settings[int(np.asarray(store.array(group, "setting")[number]))]
    (result,) = run_cells(known.plan, [(point, member)], setting)
    found: dict[str, Any] = {"row": result.row, "message": result.message, "steps": []}
    if "step_status" in result.row:
        experiment = build(known.plan.cell_study(point, member, setting), f"studies.{known.plan.name}")
        found |= _diagnose(experiment, known.plan.noise_generator(member))
    return found


def _diagnose(e: Experiment, generator: np.random.Generator) -> dict[str, Any]:
    """The steps of a cell, and how the first that did not converge went on from iteration to iteration."""
    term = e.data_term(e.data(generator))
    flow = Flow(e.initial, e.energy, e.grid, e.tau, e.steps, term, e.solver, e.time_scheme)
    steps: list[Step] = []
    iterations: list[dict[str, Any]] = []
    for n, step in enumerate(steps_in_time(e.initial, e.energy, e.grid, e.tau, e.steps, term, e.solver, e.time_scheme)):
        if not step.converged and not iterations:
            before = steps[-1] if steps else None
            problem = flow.problem(e.initial if before is None else before.density, n)
            solver, limit = as_solver(e.solver), 1
            options = {field.name: getattr(solver, field.name) for field in fields(solver)}
            most = options.get("max_iterations", 0)
            while limit <= most:
                limited = type(solver)(**(options | {"max_iterations": limit}))
                tried = limited.solve(problem, before.warm_start if before else None)
                iterations.append({"iterations": limit, "residual": float(tried.residual)})
                limit = limit * 2 if tried.status == Status.NOT_CONVERGED else most + 1
        steps.append(step)
    described = [
        {
            "step": n,
            "status": step.status.name.lower(),
            "iterations": int(step.iterations),
            "residual": float(step.residual),
            "residuals": {name: float(value) for name, value in step.residuals.items()},
            "message": step.message,
        }
        for n, step in enumerate(steps, start=1)
    ]
    return {"steps": described, "iterations": iterations}


def _differences(stored: dict[str, NDArray[Any]], again: dict[str, NDArray[Any]]) -> dict[str, float]:
    """Largest absolute difference of each variable that is not equal to the last bit."""
    found = {}
    for name in (n for n in stored if n not in _NOT_COMPARED):
        before, after = stored[name], again[name].astype(stored[name].dtype)
        if not np.array_equal(before, after, equal_nan=before.dtype.kind == "f"):
            distance = np.abs(before.astype(float) - after.astype(float))
            one_missing = np.isnan(before) != np.isnan(after)
            found[name] = float(np.nanmax(np.where(one_missing, np.inf, distance)))
    return found
