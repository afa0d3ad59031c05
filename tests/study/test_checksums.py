"""Damaged chunks: whatever happens to a byte is found, and exactly the cells of that block are computed again."""

import shutil

import numpy as np
import pytest
import xarray as xr

from dajko.status import Status
from dajko.study.store.cells import Block, CellStore
from dajko.study.store.checksums import Damage, chunk_path, damaged, repair
from dajko.study.store.variables import NOT_REPRODUCIBLE, VARIABLES

STUDY = {"sweep": {"theta": [1e-3, 1e-2, 0.1]}, "ensemble.members": 4, "block": 4}
SECOND = Block(0, 4, 8)


@pytest.fixture(scope="module")
def complete(tmp_path_factory, computed):
    """A complete store of three blocks."""
    return computed(tmp_path_factory.mktemp("complete") / "one", STUDY).path.parent


@pytest.fixture
def store(tmp_path, complete):
    """A copy of it, to be damaged."""
    return CellStore(shutil.copytree(complete, tmp_path / "one") / "cells.zarr")


def flip(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "a bit at the begin": lambda path: flip(path, 0),
    "a bit in the middle": lambda path: flip(path, path.stat().st_size // 2),
    "a bit of the checksum": lambda path: flip(path, -1),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "empty": lambda path: path.write_bytes(b""),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "gone": lambda path: path.unlink(),
}


def values(store):
    return xr.open_zarr(store.path, consolidated=False).load().drop_vars(list(NOT_REPRODUCIBLE))


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("name", ["density", "iterations", "solve_time", "setting", "status"])
def test_damage_is_found_and_made_good(store, again, name, kind):
    before = values(store)
    DAMAGE[kind](chunk_path(store, SECOND, name))
    if (name, kind) == ("status", "gone"):  # a chunk that nobody has written: pending
        assert store.pending() == [SECOND]
    else:
        assert list(damaged(store)) == [Damage(SECOND, (name,))]
        assert repair(store) == [Damage(SECOND, (name,))]
    assert list(damaged(store)) == []
    assert store.counts()["pending"] == 4
    assert again(store) == 4
    assert values(store).identical(before)


def test_every_variable_is_looked_at(store):
    for name in VARIABLES:
        flip(chunk_path(store, SECOND, name), 3)
    (found,) = damaged(store)
    assert set(found.variables) == set(VARIABLES)


def test_a_store_without_damage(store):
    assert list(damaged(store)) == []
    assert repair(store) == []
    assert CellStore(store.path).pending() == []


def test_every_chunk_is_a_file(tmp_path, computed):
    """Also one that holds nothing but fill values, so that a missing file is always damage."""
    store = computed(
        tmp_path / "one", {**STUDY, "theta": 1.0, "sweep": None, "observations.first": 3, "truth.solution.m": 2.5}
    )
    for block in store.blocks(0):
        assert all(chunk_path(store, block, name).is_file() for name in VARIABLES)


def test_pending_blocks_are_no_damage(store):
    store.array(0, "status")[4:8] = np.zeros(4)
    chunk_path(store, SECOND, "mass").unlink()
    assert list(damaged(store)) == []


def test_a_damaged_status_reads_as_pending(store):
    """Whoever only looks at the store can do so before it is repaired."""
    flip(chunk_path(store, SECOND, "status"), 3)
    assert store.counts()["pending"] == 4
    assert store.status(0).tolist() == [Status.CONVERGED] * 4 + [Status.PENDING] * 4 + [Status.CONVERGED] * 4
    assert store.pending() == [SECOND]


def test_only_the_blocks_in_question_are_looked_at(store):
    flip(chunk_path(store, SECOND, "mass"), 3)
    assert list(damaged(store, [Block(0, 0, 4)])) == []
    assert len(list(damaged(store, [SECOND]))) == 1


def crc32c(content):
    """Castagnoli's polynomial, reflected, bit by bit (RFC 3720, appendix B.4)."""
    found = 0xFFFFFFFF
    for byte in content:
        found ^= byte
        for _ in range(8):
            found = found >> 1 ^ (0x82F63B78 if found & 1 else 0)
    return found ^ 0xFFFFFFFF


def test_what_the_checksum_of_a_cell_is(store):
    """As docs/stores.md has it, for whoever reads the store without dajko."""
    assert crc32c(b"123456789") == 0xE3069283
    cells = xr.open_zarr(store.path, consolidated=False).load()
    names = cells.checksum.attrs["variables"].split()
    assert set(names) == set(VARIABLES) - set(NOT_REPRODUCIBLE)
    for cell in (0, 7):
        for name in ("density", "mass", "iterations", "status"):
            content = cells.cell_id[cell].values.tobytes() + cells[name][cell].values.tobytes()
            assert crc32c(name.encode() + content) == cells.checksum[cell, names.index(name)].item()


def test_a_cell_has_its_checksum_wherever_it_stands(store, tmp_path, computed):
    """In other blocks, among other cells; equal checksums are equal results."""
    other = computed(tmp_path / "two", {**STUDY, "block": 3, "sweep": {"theta": [0.1, 1e-2, 1.0]}})
    sums = [dict(zip(s.ids(0).tolist(), s.array(0, "checksum")[:].tolist(), strict=True)) for s in (store, other)]
    common = sums[0].keys() & sums[1].keys()
    assert len(common) == 8
    assert all(sums[0][i] == sums[1][i] for i in common)
