"""Make the store of a plan, whole or not at all: a new one, or one that goes on with the cells of another.

Widening a study makes the store anew beside the old one. Cells keep their places, so that the files with their values are
linked, not copied, and new cells follow after them.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

import dajko
from dajko.status import Status
from dajko.study.config.study import SCHEMA_VERSION, study_hash
from dajko.study.design.cost import block_size
from dajko.study.design.identity import words_of
from dajko.study.design.plan import Group, Plan, Shape, group_name
from dajko.study.design.sources import Sources
from dajko.study.store.cells import Block, CellStore
from dajko.study.store.columns import Columns, categories, coordinate, coordinate_names, parameter_keys
from dajko.study.store.guard import writing_all_chunks
from dajko.study.store.records import write_spare
from dajko.study.store.variables import (
    ALL_VARIABLES,
    CHECKED,
    CHECKSUM,
    CODECS,
    NOT_REPRODUCIBLE,
    OBSERVATION,
    TIME,
    Variable,
    X,
    flags,
    stored_variables,
)

# A store whose blocks are so many times smaller than those of a new one gets new blocks.
_TOO_SMALL = 4


@dataclass(frozen=True)
class _Part:
    """A group of the store to be made: what the plan asks for in it, and where the old store has it."""

    planned: Group | None
    old: int | None
    shape: Shape


def create(path: Path, plan: Plan, sources: Sources | None, old: CellStore | None = None) -> None:
    """Make a store.

    Parameters
    ----------
    path : Path
        Where; nothing may be there.
    plan : Plan
    sources : Sources or None
        The code that computes the cells; None if nobody knows it.
    old : CellStore, optional
        A store that fits the plan. The new store holds all its cells, at the same places.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    keys = list(dict.fromkeys([*(old.parameters if old else []), *parameter_keys(plan)]))
    parts = _parts(plan, old)
    names = [""] if len(parts) == 1 else [_name(i, part, plan, old) for i, part in enumerate(parts)]
    root = zarr.create_group(temporary, zarr_format=3)
    for name, part in zip(names, parts, strict=True):
        target = root if name == "" else root.create_group(name)
        target.attrs["shape"] = json.dumps(part.shape)
        _create_group(target, plan, part, sources, keys, old)
    now, words = dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), words_of(plan.study)
    kept = dict(old.root.attrs) if old else {"created": now, "settings": "[{}]", **_provenance()}
    kept.pop("shape", None)  # of the one group that the old store has, which may now be one of several
    line = f"{now} dajko {dajko.__version__}: {'widened' if old else 'created'}"
    root.attrs.update(
        {
            **kept,
            "Conventions": "CF-1.11",
            **description(plan),
            "study": plan.name,
            "study_hash": study_hash(plan.study),
            "code": sources.code(words) if sources else "",
            "sources": json.dumps(sources.meanings(words) if sources else {}),
            "schema_version": SCHEMA_VERSION,
            "axes": json.dumps([[axis.dimension, *axis.keys] for axis in plan.axes]),
            "parameters": json.dumps(keys),
            "groups": json.dumps(names),
            "history": f"{kept['history']}\n{line}" if "history" in kept else line,
        }
    )
    write_spare(temporary, names)
    temporary.rename(path)


def description(plan: Plan) -> dict[str, Any]:
    """Attributes that only show the study, and may change without a cell being computed again."""
    return {"title": plan.study.title or plan.name, "configuration": plan.study.model_dump_json()}


def _parts(plan: Plan, old: CellStore | None) -> list[_Part]:
    planned = {plan.shape(group.points[0]): group for group in plan.groups}
    there = [old.shape(i) for i in range(len(old.groups))] if old else []
    named = {shape.written: group for shape, group in planned.items()}
    known = [_Part(named.get(shape.written), i, shape) for i, shape in enumerate(there)]
    taken = {shape.written for shape in there}
    return known + [_Part(group, None, shape) for shape, group in planned.items() if shape.written not in taken]


def _name(number: int, part: _Part, plan: Plan, old: CellStore | None) -> str:
    if old is not None and part.old is not None and old.groups[part.old].path:
        return str(old.groups[part.old].path)
    return group_name(number, part.shape)


def _create_group(
    target: zarr.Group, plan: Plan, part: _Part, sources: Sources | None, keys: list[str], old: CellStore | None
) -> None:
    columns = Columns.planned(plan, part.planned, sources, keys) if part.planned else None
    block = None
    if old is not None and part.old is not None:
        there = Columns.stored(old.groups[part.old], old.study, keys)
        columns = there.extended(columns) if columns else there.unasked()
        block = old.array(part.old, "status").chunks[0]
    assert columns is not None
    _create_variables(target, plan, part, columns.ids.size, block, keys)
    if old is not None and part.old is not None:
        known = old.variables(part.old)
        for name in known:
            _take_over(old, part.old, target, name)
        for name in (name for name in ALL_VARIABLES if name in target and name not in known):
            _fill(target, name, old.array(part.old, "status").shape[0])
        _take_over_checksums(old, part.old, target)
    shape = part.shape
    times = shape.tau * np.arange(shape.steps + 1)
    coordinate(target, TIME, (TIME,), times, {"long_name": "time", "units": "1"})
    grid = {"left": shape.left, "right": shape.right, "scheme": shape.scheme}
    coordinate(target, X, (X,), shape.grid.x, {"long_name": "position", "units": "1", **grid})
    if shape.labels:
        categories(target, OBSERVATION, OBSERVATION, shape.labels, "what is measured")
    columns.write(target)


