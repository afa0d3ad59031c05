"""Checksums of chunks: what a disk or an accident has changed is found, without decoding anything, and computed again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import numpy as np

from dajko.solvers import Status
from dajko.study.store import Block, CellStore

_BYTES = 4


@dataclass(frozen=True)
class Damage:
    """A block with chunks that are not as they were written, and the variables that they belong to."""

    block: Block
    variables: tuple[str, ...]


def all_blocks(store: CellStore) -> list[Block]:
    """The blocks of all groups."""
    return [block for group in range(len(store.groups)) for block in store.blocks(group)]


def damaged(store: CellStore, blocks: Iterable[Block] | None = None) -> Iterator[Damage]:
    """Find blocks whose chunks are damaged; by default among all.

    A chunk is damaged if its checksum is wrong, or if it is missing although the status of a cell says that it is there.
    """
    for block in all_blocks(store) if blocks is None else blocks:
        status = chunk_path(store, block, "status")
        found = [] if not status.exists() or _intact(status) else ["status"]
        done = not found and bool((store.block_status(block) != Status.PENDING).any())
        for name in store.variables(block.group):
            path = chunk_path(store, block, name)
            if name != "status" and (not _intact(path) if path.exists() else done):
                found.append(name)
        if found:
            yield Damage(block, tuple(found))


def repair(store: CellStore, blocks: Iterable[Block] | None = None) -> list[Damage]:
    """Make the cells of damaged blocks pending, and take the damaged chunks away; what was damaged."""
    found = list(damaged(store, blocks))
    for damage in found:
        size = damage.block.stop - damage.block.start
        chunk_path(store, damage.block, "status").unlink(missing_ok=True)
        store.array(damage.block.group, "status")[damage.block.start : damage.block.stop] = np.zeros(size)
        for name in damage.variables:
            if name != "status":
                chunk_path(store, damage.block, name).unlink(missing_ok=True)
    return found


def chunk_path(store: CellStore, block: Block, name: str) -> Path:
    """The file of a variable's chunk."""
    array = store.array(block.group, name)
    position = (block.start // array.chunks[0], *(0 for _ in array.shape[1:]))
    return store.path / array.path / array.metadata.encode_chunk_key(position)


def _intact(path: Path) -> bool:
    """Whether the checksum at the end of a file is that of what stands before it."""
    content = path.read_bytes()
    return len(content) > _BYTES and google_crc32c.value(content[:-_BYTES]) == int.from_bytes(content[-_BYTES:], "little")
