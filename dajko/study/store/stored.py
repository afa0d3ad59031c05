"""``cells.zarr`` as it is read: opened, checked, block by block."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numcodecs.zstd import Zstd
from numpy.typing import NDArray

from dajko.errors import InputError
from dajko.status import Status
from dajko.study.config.foreign import as_stored
from dajko.study.config.study import StudyConfig
from dajko.study.design.plan import Shape
from dajko.study.store.guard import METADATA, DamagedError, intact, writing_all_chunks
from dajko.study.store.opening import (
    FIRST,
    attributes_of,
    check_layout,
    check_version,
    is_ours,
    key_of,
    no_store,
    opened,
    remedy,
)
from dajko.study.store.records import cell_checksums, one_place
from dajko.study.store.variables import (
    ALL_VARIABLES,
    CHECKED,
    CHECKSUM,
    ID,
    NOT_ASKED,
    NOT_REPRODUCIBLE,
    OBSERVATION,
    ORDER,
    stored_variables,
)


@dataclass(frozen=True, order=True)
class Block:
    """Cells ``start`` to ``stop`` of a group: one task, and one chunk of every variable."""

    group: int
    start: int
    stop: int


class StoredCells:
    """``cells.zarr`` of a study, of which nothing is written.

    A cell that the study does not ask for any more stays where it is, but is not counted.

    Parameters
    ----------
    path : Path
        The store itself.

    Attributes
    ----------
    mended : dict from str to str
        Sentences about damaged files whose spare copies are read in their place.

    Raises
    ------
    InputError
        If it is not a store of dajko, has another schema version, or is damaged where nothing can be said without.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.keeper, self.spare, self.mended = opened(path)
        attributes = attributes_of(path, self.keeper, self.spare)
        check_version(path, attributes["schema_version"])
        try:
            self.root = zarr.open_group(self.keeper, mode="r+", zarr_format=3, use_consolidated=False)
            self.study_name = str(attributes["study"])
            self.hash = str(attributes["study_hash"])
            self.code = str(attributes["code"])
            self.sources: dict[str, str] = dict(json.loads(str(attributes["sources"])))
            self.parameters: list[str] = json.loads(str(attributes["parameters"]))
            self.names: list[str] = json.loads(str(attributes["groups"]))
            self.groups = [self._group(name) for name in self.names]
            self._checked: dict[int, list[str]] = {}
            self._shapes = [Shape(*json.loads(str(group.attrs["shape"]))) for group in self.groups]
            self._arrays: list[dict[str, zarr.Array[Any]]] = [{} for _ in self.groups]
            for group in range(len(self.groups)):
                self._check_layout(group)
        except InputError:
            raise
        except FileNotFoundError as error:
            if not is_ours(path, self.spare):
                raise no_store(path) from None
            raise DamagedError(f"{error}; {remedy(path)}") from None
        except (OSError, KeyError, ValueError, TypeError, RecursionError):
            if not is_ours(path, self.spare):
                raise no_store(path) from None
            raise DamagedError(f"{path}: is damaged: its attributes are not what dajko writes; {remedy(path)}") from None
        self._orders: dict[int, NDArray[np.int64]] = {}
        self._known_ids: dict[int, NDArray[np.uint64]] = {}
        self._names: dict[int, list[str]] = {}

    @property
    def study(self) -> StudyConfig:
        """The study that the store was made for; what this dajko does not know in it stays as it is written."""
        return as_stored(str(self.root.attrs["configuration"]), self.path)

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

    def shape(self, group: int) -> Shape:
        """What decides the shape of a group's results."""
        return self._shapes[group]

    def array(self, group: int, name: str) -> zarr.Array[Any]:
        """A variable of a group, whose metadata are read once."""
        opened = self._arrays[group]
        if name not in opened:
            with writing_all_chunks():
                found = self.groups[group][name]
            assert isinstance(found, zarr.Array)
            opened[name] = found
        return opened[name]

    def status(self, group: int) -> NDArray[np.int8]:
        """Status of each cell of a group; pending where the chunk is damaged."""
        return np.concatenate([self.block_status(block) for block in self.blocks(group)])

    def block_status(self, block: Block) -> NDArray[np.int8]:
        """Status of each cell of a block; pending if the chunk is damaged."""
        found, _ = self.chunk(block, "status")
        return np.zeros(block.stop - block.start, dtype=np.int8) if found is None else _known(found)

    def chunk(self, block: Block, name: str) -> tuple[NDArray[Any] | None, bool]:
        """The values of a variable in a block, None if there are none; and whether that is because of damage."""
        array = self.array(block.group, name)
        place = "/".join(map(str, (block.start // array.chunks[0], *(0 for _ in array.shape[1:]))))
        try:
            content = self.keeper.content(f"{array.path}/c/{place}")
        except DamagedError:
            return None, True
        if content is None:
            return None, False
        values = np.empty(array.chunks, dtype=array.dtype)
        try:
            if not intact(content):
                return None, True
            Zstd().decode(content[:-4], out=values.reshape(-1).view(np.uint8))
        except (RuntimeError, ValueError):
            return None, True
        return values[: block.stop - block.start], False

    def order(self, group: int) -> NDArray[np.int64]:
        """Place of each cell of a group in the study, -1 for one that the study does not ask for any more.

        Which cells a store has never changes: a wider store is another one. So this is read once.
        """
        if group not in self._orders:
            found = self.coordinate(group, ORDER).astype(np.int64, copy=False)
            one_place(found, self.path, remedy(self.path))
            found.flags.writeable = False
            self._orders[group] = found
        return self._orders[group]

    def ids(self, group: int) -> NDArray[np.uint64]:
        """Id of each cell of a group."""
        return self.coordinate(group, ID).astype(np.uint64, copy=False)

    def coordinate(self, group: int, name: str) -> NDArray[Any]:
        """A coordinate of a group as a whole.

        Raises
        ------
        InputError
            If it is damaged, and there is no spare copy of it.
        """
        array = self.array(group, name)
        key = f"{array.path}/{array.metadata.encode_chunk_key((0,) * array.ndim)}"
        try:
            # An older dajko has not written coordinates of nothing but zeros.
            if self.spare.there and self.keeper.content(key) is None:
                raise self.keeper.damaged(key, "is not there, so that nobody can tell the cells")
            return np.asarray(array[...])
        except InputError:
            raise
        except (ValueError, RuntimeError):
            raise self.keeper.damaged(key, "is damaged, so that nobody can tell the cells") from None

    def rows(self, group: int, name: str, cells: NDArray[np.int64], verified: bool = False) -> NDArray[Any]:
        """Values of some cells, each of which is as it was written.

        Parameters
        ----------
        group : int
        name : str
        cells : array of int
            Numbers of cells, ascending.
        verified : bool
            Whether it is known that they hold their own numbers.

        Raises
        ------
        InputError
            If one is not.
        """
        array = self.array(group, name)
        if not cells.size:
            return np.empty((0, *array.shape[1:]), dtype=array.dtype)
        first, last = int(cells[0]), int(cells[-1]) + 1
        whole = last - first == cells.size
        try:
            found = np.asarray(array[first:last] if whole else array.oindex[(cells, *(slice(None),) * (array.ndim - 1))])
        except InputError:
            raise
        except (ValueError, RuntimeError):
            where = f"{self.path / array.path}: a chunk of cells {first} to {last - 1} is damaged"
            raise DamagedError(f"{where}; {remedy(self.path)}") from None
        wrong = np.zeros(cells.size, dtype=np.bool_) if verified else self._wrong(group, name, cells, found)
        if wrong.any():
            number = int(cells[np.argmax(wrong)])
            raise DamagedError(
                f"{self.path / array.path}: cell {number} holds numbers that are not its own; {remedy(self.path)}"
            )
        return found

    def _wrong(self, group: int, name: str, cells: NDArray[np.int64], values: NDArray[Any]) -> NDArray[np.bool_]:
        """Which of some computed cells do not have the numbers that were written."""
        if name not in self.checked(group):
            return np.zeros(cells.size, dtype=np.bool_)
        column = self.checked(group).index(name)
        try:
            expected = np.asarray(self.array(group, CHECKSUM).oindex[cells, column])
            wrong: NDArray[np.bool_] = cell_checksums(name, self.known_ids(group)[cells], values) != expected
            if wrong.any():
                wrong &= np.asarray(self.array(group, "status").oindex[cells]) != Status.PENDING
        except InputError:
            raise
        except (ValueError, RuntimeError):
            where = f"{self.path / self.array(group, CHECKSUM).path}: a chunk is damaged"
            raise DamagedError(f"{where}; {remedy(self.path)}") from None
        return wrong

    def checked(self, group: int) -> list[str]:
        """The variables that the store has checksums of, in their order; none in a store of an older dajko."""
        if group not in self._checked:
            there = self._has(group, CHECKSUM)
            self._checked[group] = str(self.array(group, CHECKSUM).attrs[CHECKED]).split() if there else []
        return self._checked[group]

    def has_checksums(self, group: int) -> bool:
        """Whether each number of a group has a checksum."""
        return set(self.checked(group)) == set(self.variables(group)) - set(NOT_REPRODUCIBLE)

    def _has(self, group: int, name: str) -> bool:
        return self.keeper.content(key_of(str(self.groups[group].path), name)) is not None

    def sums(self, block: Block, names: Sequence[str], wider: zarr.Group | None = None) -> NDArray[np.uint32]:
        """Checksums of the numbers of a block as they are; 0 for cells that are not computed.

        What the store does not have is read from a group of the same cells in a wider one.
        """
        place = slice(block.start, block.stop)
        done, ids = self.block_status(block) != Status.PENDING, self.known_ids(block.group)[place]
        group = self.groups[block.group] if wider is None else wider
        found = [cell_checksums(n, ids, np.asarray(group[n][place])) for n in names]  # type: ignore[index]
        return np.where(done[:, np.newaxis], np.stack(found, axis=1), np.uint32(0))

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

    def variables(self, group: int) -> list[str]:
        """Names of the variables along ``cell`` that a block writes."""
        if group not in self._names:
            self._names[group] = [name for name in ALL_VARIABLES if self._has(group, name)]
        return self._names[group]

    def known_ids(self, group: int) -> NDArray[np.uint64]:
        """Id of each cell of a group, read once: which cells a store has never changes."""
        if group not in self._known_ids:
            self._known_ids[group] = self.ids(group)
        return self._known_ids[group]

    def _group(self, name: str) -> zarr.Group:
        if self.keeper.content(f"{name}/{METADATA}" if name else METADATA) is None:
            raise FileNotFoundError(f"{self.path / name / METADATA}: is not there")
        return zarr.open_group(self.keeper, path=name or None, mode="r+", zarr_format=3)

    def _check_layout(self, group: int) -> None:
        node, expected = str(self.groups[group].path), stored_variables(self.study)
        measured = bool(self.shape(group).labels)  # a group without data has nothing along `observation`
        expected = {name: v for name, v in expected.items() if measured or OBSERVATION not in v.dims}
        there = self.checked(group) or [name for name in expected if self._has(group, name)]
        first = [name for name in FIRST if measured or OBSERVATION not in ALL_VARIABLES[name].dims]
        names = dict.fromkeys((*first, *there, ID, ORDER))
        for name in names:
            if not self._has(group, name):
                raise self.keeper.damaged(key_of(node, name), "is not there")
        check_layout(self.keeper, self.shape(group), node, {name: self.array(group, name) for name in names}, expected)


def _pending(status: NDArray[Any], order: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray((status == Status.PENDING) & (order != NOT_ASKED))


def _known(status: Any) -> NDArray[np.int8]:
    """Statuses as numbers; one that there is not stands for a cell that is to be computed."""
    found = np.array(status, dtype=np.int8)
    found[(found < 0) | (found >= len(Status))] = Status.PENDING
    return found
