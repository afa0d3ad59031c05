"""Workers that come and go while a study runs."""

import threading
import time

import pytest
from distributed import LocalCluster

from dajko.errors import InputError
from dajko.study.clusters import SchedulerAddress
from dajko.study.layout import CELLS
from dajko.study.run import run_study
from dajko.study.settings import LOCAL

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

STUDY = {"sweep": {"theta": [1e-3, 1e-2]}, "ensemble.members": 60, "block": 1, "grid.nx": 60, "solver.tol": 1e-5}


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
    assert 0 < report.computed < 120
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
    report = run_study(tiny({**STUDY, "ensemble.members": 200}), directory, scheduler, quiet=True)
    done.set()
    watcher.join(30)
    thread.join(30)
    assert report.missing == 0
    assert len(busy) == 3  # each had one task under way and another one waiting
