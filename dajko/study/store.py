"""``cells.zarr``, the store that workers write: how it is opened, and how a block is written.

A block of cells is one task, and one chunk along ``cell`` of every variable, so that no two tasks ever write the same
object; within a block the status is written last, so that a cell whose status is not pending is complete.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import ArrayLike, NDArray
from zarr.storage import LocalStore

from dajko.errors import InputError
from dajko.solvers import Status
from dajko.study.config import SCHEMA_VERSION, StudyConfig
from dajko.study.layout import ALL_VARIABLES, CELLS, NEW, NOT_ASKED, ORDER
from dajko.study.plan import Shape


@dataclass(frozen=True, order=True)
class Block:
    """Cells ``start`` to ``stop`` of a group: one task, and one chunk of every variable."""

    group: int
    start: int
    stop: int


class CellStore:
    """``cells.zarr`` of a study, opened for reading and writing blocks.

    A cell that the study does not ask for any more stays where it is, but is not counted.

    Parameters
    ----------
    path : Path
        The store itself.

    Raises
    ------
    InputError
        If it is not a store of dajko, or has another schema version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        attributes = read_attributes(path)
        check_version(path, attributes["schema_version"])
        try:
            self.root = zarr.open_group(path, mode="r+", zarr_format=3, use_consolidated=False)
            self.study_name = str(attributes["study"])
            self.hash = str(attributes["study_hash"])
            self.code = str(attributes["code"])
            self.parameters: list[str] = json.loads(str(attributes["parameters"]))
            names = json.loads(str(attributes["groups"]))
            self.groups = [
                zarr.open_group(path, path=name or None, mode="r+", zarr_format=3, use_consolidated=False) for name in names
            ]
            self._shapes = [Shape(*json.loads(str(group.attrs["shape"]))) for group in self.groups]
            with writing_all_chunks():
                self._arrays = [{name: group[name] for name in ("status", ORDER)} for group in self.groups]
        except (OSError, KeyError, ValueError, TypeError):
            raise _no_store(path) from None
        self._orders: dict[int, NDArray[np.int64]] = {}
        self._names: dict[int, list[str]] = {}

    @property
    def study(self) -> StudyConfig:
        """The study that the store was made for."""
        return StudyConfig.model_validate_json(str(self.root.attrs["configuration"]))

    @property
    def settings(self) -> list[dict[str, Any]]:
        """What cells were solved with, as dotted keys in place of the study's own; the first is the study's own setting."""
        found: list[dict[str, Any]] = json.loads(str(self.root.attrs["settings"]))
        return found

    @property
    def size(self) -> int:
        """Number of cells of the study."""
        return sum(int((self.order(group) != NOT_ASKED).sum()) for group in range(len(self.groups)))

    @property
    def unasked(self) -> int:
        """Number of cells that the study does not ask for any more."""
        return sum(int((self.order(group) == NOT_ASKED).sum()) for group in range(len(self.groups)))

    def describe(self, attributes: Mapping[str, Any]) -> None:
        """Change attributes of the store."""
        self.root.attrs.update(dict(attributes))
        consolidate(self.path)

    def shape(self, group: int) -> Shape:
        """What decides the shape of a group's results."""
        return self._shapes[group]

    def array(self, group: int, name: str) -> zarr.Array[Any]:
        """A variable of a group, whose metadata are read once."""
        opened = self._arrays[group]
        if name not in opened:
            with writing_all_chunks():
                opened[name] = self.groups[group][name]
        found = opened[name]
        assert isinstance(found, zarr.Array)
        return found

    def status(self, group: int) -> NDArray[np.int8]:
        """Status of each cell of a group; pending where the chunk is damaged."""
        try:
            return np.asarray(self.array(group, "status")[:], dtype=np.int8)
        except ValueError:
            return np.concatenate([self.block_status(block) for block in self.blocks(group)])

    def block_status(self, block: Block) -> NDArray[np.int8]:
        """Status of each cell of a block; pending if the chunk is damaged."""
        try:
            return np.asarray(self.array(block.group, "status")[block.start : block.stop], dtype=np.int8)
        except ValueError:
            return np.zeros(block.stop - block.start, dtype=np.int8)

    def order(self, group: int) -> NDArray[np.int64]:
        """Place of each cell of a group in the study, -1 for one that the study does not ask for any more.

        Which cells a store has never changes: a wider store is another one. So this is read once.
        """
        if group not in self._orders:
            try:
                found = np.asarray(self.array(group, ORDER)[:], dtype=np.int64)
            except ValueError:
                raise InputError(
                    f"{self.path}: the coordinate {ORDER} is damaged, so that nobody can tell its cells; take the store "
                    "from a backup, or say --recompute"
                ) from None
            found.flags.writeable = False
            self._orders[group] = found
        return self._orders[group]

    def blocks(self, group: int) -> list[Block]:
        """All blocks of a group."""
        array = self.array(group, "status")
        cells, block = array.shape[0], array.chunks[0]
        return [Block(group, start, min(start + block, cells)) for start in range(0, cells, block)]

    def pending_cells(self, block: Block) -> list[int]:
        """Cells of a block that have not been computed."""
        order = self.order(block.group)[block.start : block.stop]
        return [block.start + int(i) for i in np.flatnonzero(_pending(self.block_status(block), order))]

    def pending(self) -> list[Block]:
        """Blocks with a cell that has not been computed."""
        return [block for block, _ in self.pending_counts()]

    def pending_counts(self) -> list[tuple[Block, int]]:
        """Blocks with a cell that has not been computed, and the number of these cells."""
        found = []
        for group in range(len(self.groups)):
            pending, blocks = _pending(self.status(group), self.order(group)), self.blocks(group)
            numbers = [int(np.count_nonzero(pending[b.start : b.stop])) for b in blocks]
            found += [(block, number) for block, number in zip(blocks, numbers, strict=True) if number]
        return found

    def counts(self) -> dict[str, int]:
        """Number of cells with each status."""
        found = np.zeros(len(Status), dtype=np.int64)
        for group in range(len(self.groups)):
            asked = self.status(group)[self.order(group) != NOT_ASKED]
            found += np.bincount(asked, minlength=len(Status))
        return {s.name.lower(): int(found[s]) for s in Status}

    def write(self, block: Block, values: Mapping[str, ArrayLike], cells: Sequence[int] | None = None) -> None:
        """Write all variables of a block, the status last.

        Parameters
        ----------
        block : Block
        values : mapping from str to array
            The variables of the cells.
        cells : sequence of int, optional
            The cells that the values belong to; all of the block by default. The others keep what they have.

        Raises
        ------
        ValueError
            If the block is not one chunk: two tasks could then lose each other's cells.
        """
        names = sorted(self.variables(block.group), key=lambda name: name == "status")
        for name in names:
            array = self.array(block.group, name)
            if block.start % array.chunks[0] != 0 or block.stop != min(block.start + array.chunks[0], array.shape[0]):
                raise ValueError(f"cells {block.start} to {block.stop} are not one chunk of {name}")
        place, status = slice(block.start, block.stop), self.block_status(block)
        chosen = np.arange(status.size) if cells is None else np.asarray(cells, dtype=np.intp) - block.start
        if (status[chosen] != Status.PENDING).any():
            status[chosen] = Status.PENDING  # no cell may look complete while its data change
            self.array(block.group, "status")[place] = status
        for name in names:
            array, new = self.array(block.group, name), np.asarray(values[name])
            if chosen.size < status.size:
                whole = np.asarray(array[place])
                whole[chosen] = new
                new = whole
            array[place] = new

    def variables(self, group: int) -> list[str]:
        """Names of the variables along ``cell`` that a block writes."""
        if group not in self._names:
            there = set(self.groups[group].array_keys())
            self._names[group] = [name for name in ALL_VARIABLES if name in there]
        return self._names[group]


