"""A study as the reports see it: its summary point by point, whatever the shape of the sweep.

The summary has one dimension for each swept key, and is a tree when grids or times differ between points. Statistics and
figures need neither: here every node has the dimensions ``(point, member, time)``, points are numbered through all nodes,
and one table says which swept values belong to a point.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from dajko.errors import InputError
from dajko.grid import Array, Grid
from dajko.status import Status
from dajko.study.commands.status import failure_kinds
from dajko.study.config.foreign import as_stored
from dajko.study.config.study import StudyConfig
from dajko.study.design.sweep import dimension_name
from dajko.study.store.cells import CellStore, cells_path
from dajko.study.store.condition import condition
from dajko.study.store.labelled import is_current, open_cells, open_summary, write_summary
from dajko.study.store.variables import CELLS

# Statuses of the cells that statistics use.
_USABLE = [status for status in Status if status.usable]

# Attributes that a summary has of its store.
_SAME = ("study", "study_hash", "configuration", "code", "axes", "parameters", "settings")

_READ = ("error_l1", "error_l2", "error_w2", "energy", "mass", "status")
# What is read where the study has it.
_READ_TOO = (
    "optimality_gap",
    "optimality_spread",
    "hamilton_jacobi",
    "step_status",
    "odd_even",
    "resolution",
    "truth_outside",
)


@dataclass(frozen=True)
class SweptAxis:
    """One axis of the sweep: its dimension, the coordinates that vary along it, and their dotted keys."""

    dimension: str
    names: tuple[str, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Fields:
    """Densities of some members of a point.

    Attributes
    ----------
    time : array of shape (times,)
        All times of the store, or the last alone.
    grid : Grid
        In space; of artificial time nothing is known.
    density, truth : array of shape (members, times, points)
    """

    time: Array
    grid: Grid
    density: Array
    truth: Array


@dataclass(frozen=True, eq=False)
class StudyResults:
    """What a study's directory holds, for reports.

    Attributes
    ----------
    directory : Path
    study : StudyConfig
    attributes : dict
        Attributes of the store: provenance, name, title.
    axes : tuple of SweptAxis
    points : pandas.DataFrame
        A row for each point, with a column for each swept coordinate and ``node``, the number of its node.
    nodes : tuple of xarray.Dataset
        Errors, energy, mass and status over ``(point, member, time)``; ``point`` is numbered through all nodes.
    groups : tuple of str
        Names of the nodes in the store.
    """

    directory: Path
    study: StudyConfig
    attributes: dict[str, Any]
    axes: tuple[SweptAxis, ...]
    points: pd.DataFrame
    nodes: tuple[xr.Dataset, ...]
    groups: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name of the study."""
        return str(self.attributes["study"])

    @property
    def title(self) -> str:
        """Title of the study, or its name where it has none."""
        return self.study.title or self.name

    @property
    def parameters(self) -> list[str]:
        """Names of the swept coordinates."""
        return [name for axis in self.axes for name in axis.names]

    def axis(self, name: str) -> SweptAxis | None:
        """The axis along which a coordinate varies, if it is swept."""
        return next((axis for axis in self.axes if name in axis.names), None)

    def others(self, name: str) -> list[SweptAxis]:
        """The axes along which a coordinate does not vary."""
        return [axis for axis in self.axes if name not in axis.names]

    def along(self, point: int) -> xr.Dataset:
        """Variables of one point over ``(member, time)``."""
        return self.nodes[int(self.points["node"][point])].sel(point=point)

    @cached_property
    def counts(self) -> dict[Status, int]:
        """Number of cells with each status."""
        status = np.concatenate([node["status"].values.ravel() for node in self.nodes])
        return {s: int((status == s).sum()) for s in Status}

    @cached_property
    def failures(self) -> dict[str, int]:
        """Number of cells that did not converge or failed by the kind of failure; empty where only a summary is there."""
        failed = self.counts[Status.NOT_CONVERGED] or self.counts[Status.FAILED]
        return failure_kinds(CellStore(self.directory / CELLS)) if failed and (self.directory / CELLS).exists() else {}

    @cached_property
    def _cells(self) -> dict[str, xr.Dataset] | None:
        if not (self.directory / CELLS).exists() or self.study.store.density == "none":
            return None
        try:
            store = CellStore(self.directory / CELLS)
            return open_cells(store, condition(store))
        except InputError:
            return None  # damaged, so that the summary alone can be shown

    @property
    def has_fields(self) -> bool:
        """Whether densities can be read: they are in ``cells.zarr``, which may not have been kept."""
        return self._cells is not None

    def fields(self, point: int, members: list[int], final: bool = False) -> Fields:
        """Read densities and truth of some members of a point.

        Parameters
        ----------
        point : int
        members : list of int
        final : bool
            Read the last time only.

        Raises
        ------
        InputError
            If the study has no densities.
        """
        if self._cells is None:
            raise InputError(f"{self.directory}: holds no densities")
        cells = self._cells[self.groups[int(self.points["node"][point])]]
        here = np.isin(cells["member"].values, members)
        for name in self.parameters:
            here &= cells[name].values == self.points[name][point]
        found = cells[["density", "truth"]].isel(cell=np.flatnonzero(here)).sortby("member")
        time = np.asarray(cells["time"].values, dtype=float)
        if "time" not in found["density"].dims:
            found, time = found.expand_dims("time", axis=1), time[-1:]
        if final:
            found, time = found.isel(time=[-1]), time[-1:]
        x = np.asarray(cells["x"].values, dtype=float)
        told = {"left": x[0], "right": x[-1], "scheme": "centred", **cells["x"].attrs}  # what stores did not tell at first
        cells_in_space = x.size - (told["scheme"] == "centred")
        grid = Grid(told["left"], told["right"], cells_in_space, nt=1, scheme=told["scheme"])
        return Fields(time, grid, found["density"].values, found["truth"].values)


