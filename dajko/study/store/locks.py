"""Who writes a study: one run of all cells, or jobs of different slabs; the lock of a process that dies is free at once."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dajko.errors import InputError
from dajko.signals import Ended
from dajko.study.store.disk import is_full, no_space, reason
from dajko.study.store.lease import Lease, holder_of, names

_LOCKS, _SLAB = ".locks", "slab-"


@contextmanager
def entrance(directory: Path) -> Iterator[None]:
    """The moment in which a process looks who else writes, changes which cells the store has, and takes a lock of its own.

    Raises
    ------
    InputError
        If the directory cannot be written.
    """
    try:
        (directory / _LOCKS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if is_full(error):
            raise no_space(directory, reason(error)) from None
        raise InputError(f"{directory}: cannot be written: {error.strerror or error}") from None
    lease = Lease(directory / _LOCKS / "entrance")
    try:
        lease.acquire()
    except OSError as error:
        if is_full(error):
            raise no_space(directory, reason(error)) from None
        raise InputError(f"{directory}: cannot be written: {error.strerror or error}") from None
    try:
        yield
    finally:
        lease.release()


@contextmanager
def writing(directory: Path, slab: int, slabs: int) -> Iterator[None]:
    """Hold one of the slabs of a study; all cells are slab 0 of 1. To be entered within :func:`entrance`.

    Raises
    ------
    InputError
        If another process holds some of these cells: the same slab, or any slab of another division.
    """
    own = _name(slab, slabs)
    for name in holders(directory):
        if name == own or not name.endswith(f"-of-{slabs}"):
            raise _busy(directory, holder_of(directory / _LOCKS / name))
    lost = threading.Event()

    def stop() -> None:
        lost.set()
        _thread.interrupt_main()

    lease = Lease(directory / _LOCKS / own, stop)
    holder = lease.acquire(wait=False)
    if holder is not None:
        raise _busy(directory, holder)
    try:
        yield
    except (KeyboardInterrupt, Ended):
        if not lost.is_set():
            raise
    finally:
        lease.release()
    if lost.is_set():
        raise InputError(
            f"{directory}: this run gave no sign of life for so long that another one has taken the study over; what is "
            "computed is kept"
        )


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Write a study while nobody else does.

    Raises
    ------
    InputError
        If somebody does.
    """
    with ExitStack() as stack:
        with entrance(directory):
            stack.enter_context(writing(directory, 0, 1))
        yield


def holders(directory: Path) -> list[str]:
    """The locks that are held now, by name. To be asked within :func:`entrance`, unless only people look at it."""
    locks = directory / _LOCKS
    found = []
    for name in names(locks, _SLAB):
        try:
            if holder_of(locks / name) is not None:
                found.append(name)
        except OSError:  # of somebody else's directory, which we may not read
            continue
    return found


def lock(directory: Path, name: str) -> Lease:
    """A lock of a study, for a moment."""
    (directory / _LOCKS).mkdir(parents=True, exist_ok=True)
    return Lease(directory / _LOCKS / name)


def _busy(directory: Path, holder: object) -> InputError:
    says = f"{directory}: another run is writing this study; wait for it or stop it"
    return InputError(says if holder is None else f"{says}: {holder}")


def _name(slab: int, slabs: int) -> str:
    return f"{_SLAB}{slab}-of-{slabs}"
