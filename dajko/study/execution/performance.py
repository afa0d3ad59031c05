"""``performance.json``: how the time of the latest runs of a study was spent; its size does not grow with the members.

Dask's own report of a run, ``performance.html``, is written beside it where bokeh is installed, which Dask's dashboard needs
as well.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from distributed import Client, performance_report

from dajko.study.execution.task import BlockReport
from dajko.study.store.variables import PERFORMANCE, PERFORMANCE_PAGE

# Runs that the file tells of.
_RUNS = 20


@dataclass
class _Share:
    """What one worker has done."""

    tasks: int = 0
    cells: int = 0
    busy_seconds: float = 0.0
    solver_seconds: float = 0.0


@dataclass
class Performance:
    """What a run learns of its tasks while they finish.

    Attributes
    ----------
    workers : int
        Workers at the start.
    """

    workers: int
    _started: float = field(default_factory=time.monotonic)
    _at: str = field(default_factory=lambda: dt.datetime.now(dt.UTC).isoformat(timespec="seconds"))
    _shares: dict[str, _Share] = field(default_factory=dict)
    _durations: list[float] = field(default_factory=list)

    def add(self, report: BlockReport) -> None:
        """Count a task that has finished."""
        share = self._shares.setdefault(report.worker or "unknown", _Share())
        share.tasks += 1
        share.cells += report.cells
        share.busy_seconds += report.seconds
        share.solver_seconds += report.solver_seconds
        self._durations.append(report.seconds)

    def as_dict(self) -> dict[str, Any]:
        """Plain values: sums over the run, quantiles of the durations of tasks, and a row for each worker process."""
        seconds, shares = time.monotonic() - self._started, self._shares.values()
        busy, solver = (sum(getattr(share, name) for share in shares) for name in ("busy_seconds", "solver_seconds"))
        quantiles = np.quantile(self._durations, [0.0, 0.1, 0.5, 0.9, 1.0]).tolist() if self._durations else []
        return {
            "started": self._at,
            "seconds": seconds,
            "workers": self.workers,
            "tasks": len(self._durations),
            "cells": sum(share.cells for share in shares),
            "busy_seconds": busy,
            "solver_seconds": solver,
            "busy_share": busy / (self.workers * seconds),
            "task_seconds": dict(zip(("least", "10 %", "median", "90 %", "most"), quantiles, strict=False)),
            "by_worker": {name: vars(share) for name, share in sorted(self._shares.items())},
        }


@contextmanager
def measured(client: Client, directory: Path, workers: int) -> Iterator[Performance]:
    """Measure a run, and add it to what the study's directory tells; also if the run ends early."""
    found = Performance(workers)
    page = str(directory / PERFORMANCE_PAGE)
    try:
        if has_dashboard() and client.cluster is not None:
            with performance_report(filename=page):
                yield found
        else:
            yield found
    finally:
        with suppress(OSError):  # the disk is full; that is said by those who found out
            _add(directory / PERFORMANCE, found.as_dict())


def has_dashboard() -> bool:
    """Whether Dask can show its dashboard."""
    return importlib.util.find_spec("bokeh") is not None


def dashboard(client: Client) -> str:
    """Where Dask's dashboard is, or why there is none."""
    if "dashboard" not in client.scheduler_info(n_workers=0).get("services", {}):
        return "the scheduler has no dashboard"
    if not has_dashboard():
        return "no dashboard, because bokeh is not installed: pip install 'dajko[dashboard]'"
    return f"dashboard: {client.dashboard_link}"


def runs(directory: Path) -> list[dict[str, Any]]:
    """The runs that the file tells of, the oldest first; none if it cannot be read."""
    try:
        found = json.loads((directory / PERFORMANCE).read_text(encoding="utf-8"))["runs"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return found if isinstance(found, list) else []


def _add(path: Path, run: dict[str, Any]) -> None:
    content = {"runs": [*runs(path.parent), run][-_RUNS:]}
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
