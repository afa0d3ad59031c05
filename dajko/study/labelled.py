"""Labelled views of a study's store: everything, lazily (:func:`open_study`), and the small ``summary.zarr``."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import xarray as xr
import zarr

from dajko.errors import InputError
from dajko.study.layout import ALL_VARIABLES, FIELDS, ID, MEMBER, NOT_ASKED, OBSERVATION, ORDER, SUMMARY, TIME, X, flags
from dajko.study.store import CellStore, cells_path
from dajko.study.sweep import dimension_name


def open_study(path: str | Path) -> xr.Dataset | xr.DataTree:
    """Open the results of a study: everything, lazily, with the swept parameters as labelled dimensions.

    Parameters
    ----------
    path : str or Path
        The directory of the study, such as ``results/theta-noise``.

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
    return _tree({name: unstack(cells) for name, cells in open_cells(store).items()})


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


def decode(dataset: xr.Dataset) -> xr.Dataset:
    """Replace the integer codes of categorical coordinates by their words."""
    for name, coordinate in dataset.coords.items():
        if "flag_meanings" in coordinate.attrs:
            words = np.array(str(coordinate.attrs["flag_meanings"]).split(" "))[coordinate.values]
            attributes = {k: v for k, v in coordinate.attrs.items() if not str(k).startswith("flag_")}
            dataset = dataset.assign_coords({name: (coordinate.dims, words, attributes)})
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


def unstack(cells: xr.Dataset) -> xr.Dataset:
    """Turn the flat dimension ``cell`` into the swept parameters and ``member``.

    Keys that vary together share the dimension ``zip`` and are coordinates along it; perturbed keys are coordinates over
    all swept dimensions and ``member``.
    """
    attributes = {name: cells[name].attrs for name in cells.coords}
    attributes["zip"] = {"long_name": "position of the keys that vary together", "units": "1"}
    along: dict[str, tuple[str, np.ndarray]] = {}
    dims = []
    for dimension, *keys in json.loads(cells.attrs["axes"]):
        dims.append(dimension)
        if len(keys) > 1:
            names = [dimension_name(key) for key in keys]
            rows = list(zip(*(cells[n].values.tolist() for n in names), strict=True))
            distinct = list(dict.fromkeys(rows))
            cells = cells.drop_vars(names).assign_coords({dimension: ("cell", [distinct.index(row) for row in rows])})
            along |= {n: (dimension, np.array(v)) for n, v in zip(names, zip(*distinct, strict=True), strict=True)}
    study = json.loads(cells.attrs["configuration"])
    drawn = [ID, *(dimension_name(key) for key in study["ensemble"]["perturbations"])]
    cells = cells.reset_coords(drawn)
    # Also keys that earlier configurations have swept and this one does not: all cells have the same value.
    cells = cells.drop_vars([n for n, c in cells.coords.items() if "cell" in c.dims and n not in (*dims, MEMBER)])
    # Where the combinations are not complete, whole numbers (iterations, statuses) read 0: not computed.
    fill = {n: np.nan if v.dtype.kind == "f" else 0 for n, v in cells.data_vars.items()}
    if dims:
        result = cells.set_index(cell=[*dims, "member"]).unstack("cell", fill_value=fill)
    else:  # nothing is swept: one index is no MultiIndex, which is what unstack needs
        result = cells.set_index(cell="member").rename(cell="member")
    result = result.assign_coords(along).set_coords(drawn)
    for name in result.coords:
        result[name].attrs.update(attributes.get(name, {}))
    present = [d for d in (TIME, X, OBSERVATION) if d in result.dims]
    return _in_order(result.transpose(*dims, "member", *present))


def _in_order(dataset: xr.Dataset) -> xr.Dataset:
    """The variables in the order in which they are described, not that of a directory."""
    return dataset[[name for name in ALL_VARIABLES if name in dataset]]


def _tree(nodes: dict[str, xr.Dataset]) -> xr.Dataset | xr.DataTree:
    if list(nodes) == [""]:
        return nodes[""]
    root = xr.Dataset(attrs=next(iter(nodes.values())).attrs)
    return xr.DataTree.from_dict({"/": root, **nodes})


def write_summary(directory: Path) -> Path:
    """Write ``summary.zarr``: everything but the densities, with labelled dimensions.

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
    target = directory / SUMMARY
    temporary = target.with_name(f".{SUMMARY}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    opened = open_cells(store)
    names = list(opened)
    for name, cells in opened.items():
        small = encode(unstack(cells.drop_vars([f for f in (*FIELDS, X) if f in cells.variables]).load()))
        small.to_zarr(temporary, group=name or None, mode="a", consolidated=False, zarr_format=3)
    zarr.open_group(temporary, mode="r+").attrs.update({**dict(store.root.attrs), "groups": json.dumps(names)})
    shutil.rmtree(target, ignore_errors=True)
    temporary.rename(target)
    return target


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
    return _tree({name: _in_order(decode(node.assign_attrs(dict(root.attrs)))) for name, node in nodes.items()})
