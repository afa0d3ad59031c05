"""Run a study: plan, check, start a cluster, keep a window of blocks under way, and leave a complete store."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dajko.checks import path as checked_path
from dajko.checks import shown
from dajko.errors import InputError
from dajko.study.config.cluster import ClusterConfig, LocalCluster, SchedulerAddress, SlurmCluster
from dajko.study.config.parse import parse, plain
from dajko.study.config.study import StudyConfig
from dajko.study.design.members import Plan, make_plan
from dajko.study.execution.cluster import check_address_space, open_cluster
from dajko.study.execution.dispatch import connected, silent_client
from dajko.study.execution.dispatch import results as results_of
from dajko.study.execution.performance import dashboard, measured
from dajko.study.execution.progress import FILE_ONLY, StudyProgress, dask_in, logged
from dajko.study.execution.task import BlockReport, Task
from dajko.study.execution.warm_up import parts, warm
from dajko.study.execution.workers import Attendance
from dajko.study.store.cells import Block, CellStore, cells_path
from dajko.study.store.checksums import Damage, all_blocks, repair
from dajko.study.store.coordinates import mend_coordinates
from dajko.study.store.disk import enough_space
from dajko.study.store.files import refuse_links
from dajko.study.store.labelled import clear_leftovers, summary_is_good, write_summary
from dajko.study.store.locks import entrance, holders, writing
from dajko.study.store.outdated import outdated
from dajko.study.store.prepare import inspect, is_current, prepare
from dajko.study.store.variables import FAILURES, MANIFEST, PERFORMANCE, SUMMARY
from dajko.study.twin.checks import check_plan
from dajko.study.twin.doubts import doubts

# So many members without a result are named in the log; a person is told how many there are of each kind.
_MOST_TOLD = 1000


@dataclass(frozen=True)
class StudyReport:
    """How a study stands after a run.

    Attributes
    ----------
    study : str
    cells : int
    counts : dict from str to int
        Number of cells with each status; ``pending`` are those that could not be computed now.
    computed : int
        Cells computed by this run; the others were there.
    missing : int
        Cells that this run should have computed and could not.
    seconds : float
        Wall time of the run.
    busy_seconds, solver_seconds : float
        Time that the workers spent on blocks, and the part of it in the solver, summed over the workers.
    """

    study: str
    study_hash: str
    cells: int
    counts: dict[str, int]
    computed: int
    missing: int
    seconds: float
    busy_seconds: float
    solver_seconds: float

    @property
    def pending(self) -> int:
        """Cells that have not been computed."""
        return self.counts["pending"]

    @property
    def failed(self) -> int:
        """Cells that did not converge or failed."""
        return self.counts["not_converged"] + self.counts["failed"]


@dataclass
class Total:
    """What the reports of all blocks come to; they are not kept."""

    cells: int = 0
    failures: int = 0
    examples: dict[str, dict[str, Any]] = field(default_factory=dict)  # the first failure of each kind
    numbers: Counter[str] = field(default_factory=Counter)  # of failures of each kind
    busy_seconds: float = 0.0
    solver_seconds: float = 0.0

    def add(self, report: BlockReport) -> None:
        """Add the report of a block."""
        self.cells += report.cells
        self.failures += len(report.failures)
        for failure in report.failures:
            self.numbers[failure["kind"]] += 1
            self.examples.setdefault(failure["kind"], failure)
        self.busy_seconds += report.seconds
        self.solver_seconds += report.solver_seconds

    def sentences(self) -> Iterator[str]:
        """What has failed, a sentence for each kind of failure."""
        for kind, number in self.numbers.most_common():
            first = self.examples[kind]
            example = f"such as cell {first['cell']}: {first['message']}"
            yield f"{number} without a result: {kind}, {example}; {FAILURES} names {'it' if number == 1 else 'each'}"


def run_study(
    study: StudyConfig | Mapping[str, Any],
    results: str | Path,
    cluster: ClusterConfig | str | int | None = None,
    *,
    slab: int | None = None,
    recompute: bool = False,
    quiet: bool = False,
) -> StudyReport:
    """Run a study, or what is missing of it.

    Parameters
    ----------
    study : mapping or StudyConfig
        The content of one study, as in a YAML file.
    results : str or Path
        Directory of this study; its last part is the study's name.
    cluster : ClusterConfig, str, int or None
        The address of a scheduler, or the number of local processes; by default one for each core.
    slab : int, optional
        Compute only this one of ``study.slabs`` shares.
    recompute : bool
        Compute all cells anew, also if the store does not fit the study; what is there is kept under ``previous/``.
    quiet : bool
        Show no progress.

    Returns
    -------
    StudyReport

    Raises
    ------
    InputError
        If the study is not valid, the directory cannot be used, its store does not fit the study, or the cluster does not
        answer.

    Notes
    -----
    Members that fail are counted, not raised. In a script, call this below ``if __name__ == "__main__":``, because local
    workers are processes that import the script.
    """
    check_address_space()
    directory = checked_path("results", results).absolute()
    cluster = _cluster(cluster)
    config = study if isinstance(study, StudyConfig) else parse(StudyConfig, plain(study), f"studies.{directory.name}")
    plan = make_plan(directory.name, config)
    check_plan(plan)
    inspect(directory, plan, recompute)
    doubted = doubts(plan)
    if slab is not None and (isinstance(slab, bool) or not isinstance(slab, int) or not 0 <= slab < config.slabs):
        raise InputError(f"slab must be at least 0 and less than {config.slabs}, got {shown(slab)}")
    with ExitStack() as stack:
        stack.enter_context(enough_space(directory))
        with entrance(directory):
            stack.enter_context(writing(directory, slab or 0, 1 if slab is None else config.slabs))
            refuse_links(directory)
            old = _changeable(directory, plan, recompute)
            mended = [] if old is None else list(old.repair().values())
            broken = repair(old) if old is not None and not is_current(old, plan) else []
            changed = None if old is None or recompute else outdated(old)
            store = prepare(directory, plan, recompute)
            mended += mend_coordinates(store, plan)
        broken += repair(store, _slab_blocks(store, slab, config.slabs))
        tasks = [Task(block) for block, _ in _share(store, slab, config.slabs)]
        news = [*doubted, *([] if changed is None else [f"{changed.sentence} and are computed again"])]
        return compute(store, tasks, cluster, slab=slab, broken=broken, mended=mended, news=news, quiet=quiet)


def compute(
    store: CellStore,
    tasks: list[Task],
    cluster: ClusterConfig | str | int | None,
    *,
    slab: int | None = None,
    broken: Sequence[Damage] = (),
    mended: Sequence[str] = (),
    news: Sequence[str] = (),
    quiet: bool = False,
) -> StudyReport:
    """Compute tasks of a store that this process has locked, and leave what tells of the study in step with it.

    Parameters
    ----------
    store : CellStore
    tasks : list of Task
    cluster : ClusterConfig, str, int or None
        As in :func:`run_study`.
    slab : int, optional
        The share of the study that this run computes.
    broken : sequence of Damage
        Blocks that have been repaired before, for the log.
    mended : sequence of str
        Sentences about files that were written again, for the log.
    news : sequence of str
        Further sentences for the log, if anything is computed.
    quiet : bool
        Show no progress.
    """
    started, directory = time.monotonic(), store.path.parent
    clear_leftovers(directory)
    if slab is None:  # nobody else writes here, so what smaller files were to become is nobody's
        for name in (MANIFEST, PERFORMANCE):
            for left in directory.glob(f".{name}.*"):
                left.unlink(missing_ok=True)
    if tasks:
        (directory / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(directory / SUMMARY, ignore_errors=True)
    said = [*(f"{sentence}: written again" for sentence in mended), *(_sentence(damage) for damage in broken)]
    total = _compute(store, tasks, [*said, *news], _cluster(cluster), quiet) if tasks or said else Total()
    report = StudyReport(
        study=store.study_name,
        study_hash=store.hash,
        cells=store.size,
        counts=store.counts(),
        computed=total.cells,
        missing=sum(number for _, number in _share(store, slab, store.study.slabs)),
        seconds=time.monotonic() - started,
        busy_seconds=total.busy_seconds,
        solver_seconds=total.solver_seconds,
    )
    if slab is None and not report.pending and not summary_is_good(directory):
        write_summary(directory)
    return report


def finish(directory: Path) -> dict[str, int]:
    """Write the summary and the manifest of a study all of whose cells have been computed.

    The manifest is Snakemake's: where it is missing, because another run has changed the store, Snakemake looks again.

    Returns
    -------
    dict from str to int
        Number of cells with each status.

    Raises
    ------
    InputError
        If cells are missing.
    """
    store = CellStore(cells_path(directory))
    counts = store.counts()
    if counts["pending"]:
        raise InputError(f"{directory}: {counts['pending']} of {store.size} cells are not computed; run the study again")
    write_summary(directory)
    write_json(
        directory / MANIFEST, {"study": store.study_name, "study_hash": store.hash, "cells": store.size, "counts": counts}
    )
    return counts


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a small JSON file, whole or not at all, with the time at which it was written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    temporary.write_text(json.dumps({**content, "finished": now}, indent=2) + "\n", encoding="utf-8")
    temporary.rename(path)


def _cluster(given: object) -> ClusterConfig:
    if given is None:
        return LocalCluster()
    if isinstance(given, str):
        return parse(SchedulerAddress, {"kind": "scheduler", "address": given}, "cluster")
    if isinstance(given, int):
        return parse(LocalCluster, {"workers": given}, "cluster")
    if not isinstance(given, LocalCluster | SchedulerAddress | SlurmCluster):
        must_be = "a configuration of a cluster, the address of a scheduler, or a number of processes"
        raise InputError(f"cluster must be {must_be}, got {shown(given)}")
    return given


def _changeable(directory: Path, plan: Plan, recompute: bool) -> CellStore | None:
    """The store that is there; refused if it had to be changed while jobs of other slabs write it."""
    store = inspect(directory, plan, recompute)
    if len(holders(directory)) > 1 and (recompute or (store is not None and not is_current(store, plan))):
        raise InputError(f"{directory}: another run is writing this study as it was; wait for it or stop it")
    return store


def _slab_blocks(store: CellStore, slab: int | None, slabs: int) -> list[Block]:
    """The blocks of a slab."""
    everything = all_blocks(store)
    return (
        everything if slab is None else everything[slab * len(everything) // slabs : (slab + 1) * len(everything) // slabs]
    )


def _share(store: CellStore, slab: int | None, slabs: int) -> list[tuple[Block, int]]:
    """The blocks that this run computes, and how many cells of each."""
    share = set(_slab_blocks(store, slab, slabs))
    return [(block, number) for block, number in store.pending_counts() if block in share]


def _sentence(damage: Damage) -> str:
    return f"cells {damage.block.start} to {damage.block.stop - 1}: damaged: {', '.join(damage.variables)}"


def _compute(
    store: CellStore,
    tasks: list[Task],
    said: Sequence[str],
    config: ClusterConfig,
    quiet: bool,
) -> Total:
    total, name = Total(), store.study_name
    with logged(store.path.parent, quiet) as (logger, bar):
        for sentence in said:
            logger.warning("%s: %s", name, sentence)
        if not tasks:
            return total
        number = sum(len(task.numbers(store)) for task in tasks)
        logger.info("%s: %d of %d members to compute, in %d blocks", name, number, store.size, len(tasks))
        opened = open_cluster(config, len(tasks), directory=store.path.parent, logger=logger)
        with dask_in(logger), silent_client(), opened as client, connected(client):
            scheduler = client.scheduler_info(n_workers=-1)
            workers = len(scheduler["workers"])
            expected = min(config.most, len(tasks)) if isinstance(config, SlurmCluster) else workers
            logger.info("%s: %d workers of the scheduler %s", name, workers, scheduler["address"])
            if isinstance(config, SchedulerAddress) or config.dashboard:
                logger.info("%s: %s", name, dashboard(client))
            there = Attendance(client, max(workers, expected), config.patience, logger)
            warm(client, there, parts(make_plan(name, store.study)), logger)
            progress = StudyProgress(name, store.size, store.size - number, logger, bar)
            with measured(client, store.path.parent, workers) as performance:
                for report in results_of(client, store, tasks, there, logger):
                    shown = report.failures[: max(0, _MOST_TOLD - total.failures)]
                    total.add(report)
                    performance.add(report)
                    progress.advance(report.cells, len(report.failures))
                    for failure in shown:
                        words = (name, failure["cell"], failure["status"], failure["message"])
                        logger.warning("%s: cell %s: %s: %s", *words, extra=FILE_ONLY)
                    if shown and total.failures >= _MOST_TOLD:
                        rest = "%s: further members without a result are in %s only"
                        logger.warning(rest, name, FAILURES, extra=FILE_ONLY)
                for sentence in total.sentences():
                    logger.warning("%s: %s", name, sentence)
    return total
