"""A study that is attacked by another user of the same machine while it runs, and what he gets.

He tries to have code run by everything that listens, to read the pages and files of the run, to have files truncated by the
locks in Dask's scratch folder, and to stop the run by holding them.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from soak import counting, studies
from soak.kills import expect
from soak.outcome import Outcome
from soak.programs import PATIENCE, descendants, ends_within, started, wait_for

# Members at each of the seven points: some seconds of work.
_MEMBERS = 300
# Of the user "nobody", whom every system has.
_NOBODY = 65534
# Seconds for a cluster to start, and after which it is taken for stopped: it starts in two.
_PATIENCE, _STOPPED = 60.0, 15.0
_PRECIOUS = "what the owner has written"


@dataclass
class Loot:
    """What an attack has brought.

    Attributes
    ----------
    uid : int
        The user who has attacked: another one where this process may become one.
    listening : int
        Sockets that listened.
    ran, pages, read, spoilt : list of str
        Code that was run, pages and files that were read, and files that were spoilt.
    """

    uid: int
    listening: int
    ran: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    spoilt: list[str] = field(default_factory=list)

    @property
    def everything(self) -> list[str]:
        """All of it."""
        return [*self.ran, *self.pages, *self.read, *self.spoilt]


def can_be_another_user() -> bool:
    """Whether this process can become another user; else the attacker is the owner without his certificates."""
    return os.getuid() == 0


def attacked(folder: Path, runner: str) -> tuple[Outcome, Loot | None]:
    """Attack a study while ``dajko`` or ``snakemake`` runs it. The attacker must get nothing, and the study be complete."""
    outcome = Outcome("attack", runner)
    file = studies.write(folder, studies.content(_MEMBERS))
    log, out, begun = folder / "cells.log", folder / "out", time.monotonic()
    with _shared(folder, held=True) as (temporary, spoilt):
        environment = {**counting.environment(log, studies.ROOT), "TMPDIR": str(temporary)}
        with started(studies.command(file, runner), environment, out) as program:
            outcome.starts = 1
            at_work = wait_for(lambda: any(e["event"] == "start" for e in counting.events(log)), program)
            loot = attack(program.pid, temporary, folder / "attacker") if at_work else None
            if not ends_within(program, PATIENCE):
                outcome.problems.append(f"not complete after {PATIENCE:.0f} s")
        if loot is None:
            outcome.problems.append("the study never began")
            return outcome, None
        loot.spoilt = spoilt()
    outcome.disturbances = 1
    expect(outcome, program.returncode, out)
    outcome.problems += loot.everything
    left = [path.name for path in temporary.glob("dajko-*")]
    if left:
        outcome.problems.append(f"left behind: {left}")
    if loot.listening < 3:  # a scheduler, a nanny and a worker
        outcome.problems.append(f"only {loot.listening} sockets were found to listen")
    outcome.seconds = time.monotonic() - begun
    return outcome, loot


def unprotected(folder: Path) -> tuple[Loot, bool]:
    """The same attack on a cluster with Dask's own settings, as dajko once started it, where it succeeds.

    Returns
    -------
    Loot
    bool
        Whether it was stopped by a lock that was held.
    """
    with _shared(folder / "open", held=False) as (temporary, spoilt), _unprotected(folder / "open") as (program, ready):
        wait_for(ready, program, _PATIENCE)
        loot = attack(program.pid, temporary, folder / "attacker")
        loot.spoilt = spoilt()
    with _shared(folder / "held", held=True), _unprotected(folder / "held") as (program, ready):
        return loot, not wait_for(ready, program, _STOPPED)


_UNPROTECTED = """
import time
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(
        n_workers=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        worker_dashboard_address="127.0.0.1:0",
    ):
        print("ready", flush=True)
        time.sleep(600)
"""


@contextmanager
def _unprotected(folder: Path) -> Iterator[tuple[subprocess.Popen[Any], Callable[[], bool]]]:
    """The program of such a cluster, and whether it is ready."""
    out = folder / "out"
    with started([sys.executable, "-c", _UNPROTECTED], {**os.environ, "TMPDIR": str(folder / "tmp")}, out) as program:
        yield program, lambda: "ready" in out.read_text(encoding="utf-8")


def attack(pid: int, temporary: Path, folder: Path) -> Loot:
    """Attack everything that a process and its descendants listen at."""
    family = [psutil.Process(pid), *descendants(pid)]
    ports = sorted({port for process in family for port in _ports(process)})
    folder.mkdir(parents=True)
    known = {"ports": ports, "pids": [process.pid for process in family], "temporary": str(temporary)}
    uid = _NOBODY if can_be_another_user() else os.getuid()
    done = subprocess.run(
        [sys.executable, "-m", "soak.attacker", str(uid), str(folder)],
        input=json.dumps(known),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        cwd=studies.ROOT,
    )
    if done.returncode:
        raise RuntimeError(f"the attacker failed: {done.stderr}")
    said = json.loads(done.stdout)
    return Loot(said["uid"], len(ports), said["ran"], said["pages"], said["read"])


def _ports(process: psutil.Process) -> list[int]:
    try:
        return [c.laddr.port for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    except psutil.Error:  # it has ended
        return []


@contextmanager
def _shared(folder: Path, held: bool) -> Iterator[tuple[Path, Callable[[], list[str]]]]:
    """A temporary directory that all users share, with the traps of another one; and what has become of the owner's file.

    In Dask's scratch folder, which the other one has made first, a lock is a link to a file of the owner, and may be held.
    """
    temporary, precious = folder / "tmp", folder / "precious"
    folder.mkdir(parents=True, exist_ok=True)
    precious.write_text(_PRECIOUS, encoding="utf-8")
    precious.chmod(0o600)
    temporary.mkdir()
    temporary.chmod(0o1777)
    trap = temporary / "dask-scratch-space"
    trap.mkdir()
    trap.chmod(0o777)  # not by mkdir, whose mode the umask cuts
    (trap / "global.lock").symlink_to(precious)
    uid = _NOBODY if can_be_another_user() else os.getuid()
    os.chown(trap, uid, uid)

    def spoilt() -> list[str]:
        return [] if precious.read_text(encoding="utf-8") == _PRECIOUS else [f"{precious} was truncated"]

    with precious.open(encoding="utf-8") as lock:
        if held:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield temporary, spoilt