def _create_variables(target: zarr.Group, plan: Plan, part: _Part, cells: int, block: int | None, keys: list[str]) -> None:
    sizes = {TIME: part.shape.steps + 1, X: part.shape.grid.points, OBSERVATION: len(part.shape.labels)}
    # Where nothing is measured there is nothing of measurements.
    variables = {name: v for name, v in stored_variables(plan.study).items() if all(sizes[d] for d in v.dims)}

    def shape(variable: Variable) -> tuple[int, ...]:
        return tuple(sizes[d] for d in variable.dims)

    if part.planned is not None:
        largest = max(int(np.prod(shape(v))) * np.dtype(v.dtype).itemsize for v in variables.values())
        wanted = block_size(plan.studies[part.planned.points[0]], cells, plan.study.block, largest)
        block = wanted if block is None or wanted >= _TOO_SMALL * block else block
    assert block is not None
    for name, v in variables.items():
        attributes: dict[str, Any] = {"long_name": v.long_name, "units": v.units, "coordinates": coordinate_names(keys)}
        if name in ("status", "step_status"):
            attributes |= flags([s.name.lower() for s in Status])
        target.create_array(
            name,
            shape=(cells, *shape(v)),
            chunks=(block, *shape(v)),
            dtype=v.dtype,
            compressors=CODECS,
            fill_value=np.nan if v.dtype == "f8" else 0,
            dimension_names=("cell", *v.dims),
            attributes=attributes,
        )
    _checksum_array(target, cells, block, [name for name in variables if name not in NOT_REPRODUCIBLE])


def create_checksums(target: zarr.Group, store: CellStore, group: int) -> None:
    """Write the checksums of a group of a store that has none, for its numbers as they are, into another group."""
    status = store.array(group, "status")
    names = [name for name in store.variables(group) if name not in NOT_REPRODUCIBLE]
    with writing_all_chunks():
        array = _checksum_array(target, status.shape[0], status.chunks[0], names)
        for block in store.blocks(group):
            array[block.start : block.stop] = store.sums(block, names)


def _checksum_array(target: zarr.Group, cells: int, block: int, names: list[str]) -> zarr.Array[Any]:
    described = "CRC-32C of the name of each variable, the cell's id and the cell's bytes; 0 where nothing was computed"
    return target.create_array(
        CHECKSUM,
        shape=(cells, len(names)),
        chunks=(block, len(names)),
        dtype="u4",
        compressors=CODECS,
        dimension_names=("cell", "variable"),
        attributes={"long_name": described, "units": "1", CHECKED: " ".join(names)},
    )


def _take_over(old: CellStore, group: int, target: zarr.Group, name: str) -> None:
    """Hand the values of a variable on: by links to the same files where the blocks are the same."""
    array, new = old.array(group, name), target[name]
    assert isinstance(new, zarr.Array)
    if array.chunks == new.chunks:
        source, goal = (Path(a.store.root) / a.path / "c" for a in (array, new))  # type: ignore[attr-defined]
        # What a writer that was killed has left behind ends in .partial.
        for file in (f for f in source.rglob("*") if f.is_file() and f.suffix != ".partial"):
            place = goal / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            link(file, place)
        return
    with writing_all_chunks():
        new = target[name]
        assert isinstance(new, zarr.Array)
        for start in range(0, array.shape[0], new.chunks[0]):
            stop = min(start + new.chunks[0], array.shape[0])
            new[start:stop] = array[start:stop]


def _fill(target: zarr.Group, name: str, cells: int) -> None:
    """Write that cells of an older dajko, the first, have no value of a variable, so that nobody takes them for lost."""
    with writing_all_chunks():
        array = target[name]
        assert isinstance(array, zarr.Array)
        array[:cells] = array.fill_value


def _take_over_checksums(old: CellStore, group: int, target: zarr.Group) -> None:
    """The checksums of the cells, which do not depend on blocks; made anew where an older dajko had fewer variables."""
    if old.has_checksums(group) and old.array(group, CHECKSUM).attrs[CHECKED] == target[CHECKSUM].attrs[CHECKED]:
        _take_over(old, group, target, CHECKSUM)
        return
    with writing_all_chunks():
        new = target[CHECKSUM]
        assert isinstance(new, zarr.Array)
        for start in range(0, old.array(group, "status").shape[0], new.chunks[0]):
            block = Block(group, start, min(start + new.chunks[0], old.array(group, "status").shape[0]))
            new[block.start : block.stop] = old.sums(block, str(new.attrs[CHECKED]).split(), target)


def link(file: str | Path, place: str | Path) -> None:
    """Make a file appear at another place too: by a link, or by a copy on a file system that has none."""
    try:
        Path(place).hardlink_to(file)
    except OSError:
        shutil.copy2(file, place)


def _provenance() -> dict[str, Any]:
    packages = ("numpy", "numba", "zarr", "xarray", "dask", "distributed")
    versions = {"dajko": dajko.__version__, **{name: importlib.metadata.version(name) for name in packages}}
    found: dict[str, Any] = {"python_version": sys.version.split()[0], "package_versions": json.dumps(versions)}
    try:
        here = Path(__file__).resolve().parent
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True, timeout=10
        )
        changes = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return found
    return {**found, "git_commit": commit.stdout.strip(), "git_dirty": int(bool(changes.stdout.strip()))}