def read_results(directory: Path) -> StudyResults:
    """Read the summary of a study; it is written first if it is missing or older than the cells.

    Parameters
    ----------
    directory : Path
        The directory of the study, such as ``results/theta-noise``. A ``summary.zarr`` alone is enough.

    Raises
    ------
    InputError
        If there is no store.
    """
    _refresh(directory)
    opened = open_summary(directory)
    if isinstance(opened, xr.Dataset):
        given = {"": opened}
    else:
        given = {str(name): child.to_dataset() for name, child in opened.children.items()}
    attributes = {str(k): v for k, v in next(iter(given.values())).attrs.items()}
    axes = swept_axes(attributes)
    dims = [axis.dimension for axis in axes]
    nodes: list[xr.Dataset] = []
    tables: list[pd.DataFrame] = []
    first = 0
    for node in given.values():
        nodes.append(_by_point(node, dims, first))
        columns: dict[str, NDArray[Any]] = {name: nodes[-1][name].values for axis in axes for name in axis.names}
        index = pd.RangeIndex(first, first + nodes[-1].sizes["point"], name="point")
        tables.append(pd.DataFrame({**columns, "node": len(tables)}, index=index))
        first += nodes[-1].sizes["point"]
    study = as_stored(str(attributes["configuration"]), directory)
    return StudyResults(directory, study, attributes, axes, pd.concat(tables), tuple(nodes), tuple(given))


def usable(status: NDArray[Any]) -> NDArray[np.bool_]:
    """Which cells met the stopping rule, so that statistics and figures use them."""
    return np.isin(status, _USABLE)


def swept_axes(attributes: Mapping[str, Any]) -> tuple[SweptAxis, ...]:
    """The axes of the sweep, as the attributes of a store describe them."""
    described: list[list[str]] = json.loads(str(attributes["axes"]))
    return tuple(SweptAxis(d, tuple(dimension_name(k) for k in keys), tuple(keys)) for d, *keys in described)


def _by_point(node: xr.Dataset, dims: list[str], first: int) -> xr.Dataset:
    # Read before its axes are joined: of what is not there yet, xarray would read number by number.
    small = node[[*_READ, *(name for name in _READ_TOO if name in node)]].load()
    flat = small.stack(point=dims, create_index=False) if dims else small.expand_dims("point")
    numbers = np.arange(first, first + flat.sizes["point"])
    return flat.assign_coords(point=numbers).transpose("point", "member", "time")


def _refresh(directory: Path) -> None:
    """Write the summary again if the cells beside it say something else."""
    if not (directory / CELLS).exists():
        return
    try:
        opened = open_summary(directory)
    except InputError:
        opened = None
    try:
        store = CellStore(cells_path(directory))
    except InputError:
        if opened is None:
            raise
        return  # the summary tells what can be told
    if opened is not None:
        nodes = [opened] if isinstance(opened, xr.Dataset) else [c.to_dataset() for c in opened.children.values()]
        same = all(nodes[0].attrs.get(name) == store.root.attrs.get(name) for name in _SAME)
        if same and is_current(directory):
            status = np.concatenate([node["status"].values.ravel() for node in nodes])
            if {s.name.lower(): int((status == s).sum()) for s in Status} == store.counts():
                return
    write_summary(directory)
