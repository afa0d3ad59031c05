"""Labelled views of a study's store: everything, lazily (:func:`open_study`), and the small ``summary.zarr``."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import dask
import numpy as np
import xarray as xr
import zarr
from zarr.storage import LocalStore

from dajko.checks import path as checked_path
from dajko.errors import DamageWarning, InputError
from dajko.study.store.cells import CellStore, cells_path, read_attributes
from dajko.study.store.condition import Condition, condition
from dajko.study.store.files import replace_folder
from dajko.study.store.guard import METADATA, DamagedError, SoundStore
from dajko.study.store.locks import lock
from dajko.study.store.records import tree_checksum
from dajko.study.store.variables import ALL_VARIABLES, CELLS, CHECKSUM, CODECS, DAMAGE, FIELDS, NOT_ASKED, SUMMARY, X, flags
from dajko.study.store.view import labelled, unlabelled

# An attribute of the summary, and its value where members that are not good have no numbers.
_FORM, _MASKED = "failed_members", "NaN"
# The lock of those who write a summary: a run, Snakemake's last job, a report.
_LOCK = "summary"


def open_study(path: str | Path, *, failed: bool = False) -> xr.Dataset | xr.DataTree:
    """Open the results of a study: everything, lazily, with the swept parameters as labelled dimensions.

    Parameters
    ----------
    path : str or Path
        The directory of the study, such as ``results/theta-noise``.
    failed : bool
        Show also the numbers of members whose status is not usable. By default their results are NaN at all times, and only
        the data, the truth and what tells of their solves (``status``, ``step_status``, ``iterations``, ``residual``) are
        shown.

    Returns
    -------
    xarray.Dataset or xarray.DataTree
        Variables over the swept parameters, ``member``, ``time``, ``x`` and ``observation``. A study whose cells have
        different grids or times is a tree with one node for each of them.

    Raises
    ------
    InputError
        If there is no store, or nobody can tell its cells. Also when a variable is read whose numbers are not as they were
        written.

    Warns
    -----
    DamageWarning
        If cells or files are damaged: how many, and what mends them. Such cells read as not computed.
    """
    store = CellStore(cells_path(checked_path("path", path)))
    found = condition(store)
    for sentence in found.sentences():
        warnings.warn(f"{path}: {sentence}", DamageWarning, stacklevel=2)
    return _tree(_views(store, found, failed=failed))


def open_cells(store: CellStore, found: Condition | None = None) -> dict[str, xr.Dataset]:
    """The cells that the study asks for by group, lazily, in the order of the study, with words in place of codes.

    The only group of a study has no name, whatever other groups its store still holds. Cells that are found to be damaged
    read as if they had not been computed.
    """
    opened = {}
    for number, group in enumerate(store.groups):
        order = store.order(number)
        asked = np.flatnonzero(order != NOT_ASKED)
        if asked.size:
            damaged = np.zeros(order.size, dtype=np.bool_) if found is None else found.cells[number]
            opened[str(group.path)] = unlabelled(store, number, asked[np.argsort(order[asked])], damaged)
    return {"": next(iter(opened.values()))} if len(opened) == 1 else opened


def _views(store: CellStore, found: Condition, verified: bool = False, failed: bool = False) -> dict[str, xr.Dataset]:
    """The labelled view of each group of which the study asks for cells; the only one has no name."""
    views = {str(group.path): labelled(store, i, found.cells[i], verified, failed) for i, group in enumerate(store.groups)}
    opened = {name: view for name, view in views.items() if view is not None}
    return {"": next(iter(opened.values()))} if len(opened) == 1 else opened


def decode(dataset: xr.Dataset) -> xr.Dataset:
    """Replace the integer codes of categorical coordinates by their words."""
    for name, coordinate in dataset.coords.items():
        if "flag_meanings" in coordinate.attrs:
            words = np.array(str(coordinate.attrs["flag_meanings"]).split(" "), dtype=object)[coordinate.values]
            attributes = {k: v for k, v in coordinate.attrs.items() if not str(k).startswith("flag_")}
            dataset = dataset.assign_coords({name: (coordinate.dims, words, attributes)})
    for variable in dataset.data_vars.values():
        if "flag_values" in variable.attrs:  # of the type of the variable, as CF has it
            variable.attrs["flag_values"] = np.asarray(variable.attrs["flag_values"], dtype=variable.dtype)
    return dataset


def encode(dataset: xr.Dataset) -> xr.Dataset:
    """Replace words by integer codes: zarr's format 3 has no agreed type for text."""
    for name, coordinate in dataset.coords.items():
        if coordinate.dtype.kind in "UTO":
            distinct, codes = np.unique(coordinate.values.astype(str), return_inverse=True)
            attributes = {**coordinate.attrs, **flags(distinct.tolist())}
            shaped = codes.reshape(coordinate.shape).astype("i2")
            dataset = dataset.assign_coords({name: (coordinate.dims, shaped, attributes)})
    return dataset


