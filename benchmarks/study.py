"""A whole study, from YAML to a complete store: members a second, and where the time goes."""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import dajko.study.commands.run
import dajko.study.execution.simulate
import dajko.study.execution.task
import dajko.study.twin.experiment
from benchmarks.stages import Place, Stages
from dajko import distance
from dajko.solvers.interior_point import InteriorPoint
from dajko.study.commands.run import run_study
from dajko.study.config.parse import read_studies
from dajko.study.config.study import StudyConfig
from dajko.study.design.members import make_plan
from dajko.study.execution.cluster import open_cluster
from dajko.study.execution.task import Task
from dajko.study.store.cells import CellStore
from dajko.study.store.prepare import prepare

_FILE = Path(__file__).with_name("study.yaml")

# Other processes take so many of the machine's cores before wall times of two workers mean nothing.
BUSY = 0.5


@dataclass(frozen=True)
class Throughput:
    """One run of a study.

    Attributes
    ----------
    seconds : float
        Wall time from reading the YAML file to the complete store, the start of the workers included.
    cpu_seconds : float
        CPU time of all processes of the run.
    busy_seconds, solver_seconds : float
        Wall time of the workers in blocks, and the part of it in the solver, summed over the workers.
    load : float
        Runnable processes of the machine in the minute before.
    """

    workers: int
    members: int
    seconds: float
    cpu_seconds: float
    busy_seconds: float
    solver_seconds: float
    load: float

    @property
    def members_per_second(self) -> float:
        """Members a second of wall time."""
        return self.members / self.seconds

    @property
    def outside_solver(self) -> float:
        """Share of the workers' busy time outside the solver."""
        return 1.0 - self.solver_seconds / self.busy_seconds


@dataclass(frozen=True)
class Profile:
    """Where the time of a study goes.

    Attributes
    ----------
    run : Throughput
    driver : dict from str to float
        Wall seconds of the stages of the run as the process that starts it sees them.
    idle : float
        Seconds that workers waited for the scheduler or for their last block, summed over the workers.
    blocks : dict from str to float
        Shares of the CPU time of a worker's blocks, from some of the blocks run in this process.
    """

    run: Throughput
    driver: dict[str, float]
    idle: float
    blocks: dict[str, float]


def throughput(members: int, rounds: int) -> list[Throughput]:
    """The study on one worker and on two, in turn."""
    _run(_study(10), 1)  # compilation
    return [_run(_study(members), workers) for _ in range(rounds) for workers in (1, 2)]


def profile(members: int, workers: int, least: float = 20.0) -> Profile:
    """Run the study once, with clocks, and some of its blocks once more in this process, for at least so many seconds."""
    _run(_study(10), 1)
    stages = Stages(time.perf_counter)
    run_module = dajko.study.commands.run
    places = [
        Place(run_module, "make_plan", "planning and checking"),
        Place(run_module, "check_plan", "planning and checking"),
        Place(run_module, "prepare", "making the store"),
        Place(run_module, "warm", "loading the kernels"),
        Place(run_module, "write_summary", "writing the summary"),
    ]
    opened = open_cluster

    @contextmanager
    def timed_cluster(*args: Any, **options: Any) -> Iterator[Any]:
        cluster = opened(*args, **options)
        with stages.stage("starting and stopping the workers"):
            client = cluster.__enter__()
        with stages.stage("computing"):
            yield client
        with stages.stage("starting and stopping the workers"):
            cluster.__exit__(None, None, None)

    with stages.stage("reading YAML"):
        study = _study(members)
    with stages.watch(places), mock.patch.object(run_module, "open_cluster", timed_cluster), stages.stage("the rest"):
        run = _run(study, workers)
    driver = dict(stages.seconds)
    return Profile(run, driver, workers * driver["computing"] - run.busy_seconds, _block_shares(_study(members), least))


def _study(members: int) -> StudyConfig:
    """The study with so many members in all its points together."""
    (study,) = read_studies(_FILE).studies.values()
    points = len(make_plan("throughput", study).points)
    ensemble = study.ensemble.model_copy(update={"members": max(1, members // points)})
    return study.model_copy(update={"ensemble": ensemble})


def _run(study: StudyConfig, workers: int) -> Throughput:
    load = os.getloadavg()[0]
    started, cpu = time.perf_counter(), _cpu_seconds()
    with tempfile.TemporaryDirectory() as scratch:
        report = run_study(study, Path(scratch) / "throughput", workers, quiet=True)
        seconds = time.perf_counter() - started
    if report.failed or report.pending:
        raise RuntimeError(f"members of the study failed: {report.counts}")
    spent = _cpu_seconds() - cpu
    return Throughput(workers, report.computed, seconds, spent, report.busy_seconds, report.solver_seconds, load)


def _cpu_seconds() -> float:
    """CPU time of this process and of those it started that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def _block_shares(study: StudyConfig, least: float) -> dict[str, float]:
    """Shares of the CPU time of blocks, from as many of them as take so many seconds."""
    stages = Stages(time.process_time)
    experiment = dajko.study.twin.experiment
    places = [
        Place(dajko.study.execution.simulate, "build", "building experiments"),
        Place(experiment.Experiment, "data", "noisy data"),
        Place(experiment, "trajectories", "flow: problems and bookkeeping"),
        Place(InteriorPoint, "solve", "interior_point"),
        Place(InteriorPoint, "march", "interior_point"),
        Place(distance, "l1", "distances"),
        Place(distance, "l2", "distances"),
        Place(distance, "w2", "distances"),
        Place(experiment, "measure", "measuring the results"),
        Place(CellStore, "write", "writing the store"),
    ]
    with tempfile.TemporaryDirectory() as scratch:
        store = prepare(Path(scratch) / "throughput", make_plan("throughput", study))
        with stages.watch(places):
            for block in store.pending():
                with stages.stage("block: the rest"):
                    dajko.study.execution.task.run_block(str(store.path), store.hash, Task(block))
                if sum(stages.seconds.values()) > least:
                    break
    total = sum(stages.seconds.values())
    return {name: seconds / total for name, seconds in stages.seconds.items()}
