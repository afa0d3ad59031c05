"""The store of a study's directory: the one that is there, or a new one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from dajko.errors import InputError
from dajko.study.config import study_hash
from dajko.study.create import create, description
from dajko.study.layout import CELLS, FAILURES, MANIFEST, SLABS, SUMMARY
from dajko.study.members import Plan
from dajko.study.store import CellStore


def inspect(directory: Path, plan: Plan) -> CellStore | None:
    """The store that is in a directory, whether or not it fits the plan; None if there is none. Writes nothing.

    Raises
    ------
    InputError
        If the directory cannot hold the plan: it is a file, or holds another study or something else.
    """
    cells = directory / CELLS
    existing = next((p for p in (directory, *directory.parents) if p.exists()), directory)
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"{directory}: cannot be written, because {existing} is not a directory that may be written")
    if not cells.exists():
        return None
    store = CellStore(cells)
    if store.study_name != plan.name:
        raise InputError(
            f"{directory}: holds the study '{store.study_name}', not '{plan.name}'; choose another results directory"
        )
    return store


def prepare(directory: Path, plan: Plan) -> CellStore:
    """The store of a plan: the one that is there if it fits, or a new one.

    A store of the same study with another configuration is kept beside it, under ``previous/``, and comes back when that
    configuration does.

    Raises
    ------
    InputError
        If the directory cannot be written, or holds another study or something else.
    """
    store, wanted = inspect(directory, plan), study_hash(plan.study)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if store is None or store.hash != wanted:
            if store is not None:
                _keep(directory, store.hash)
            earlier = directory / "previous" / wanted[:16]
            if earlier.exists():
                _move(earlier, directory)
                earlier.rmdir()
            else:
                create(directory / CELLS, plan, wanted)
            store = CellStore(directory / CELLS)
        # What is shown may have changed, without a cell being computed again.
        shown = description(plan)
        if any(store.root.attrs[key] != value for key, value in shown.items()):
            store.root.attrs.update(shown)
    except OSError as error:
        raise InputError(f"{directory}: cannot be written: {error.strerror or error}") from None
    return store


# The cells last: whether they are there says how far an interrupted move came.
_KEPT = (SUMMARY, MANIFEST, FAILURES, CELLS)


def _keep(directory: Path, digest: str) -> None:
    target = directory / "previous" / digest[:16]
    target.mkdir(parents=True, exist_ok=True)
    for stale in (directory / SLABS).glob("*.json"):  # Snakemake would take them for those of the new configuration
        stale.unlink()
    _move(directory, target)


def _move(source: Path, target: Path) -> None:
    for name in _KEPT:
        if (source / name).exists():
            if name == SUMMARY:
                shutil.rmtree(target / name, ignore_errors=True)
            (source / name).rename(target / name)
