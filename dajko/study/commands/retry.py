"""Compute failed cells again, with another solver or another of its settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dajko.errors import InputError
from dajko.status import Status
from dajko.study.commands.run import StudyReport, compute
from dajko.study.config.cluster import ClusterConfig
from dajko.study.config.foreign import own
from dajko.study.config.parse import parse_value
from dajko.study.design.identity import words_of
from dajko.study.design.sources import sources
from dajko.study.execution.cluster import check_address_space
from dajko.study.execution.task import Task, work_of
from dajko.study.store.cells import CellStore, cells_path
from dajko.study.store.checksums import all_blocks, repair
from dajko.study.store.disk import enough_space
from dajko.study.store.files import refuse_links
from dajko.study.store.locks import alone
from dajko.study.store.variables import NOT_ASKED
from dajko.study.twin.checks import check

# What a retry may set: how the cells are solved, not which cells they are.
_SOLVERS = ("solver", "truth.solver")


def retry_study(
    results: str | Path,
    setting: Mapping[str, Any] | None = None,
    cluster: ClusterConfig | str | int | None = None,
    *,
    quiet: bool = False,
) -> StudyReport:
    """Compute the cells of a study that failed or did not converge again.

    Parameters
    ----------
    results : str or Path
        Directory of the study.
    setting : mapping from str to object, optional
        Dotted keys of the solver and their values, such as ``{"solver": {"kind": "pd3o"}}`` or ``{"solver.tol": 1e-4}``; by
        default the study's own.
    cluster : ClusterConfig, str, int or None
        As in :func:`dajko.run_study`.
    quiet : bool
        Show no progress.

    Returns
    -------
    StudyReport

    Raises
    ------
    InputError
        If there is no store, somebody writes it, it was computed by other code, or the setting is none.

    Notes
    -----
    A cell takes the new result if that is better: if it converges, or if it does not fail. ``setting`` of each cell is its
    place in the attribute ``settings`` of the store.
    """
    check_address_space()
    directory, chosen = Path(results).absolute(), dict(setting or {})
    store = CellStore(cells_path(directory))
    own(store.study, store.path)
    if store.code != sources().code(words_of(store.study)):
        raise InputError(f"{directory}: was computed by other code than this; `dajko run` computes again what has changed")
    for key in chosen:
        if not any(key == solver or key.startswith(f"{solver}.") for solver in _SOLVERS):
            raise InputError(f"{key}: a retry sets keys of solver or truth.solver only; anything else makes other cells")
    with enough_space(directory), alone(directory):
        refuse_links(directory)
        store.repair()
        repair(store)  # a new result is written beside those of its neighbours
        tasks = _failed(store)
        _check_setting(store, tasks, chosen)
        number = _number(store, chosen) if tasks else 0
        return compute(store, [Task(t.block, t.cells, number) for t in tasks], cluster, quiet=quiet)


def parse_setting(solver: str | None, options: Sequence[str]) -> dict[str, Any]:
    """A setting from the command line: the name of a solver, and texts such as ``solver.tol=1e-4``.

    Raises
    ------
    InputError
        If a text has no ``=``, or its value is not valid YAML.
    """
    setting: dict[str, Any] = {} if solver is None else {"solver": {"kind": solver}}
    for option in options:
        key, equals, text = option.partition("=")
        if not equals:
            raise InputError(f"--set {option}: must be KEY=VALUE, such as solver.tol=1e-4")
        setting[key.strip()] = parse_value(text, f"--set {option}")
    return setting


def _failed(store: CellStore) -> list[Task]:
    found = []
    for block in all_blocks(store):
        asked = store.order(block.group)[block.start : block.stop] != NOT_ASKED
        bad = np.isin(store.block_status(block), [Status.NOT_CONVERGED, Status.FAILED]) & asked
        if bad.any():
            found.append(Task(block, tuple(int(i) for i in block.start + np.flatnonzero(bad))))
    return found


def _check_setting(store: CellStore, tasks: list[Task], setting: dict[str, Any]) -> None:
    """Check that each cell is a study with this setting."""
    known, seen = work_of(str(store.path), store.hash), set()
    for task in tasks:
        for number in task.cells or ():
            point, member = known.cell(task.block.group, number)
            if point not in seen:
                check(known.plan.cell_study(point, member, setting), f"studies.{known.plan.name}")
                seen.add(point)


def _number(store: CellStore, setting: dict[str, Any]) -> int:
    """The place of a setting among those of the store, where it is written down first if it is new."""
    settings = store.settings
    if setting not in settings:
        settings.append(setting)
        store.describe({"settings": json.dumps(settings)})
    return settings.index(setting)
