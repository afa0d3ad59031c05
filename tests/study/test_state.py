"""How a study stands, as its directory tells it."""

import os

import pytest

from dajko.status import Status
from dajko.study.commands.status import study_state
from dajko.study.execution.task import Task, run_block
from dajko.study.store.cells import CellStore
from dajko.study.store.checksums import chunk_path
from dajko.study.store.locks import alone
from dajko.study.store.prepare import prepare


def test_rate_and_time_left_of_a_run(tmp_path, make):
    """Two blocks of three cells, ten seconds after the first of three: 0.6 cells a second, and ten seconds for six more."""
    directory = tmp_path / "one"
    store = prepare(directory, make({"block": 3, "sweep": {"theta": [1.0, 2.0, 3.0, 4.0, 5.0]}}))
    for second, block in zip((0, 5, 10), store.blocks(0), strict=False):
        run_block(str(store.path), store.hash, Task(block))
        os.utime(chunk_path(store, block, "status"), (1000 + second, 1000 + second))
    idle = study_state(directory)
    assert (idle.running, idle.rate, idle.seconds_left, idle.incomplete) == (False, None, None, True)
    with alone(directory):
        state = study_state(directory)
    assert (state.running, state.rate, state.seconds_left) == (True, pytest.approx(0.6), pytest.approx(10.0))
    assert state.lines() == ["running: 0.6/s, 10 s left"]
    assert (state.cells, state.counts["converged"], state.counts["pending"]) == (15, 9, 6)


def test_blocks_of_long_ago_do_not_count(tmp_path, make):
    directory = tmp_path / "one"
    store = prepare(directory, make({"block": 3, "sweep": {"theta": [1.0, 2.0, 3.0]}}))
    for at, block in zip((1000, 90_000), store.blocks(0), strict=False):
        run_block(str(store.path), store.hash, Task(block))
        os.utime(chunk_path(store, block, "status"), (at, at))
    with alone(directory):
        assert study_state(directory).rate is None


def test_failures_by_kind(tmp_path, computed):
    directory = tmp_path / "one"
    store = computed(directory, {"sweep": {"solver.max_iterations": [1, 100_000]}})
    assert study_state(directory).failures == {"iteration limit": 3}
    (directory / "failures.jsonl").unlink()
    status = store.status(0)
    status[4] = Status.FAILED
    store.array(0, "status")[:] = status
    state = study_state(directory)
    assert (state.failures, state.failed, state.incomplete) == ({"unknown": 4}, 4, False)


def test_only_failures_of_cells_that_the_study_asks_for(tmp_path, make, computed):
    directory = tmp_path / "one"
    computed(directory, {"sweep": {"solver.max_iterations": [1, 100_000]}})
    prepare(directory, make({"sweep": {"solver.max_iterations": [100_000]}}))
    state = study_state(directory)
    assert (state.failures, state.failed, state.unasked) == ({}, 0, 3)
    assert CellStore(directory / "cells.zarr").counts()["converged"] == 3


def test_looking_writes_nothing(tmp_path, computed):
    directory = tmp_path / "one"
    computed(directory)
    before = {p: p.stat().st_mtime_ns for p in directory.rglob("*")}
    study_state(directory, verify=True)
    assert {p: p.stat().st_mtime_ns for p in directory.rglob("*")} == before
