"""Stores of earlier schema versions, brought to this one: a step from each version, none of which computes anything."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import zarr
from pydantic import TypeAdapter

from dajko.errors import InputError
from dajko.ingredient import ByKind
from dajko.observation import Observation, labels
from dajko.spelling import key_today, respelled, respelled_text
from dajko.study.config.study import SCHEMA_VERSION, StudyConfig
from dajko.study.design.identity import id_text
from dajko.study.design.members import make_plan
from dajko.study.design.sweep import dimension_name
from dajko.study.store.cells import CellStore, cells_path, check_version, read_attributes
from dajko.study.store.checksums import repair
from dajko.study.store.condition import condition
from dajko.study.store.create import create, create_checksums, link
from dajko.study.store.files import refuse_links
from dajko.study.store.guard import SoundStore
from dajko.study.store.journal import entries, record
from dajko.study.store.locks import alone
from dajko.study.store.prepare import forget, place_aside
from dajko.study.store.records import write_spare
from dajko.study.store.variables import ALL_VARIABLES, CELLS, CHECKSUM, ID, NEW, X

_OBSERVATION: TypeAdapter[Observation] = TypeAdapter(Annotated[Observation, ByKind()])


def migrate_study(directory: Path) -> tuple[int, int, bool]:
    """Bring the store of a study to the schema version of this dajko; the old one is kept under ``previous/``.

    A store of this version that an older dajko has made gets checksums and spare copies; its cells stay as they are.

    Returns
    -------
    int, int, bool
        The version that it had and the one that it has, and whether checksums or spare copies were added.

    Raises
    ------
    InputError
        If there is no way from its version to this one, or somebody is writing the store.
    """
    version = read_attributes(cells_path(directory))["schema_version"]
    if version == SCHEMA_VERSION:
        return SCHEMA_VERSION, SCHEMA_VERSION, _sealed(directory)
    if version not in MIGRATIONS:
        check_version(directory / CELLS, version)
    with alone(directory):
        refuse_links(directory)
        source, made, reached = directory / CELLS, [], version
        while reached < SCHEMA_VERSION:
            made.append(directory / f".{CELLS}.after-{reached}")
            shutil.rmtree(made[-1], ignore_errors=True)
            reached = MIGRATIONS[reached](source, made[-1])
            source = made[-1]
        forget(directory)
        shutil.rmtree(directory / NEW, ignore_errors=True)
        source.rename(directory / NEW)
        (directory / CELLS).rename(place_aside(directory, f"version-{version}") / CELLS)
        _name_failures(CellStore(cells_path(directory)))
        for left in made[:-1]:
            shutil.rmtree(left)
    return version, SCHEMA_VERSION, False


def _sealed(directory: Path) -> bool:
    """Add checksums and spare copies to a store that has none; whether something was added."""
    if not condition(CellStore(cells_path(directory))).unsealed:
        return False
    with alone(directory):
        refuse_links(directory)
        store = CellStore(cells_path(directory))
        repair(store)  # numbers that are damaged get no checksum
        for group in range(len(store.groups)):
            if not store.has_checksums(group):
                # Made whole beside the store: cells without their checksums would count as damaged.
                made = directory / f".{CHECKSUM}"
                shutil.rmtree(made, ignore_errors=True)
                create_checksums(zarr.create_group(made, zarr_format=3), store, group)
                (made / CHECKSUM).rename(store.path / store.groups[group].path / CHECKSUM)
                shutil.rmtree(made)
        write_spare(store.path, store.names)
    return True


def _from_1(source: Path, target: Path) -> int:
    """The numbers of version 1 in a store of this version; it had no ids, checksums, or settings.

    Version 1 did not record the code, so the new store names none: it can be read, but not continued.
    """
    old = zarr.open_group(SoundStore(source, read_only=True), mode="r", zarr_format=3)
    attributes = dict(old.attrs)
    try:
        study = StudyConfig.model_validate_json(respelled_text(str(attributes["configuration"])))
    except ValueError:
        raise InputError(f"{source}: its configuration is none that this dajko understands") from None
    plan = make_plan(str(attributes["study"]), study)
    create(target, plan, None)
    new = CellStore(target)
    for number, planned in enumerate(plan.groups):
        group = old[planned.name] if planned.name else old
        assert isinstance(group, zarr.Group)
        names = [name for name in ALL_VARIABLES if name in group]
        later = {name: new.array(number, name) for name in new.variables(number) if name not in names}
        for block in new.blocks(number):
            cells = block.stop - block.start
            values: dict[str, Any] = {n: np.full((cells, *a.shape[1:]), a.fill_value) for n, a in later.items()}
            values |= {name: np.asarray(group[name][block.start : block.stop]) for name in names}  # type: ignore[index]
            new.write(block, {**values, "setting": np.zeros(cells)})
    kept = ("created", "python_version", "package_versions", "git_commit", "git_dirty")
    new.describe({k: attributes[k] for k in kept if k in attributes})
    return SCHEMA_VERSION


def _from_2(source: Path, target: Path) -> int:
    """Version 3 says which definitions have computed a cell; version 2 had one hash of all code.

    The cells keep their numbers, ids and checksums. No study has these ids today, so a run computes the cells anew.
    """
    shutil.copytree(source, target, copy_function=link)  # what is written anew takes the place of its link
    root = zarr.open_group(target, mode="r+", zarr_format=3, use_consolidated=False)
    root.attrs.update({"schema_version": 3, "code": "", "sources": "{}"})
    write_spare(target, json.loads(str(root.attrs["groups"])))
    return 3


def _name_failures(store: CellStore) -> None:
    """Say the ids of the cells that the journal of version 1 knew by their numbers."""
    groups = {str(group.path): i for i, group in enumerate(store.groups)}
    named = []
    for entry in entries(store.path.parent):
        group, cell = groups.get(str(entry.get("group"))), entry.get("cell")
        if "id" not in entry and group is not None and isinstance(cell, int):
            named.append({**entry, "id": id_text(int(np.asarray(store.array(group, ID)[cell])))})
    record(store.path.parent, named)


def _from_3(source: Path, target: Path) -> int:
    """Version 4 names every ingredient by ``kind``; cells keep their numbers, and a run computes them anew."""
    shutil.copytree(source, target, copy_function=link)
    attributes = dict(zarr.open_group(target, mode="r", zarr_format=3, use_consolidated=False).attrs)
    keys = json.loads(str(attributes["parameters"]))
    names = json.loads(str(attributes["groups"]))
    for name in names:
        path = target / name if name else target
        for key in keys:
            if key_today(key) != key:
                (path / dimension_name(key)).rename(path / dimension_name(key_today(key)))
        group = zarr.open_group(path, mode="r+", zarr_format=3, use_consolidated=False)
        shape = json.loads(str(group.attrs["shape"]))
        given = [_OBSERVATION.validate_python(one) for one in respelled(json.loads(shape[5]))]
        operators = json.dumps([one.content() for one in given])
        group.attrs["shape"] = json.dumps([*shape[:5], operators, json.dumps(labels(given))])
    root = zarr.open_group(target, mode="r+", zarr_format=3, use_consolidated=False)
    root.attrs.update(
        {
            "schema_version": 4,
            "configuration": respelled_text(str(attributes["configuration"])),
            "settings": respelled_text(str(attributes["settings"])),
            "parameters": json.dumps([key_today(key) for key in keys]),
        }
    )
    write_spare(target, names)
    return 4


def _from_4(source: Path, target: Path) -> int:
    """Version 5 says the scheme of the grid; there was one. Cells keep their numbers, and a run computes them anew."""
    shutil.copytree(source, target, copy_function=link)
    names = json.loads(str(zarr.open_group(target, mode="r", zarr_format=3, use_consolidated=False).attrs["groups"]))
    for name in names:
        group = zarr.open_group(target / name if name else target, mode="r+", zarr_format=3, use_consolidated=False)
        left, right, *rest = json.loads(str(group.attrs["shape"]))
        group.attrs["shape"] = json.dumps([left, right, rest[0], "centred", *rest[1:]])
        group[X].attrs.update({"left": left, "right": right, "scheme": "centred"})
    root = zarr.open_group(target, mode="r+", zarr_format=3, use_consolidated=False)
    root.attrs["schema_version"] = 5
    write_spare(target, names)
    return 5


MIGRATIONS: dict[int, Callable[[Path, Path], int]] = {1: _from_1, 2: _from_2, 3: _from_3, 4: _from_4}