def _in_order(dataset: xr.Dataset) -> xr.Dataset:
    """The variables in the order in which they are described, not that of a directory."""
    return dataset[[name for name in ALL_VARIABLES if name in dataset]]


def _tree(nodes: dict[str, xr.Dataset]) -> xr.Dataset | xr.DataTree:
    if list(nodes) == [""]:
        return nodes[""]
    root = xr.Dataset(attrs=next(iter(nodes.values())).attrs)
    return xr.DataTree.from_dict({"/": root, **nodes})


def write_summary(directory: Path) -> Path:
    """Write ``summary.zarr``: everything but the densities, with labelled dimensions; NaN where a member is not good.

    Parameters
    ----------
    directory : Path
        The directory of the study.

    Returns
    -------
    Path
        The store that was written.

    Raises
    ------
    InputError
        If there is no store of cells.
    """
    store = CellStore(cells_path(directory))
    with lock(directory, _LOCK):
        _clear(directory)
        return _write(store, directory)


def clear_leftovers(directory: Path) -> None:
    """Remove summaries that somebody has begun and not finished, unless somebody is writing one now."""
    if any(directory.glob(f".{SUMMARY}.*")):
        lease = lock(directory, _LOCK)
        if lease.acquire(wait=False) is None:
            try:
                _clear(directory)
            finally:
                lease.release()


def _clear(directory: Path) -> None:
    for left in directory.glob(f".{SUMMARY}.*"):
        shutil.rmtree(left, ignore_errors=True)


