"""Locks on any file system that several hosts share: leases, files that name their holder and that it keeps fresh.

Locks of the system (``flock``) are refused by some network file systems, and on others hold on one host alone. All that a
lease asks for is that a file is created by one process only (``O_EXCL``). The files of a lease are numbered. The one with
the highest number counts: it is held, released, or left by a holder that is gone. Whoever wants it creates the next number,
looks again, and has it if no number is higher. Numbers only grow, and the highest is never removed, so that of several
processes that take over what a dead one has left only one wins, however slow the others are.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

_LOGGER = logging.getLogger("dajko.lease")

# Seconds between two signs of life; without one for so long a holder on another host is gone; pauses of one that waits, and
# when it says so, first and again.
BEAT, LIFETIME = 10.0, 60.0
_POLL, _SAY, _SAY_AGAIN = 0.1, 1.0, 60.0
_RELEASED = "released"


@dataclass(frozen=True)
class Holder:
    """Who holds a lease, as far as its file says.

    Attributes
    ----------
    host : str
        Name of the host, empty if the file does not say it yet.
    pid : int
    started : float
        When the process started, in seconds since 1970 by its host's clock.
    age : float
        Seconds since its last sign of life, by the clock of the file system.
    place : str
        Host and name space of processes in which ``pid`` means something.
    """

    host: str
    pid: int
    started: float
    age: float
    place: str

    @property
    def gone(self) -> bool:
        """Whether the lease may be taken over.

        A process of this host that lives keeps it, also one that is stopped.
        """
        if self.place == _place():
            try:
                process = psutil.Process(self.pid)
                if process.status() == psutil.STATUS_ZOMBIE:
                    return True
                if abs(process.create_time() - self.started) < 2.0:
                    return False
            except psutil.NoSuchProcess:
                return True
            except psutil.Error:
                pass
        return self.age > LIFETIME

    def __str__(self) -> str:
        if not self.host:
            return "a process that has not said its name"
        last = f"process {self.pid} on {self.host}"
        if self.place == _place():
            return last
        return f"{last}, last heard of {max(self.age, 0):.0f} s ago; if it is gone, its lock is free after {LIFETIME:.0f} s"


class Lease:
    """A lock that one process holds, on whatever host.

    Parameters
    ----------
    path : Path
        Name of the lease; its files have a number behind it.
    lost : callable, optional
        Called, in another thread, when the lease is somebody else's: this process gave no sign of life for too long.
    """

    def __init__(self, path: Path, lost: Callable[[], object] = lambda: None) -> None:
        self.path, self._lost = path, lost
        self._file: Path | None = None
        self._stop = threading.Event()

    def acquire(self, wait: bool = True) -> Holder | None:
        """Take the lease; who holds it, if it is not to be waited for, or None.

        Raises
        ------
        OSError
            If nothing can be written here.
        """
        started, said = time.monotonic(), -1.0
        while (holder := self._take()) is not None:
            if not wait:
                return holder
            waited = time.monotonic() - started
            if waited >= _SAY and (said < 0 or waited - said >= _SAY_AGAIN):
                said = waited
                _LOGGER.warning("%s: waiting for %.0f s for %s", self.path, waited, holder)
            time.sleep(_POLL)
        self._stop.clear()
        threading.Thread(target=self._beat, args=(self._file, self._stop), daemon=True).start()
        return None

    def release(self) -> None:
        """Give the lease back."""
        self._stop.set()
        self._stop = threading.Event()
        file, self._file = self._file, None
        if file is not None:
            try:
                with file.open("r+") as opened:
                    opened.seek(0, os.SEEK_END)
                    opened.write(_RELEASED + "\n")
            except OSError:  # taken over, or nothing can be written: others see that this process ends
                return

    def __enter__(self) -> Lease:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _take(self) -> Holder | None:
        numbers = _numbers(self.path)
        last = max(numbers, default=0)
        if last:
            holder = _read(_numbered(self.path, last))
            if holder is not None and not holder.gone:
                return holder
        own = _numbered(self.path, last + 1)
        try:
            file = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            return _read(own) or Holder("", 0, 0.0, 0.0, "")
        try:
            process = psutil.Process()
            named = {"host": socket.gethostname(), "pid": process.pid, "started": process.create_time(), "place": _place()}
            os.write(file, (json.dumps(named) + "\n").encode())
        except BaseException:
            own.unlink()  # nobody can have taken a higher number after it: to them it was held
            raise
        finally:
            os.close(file)
        if max(_numbers(self.path), default=0) > last + 1:  # what was read was old: others have gone on meanwhile
            own.unlink(missing_ok=True)
            return Holder("", 0, 0.0, 0.0, "")
        for number in numbers:
            _numbered(self.path, number).unlink(missing_ok=True)
        self._file = own
        return None

    def _beat(self, file: Path, stop: threading.Event) -> None:
        number = int(file.suffix[1:])
        while not stop.wait(BEAT):
            try:
                if max(_numbers(self.path), default=0) > number:
                    self._lost()
                    return
                os.utime(file)  # without a time, so that the file system's clock sets it
            except FileNotFoundError:
                self._lost()
                return
            except OSError:  # a file system that is away for a moment
                continue


def holder_of(path: Path) -> Holder | None:
    """Who holds a lease, None if nobody does."""
    last = max(_numbers(path), default=0)
    found = _read(_numbered(path, last)) if last else None
    return None if found is None or found.gone else found


def names(directory: Path, prefix: str) -> list[str]:
    """The leases of a folder whose names begin so."""
    return sorted({p.stem for p in directory.glob(f"{prefix}*.*") if p.suffix[1:].isdigit()})


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _numbers(path: Path) -> list[int]:
    found = []
    for file in path.parent.iterdir():
        stem, _, number = file.name.rpartition(".")
        if stem == path.name and number.isdigit():
            found.append(int(number))
    return found


def _read(file: Path) -> Holder | None:
    """Who holds a lease by this file; None if it is released or has gone."""
    try:
        with file.open("rb") as opened:  # opened, because a network file system then asks for the time anew
            lines, modified = opened.read(4096).decode(errors="replace").splitlines(), os.fstat(opened.fileno()).st_mtime
    except FileNotFoundError:
        return None
    if lines and lines[-1] == _RELEASED:
        return None
    age = _now(file.parent) - modified
    try:
        named = json.loads(lines[0])
        return Holder(str(named["host"]), int(named["pid"]), float(named["started"]), age, str(named["place"]))
    except (IndexError, KeyError, TypeError, ValueError):  # its holder is just writing it, or died while it did
        return Holder("", 0, 0.0, age, "")


def _now(directory: Path) -> float:
    """The time by the clock of the file system; by that of this host where nothing can be written."""
    probe = directory / f"clock-{uuid.uuid4().hex}"
    try:
        probe.touch(exist_ok=False)
        modified = probe.stat().st_mtime
        probe.unlink()
    except OSError:
        return time.time()
    return modified


def _place() -> str:
    try:
        space = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        space = 0
    return f"{socket.gethostname()}/{space}"
