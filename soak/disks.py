"""Studies on a disk that fills up, and goes on when there is space again."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dajko.study.commands.status import study_state
from soak import counting, studies
from soak.kills import Undisturbed, expect
from soak.outcome import Outcome
from soak.programs import PATIENCE, ends_within, started

# Blocks that fail until the run has ended: those under way, two for each worker, and what follows the first of them.
_UNDER_WAY = 6


def can_mount(folder: Path) -> bool:
    """Whether this process may mount a small file system."""
    try:
        with small_disk(folder, 4096):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """A file system of so many bytes in memory, mounted at ``folder``.

    Raises
    ------
    subprocess.CalledProcessError
        If it cannot be mounted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={size},nr_inodes=0"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def resize(folder: Path, size: int) -> None:
    """Make the file system larger or smaller."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)


def disk_full(folder: Path, seed: str, whole: Undisturbed) -> Outcome:
    """``dajko run`` on a disk that is full at a random place; the answer is one sentence, and with more space it goes on."""
    rng, outcome = random.Random(seed), Outcome("disk", seed)
    disk, log, out = folder / "disk", folder / "cells.log", folder / "out"
    with small_disk(disk, int(rng.uniform(0.02, 0.8) * whole.size)):
        file = studies.write(disk, studies.content(whole.members))
        for attempt, size in enumerate((None, None, 3 * whole.size)):
            if size is not None:
                resize(disk, size)
            before = len(_lines(out))
            with started(studies.command(file, "dajko"), counting.environment(log, studies.ROOT), out) as program:
                outcome.starts += 1
                ended = ends_within(program, PATIENCE)
            if size is None:
                outcome.disturbances += 1
                _check_answer(outcome, program.returncode if ended else None, _lines(out)[before:], attempt)
                _check_state(outcome, file)
        expect(outcome, program.returncode, out)
        outcome.judge(file, log, whole.chunks, whole.cells, _UNDER_WAY * outcome.disturbances)
    return outcome


def _lines(out: Path) -> list[str]:
    return out.read_text(encoding="utf-8", errors="replace").splitlines() if out.exists() else []


def _check_answer(outcome: Outcome, code: int | None, lines: list[str], attempt: int) -> None:
    """The run has ended with the code 2 and one sentence that names the path."""
    said = [line for line in lines if line.startswith("dajko: ")]
    if code != 2 or len(said) != 1 or f"/results/{studies.NAME}" not in said[0] or "free some space" not in said[0]:
        outcome.problems.append(f"attempt {attempt}: exit code {code}, {said or lines[-1:]}")
    # A worker that is slow to end may be named by Dask, in one line.
    noise = [line for line in lines if not line.startswith((f"{studies.NAME}: ", "dajko: ")) and " - WARNING - " not in line]
    if noise:
        outcome.problems.append(f"attempt {attempt}: also said {noise[:3]}")


def _check_state(outcome: Outcome, file: Path) -> None:
    """What is there is right, and can be looked at although nothing can be written."""
    if not studies.store(file).exists():
        return
    state = study_state(studies.store(file).parent, verify=True)
    if state.damaged or not state.counts["pending"] or state.failed:
        outcome.problems.append(f"after the disk was full: {state.counts}, {state.damaged} damaged")
