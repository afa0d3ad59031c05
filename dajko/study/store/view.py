"""The cells of a group with the swept parameters and the members as dimensions, read when they are asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import dask.array
import numpy as np
import pandas as pd
import xarray as xr
import zarr
from numpy.typing import NDArray

from dajko.errors import InputError
from dajko.status import Status
from dajko.study.config.rounding import all_written
from dajko.study.design.sweep import dimension_name
from dajko.study.store.cells import CellStore
from dajko.study.store.variables import ALL_VARIABLES, ID, KEPT, MEMBER, NOT_ASKED, OBSERVATION, ORDER, SEED_KEY, TIME, X

# Bytes of a chunk of the view, about.
_CHUNK = 32_000_000

# Statuses of the members whose numbers are results.
_USABLE = [status for status in Status if status.usable]


@dataclass(frozen=True, eq=False)
class Labelled:
    """A variable along ``cell`` as an array whose first axes are the swept parameters and the member.

    Attributes
    ----------
    store : CellStore
    group : int
    name : str
    place : array of int, shape (..., members)
        Which cell stands where; -1 where there is none.
    verified : bool
        Whether it is known that the cells hold their own numbers.
    hidden : bool
        Whether numbers of cells whose status is not usable read NaN.
    """

    store: CellStore
    group: int
    name: str
    place: NDArray[np.int64]
    verified: bool = False
    hidden: bool = False

    @property
    def array(self) -> zarr.Array[Any]:
        """The variable in the store, of shape (cells, ...)."""
        return self.store.array(self.group, self.name)

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of all axes."""
        return (*self.place.shape, *self.array.shape[1:])

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the numbers."""
        return np.dtype(self.array.dtype)

    @property
    def chunks(self) -> tuple[int, ...]:
        """Lengths of chunks: all times and nodes of some cells, the last of the first axes the most together."""
        room, found = max(1, int(_CHUNK // (self.dtype.itemsize * np.prod(self.array.shape[1:], dtype=int)))), []
        for length in reversed(self.place.shape):
            found.append(min(length, room))
            room = max(1, room // length)
        return (*reversed(found), *self.array.shape[1:])

    def __getitem__(self, index: tuple[slice | int, ...]) -> NDArray[Any]:
        place, rest = self.place[index[: self.place.ndim]], index[self.place.ndim :]
        cells = place.ravel()
        there = cells >= 0
        distinct, at = np.unique(cells[there], return_inverse=True)
        # The status first: workers write it last.
        status = self.store.rows(self.group, "status", distinct, self.verified) if self.hidden else None
        # A cell as a whole, which is what its checksum is of.
        read = self.store.rows(self.group, self.name, distinct, self.verified)[(slice(None), *rest)]
        if status is not None and not np.isin(status, _USABLE).all():
            read = np.array(read)
            read[~np.isin(status, _USABLE)] = np.nan
        read = read[at]
        if there.all():
            found = read
        else:
            # Where the combinations are not complete, whole numbers (iterations, statuses) read 0: not computed.
            found = np.full((cells.size, *read.shape[1:]), np.nan if self.dtype.kind == "f" else 0, dtype=self.dtype)
            found[there] = read
        return found.reshape((*place.shape, *found.shape[1:]))


def labelled(
    store: CellStore, group: int, damaged: NDArray[np.bool_], verified: bool = False, failed: bool = False
) -> xr.Dataset | None:
    """The cells of a group that the study asks for, or None if it asks for none.

    Results of cells whose status is not usable are NaN, unless ``failed`` asks for them.

    Keys that vary together share the dimension ``zip`` and are coordinates along it; perturbed keys are coordinates over
    all swept dimensions and ``member``. DamagedError cells read as if they had not been computed.

    Raises
    ------
    InputError
        If two cells claim one place.
    """
    order = store.order(group)
    asked = np.flatnonzero(order != NOT_ASKED)
    if not asked.size:
        return None
    asked = asked[np.argsort(order[asked])]
    attributes = dict(store.root.attrs)
    coordinates: dict[str, Any] = {}
    dims, codes = [], []
    for dimension, *keys in [*json.loads(str(attributes["axes"])), [MEMBER, MEMBER]]:
        names = [dimension_name(key) for key in keys]
        columns = [all_written(_column(store, group, name, asked)) for name in names]
        code = _ranks(columns[0])
        if len(keys) > 1:
            code = pd.factorize(
                np.ravel_multi_index([_ranks(c) for c in columns], [int(_ranks(c).max()) + 1 for c in columns])
            )[0]
            described = {"long_name": "position of the keys that vary together", "units": "1"}
            coordinates[dimension] = (dimension, np.arange(code.max() + 1), described)
        first = np.unique(code, return_index=True)[1]
        for name, column in zip(names, columns, strict=True):
            coordinates[name] = (dimension, column[first], _plain_attributes(store, group, name))
        dims.append(dimension)
        codes.append(code)
    place = np.full([int(code.max()) + 1 for code in codes], -1, dtype=np.int64)
    place[tuple(codes)] = asked
    if np.count_nonzero(place >= 0) != asked.size:
        where = store.path / store.groups[group].path
        raise InputError(f"{where}: two of its cells claim one place in the sweep, so that nobody can tell which is right")
    sound = np.where((place >= 0) & damaged[place], -1, place)
    variables: dict[str, Any] = {}
    for name in [n for n in ALL_VARIABLES if n in store.variables(group)]:
        variables[name] = _variable(store, group, name, dims, sound, verified, hidden=not failed and name not in KEPT)
    for name in [ID, *(dimension_name(key) for key in store.study.ensemble.perturbations)]:
        coordinates[name] = _variable(store, group, name, dims, place)
    for name in (TIME, X, OBSERVATION):
        if any(name in variable[0] for variable in variables.values()):
            values = _column(store, group, name, slice(None))
            coordinates[name] = (name, values, _plain_attributes(store, group, name))
    return xr.Dataset(variables, coordinates, attributes)


def unlabelled(store: CellStore, group: int, cells: NDArray[np.int64], damaged: NDArray[np.bool_]) -> xr.Dataset:
    """Some cells of a group, lazily, in this order, with words in place of codes."""
    sound = np.where(damaged[cells], -1, cells)
    variables = {name: _variable(store, group, name, ["cell"], sound) for name in store.variables(group)}
    coordinates: dict[str, Any] = {}
    for name in [ID, ORDER, MEMBER, SEED_KEY, *map(dimension_name, store.parameters)]:
        array = store.array(group, name)
        dims = array.metadata.dimension_names  # type: ignore[union-attr]
        coordinates[name] = (dims, _column(store, group, name, cells), _plain_attributes(store, group, name))
    for name in (TIME, X, OBSERVATION) if store.shape(group).labels else (TIME, X):
        coordinates[name] = (name, _column(store, group, name, slice(None)), _plain_attributes(store, group, name))
    return xr.Dataset(variables, coordinates, dict(store.root.attrs))


def _variable(
    store: CellStore,
    group: int,
    name: str,
    dims: list[str],
    place: NDArray[np.int64],
    verified: bool = False,
    hidden: bool = False,
) -> tuple[Any, ...]:
    array = store.array(group, name)
    lazy = Labelled(store, group, name, place, verified, hidden)
    data: Any = dask.array.from_array(  # type: ignore[no-untyped-call]
        lazy, chunks=lazy.chunks, name=False, asarray=False
    )
    own = array.metadata.dimension_names or ()  # type: ignore[union-attr]
    return ([*dims, *own[1:]], data, _plain_attributes(store, group, name))


def _column(store: CellStore, group: int, name: str, cells: Any) -> NDArray[Any]:
    """A coordinate, with words in place of codes."""
    array = store.array(group, name)
    values: NDArray[Any] = store.coordinate(group, name)[cells]
    if _is_coded(name, array):
        # Objects: of all the kinds of text that NumPy has, the one that zarr's format 3, netCDF and pandas agree on.
        words = np.array(str(array.attrs["flag_meanings"]).split(" "), dtype=object)
        if values.size and not 0 <= values.min() <= values.max() < words.size:
            raise InputError(f"{store.path / array.path}: holds codes of words that it does not have")
        values = words[values]
    return values


def _ranks(values: NDArray[Any]) -> NDArray[np.intp]:
    """The place of each value among the distinct ones, sorted."""
    ranks: NDArray[np.intp] = pd.factorize(values if values.dtype.kind in "iuf" else values.astype(object), sort=True)[0]
    return ranks


def _is_coded(name: str, array: zarr.Array[Any]) -> bool:
    """Whether a coordinate holds codes of words; statuses stay numbers."""
    return name not in ALL_VARIABLES and "flag_meanings" in array.attrs


def _plain_attributes(store: CellStore, group: int, name: str) -> dict[str, Any]:
    array = store.array(group, name)
    hidden = ("coordinates", "flag_values", "flag_meanings") if _is_coded(name, array) else ("coordinates",)
    found: dict[str, Any] = {key: value for key, value in array.attrs.items() if key not in hidden}
    if "flag_values" in found:  # of the type of the variable, as CF has it
        found["flag_values"] = np.asarray(found["flag_values"], dtype=array.dtype)
    return found
