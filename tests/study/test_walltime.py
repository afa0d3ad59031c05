"""Workers whose time is short, or whose memory is: what they have begun is finished, and nothing is computed twice."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from distributed import Client, LocalCluster, WorkerPlugin, as_completed

from dajko.study.commands.run import run_study
from dajko.study.config.cluster import LocalCluster as LocalConfig
from dajko.study.execution.cluster import open_cluster
from dajko.study.execution.walltime import LEAST, RESERVE, Drain, job_end
from tests.clusters import scheduler_of

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def test_where_the_end_of_a_job_is_said():
    assert job_end({}) is None
    assert job_end({"SLURM_JOB_END_TIME": "1700000000"}) == 1.7e9
    assert job_end({"SLURM_JOB_END_TIME": "1700000000", "DAJKO_JOB_END": "1600000000"}) == 1.6e9
    assert job_end({"DAJKO_JOB_END": "soon"}) is None


def test_the_margin_follows_the_longest_block(monkeypatch):
    drain, clock = Drain(end=1e9), [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    assert drain.margin == LEAST
    for key, seconds in (("a", 40.0), ("b", 10.0)):
        drain.transition(key, "ready", "executing")
        clock[0] += seconds
        drain.transition(key, "executing", "memory")
    assert drain.margin == RESERVE * 40.0 + LEAST / 2
    assert Drain(end=1e9, margin=7.0).margin == 7.0


def work(path, number, seconds):
    """Say that a piece of work begins, take some time, say that it ends."""
    for word in ("begin", "end"):
        with open(path, "a") as file:  # noqa: PTH123
            file.write(f"{word} {number} {os.getpid()}\n")
        if word == "begin":
            time.sleep(seconds)
    return number


def test_a_worker_finishes_what_it_has_begun_and_leaves_before_its_job_ends(tmp_path):
    said = tmp_path / "said"
    with LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster, Client(cluster) as client:

        def start(name, **variables):
            line = [sys.executable, "-m", "dask", "worker", cluster.scheduler_address, "--nthreads", "1", "--name", name]
            line += ["--preload", "dajko.study.execution.walltime", "--dashboard-address", "127.0.0.1:0"]
            environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
            with (tmp_path / f"{name}.log").open("w") as log:
                return subprocess.Popen(line, env=environment, stdout=log, stderr=log, cwd=tmp_path)

        end = time.time() + 40
        short = start("short", DAJKO_JOB_END=f"{end}", DAJKO_MARGIN="25")
        client.wait_for_workers(1, timeout=60)
        left, others = [], []

        def follow():
            left.append((short.wait(120), time.time()))
            others.append(start("long"))

        follower = threading.Thread(target=follow, daemon=True)
        follower.start()
        found = []
        for future, result in as_completed(
            client.map(work, [str(said)] * 60, range(60), [0.5] * 60, pure=False), with_results=True
        ):
            found.append(result)
            future.release()
        follower.join()
        others[0].terminate()
        others[0].wait(60)
    assert sorted(found) == list(range(60))
    lines = [line.split() for line in said.read_text().splitlines()]
    begun, ended = (sorted(int(number) for word, number, _ in lines if word == which) for which in ("begin", "end"))
    assert begun == ended == list(range(60))  # each once
    ((code, gone),) = left
    assert code == 0
    assert gone < end
    assert len({process for *_, process in lines}) == 2
    assert "the worker leaves" in (tmp_path / "short.log").read_text()


# --- memory ---------------------------------------------------------------------------------------------------------------


class Hungry(WorkerPlugin):
    """Cells take memory for as long as they are computed, all at once."""

    name = "hungry"

    def __init__(self, each):
        self.each = each

    def setup(self, worker):
        import numpy as np

        from dajko.study.execution import simulate as cells

        plain, each = cells.simulate_many, self.each

        def simulate_many(experiments, generators):
            taken = np.ones(each * len(experiments) // 8)
            until = time.monotonic() + (3.0 if len(experiments) > 1 else 0.0)
            while time.monotonic() < until:
                time.sleep(0.01)
            assert taken.all()
            return plain(experiments, generators)

        cells.simulate_many = simulate_many


def test_a_block_that_exceeds_the_memory_of_its_worker_is_taken_apart(tmp_path, tiny, monkeypatch):
    """A real limit, and a nanny that ends whoever exceeds it: the cells fit one by one, so every one of them is there."""
    study = tiny({"sweep": {"theta": [1e-3]}, "ensemble.members": 8, "block": 8, "solver": {"kind": "interior_point"}})
    with open_cluster(LocalConfig(workers=1, memory="1GB"), 10) as client:
        client.register_plugin(Hungry(200_000_000))
        report = run_study(study, tmp_path / "one", scheduler_of(client), quiet=True)
    assert (report.counts["converged"], report.computed, report.missing) == (8, 8, 0)
    assert "their workers died; computed one by one at the end" in (tmp_path / "one" / "run.log").read_text()