def _write(store: CellStore, directory: Path) -> Path:
    target = directory / SUMMARY
    temporary = target.with_name(f".{SUMMARY}.{os.getpid()}")
    found = condition(store, verify=True, without=FIELDS)
    opened = _views(store, found, verified=True)
    names = list(opened)
    try:
        with dask.config.set(scheduler="synchronous"):  # one chunk at a time, here, whatever cluster there is
            for name, view in opened.items():
                small = encode(view.drop_vars([f for f in (*FIELDS, X) if f in view.variables]))
                written: dict[Any, Any] = {n: {"compressors": CODECS} for n in small.variables}
                small.to_zarr(temporary, group=name or None, mode="a", consolidated=False, zarr_format=3, encoding=written)
        attributes = {**dict(store.root.attrs), "groups": json.dumps(names), _FORM: _MASKED}
        if found.number:
            attributes[DAMAGE] = json.dumps(found.sentences()[:1])
        for name in filter(None, names):
            _consolidate(temporary, name)
        attributes[CHECKSUM] = tree_checksum(temporary)
        zarr.open_group(temporary, mode="r+").attrs.update(attributes)
        _consolidate(temporary)
        replace_folder(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def is_current(directory: Path) -> bool:
    """Whether there is a summary of the form that this dajko writes."""
    try:
        attributes = _summary(directory)[1]
    except InputError:
        return False
    return attributes.get(_FORM) == _MASKED and CHECKSUM in attributes


def _consolidate(path: Path, group: str = "") -> None:
    """Write the metadata of all arrays below a group into its own, where xarray looks for them first.

    A copy, for those who open the summary without dajko: xarray warns where there is none.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr's remark that other implementations may not read the copy: they need not
        zarr.consolidate_metadata(LocalStore(path), path=group or None, zarr_format=3)


def open_summary(path: str | Path) -> xr.Dataset | xr.DataTree:
    """Open ``summary.zarr`` of a study, with words in place of category codes.

    Parameters
    ----------
    path : str or Path
        The directory of the study.

    Raises
    ------
    InputError
        If there is no summary, or it is not as it was written.
    """
    target, (store, attributes) = Path(path) / SUMMARY, _summary(Path(path))
    # One that an older dajko has written says nothing of its content.
    if CHECKSUM in attributes and attributes[CHECKSUM] != tree_checksum(target):
        raise DamagedError(f"{target}: is not as it was written; {store.remedy}")
    shown = {key: value for key, value in attributes.items() if key not in (CHECKSUM, DAMAGE, _FORM)}
    try:
        names: list[str] = json.loads(str(attributes["groups"]))
        nodes = {n: xr.open_zarr(store, group=n or None, consolidated=False, zarr_format=3, chunks=None) for n in names}
        plain = {name: node.drop_attrs(deep=False).assign_attrs(shown) for name, node in nodes.items()}
        return _tree({name: _in_order(decode(node)) for name, node in plain.items()})
    except InputError:
        raise
    except (OSError, KeyError, ValueError, TypeError, IndexError, RuntimeError):
        raise DamagedError(f"{target}: is damaged; {store.remedy}") from None


def summary_attributes(directory: Path) -> dict[str, Any]:
    """Attributes of the summary of a study, or of its cells where there is none, or none that can be read.

    Raises
    ------
    InputError
        If there is neither.
    """
    try:
        return _summary(directory)[1]
    except InputError:
        return read_attributes(cells_path(directory))


def damage_sentences(directory: Path) -> list[str]:
    """What a reader of a study's results has to know of damage; nothing if there is none.

    Only what is seen without reading all of the cells, and what was found when the summary was written.

    Parameters
    ----------
    directory : Path
        The directory of the study.
    """
    found: list[str] = []
    with suppress(InputError, ValueError):
        found = json.loads(str(_summary(directory)[1].get(DAMAGE, "[]")))
    if (directory / CELLS).exists():
        try:
            seen = condition(CellStore(cells_path(directory)))
            found = ([] if seen.number else found) + seen.sentences()
        except InputError as error:
            found += str(error).splitlines()
    return found


def is_damaged(directory: Path) -> bool:
    """Whether a study's store is damaged, in the sense of :func:`damage_sentences`."""
    try:
        if DAMAGE in _summary(directory)[1]:
            return True
    except InputError:
        pass
    try:
        return (directory / CELLS).exists() and not condition(CellStore(cells_path(directory))).good
    except InputError:
        return True


def summary_is_good(directory: Path) -> bool:
    """Whether there is a summary that is as it was written, of cells without damage."""
    try:
        attributes = _summary(directory)[1]
        same = attributes.get(CHECKSUM) == tree_checksum(directory / SUMMARY)
        return same and DAMAGE not in attributes and is_current(directory)
    except InputError:
        return False


def _summary(directory: Path) -> tuple[SoundStore, dict[str, Any]]:
    target = directory / SUMMARY
    if not target.is_dir():
        raise InputError(f"{directory}: there is no {SUMMARY} here; run the study first")
    store = SoundStore(target, read_only=True, remedy=f"`dajko report {directory}` writes it again from {CELLS}")
    content = store.content(METADATA)
    if content is None:
        raise store.damaged(METADATA, "is not there")
    return store, dict(json.loads(content).get("attributes", {}))
