"""How a study stands, for people and programs that look at its directory; nothing is written."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dajko.status import Status
from dajko.study.design.identity import id_text
from dajko.study.execution.progress import duration
from dajko.study.store.cells import CellStore, cells_path
from dajko.study.store.checksums import all_blocks, chunk_path
from dajko.study.store.condition import condition
from dajko.study.store.journal import last_entries
from dajko.study.store.labelled import summary_is_good
from dajko.study.store.locks import holders
from dajko.study.store.outdated import outdated
from dajko.study.store.variables import CELLS, NOT_ASKED, SUMMARY

# The rate is that of the blocks written in the last so many seconds.
_WINDOW = 600.0


@dataclass(frozen=True)
class StudyState:
    """How a study stands.

    Attributes
    ----------
    study, directory : str
    cells : int
    counts : dict from str to int
        Number of cells with each status.
    failures : dict from str to int
        Number of cells that did not converge or failed by the kind of failure.
    settings : list of dict
        Settings that cells were solved with, other than the study's own: ``setting`` and ``cells``.
    unasked : int
        Cells in the store that the study does not ask for any more.
    outdated : int
        Cells that other code has computed, and that the next run computes again.
    damaged : int
        Cells in damaged chunks: with ``verified``, of all kinds; otherwise those whose chunks are missing.
    verified : bool
        Whether every chunk was read.
    notes : list of str
        Sentences about what is damaged, or cannot be verified.
    whole : bool
        Whether nothing is damaged, as far as anybody has looked.
    running : bool
        Whether a run holds the study now.
    rate : float or None
        Cells a second, lately; None if nothing runs or too little is known.
    seconds_left : float or None
    """

    study: str
    directory: str
    cells: int
    counts: dict[str, int]
    failures: dict[str, int]
    settings: list[dict[str, Any]]
    unasked: int
    outdated: int
    damaged: int
    verified: bool
    notes: list[str]
    whole: bool
    running: bool
    rate: float | None
    seconds_left: float | None

    @property
    def incomplete(self) -> bool:
        """Whether the next run has cells to compute."""
        return bool(self.counts["pending"] or self.outdated or self.damaged or not self.whole)

    @property
    def failed(self) -> int:
        """Cells that did not converge or failed."""
        return self.counts["not_converged"] + self.counts["failed"]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {name: value for name, value in asdict(self).items() if name != "study"}

    def lines(self) -> list[str]:
        """What there is to say beside the counts."""
        found = []
        if self.running:
            left = "" if self.rate is None else f": {self.rate:.3g}/s, {duration(self.seconds_left or 0.0)} left"
            found.append(f"running{left}")
        found += [f"{number} failed: {kind}" for kind, number in self.failures.items()]
        found += [f"{s['cells']} solved with {_words(s['setting'])}" for s in self.settings]
        found += self.notes
        if self.unasked:
            found.append(f"{self.unasked} further cells are in the store that the study does not ask for any more")
        return found


def study_state(directory: Path, verify: bool = False) -> StudyState:
    """How the study of a directory stands.

    Parameters
    ----------
    directory : Path
    verify : bool
        Read every chunk, and count the cells in damaged ones.

    Raises
    ------
    InputError
        If there is no store.
    """
    store = CellStore(cells_path(directory))
    known = condition(store, verify)
    notes = known.sentences()
    if verify and (directory / SUMMARY).exists() and not summary_is_good(directory):
        notes.append(f"{SUMMARY} is not as it was written; `dajko report {directory}` writes it again from {CELLS}")
    if verify and known.good:
        notes.append("no chunk is damaged")
    if verify and known.unsealed:
        notes.append(
            f"made by an older dajko, so that not all can be verified; `dajko migrate {directory}` adds what is missing"
        )
    changed = outdated(store)
    if changed:
        notes.insert(0, f"{changed.sentence}; `dajko run` computes them again")
    counts, running = store.counts(), bool(holders(directory))
    rate = _rate(store) if running else None
    return StudyState(
        study=store.study_name,
        directory=str(directory),
        cells=store.size,
        counts=counts,
        failures=failure_kinds(store) if counts["not_converged"] or counts["failed"] else {},
        settings=_settings(store),
        unasked=store.unasked,
        outdated=changed.cells if changed else 0,
        damaged=known.number,
        verified=verify,
        notes=notes,
        whole=known.good,
        running=running,
        rate=rate,
        seconds_left=counts["pending"] / rate if rate else None,
    )


def failure_kinds(store: CellStore) -> dict[str, int]:
    """Number of cells that did not converge or failed by the kind of failure, the most frequent first."""
    known, found = last_entries(store.path.parent), Counter[str]()
    for group in range(len(store.groups)):
        status, asked = store.status(group), store.order(group) != NOT_ASKED
        bad = np.isin(status, [Status.NOT_CONVERGED, Status.FAILED]) & asked
        for number in store.ids(group)[bad].tolist():
            found[str(known.get(id_text(number), {}).get("kind", "unknown"))] += 1
    return dict(found.most_common())


def _settings(store: CellStore) -> list[dict[str, Any]]:
    settings = store.settings
    if len(settings) == 1:
        return []
    used = Counter[int]()
    for group in range(len(store.groups)):
        asked = store.order(group) != NOT_ASKED
        used.update(np.asarray(store.array(group, "setting")[:])[asked].tolist())
    return [{"setting": setting, "cells": used[i]} for i, setting in enumerate(settings) if i and used[i]]


def _rate(store: CellStore) -> float | None:
    """Cells a second from the times at which blocks were written: whoever computes them, wherever."""
    written = []
    for block in all_blocks(store):
        path = chunk_path(store, block, "status")
        if path.exists():
            written.append((path.stat().st_mtime, block.stop - block.start))
    if not written:
        return None
    last = max(at for at, _ in written)
    first = min(at for at, _ in written if at > last - _WINDOW)
    cells = sum(number for at, number in written if first < at)
    return cells / (last - first) if last > first else None


def _words(setting: dict[str, Any]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in setting.items()) or "the study's own setting"