def _pending(status: NDArray[Any], order: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray((status == Status.PENDING) & (order != NOT_ASKED))


def writing_all_chunks() -> Any:
    """Arrays opened within it write a chunk of nothing but fill values as a file too, so that none may be missing."""
    return zarr.config.set({"array.write_empty_chunks": True})


def consolidate(path: Path, group: str = "") -> None:
    """Write the metadata of all arrays below a group into its own, where xarray looks for them first.

    A copy, for those who open the store without dajko: xarray warns where there is none. dajko reads the arrays' own.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr's remark that other implementations may not read the copy: they need not
        zarr.consolidate_metadata(LocalStore(path), path=group or None, zarr_format=3)


def read_attributes(path: Path) -> dict[str, Any]:
    """Attributes of a store of any schema version.

    Raises
    ------
    InputError
        If it is not a store of dajko.
    """
    try:
        attributes = dict(zarr.open_group(path, mode="r", zarr_format=3).attrs)
        if not {"study", "study_hash", "schema_version"} <= set(attributes):
            raise _no_store(path)
    except (OSError, KeyError, ValueError, TypeError):
        raise _no_store(path) from None
    return attributes


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


def _no_store(path: Path) -> InputError:
    return InputError(f"{path}: is not a store of dajko; choose another results directory")


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
