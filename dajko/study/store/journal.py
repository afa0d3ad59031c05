"""``failures.jsonl``: why members failed, one JSON object a line, only ever appended to.

Workers write it themselves, before the status of the cells: a failed cell always has its entry. A cell may have several, of
several attempts; the last one counts.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dajko.study.store.locks import lock
from dajko.study.store.variables import FAILURES


def record(directory: Path, entries: Sequence[dict[str, Any]]) -> None:
    """Append entries, whole lines, safely on the disk; several processes may do so at once."""
    if not entries:
        return
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    text = "".join(json.dumps(_plain({**entry, "time": now}), default=str) + "\n" for entry in entries)
    with lock(directory, "journal"), (directory / FAILURES).open("ab+") as journal:
        if journal.tell() > 0:
            journal.seek(-1, os.SEEK_END)
            if journal.read(1) != b"\n":  # what a process that was killed has begun
                text = "\n" + text
        journal.write(text.encode())
        journal.flush()
        os.fsync(journal.fileno())


def entries(directory: Path) -> Iterator[dict[str, Any]]:
    """All entries, the oldest first; a line that was not written to its end is none."""
    if not (directory / FAILURES).exists():
        return
    with (directory / FAILURES).open(encoding="utf-8", errors="replace") as journal:
        for line in journal:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict):
                yield entry


def last_entries(directory: Path) -> dict[str, dict[str, Any]]:
    """The last entry of each cell, by its id."""
    return {str(entry["id"]): entry for entry in entries(directory) if "id" in entry}


def _plain(value: Any) -> Any:
    """The value in JSON, which has no infinities: the words that a configuration has for them."""
    if isinstance(value, dict):
        return {key: _plain(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(child) for child in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
