"""Labelled views of a study's store: everything, lazily (:func:`open_study`), and the small ``summary.zarr``."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import dask
import numpy as np
import xarray as xr
import zarr

from dajko.errors import InputError
from dajko.study.layout import ALL_VARIABLES, FIELDS, NOT_ASKED, ORDER, SUMMARY, X, flags
from dajko.study.locks import lock
from dajko.study.store import CellStore, cells_path, consolidate
from dajko.study.view import labelled

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
        If there is no store.
    """
    store = CellStore(cells_path(Path(path)))
    return _tree(_views(store, failed))


def open_cells(store: CellStore) -> dict[str, xr.Dataset]:
    """The cells that the study asks for by group, lazily, in the order of the study, with words in place of codes.

    The only group of a study has no name, whatever other groups its store still holds.
    """
    opened = {}
    for group in store.groups:
        cells = xr.open_zarr(store.path, group=group.path or None, consolidated=False, zarr_format=3, chunks={})
        parameters = [n for n, v in cells.variables.items() if "cell" in v.dims and n not in ALL_VARIABLES]
        order = cells[ORDER].values
        asked = np.flatnonzero(order != NOT_ASKED)
        places = asked[np.argsort(order[asked])]
        if asked.size:
            if not np.array_equal(places, np.arange(order.size)):
                cells = cells.isel(cell=places)
            opened[group.path] = decode(cells.set_coords(parameters).assign_attrs(dict(store.root.attrs)))
    return {"": next(iter(opened.values()))} if len(opened) == 1 else opened


def _views(store: CellStore, failed: bool = False) -> dict[str, xr.Dataset]:
    """The labelled view of each group of which the study asks for cells; the only one has no name."""
    found = {str(group.path): labelled(store, i, failed) for i, group in enumerate(store.groups)}
    opened = {name: view for name, view in found.items() if view is not None}
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
    opened = _views(store)
    names = list(opened)
    try:
        with dask.config.set(scheduler="synchronous"):  # one chunk at a time, here, whatever cluster there is
            for name, view in opened.items():
                small = encode(view.drop_vars([f for f in (*FIELDS, X) if f in view.variables]))
                small.to_zarr(temporary, group=name or None, mode="a", consolidated=False, zarr_format=3)
        attributes = {**dict(store.root.attrs), "groups": json.dumps(names), _FORM: _MASKED}
        zarr.open_group(temporary, mode="r+").attrs.update(attributes)
        for name in {"", *names}:
            consolidate(temporary, name)
        shutil.rmtree(target, ignore_errors=True)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def is_current(directory: Path) -> bool:
    """Whether there is a summary of the form that this dajko writes."""
    try:
        return zarr.open_group(directory / SUMMARY, mode="r").attrs.get(_FORM) == _MASKED
    except (OSError, KeyError, ValueError, TypeError):
        return False


def open_summary(path: str | Path) -> xr.Dataset | xr.DataTree:
    """Open ``summary.zarr`` of a study, with words in place of category codes.

    Parameters
    ----------
    path : str or Path
        The directory of the study.

    Raises
    ------
    InputError
        If there is no summary.
    """
    target = Path(path) / SUMMARY
    if not target.exists():
        raise InputError(f"{path}: there is no {SUMMARY} here; run the study first")
    root = zarr.open_group(target, mode="r")
    names = json.loads(str(root.attrs["groups"]))
    nodes = {n: xr.open_zarr(target, group=n or None, consolidated=False, zarr_format=3, chunks=None) for n in names}
    attributes = dict(root.attrs)
    for described in (attributes, *(node.attrs for node in nodes.values())):
        described.pop(_FORM, None)
    return _tree({name: _in_order(decode(node.assign_attrs(attributes))) for name, node in nodes.items()})
