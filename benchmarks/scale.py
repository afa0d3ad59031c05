"""Very large studies: seconds, memory, files, and how long it takes to open what has been computed."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from dajko.study.commands.run import run_study
from dajko.study.config.parse import read_studies
from dajko.study.config.study import StudyConfig
from dajko.study.design.members import known_plan
from dajko.study.store.variables import CELLS, SUMMARY

_FILE = Path(__file__).with_name("scale.yaml")

_OPEN = """
import sys, time
import dajko
from dajko.study.store.labelled import open_study
started = time.perf_counter()
view = open_study(sys.argv[1])
print(time.perf_counter() - started)
started = time.perf_counter()
view.status.load()
print(time.perf_counter() - started)
"""


@dataclass(frozen=True)
class Scale:
    """One run of a very large study.

    Attributes
    ----------
    study : str
        Which of the studies of ``scale.yaml``.
    seconds : float
        From the study to the complete store with its summary, start and end of the workers included.
    cpu_seconds : float
        CPU time of all processes of the run; on a busy machine it says more than the wall times.
    load : float
        Runnable processes of the machine in the minute before the end of the run.
    busy_seconds, solver_seconds : float
        Wall time of the workers in blocks, and the part of it in the solver, summed over the workers.
    driver_megabytes, worker_megabytes : float
        The most memory that the process of scheduler and client had, and the largest of the workers.
    blocks, files, megabytes : int
        Of ``cells.zarr``.
    summary_files : int
        Of ``summary.zarr``.
    open_seconds, status_seconds : float
        ``dajko.open_study`` in a new process after its imports, and reading the status of all cells with it.
    command_seconds : float
        ``dajko status``, the start of Python and all imports included.
    again_seconds : float
        :func:`dajko.run_study` once more: all checksums are compared, nothing is computed.
    """

    study: str
    cells: int
    workers: int
    seconds: float
    cpu_seconds: float
    load: float
    busy_seconds: float
    solver_seconds: float
    driver_megabytes: float
    worker_megabytes: float
    blocks: int
    files: int
    megabytes: float
    summary_files: int
    open_seconds: float
    status_seconds: float
    command_seconds: float
    again_seconds: float

    @property
    def outside_solver(self) -> float:
        """Share of the workers' wall time, from the first moment of the run to its last, that is not spent in the solver."""
        return 1.0 - self.solver_seconds / (self.workers * self.seconds)

    @property
    def outside_blocks(self) -> float:
        """Share of it that is spent on nothing that a block needs: planning, starting, waiting, the summary."""
        return 1.0 - self.busy_seconds / (self.workers * self.seconds)

    def lines(self) -> Iterator[str]:
        """Everything, a line each."""
        shares = {"outside_solver": self.outside_solver, "outside_blocks": self.outside_blocks}
        for name, value in {**asdict(self), **shares}.items():
            yield f"{name:>20}  {value:.4g}" if isinstance(value, float) else f"{name:>20}  {value}"


def measure(name: str, cells: int, workers: int, folder: Path | None) -> Scale:
    """Run a study of ``scale.yaml`` with so many cells in a new folder, which is deleted afterwards.

    To be called once in a process, because the most memory that a process ever had is what is measured.
    """
    study = _study(name, cells)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        directory = Path(scratch) / name
        with _clock() as run:
            report = run_study(study, directory, workers)
        if report.failed or report.pending:
            raise RuntimeError(f"members of the study failed: {report.counts}")
        used, load = (
            [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)],
            os.getloadavg()[0],
        )
        driver, worker = (u.ru_maxrss / 1024 for u in used)
        spent = sum(u.ru_utime + u.ru_stime for u in used)
        files = [path for path in (directory / CELLS).rglob("*") if path.is_file()]
        done = subprocess.run([sys.executable, "-c", _OPEN, str(directory)], capture_output=True, text=True, check=True)
        opened, status = map(float, done.stdout.split())
        with _clock() as command:
            subprocess.run(
                [sys.executable, "-c", "from dajko.cli import main; main()", "status", str(directory)],
                capture_output=True,
                check=True,
            )
        with _clock() as again:
            run_study(study, directory, workers, quiet=True)
        return Scale(
            study=name,
            cells=report.computed,
            workers=workers,
            seconds=run[0],
            cpu_seconds=spent,
            load=load,
            busy_seconds=report.busy_seconds,
            solver_seconds=report.solver_seconds,
            driver_megabytes=driver,
            worker_megabytes=worker,
            blocks=sum(path.parent.name == "c" and path.parent.parent.name == "status" for path in files),
            files=len(files),
            megabytes=sum(path.stat().st_size for path in files) / 1e6,
            summary_files=sum(path.is_file() for path in (directory / SUMMARY).rglob("*")),
            open_seconds=opened,
            status_seconds=status,
            command_seconds=command[0],
            again_seconds=again[0],
        )


def names() -> list[str]:
    """The studies that there are."""
    return list(read_studies(_FILE).studies)


def _study(name: str, cells: int) -> StudyConfig:
    """A study with so many cells in all its points together."""
    study = read_studies(_FILE).studies[name]
    points = len(known_plan(name, study).points)
    ensemble = study.ensemble.model_copy(update={"members": max(1, cells // points)})
    return study.model_copy(update={"ensemble": ensemble})


@contextmanager
def _clock() -> Iterator[list[float]]:
    started, found = time.perf_counter(), [0.0]
    yield found
    found[0] = time.perf_counter() - started
