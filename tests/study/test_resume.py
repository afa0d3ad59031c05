"""Kills at any instant: the store says the truth, and nothing that is done is done again."""

import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import xarray as xr
import yaml

from dajko.errors import InputError
from dajko.status import Status
from dajko.study.commands.run import run_study
from dajko.study.execution import simulate as cells_module
from dajko.study.execution.task import Task, run_block
from dajko.study.store.cells import Block, CellStore
from dajko.study.store.checksums import chunk_path, damaged
from dajko.study.store.prepare import prepare
from dajko.study.store.variables import CELLS, NOT_REPRODUCIBLE, VARIABLES

STUDY = {"sweep": {"theta": [1e-3, 1e-2, math.inf]}, "ensemble.members": 40, "block": 3, "solver.tol": 1e-4}


def values(directory):
    return xr.open_zarr(directory / CELLS, consolidated=False).load().drop_vars(list(NOT_REPRODUCIBLE))


def assert_done_cells_are_right(directory, reference):
    """Every cell whose status says so holds what an undisturbed run has written."""
    found = values(directory)
    done = found.status.values != Status.PENDING
    for name in VARIABLES:
        if name in found:
            assert np.array_equal(
                found[name].values[done], reference[name].values[done], equal_nan=found[name].dtype.kind == "f"
            )
    return int(done.sum())


def test_a_run_that_is_killed_again_and_again(tmp_path, tiny, computed):
    """SIGKILL to dajko and its workers, twice; each run goes on where the one before was."""
    computed(tmp_path / "quiet" / "one", STUDY)
    reference = values(tmp_path / "quiet" / "one")
    (tmp_path / "my.yaml").write_text(yaml.safe_dump({"studies": {"one": tiny(STUDY)}, "results": str(tmp_path)}))
    command = [
        sys.executable,
        "-c",
        "from dajko.cli import main; main()",
        "run",
        str(tmp_path / "my.yaml"),
        "--workers",
        "2",
    ]
    directory, done, stamps = tmp_path / "one", 0, {}
    for _ in range(2):
        with (tmp_path / "output.txt").open("w") as log:
            running = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            try:
                while len(list((directory / CELLS / "status" / "c").glob("*"))) <= done // 3 + 2:
                    assert running.poll() is None, (tmp_path / "output.txt").read_text()
                    time.sleep(0.002)
                children = psutil.Process(running.pid).children(recursive=True)
            finally:
                os.killpg(running.pid, signal.SIGKILL)
                running.wait()
            psutil.wait_procs(children, timeout=20)
        before, done = done, assert_done_cells_are_right(directory, reference)
        assert before < done < 120
        assert {p: p.stat().st_mtime_ns for p in stamps} == stamps
        store = CellStore(directory / CELLS)
        finished = [b for b in store.blocks(0) if (store.block_status(b) != Status.PENDING).all()]
        paths = [chunk_path(store, b, name) for b in finished for name in VARIABLES]
        stamps = {p: p.stat().st_mtime_ns for p in paths}
        assert list(damaged(store)) == []
    report = run_study(tiny(STUDY), directory, 2, quiet=True)
    assert (report.computed, report.pending) == (120 - done, 0)
    assert {p: p.stat().st_mtime_ns for p in stamps} == stamps
    assert values(directory).drop_attrs().identical(reference.drop_attrs())


@pytest.mark.parametrize("writes", [0, 1, 8, len(VARIABLES) - 1])
def test_a_write_that_is_killed_leaves_the_other_cells_of_the_block(tmp_path, make, computed, monkeypatch, again, writes):
    """A block that is partly done, because the study was widened into it: the done cells stay done and right."""
    narrow = {"sweep": None, "block": 4, "ensemble.members": 6}
    wide = {**narrow, "ensemble.members": 8}
    computed(tmp_path / "quiet" / "one", wide)
    reference, directory = values(tmp_path / "quiet" / "one"), tmp_path / "one"
    computed(directory, narrow)
    store = prepare(directory, make(wide))
    assert [store.pending_cells(block) for block in store.pending()] == [[6, 7]]
    plain, left = CellStore.array, [writes]

    def array(self, group, name):
        found = plain(self, group, name)

        class Stopping:
            def __getattr__(self, key):
                return getattr(found, key)

            def __getitem__(self, selection):
                return found[selection]

            def __setitem__(self, selection, value):
                if left[0] == 0:
                    raise KeyboardInterrupt
                left[0] -= 1
                found[selection] = value

        return Stopping()

    with monkeypatch.context() as patch:
        patch.setattr(CellStore, "array", array)
        with pytest.raises(KeyboardInterrupt):
            again(store)
    assert assert_done_cells_are_right(directory, reference) == 6
    assert again(CellStore(store.path)) == 2
    assert assert_done_cells_are_right(directory, reference) == 8


def test_a_damaged_chunk_is_computed_again_by_the_next_run(tmp_path, tiny, address, computed):
    directory = tmp_path / "one"
    store = computed(directory, {"block": 2})
    before = values(directory)
    chunk_path(store, Block(0, 2, 4), "density").write_bytes(b"")
    stamps = {p: p.stat().st_mtime_ns for p in store.path.rglob("c/*") if p.is_file() and p.name != "1"}
    report = run_study(tiny({"block": 2}), directory, address, quiet=True)
    assert (report.computed, report.pending) == (2, 0)
    assert "one: cells 2 to 3: damaged: density" in (directory / "run.log").read_text()
    assert {p: p.stat().st_mtime_ns for p in stamps} == stamps
    assert values(directory).identical(before)


def test_a_damaged_chunk_in_a_store_that_is_widened(tmp_path, tiny, address, computed):
    directory, wide = tmp_path / "one", {"block": 2, "ensemble.members": 5}
    store = computed(directory, {"block": 2})
    chunk_path(store, Block(0, 2, 4), "density").write_bytes(b"")
    report = run_study(tiny(wide), directory, address, quiet=True)
    assert (report.computed, report.pending) == (4 + 2, 0)
    computed(tmp_path / "quiet" / "one", wide)
    widened, once = (values(d).sortby("order").drop_attrs() for d in (directory, tmp_path / "quiet" / "one"))
    assert widened.identical(once)


def test_a_worker_that_comes_back_late_writes_nothing(tmp_path, make, monkeypatch):
    """It was cut off; meanwhile another run has widened the store."""
    directory = tmp_path / "one"
    store = prepare(directory, make({"block": 4}))
    plain = cells_module.simulate_many

    def late(*arguments):
        prepare(directory, make({"block": 4, "ensemble.members": 4}))
        return plain(*arguments)

    monkeypatch.setattr(cells_module, "simulate_many", late)
    with pytest.raises(RuntimeError, match="belongs to another study now"):
        run_block(str(store.path), store.hash, Task(store.blocks(0)[0]))
    assert CellStore(store.path).counts()["pending"] == 8


def test_the_root_is_written_whole(tmp_path, make, monkeypatch):
    """Attributes change by a temporary file and a rename: what happens before the rename leaves the old ones."""
    directory = tmp_path / "one"
    prepare(directory, make())

    def stop(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace", stop)
        with pytest.raises(InputError, match=r"cannot be written any further: no space left on device; .* free some space"):
            prepare(directory, make({"title": "Another"}))
    assert CellStore(directory / CELLS).root.attrs["title"] == "one"
    assert prepare(directory, make({"title": "Another"})).root.attrs["title"] == "Another"
