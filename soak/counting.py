"""Which cells workers compute, and when: a Dask preload that writes a line before and after each block.

A process loads it if ``distributed.worker.preload`` names this module; :func:`environment` says so through the environment.
Each line is one write to a file opened for appending, so that processes may write at once and be killed at any instant.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LOG = "SOAK_LOG"


def environment(log: Path, root: Path) -> dict[str, str]:
    """What a program needs in its environment so that its workers write to ``log``; ``root`` holds this package."""
    preload = {"DASK_DISTRIBUTED__WORKER__PRELOAD": '["soak.counting"]', _LOG: str(log)}
    return {**os.environ, **preload, "PYTHONPATH": os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))}


def dask_setup(worker: Any) -> None:
    """Called by Dask in each worker before it takes its first task."""
    from dajko.study.execution import task as module

    block: Any = module
    simulate, write = block.run_cells, block.write_cells

    def run_cells(plan: Any, cells: Sequence[tuple[int, int]], *rest: Any) -> Any:
        _say("start", [point * plan.members + member for point, member in cells])
        return simulate(plan, cells, *rest)

    def write_cells(store: Any, task: Any, found: Any) -> Any:
        report = write(store, task, found)
        _say("written", [number for number, _ in found])
        return report

    block.run_cells, block.write_cells = run_cells, write_cells
    _say("worker", [])


def _say(event: str, cells: list[int]) -> None:
    line = json.dumps({"event": event, "pid": os.getpid(), "cells": cells}) + "\n"
    descriptor = os.open(os.environ[_LOG], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class Count:
    """What the workers of all runs of a study have done.

    Attributes
    ----------
    computed : int
        Cells that were computed at least once.
    again : int
        Cells that were computed more than once.
    repeated : int
        Computations beyond the first of each cell.
    wasted : list of int
        Cells that were computed once more although they had been written: there must be none.
    """

    computed: int
    again: int
    repeated: int
    wasted: list[int]


def events(log: Path) -> list[dict[str, Any]]:
    """What the workers have written, the oldest first; a line that was not finished is none."""
    found = []
    for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def count(log: Path) -> Count:
    """Count computations of cells in a study whose store has one group and was never widened, so that numbers are places."""
    starts: Counter[int] = Counter()
    written: set[int] = set()
    wasted: set[int] = set()
    for event in events(log):
        if event["event"] == "start":
            starts.update(event["cells"])
            wasted |= written & set(event["cells"])
        elif event["event"] == "written":
            written |= set(event["cells"])
    return Count(len(starts), sum(n > 1 for n in starts.values()), starts.total() - len(starts), sorted(wasted))


def workers(log: Path) -> list[int]:
    """The processes that have been workers."""
    return [event["pid"] for event in events(log) if event["event"] == "worker"]
