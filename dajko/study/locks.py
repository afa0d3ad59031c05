"""Who writes a study: one run of all cells, or jobs of different slabs; the lock of a process that dies is free at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from dajko.errors import InputError
from dajko.study.space import is_full, no_space, reason

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
    with FileLock(directory / _LOCKS / "entrance"):
        yield


@contextmanager
def writing(directory: Path, slab: int, slabs: int) -> Iterator[None]:
    """Hold one of the slabs of a study; all cells are slab 0 of 1. To be entered within :func:`entrance`.

    Raises
    ------
    InputError
        If another process holds some of these cells: the same slab, or any slab of another division.
    """
    own = _name(slab, slabs)
    if any(name == own or not name.endswith(f"-of-{slabs}") for name in holders(directory)):
        raise InputError(f"{directory}: another run is writing this study; wait for it or stop it")
    with FileLock(directory / _LOCKS / own, timeout=0):
        yield


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Write a study while nobody else does.

    Raises
    ------
    InputError
        If somebody does.
    """
    with entrance(directory):
        lock = writing(directory, 0, 1)
        lock.__enter__()
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


def holders(directory: Path) -> list[str]:
    """The locks that are held now, by name. To be asked within :func:`entrance`, unless only people look at it."""
    found = []
    for path in sorted((directory / _LOCKS).glob(f"{_SLAB}*")):
        try:
            with FileLock(path, timeout=0):
                pass
        except Timeout:
            found.append(path.name)
        except OSError:  # of somebody else's directory, which we may only read
            continue
    return found


def lock_file(directory: Path, name: str) -> Path:
    """The file of a lock of a study."""
    (directory / _LOCKS).mkdir(parents=True, exist_ok=True)
    return directory / _LOCKS / name


def _name(slab: int, slabs: int) -> str:
    return f"{_SLAB}{slab}-of-{slabs}"
