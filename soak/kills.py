"""Studies whose workers, scheduler or whole workflow are killed at random instants, until they are complete."""

from __future__ import annotations

import random
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dajko.errors import InputError
from dajko.study.store.cells import CellStore
from dajko.study.store.checksums import damaged
from soak import counting, studies
from soak.outcome import BLOCK, Outcome
from soak.programs import PATIENCE, ends_within, kill_group, kill_one, started, wait_for

# Time between two kills of workers, as a share of that of an undisturbed run: a few seconds on a machine of its own. A new
# worker must have the time to start.
_PAUSE = (0.15, 0.4)
# A scheduler is killed before so many of the blocks are computed; each block writes two lines of the log.
_LATEST = 1.2
# A killed run is started again at most so often before it may run to its end.
_MOST_KILLS = 3


@dataclass(frozen=True)
class Undisturbed:
    """The study as it is when nothing disturbs it: what is in its store, and how long the whole program takes."""

    members: int
    chunks: dict[str, str]
    seconds: float
    size: int

    @property
    def cells(self) -> int:
        """Number of cells."""
        return 7 * self.members


def undisturbed(folder: Path, members: int) -> Undisturbed:
    """Run the study once, in ``folder``.

    Raises
    ------
    RuntimeError
        If even that fails.
    """
    for place, number in ((folder / "warm", 1), (folder, members)):  # kernels are compiled by the first
        file = studies.write(place, studies.content(number))
        environment, begun = counting.environment(place / "cells.log", studies.ROOT), time.monotonic()
        with started(studies.command(file, "dajko"), environment, place / "out") as program:
            program.wait()
        seconds = time.monotonic() - begun
        if program.returncode != 0:
            raise RuntimeError(f"the undisturbed run failed: {(place / 'out').read_text()}")
    size = sum(-(-f.stat().st_size // 4096) * 4096 for f in studies.store(file).rglob("*") if f.is_file())
    return Undisturbed(members, studies.chunks(studies.store(file)), seconds, size)


def workers_killed(folder: Path, seed: str, whole: Undisturbed) -> Outcome:
    """One run of ``dajko run``, with a worker killed every few seconds."""
    rng, outcome = random.Random(seed), Outcome("workers", seed)
    file, log = studies.write(folder, studies.content(whole.members)), folder / "cells.log"
    deadline = time.monotonic() + PATIENCE
    with started(studies.command(file, "dajko"), counting.environment(log, studies.ROOT), folder / "out") as program:
        outcome.starts = 1
        wait_for(lambda: any(event["event"] == "start" for event in counting.events(log)), program)
        outcome.disturbances += kill_one(program, counting.workers(log), rng)
        while not ends_within(program, rng.uniform(*_PAUSE) * whole.seconds):
            outcome.disturbances += kill_one(program, counting.workers(log), rng)
            if time.monotonic() > deadline:
                outcome.problems.append(f"not complete after {PATIENCE:.0f} s")
                break
    expect(outcome, program.returncode, folder / "out")
    outcome.judge(file, log, whole.chunks, whole.cells, outcome.disturbances)
    return outcome


def workflow_killed(folder: Path, seed: str, whole: Undisturbed, runner: str) -> Outcome:
    """``dajko run`` or ``snakemake``, killed with all its processes at random instants, and started again."""
    rng, outcome = random.Random(seed), Outcome(runner, seed)
    file, log = studies.write(folder, studies.content(whole.members)), folder / "cells.log"
    instants = [rng.uniform(0.0, 1.2 * whole.seconds) for _ in range(rng.randint(1, _MOST_KILLS))]
    for instant in [*instants, PATIENCE]:
        with started(studies.command(file, runner), counting.environment(log, studies.ROOT), folder / "out") as program:
            outcome.starts += 1
            ended = ends_within(program, instant)
            if not ended:
                kill_group(program)
        if ended:
            expect(outcome, program.returncode, folder / "out")
            break
        outcome.disturbances += 1
        _look(outcome, file)
    else:
        outcome.problems.append(f"not complete after {PATIENCE:.0f} s")
    outcome.judge(file, log, whole.chunks, whole.cells, 2 * outcome.disturbances)
    return outcome


def scheduler_killed(folder: Path, seed: str, whole: Undisturbed) -> Outcome:
    """``dajko run`` on a scheduler of its own, which is killed; ``dajko`` must end by itself, and go on with another one."""
    rng, outcome = random.Random(seed), Outcome("scheduler", seed)
    log, out, kills = folder / "cells.log", folder / "out", rng.randint(1, 2)
    for attempt in range(kills + 1):
        address = folder / f"scheduler-{attempt}.json"
        file = studies.write(folder, studies.content(whole.members, {"kind": "scheduler", "file": str(address)}))
        dask = [sys.executable, "-m", "dask"]
        serve = [
            *dask,
            "scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--no-dashboard",
            "--scheduler-file",
            str(address),
        ]
        work = [*dask, "worker", "--scheduler-file", str(address), "--nthreads", "1", "--nworkers", "2", "--no-dashboard"]
        work += ["--host", "127.0.0.1", "--preload", "soak.counting"]
        environment = counting.environment(log, studies.ROOT)
        plain = {name: value for name, value in environment.items() if not name.startswith("DASK_")}
        before = len(counting.events(log))
        with (
            started(serve, plain, folder / "dask") as scheduler,
            started(work, plain, folder / "dask"),
            started(studies.command(file, "dajko"), plain, out) as program,
        ):
            outcome.starts += 1
            blocks = before + rng.uniform(0.0, _LATEST) * whole.cells / BLOCK
            at_work = wait_for(lambda n=blocks: len(counting.events(log)) > n, program)
            if attempt < kills and at_work:
                kill_group(scheduler)
                outcome.disturbances += 1
                if not ends_within(program, 90.0):
                    outcome.problems.append("dajko did not notice within 90 s that its scheduler is gone")
                elif program.returncode != 2:
                    outcome.problems.append(f"exit code {program.returncode} when the scheduler died: {_last(out)}")
                continue
            ends_within(program, PATIENCE)
        expect(outcome, program.returncode, out)
        break
    _look(outcome, file)
    outcome.judge(file, log, whole.chunks, whole.cells, 2 * outcome.disturbances)
    return outcome


def in_own_folder(
    disturb: Callable[[Path, str, Undisturbed], Outcome], folder: Path, seed: str, whole: Undisturbed
) -> Outcome:
    """Disturb the study once, in a folder of its own, which stays if something is wrong."""
    own, begun = folder / seed, time.monotonic()
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir(parents=True)
    outcome = disturb(own, seed, whole)
    outcome.seconds = time.monotonic() - begun
    if outcome.good:
        shutil.rmtree(own)
    else:
        outcome.problems.append(f"see {own}")
    return outcome


def _look(outcome: Outcome, file: Path) -> None:
    """A store that was left in the middle has no damaged chunk."""
    try:
        bad = list(damaged(CellStore(studies.store(file))))
    except InputError:  # there is none yet
        return
    if bad:
        outcome.problems.append(f"{len(bad)} damaged blocks after a kill")


def expect(outcome: Outcome, code: int | None, out: Path) -> None:
    text = out.read_text(encoding="utf-8", errors="replace")
    if code != 0:
        outcome.problems.append(f"exit code {code}: {_last(out)}")
    # Under load zarr's own farewell may fail, after everything is done.
    if text.count("Traceback") > text.count("in cleanup_resources"):
        outcome.problems.append("a traceback was shown")


def _last(out: Path) -> str:
    return " / ".join(out.read_text(encoding="utf-8", errors="replace").splitlines()[-3:])[:400]
