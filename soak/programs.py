"""Programs that are started, watched and killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

# No run of the study takes so many seconds, however busy the machine is.
PATIENCE = 600.0


@contextmanager
def started(command: list[str], environment: dict[str, str], output: Path) -> Iterator[subprocess.Popen[Any]]:
    """A program in a process group of its own, which is killed at the end if anything of it is left."""
    with output.open("ab") as log:
        program = subprocess.Popen(
            command, env=environment, cwd=output.parent, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield program
    finally:
        kill_group(program)


def kill_group(program: subprocess.Popen[Any]) -> None:
    """SIGKILL to a program and all that it has started, at the same instant."""
    family = descendants(program.pid)
    with suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGKILL)
    program.wait()
    for process in psutil.wait_procs(family, timeout=10)[1]:  # of a group of its own
        process.kill()
    psutil.wait_procs(family, timeout=10)


def descendants(pid: int) -> list[psutil.Process]:
    """The processes that a process has started, and those that they have."""
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def ends_within(program: subprocess.Popen[Any], seconds: float) -> bool:
    """Whether a program ends by itself in that time."""
    try:
        program.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def kill_one(program: subprocess.Popen[Any], candidates: list[int], rng: random.Random) -> bool:
    """SIGKILL to one of the candidates that is alive and descends from the program; whether there was one."""
    alive = [process for process in descendants(program.pid) if process.pid in candidates]
    if not alive:
        return False
    try:
        rng.choice(alive).kill()
    except psutil.NoSuchProcess:
        return False
    return True


def wait_for(condition: Any, program: subprocess.Popen[Any], seconds: float = PATIENCE) -> bool:
    """Wait until something is so, the program has ended, or the time is over; whether it is so."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and program.poll() is None:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())
