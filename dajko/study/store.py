"""``cells.zarr``, the store that workers write: how it is opened, and how a block is written.

A block of cells is one task, and one chunk along ``cell`` of every variable, so that no two tasks ever write the same
object; within a block the status is written last, so that a cell whose status is not pending is complete.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import ArrayLike, NDArray

from dajko.errors import InputError
from dajko.solvers import Status
from dajko.study.config import SCHEMA_VERSION, StudyConfig
from dajko.study.layout import CELLS, VARIABLES


@dataclass(frozen=True, order=True)
class Block:
    """Cells ``start`` to ``stop`` of a group: one task, and one chunk of every variable."""

    group: int
    start: int
    stop: int


class CellStore:
    """``cells.zarr`` of a study, opened for reading and writing blocks.

    Parameters
    ----------
    path : Path
        The store itself.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.root = zarr.open_group(path, mode="r+", zarr_format=3)
            self.study_name = str(self.root.attrs["study"])
            self.hash = str(self.root.attrs["study_hash"])
            names = json.loads(str(self.root.attrs["groups"]))
            version = self.root.attrs["schema_version"]
            self.groups = [zarr.open_group(path, path=name or None, mode="r+", zarr_format=3) for name in names]
            _ = [group["status"] for group in self.groups]
        except (OSError, KeyError, ValueError, TypeError):
            raise InputError(f"{path}: is not a store of dajko; choose another results directory") from None
        if version != SCHEMA_VERSION:
            raise InputError(
                f"{path}: has the schema version {version}, this dajko writes version {SCHEMA_VERSION}; choose another "
                "results directory"
            )

    @property
    def study(self) -> StudyConfig:
        """The study that the store was made for."""
        return StudyConfig.model_validate_json(str(self.root.attrs["configuration"]))

    @property
    def size(self) -> int:
        """Number of cells."""
        return sum(int(self.array(group, "status").shape[0]) for group in range(len(self.groups)))

    def array(self, group: int, name: str) -> zarr.Array[Any]:
        """A variable of a group."""
        found = self.groups[group][name]
        assert isinstance(found, zarr.Array)
        return found

    def status(self, group: int) -> NDArray[np.int8]:
        """Status of each cell of a group."""
        return np.asarray(self.array(group, "status")[:], dtype=np.int8)

    def blocks(self, group: int) -> list[Block]:
        """All blocks of a group."""
        array = self.array(group, "status")
        cells, block = array.shape[0], array.chunks[0]
        return [Block(group, start, min(start + block, cells)) for start in range(0, cells, block)]

    def pending(self) -> list[Block]:
        """Blocks with a cell that has not been computed."""
        found = []
        for group in range(len(self.groups)):
            status = self.status(group)
            found += [b for b in self.blocks(group) if (status[b.start : b.stop] == Status.PENDING).any()]
        return found

    def counts(self) -> dict[str, int]:
        """Number of cells with each status."""
        status = np.concatenate([self.status(group) for group in range(len(self.groups))])
        return {s.name.lower(): int((status == s).sum()) for s in Status}

    def write(self, block: Block, values: Mapping[str, ArrayLike]) -> None:
        """Write all variables of a block, the status last.

        Raises
        ------
        ValueError
            If the block is not one chunk: two tasks could then lose each other's cells.
        """
        for name in sorted(self.variables(block.group), key=lambda name: name == "status"):
            array = self.array(block.group, name)
            if block.start % array.chunks[0] != 0 or block.stop != min(block.start + array.chunks[0], array.shape[0]):
                raise ValueError(f"cells {block.start} to {block.stop} are not one chunk of {name}")
            array[block.start : block.stop] = np.asarray(values[name])

    def variables(self, group: int) -> list[str]:
        """Names of the variables along ``cell`` that a block writes."""
        return [name for name in VARIABLES if name in self.groups[group]]


def cells_path(directory: Path) -> Path:
    """Where the cells of a study are.

    Raises
    ------
    InputError
        If there are none.
    """
    if not (directory / CELLS).exists():
        raise InputError(f"{directory}: there is no {CELLS} here; run the study first")
    return directory / CELLS
