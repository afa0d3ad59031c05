"""The store of a study's directory: the one that is there if it fits, widened if the study asks for more, or a new one."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from dajko.errors import InputError
from dajko.study.config.study import SCHEMA_VERSION, study_hash
from dajko.study.design.identity import words_of
from dajko.study.design.plan import Plan
from dajko.study.design.sources import sources
from dajko.study.store.cells import CellStore, cells_path, check_version, read_attributes
from dajko.study.store.create import create, description
from dajko.study.store.differences import differences
from dajko.study.store.disk import is_full, no_space, reason
from dajko.study.store.guard import DamagedError
from dajko.study.store.variables import CELLS, FAILURES, MANIFEST, NEW, SLABS, SUMMARY

# A store that has lost its place to another one, which holds its cells.
_OLD = f".{CELLS}.old"

# What moves with a store; the cells last, because whether they are there says how far an interrupted move came.
_KEPT = (SUMMARY, MANIFEST, FAILURES, CELLS)


def inspect(directory: Path, plan: Plan, recompute: bool = False) -> CellStore | None:
    """The store that is in a directory and fits the plan; None if there is none, or it may be set aside. Writes nothing.

    Parameters
    ----------
    directory : Path
    plan : Plan
    recompute : bool
        Whether a store that does not fit may be set aside.

    Raises
    ------
    InputError
        If the directory cannot hold the plan: it is a file, or holds another study, a store that does not fit, or something
        else. A line for each difference.
    """
    existing = next((p for p in (directory, *directory.parents) if p.exists()), directory)
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"{directory}: cannot be written, because {existing} is not a directory that may be written")
    cells = next((directory / name for name in (CELLS, NEW) if (directory / name).exists()), None)
    if cells is None:
        return None
    try:
        attributes = read_attributes(cells)
    except DamagedError:
        if recompute:  # nobody can say what it was
            return None
        raise
    if attributes["study"] != plan.name:
        raise InputError(
            f"{directory}: holds the study '{attributes['study']}', not '{plan.name}'; choose another results directory"
        )
    if recompute:
        try:
            return CellStore(cells) if _is_exact(attributes, plan) else None
        except DamagedError:
            return None
    check_version(cells, attributes["schema_version"])
    store = CellStore(cells)
    found = differences(store, plan)
    if found:
        lines = [f"{directory}: does not fit the study: {difference}" for difference in found]
        choices = "undo the change, give the study another name, or say --recompute to compute it anew and keep this store"
        raise InputError("\n".join([*lines, f"{directory}: nothing is overwritten; {choices} under previous/"]))
    return store


def prepare(directory: Path, plan: Plan, recompute: bool = False) -> CellStore:
    """The store of a plan: the one that is there, widened if the plan has cells that it has not, or a new one.

    Nobody else may write the store meanwhile.

    Parameters
    ----------
    directory : Path
    plan : Plan
    recompute : bool
        Set the store that is there aside, under ``previous/``. If it did not fit, and an earlier store of just this study is
        there, that one comes back; otherwise all cells are to be computed.

    Raises
    ------
    InputError
        If the directory cannot be written, holds another study or something else, or a store that does not fit.
    """
    store = inspect(directory, plan, recompute)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _recover(directory)
        if recompute and (directory / CELLS).exists():
            set_aside(directory)
        if not (directory / CELLS).exists():
            again = recompute and store is not None  # the study itself anew, not one that was there before
            earlier = None if again else _earlier(directory, plan)
            if earlier is None:
                create(directory / NEW, plan, sources())
                cells_path(directory)
            else:
                _move(earlier, directory)
                earlier.rmdir()
        elif store is not None and not is_current(store, plan):
            create(directory / NEW, plan, sources(), CellStore(directory / CELLS))
            _replace(directory)
        store = CellStore(directory / CELLS)
        # What is shown may have changed, without a cell being computed again.
        shown = description(plan)
        if any(store.root.attrs[key] != value for key, value in shown.items()):
            store.describe(shown)
    except OSError as error:
        if is_full(error):
            raise no_space(directory, reason(error)) from None
        raise InputError(f"{directory}: cannot be written: {error.strerror or error}") from None
    return store


def is_current(store: CellStore, plan: Plan) -> bool:
    """Whether a store that fits a plan holds just its cells, as this code computes them."""
    return store.hash == study_hash(plan.study) and store.code == sources().code(words_of(plan.study))


def _replace(directory: Path) -> None:
    """Put a store that holds all cells of the old one in its place; killed at any instant, one of them is found again."""
    forget(directory)
    (directory / CELLS).rename(directory / _OLD)
    cells_path(directory)
    if (directory / _OLD).is_symlink():  # the store was on another disk; what the link points to is not ours to delete
        (directory / _OLD).unlink()
    else:
        shutil.rmtree(directory / _OLD)


def set_aside(directory: Path) -> Path:
    """Move a store with what belongs to it below ``previous/``; where to."""
    try:
        attributes = read_attributes(directory / CELLS)
    except DamagedError:
        attributes = {"study_hash": "damaged"}
    name = f"{attributes['study_hash']!s:.16}-{attributes.get('code') or 'unnamed'!s:.8}"
    target = place_aside(directory, "".join(c if c.isalnum() else "-" for c in name))
    for stale in (directory / SLABS).glob("*.json"):  # Snakemake would take them for those of the new configuration
        stale.unlink()
    _move(directory, target)
    return target


def place_aside(directory: Path, name: str) -> Path:
    """A folder below ``previous/`` that holds no store."""
    target, number = directory / "previous" / name, 1
    while (target / CELLS).exists():
        number += 1
        target = target.with_name(f"{name}-{number}")
    target.mkdir(parents=True, exist_ok=True)
    return target


def _is_exact(attributes: dict[str, Any], plan: Plan) -> bool:
    """Whether a store holds just the cells of a plan."""
    code = sources().code(words_of(plan.study))
    expected = {"study": plan.name, "study_hash": study_hash(plan.study), "code": code}
    return all(attributes.get(k) == v for k, v in {**expected, "schema_version": SCHEMA_VERSION}.items())


def _earlier(directory: Path, plan: Plan) -> Path | None:
    """An earlier store that holds just the cells of a plan."""
    for cells in sorted((directory / "previous").glob(f"*/{CELLS}")):
        with suppress(InputError):  # one that is damaged is none
            if _is_exact(read_attributes(cells), plan):
                return cells.parent
    return None


def _recover(directory: Path) -> None:
    """Finish what a killed run has begun."""
    if (directory / NEW).exists():
        cells_path(directory)
    for left in directory.glob(f".{CELLS}.*"):
        shutil.rmtree(left)


def forget(directory: Path) -> None:
    """Take away what tells of the cells of another configuration; all of it is made again."""
    for stale in (directory / MANIFEST, *(directory / SLABS).glob("*.json")):
        stale.unlink(missing_ok=True)
    shutil.rmtree(directory / SUMMARY, ignore_errors=True)


def _move(source: Path, target: Path) -> None:
    for name in _KEPT:
        if (source / name).exists():
            if name == SUMMARY:
                shutil.rmtree(target / name, ignore_errors=True)
            (source / name).rename(target / name)
