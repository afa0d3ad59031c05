"""Workers that come and go while a study runs."""

import logging
import threading
import time

import pytest
from distributed import Client, LocalCluster, wait

from dajko.errors import InputError
from dajko.study.commands.run import run_study
from dajko.study.config.cluster import SchedulerAddress
from dajko.study.execution.dask_settings import LOCAL
from dajko.study.execution.warm_up import parts, warm
from dajko.study.execution.workers import Attendance
from dajko.study.store.variables import CELLS

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

STUDY = {"sweep": {"theta": [1e-3, 1e-2]}, "ensemble.members": 20, "block": 1, "grid.nx": 60, "solver.tol": 1e-5}


@pytest.fixture
def others():
    """A cluster of one worker that dajko has not started."""
    import dask

    with (
        dask.config.set(LOCAL),
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
        ) as cluster,
    ):
        yield cluster


def when_begun(directory, do):
    """Do something when the first cells of a study are there."""

    def wait():
        while not (directory / CELLS / "status" / "c").is_dir():
            time.sleep(0.01)
        do()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_a_study_whose_workers_are_all_gone_ends_with_a_sentence(tmp_path, tiny, others):
    directory = tmp_path / "one"
    scheduler = SchedulerAddress(kind="scheduler", address=others.scheduler_address, patience=3)
    thread = when_begun(directory, lambda: others.scale(0))
    with pytest.raises(InputError, match="cluster: all workers have been gone for 3 s; what is computed is kept"):
        run_study(tiny(STUDY), directory, scheduler, quiet=True)
    thread.join(30)
    assert "WARNING all workers are gone; waiting for others for 3 s" in (directory / "run.log").read_text()
    # With another worker the same study goes on where it was.
    others.scale(1)
    report = run_study(tiny(STUDY), directory, scheduler, quiet=True)
    assert 0 < report.computed < 40
    assert (report.missing, report.pending) == (0, 0)


def test_workers_that_come_later_get_work(tmp_path, tiny, others):
    directory = tmp_path / "one"
    scheduler = SchedulerAddress(kind="scheduler", address=others.scheduler_address)
    thread = when_begun(directory, lambda: others.scale(3))
    busy = set()

    def watch():
        while not done.is_set():
            busy.update(state.address for state in list(others.scheduler.workers.values()) if len(state.processing) > 1)
            time.sleep(0.002)

    done = threading.Event()
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    report = run_study(tiny({**STUDY, "ensemble.members": 80}), directory, scheduler, quiet=True)
    done.set()
    watcher.join(30)
    thread.join(30)
    assert report.missing == 0
    assert len(busy) == 3  # each had one task under way and another one waiting


@pytest.fixture
def attended(others):
    """A client of the cluster, and an attendance that waits two seconds for workers."""
    with Client(others.scheduler_address) as client:
        yield client, Attendance(client, 1, 2.0, logging.getLogger("dajko.attend"))


def without_workers(others, client):
    others.scale(0)
    while client.ncores():
        time.sleep(0.01)


def test_a_result_that_was_lost_with_its_worker_is_not_waited_for_in_vain(others, attended):
    client, there = attended
    future = client.submit(bytes, 3)
    wait([future])
    without_workers(others, client)
    with pytest.raises(InputError, match="all workers have been gone for 2 s"):
        there.outcome(future)


def test_a_result_that_was_lost_with_its_worker_is_computed_again(others, attended):
    client, there = attended
    future = client.submit(bytes, 3)
    wait([future])
    without_workers(others, client)
    others.scale(1)
    assert there.outcome(future) == bytes(3)


def test_what_a_task_raises_is_its_outcome(attended):
    client, there = attended
    found = there.outcome(client.submit(int, "three"))
    assert isinstance(found, ValueError)
    assert "three" in str(found)


def test_kernels_that_a_worker_should_have_compiled_are_not_waited_for_when_it_dies(others, attended, make):
    client, there = attended
    before = client.submit(time.sleep, 20)  # so that the worker begins with none of them
    killer = threading.Timer(0.5, others.scale, (0,))
    killer.start()
    warm(client, there, parts(make()), logging.getLogger("test"))
    killer.join(30)
    assert not there.addresses
    assert not before.done()
