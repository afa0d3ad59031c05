"""How a store is opened: what must be there, and as it must be, before anything else of it is read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from dajko.errors import InputError
from dajko.study.config.study import SCHEMA_VERSION
from dajko.study.design.plan import Shape
from dajko.study.store.guard import METADATA, DamagedError, SoundStore
from dajko.study.store.records import Spare, sound_store
from dajko.study.store.variables import CELLS, ID, NEW, OBSERVATION, ORDER, TIME, Variable, X

CODEC_NAMES = ["bytes", "zstd", "crc32c"]
# The variables that stores have had from the first version on; what came later, older stores need not have.
FIRST = (
    "data", "data_exact", "observed", "error_l1", "error_l2", "error_w2", "energy", "mass", "iterations", "residual",
    "step_status", "solve_time", "setting", "status",
)  # fmt: skip


def opened(path: Path) -> tuple[SoundStore, Spare, dict[str, str]]:
    if not path.is_dir():
        raise no_store(path)
    return sound_store(path, remedy(path))


def attributes_of(path: Path, keeper: SoundStore, spare: Spare) -> dict[str, Any]:
    ours = is_ours(path, spare)
    try:
        content = keeper.content(METADATA)
    except DamagedError:
        if not ours:
            raise no_store(path) from None
        raise
    if content is None:
        if not ours:
            raise no_store(path)
        copies = "" if spare.there else ", and there is no spare copy of it"
        raise keeper.damaged(METADATA, f"is not there{copies}; the numbers of the cells are")
    attributes = dict(json.loads(content).get("attributes", {}))
    if not {"study", "study_hash", "schema_version"} <= set(attributes):
        raise no_store(path)
    return attributes


def is_ours(path: Path, spare: Spare) -> bool:
    """Whether a folder holds results, whatever has become of its metadata."""
    return spare.there or any(any(path.glob(f"{group}status/{METADATA}")) for group in ("", "*/"))


def check_layout(
    keeper: SoundStore, shape: Shape, path: str, arrays: Mapping[str, zarr.Array[Any]], variables: Mapping[str, Variable]
) -> None:
    """Refuse a group that is not laid out as its attributes say, so that nothing is read that does not fit.

    Raises
    ------
    InputError
        Which file does not fit.
    """
    cells, block = arrays["status"].shape[0], arrays["status"].chunks[0]
    sizes = {TIME: shape.steps + 1, X: shape.grid.points, OBSERVATION: len(shape.labels)}
    for name, array in arrays.items():
        good = [codec.to_dict()["name"] for codec in array.metadata.codecs] == CODEC_NAMES  # type: ignore[union-attr]
        if name in (ID, ORDER):
            good &= array.shape == (cells,) and array.chunks == (cells,) and array.dtype.kind in "iu"
        else:
            v = variables[name]
            rest = tuple(sizes[d] for d in v.dims)
            good &= array.shape == (cells, *rest) and array.chunks == (block, *rest) and array.dtype == np.dtype(v.dtype)
            good &= array.metadata.dimension_names == ("cell", *v.dims)  # type: ignore[union-attr]
        if not good:
            raise keeper.damaged(key_of(path, name), "does not describe what the study stores")


def key_of(group: str, name: str) -> str:
    """The file of the metadata of an array in a group."""
    return "/".join(filter(None, (group, name, METADATA)))


def clear(path: Path, key: str) -> None:
    """Take away what stands where a file of a store should be: a link, not what it points to, a folder, or the file."""
    *folders, last = key.split("/")
    place = path
    for i, part in enumerate((*folders, last)):
        place = place / part
        is_link = place.is_symlink()
        if i < len(folders) and place.is_dir() and not is_link:
            continue
        if place.is_dir() and not is_link:
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
        if i < len(folders):
            place.mkdir()


def remedy(path: Path) -> str:
    study = path.parent
    return f"`dajko run` mends what it can of {study}; else take {path.name} from a backup, or say --recompute"


def no_store(path: Path) -> InputError:
    return InputError(f"{path}: is not a store of dajko; choose another results directory")


def read_attributes(path: Path) -> dict[str, Any]:
    """Attributes of a store of any schema version.

    Raises
    ------
    InputError
        If it is not a store of dajko.
    """
    keeper, spare, _ = opened(path)
    return attributes_of(path, keeper, spare)


def check_version(path: Path, version: Any) -> None:
    """Refuse a store of another schema version.

    Raises
    ------
    InputError
        If this dajko does not write stores of that version.
    """
    if version == SCHEMA_VERSION:
        return
    says = f"{path}: has the schema version {version}, this dajko reads and writes version {SCHEMA_VERSION}; "
    if isinstance(version, int) and version < SCHEMA_VERSION:
        raise InputError(f"{says}`dajko migrate {path.parent}` brings it to that version, without computing anything")
    raise InputError(f"{says}use the dajko that made it, or choose another results directory")


def cells_path(directory: Path) -> Path:
    """Where the cells of a study are; a store that was about to take its place when its maker was killed takes it now.

    Raises
    ------
    InputError
        If there are none.
    """
    cells = directory / CELLS
    if not cells.exists() and (directory / NEW).exists():
        with suppress(FileNotFoundError):  # somebody else has just done it
            (directory / NEW).rename(cells)
    if not cells.exists():
        raise InputError(f"{directory}: there is no {CELLS} here; run the study first")
    return cells
