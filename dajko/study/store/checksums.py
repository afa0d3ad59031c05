"""Chunks that are not as they were written are found, and their cells computed again.

The last four bytes of a chunk are the CRC-32C of the others; that finds what a disk has changed. The variable ``checksum``
says which numbers belong to which cell (:mod:`.records`); that finds what stands at another place, or is old.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dajko.status import Status
from dajko.study.store.cells import Block, CellStore
from dajko.study.store.opening import clear
from dajko.study.store.records import cell_checksums
from dajko.study.store.variables import CHECKSUM

# A chunk has a frame of at least so many bytes, and its checksum.
_LEAST = 4 + 9


@dataclass(frozen=True)
class Damage:
    """A block with chunks that are not as they were written.

    Attributes
    ----------
    block : Block
    variables : tuple of str
        What the chunks belong to.
    cells : array of bool, shape (cells of the block,)
        Which cells have lost results; without a status all of them may have.
    """

    block: Block
    variables: tuple[str, ...]
    cells: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_), compare=False, repr=False)


def all_blocks(store: CellStore) -> list[Block]:
    """The blocks of all groups."""
    return [block for group in range(len(store.groups)) for block in store.blocks(group)]


def damaged(store: CellStore, blocks: Iterable[Block] | None = None, without: Collection[str] = ()) -> Iterator[Damage]:
    """Find blocks whose chunks are damaged, by reading them; by default among all.

    A chunk is damaged if its checksum is wrong, if it holds numbers that are not those of its cells, if it is missing
    although the status of a cell says that it is there, or if it is no file.

    Parameters
    ----------
    store : CellStore
    blocks : iterable of Block, optional
    without : collection of str
        Variables that are not looked at.
    """
    for block in all_blocks(store) if blocks is None else blocks:
        yield from _damaged(store, block, without)


def missing(store: CellStore) -> Iterator[Damage]:
    """Find blocks with a chunk that is not there although a status says so, or that is no file; only statuses are read."""
    for group in range(len(store.groups)):
        status, names = store.status(group), _stored(store, group)
        places = [_place(store, group, name) for name in names]
        for block in store.blocks(group):
            done = status[block.start : block.stop] != Status.PENDING
            if done.any():
                found = [n for n, p in zip(names, places, strict=True) if not _is_chunk(_path(p, block))]
                if found:
                    yield Damage(block, tuple(found), done)


def repair(store: CellStore, blocks: Iterable[Block] | None = None) -> list[Damage]:
    """Make the cells of damaged blocks pending, and take the damaged chunks away; what was damaged."""
    found = list(damaged(store, blocks))
    for damage in found:
        clear(store.path, chunk_key(store, damage.block, "status"))
        size = damage.block.stop - damage.block.start
        store.array(damage.block.group, "status")[damage.block.start : damage.block.stop] = np.zeros(size)
        for name in damage.variables:
            if name != "status":
                clear(store.path, chunk_key(store, damage.block, name))
    return found


def chunk_key(store: CellStore, block: Block, name: str) -> str:
    """The place of a variable's chunk in the store."""
    return _path(_place(store, block.group, name), block).removeprefix(f"{store.path}/")


def chunk_path(store: CellStore, block: Block, name: str) -> Path:
    """The file of a variable's chunk."""
    return store.path / chunk_key(store, block, name)


def _damaged(store: CellStore, block: Block, without: Collection[str]) -> Iterator[Damage]:
    size = block.stop - block.start
    found: list[str] = []
    status, bad = store.chunk(block, "status")
    if bad:
        found.append("status")
    done = np.zeros(size, dtype=np.bool_) if status is None else status != Status.PENDING
    expected, bad = store.chunk(block, CHECKSUM) if CHECKSUM in _stored(store, block.group) else (None, False)
    if bad or (expected is None and store.checked(block.group) and done.any()):
        found.append(CHECKSUM)
    wrong: dict[str, NDArray[np.bool_]] = {}
    for name in (n for n in store.variables(block.group) if n not in without):
        values, bad = (status, False) if name == "status" else store.chunk(block, name)
        if bad or (values is None and done.any()):
            found.append(name)
        elif values is not None and expected is not None and name in store.checked(block.group):
            sums = cell_checksums(name, store.known_ids(block.group)[block.start : block.stop], values)
            wrong[name] = (sums != expected[:, store.checked(block.group).index(name)]) & done
    mixed = [name for name, cells in wrong.items() if cells.any()]
    # Where nothing fits, the checksums themselves stand at another place.
    found += [CHECKSUM] if mixed and len(mixed) == len(wrong) > 1 else mixed
    if found:
        lost = np.ones(size, dtype=np.bool_) if "status" in found else done
        yield Damage(block, tuple(dict.fromkeys(found)), lost)


def _stored(store: CellStore, group: int) -> list[str]:
    """The variables of a group and, where it has them, their checksums."""
    return [*store.variables(group), *([CHECKSUM] if store.checked(group) else [])]


def _place(store: CellStore, group: int, name: str) -> tuple[str, str, int]:
    """Where the chunks of a variable are: what stands before and after the number of a block, and its cells."""
    array = store.array(group, name)
    return f"{store.path}/{array.path}/c/", "/0" * (array.ndim - 1), array.chunks[0]


def _path(place: tuple[str, str, int], block: Block) -> str:
    before, after, size = place
    return f"{before}{block.start // size}{after}"


def _is_chunk(path: str) -> bool:
    """Whether there is a regular file that may be a chunk."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size >= _LEAST
