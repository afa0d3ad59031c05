"""A folder that only its owner can enter, for what a run needs on a disk that others share, and gone when the run is.

Dask keeps its scratch files and locks below the temporary directory, in a folder of a fixed name. Whoever makes that folder
first can have files of others truncated, through a link, or hold the locks that they wait for.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dajko.errors import InputError

PREFIX = "dajko-run-"
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@contextmanager
def private_folder() -> Iterator[Path]:
    """A new folder below the temporary directory, mode 0700, which is removed at the end.

    A run that is killed leaves its folder behind, and the next one of the same user removes it. The folder of a run that
    lives is locked, which also keeps systemd from tidying it up.

    Raises
    ------
    InputError
        If it cannot be made, or other users could put another one in its place.
    """
    parent = Path(tempfile.gettempdir())
    check_parent(parent)
    remove_leftovers(parent)
    folder, lock = _made(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def check_parent(parent: Path) -> None:
    """Refuse a directory in which other users can rename what is ours.

    Raises
    ------
    InputError
        If they can.
    """
    found = parent.stat()
    if not hasattr(os, "getuid") or found.st_mode & stat.S_ISVTX:  # there everybody renames only what is his own
        return
    if found.st_mode & _OTHERS_WRITE or found.st_uid not in (0, os.getuid()):
        raise InputError(
            f"{parent}: other users can replace what is in this directory for temporary files; set TMPDIR to one that only "
            "you can write, or that has the sticky bit"
        )


def remove_leftovers(parent: Path, prefix: str = PREFIX, *, all_dead: bool = False) -> None:
    """Remove our folders of runs that were killed.

    Parameters
    ----------
    parent : Path
    prefix : str
        How their names begin.
    all_dead : bool
        Whether it is known that none of their runs lives; else those are spared that are locked.
    """
    with suppress(OSError):
        for folder in parent.glob(f"{prefix}*"):
            with suppress(OSError):
                found = folder.lstat()
                if not stat.S_ISDIR(found.st_mode) or (hasattr(os, "getuid") and found.st_uid != os.getuid()):
                    continue
                lock = None if all_dead else _lock(folder)
                if all_dead or lock is not None:
                    shutil.rmtree(folder, ignore_errors=True)
                if lock is not None:
                    os.close(lock)


def _made(parent: Path) -> tuple[Path, int | None]:
    """A new folder and its lock; None on file systems that cannot lock it, where leftovers are not found either."""
    while True:
        try:
            folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        except OSError as error:
            raise InputError(
                f"{parent}: there can be no folder for temporary files: {error.strerror}; set TMPDIR to another directory"
            ) from None
        lock = None
        try:
            lock = _lock(folder)
            folder.stat()
        except (BlockingIOError, FileNotFoundError):  # another run took it for a leftover before it was locked
            if lock is not None:
                os.close(lock)
            continue
        except OSError:
            pass
        return folder, lock


def _lock(folder: Path) -> int | None:
    """A descriptor that holds the lock of a folder while it is open; not handed on to other programs."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
