"""``cells.zarr``, the store that workers write.

A block of cells is one task, and one chunk along ``cell`` of every variable, so that no two tasks ever write the same
object; within a block the status is written last, so that a cell whose status is not pending is complete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dajko.status import Status
from dajko.study.store.guard import METADATA
from dajko.study.store.opening import cells_path, check_version, clear, read_attributes
from dajko.study.store.records import Spare, cell_checksums, write_spare
from dajko.study.store.stored import Block, StoredCells
from dajko.study.store.variables import CHECKSUM

__all__ = ["Block", "CellStore", "cells_path", "check_version", "read_attributes"]


class CellStore(StoredCells):
    """``cells.zarr`` of a study, opened for reading and writing blocks; see :class:`.StoredCells`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.keeper.before_root = self._spare_root

    def __reduce__(self) -> Any:
        """Elsewhere, such as in a worker that reads a variable, the store is opened again, once in each process."""
        return _reopened, (self.path.absolute(),)

    def describe(self, attributes: Mapping[str, Any]) -> None:
        """Change attributes of the store."""
        self.root.attrs.update(dict(attributes))

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
        given = {name: np.asarray(values[name]).astype(self.array(block.group, name).dtype) for name in names}
        if self.has_checksums(block.group):
            names.insert(-1, CHECKSUM)
            ids = self.known_ids(block.group)[place][chosen]
            sums = [cell_checksums(name, ids, given[name]) for name in self.checked(block.group)]
            given[CHECKSUM] = np.stack(sums, axis=1)
        for name in names:
            array, new = self.array(block.group, name), given[name]
            if chosen.size < status.size:
                whole = np.asarray(array[place])
                whole[chosen] = new
                new = whole
            array[place] = new

    def repair(self) -> dict[str, str]:
        """Write the spare copies of damaged files in their places, and new ones where those are damaged; what was done."""
        done = dict(self.mended)
        for key in list(self.keeper.instead):
            clear(self.path, key)
            temporary = self.path / f"{key}.partial"
            temporary.write_bytes(self.keeper.instead[key])
            temporary.replace(self.path / key)
            del self.keeper.instead[key]
        if self.spare.note:
            done[self.spare.note] = self.spare.note
            write_spare(self.path, self.names)
            self.spare = Spare(self.path)
        self.mended = {}
        return done

    def _spare_root(self, content: bytes) -> None:
        """Change the spare copy of the root's attributes before they change."""
        if self.spare.there:
            write_spare(self.path, self.names, {**self.keeper.instead, METADATA: content})


def _reopened(path: Path) -> CellStore:
    try:
        found = (path / METADATA).stat()
    except OSError:  # gone, and read from its spare copy
        found = path.stat()
    return _reopened_once(path, (found.st_ino, found.st_mtime_ns))


@lru_cache(maxsize=4)
def _reopened_once(path: Path, _version: tuple[int, int]) -> CellStore:
    return CellStore(path)
