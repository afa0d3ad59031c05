"""What is said when a disk is full: one sentence, whoever found out."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dajko.errors import InputError

# No space on the device, a quota that is used up, a file larger than the process may write.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_full(error: BaseException | None) -> bool:
    """Whether an error says that something could not be written for want of space."""
    return isinstance(error, OSError) and error.errno in _FULL


@contextmanager
def enough_space(path: Path) -> Iterator[None]:
    """Say what to do if there is no space for what is written below ``path``, where nothing that is there gets lost.

    Raises
    ------
    InputError
        If the disk is full.
    """
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        raise no_space(path, reason(error)) from None


def reason(error: OSError) -> str:
    """What the system says."""
    return (error.strerror or "no space is left").lower()


def no_space(path: Path, problem: str) -> InputError:
    """The sentence; ``problem`` is the :func:`reason`."""
    return InputError(
        f"{path}: cannot be written any further: {problem}; what is computed is kept: free some space, and the same command "
        "goes on"
    )
