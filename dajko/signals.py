"""How signals end a command: with one sentence, everything kept, and the exit code that shells expect.

The first of SIGINT (Ctrl-C), SIGTERM and SIGHUP ends the work as an exception does, so that clusters are closed and locks
released. What follows it is ignored: a second Ctrl-C would only interrupt the tidying up.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

import psutil

# Those that there are here; on Windows there is no SIGHUP.
_ENDING = {
    number: words
    for name, words in (("SIGINT", "interrupted"), ("SIGTERM", "ended by SIGTERM"), ("SIGHUP", "ended by SIGHUP"))
    if (number := getattr(signal, name, None)) is not None
}
# Seconds for closing a cluster and releasing locks; after them everything is left as after SIGKILL.
_PATIENCE = 30.0


# Signals that have come while they were held up; None where nobody holds them up.
_held: list[int] | None = None


class Ended(BaseException):
    """A signal has ended the work; no KeyboardInterrupt, which libraries answer in ways of their own.

    Parameters
    ----------
    number : int
        The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.sentence = f"{_ENDING[number]}; what is computed is kept, and the same command computes the rest"
        self.code = 128 + number


@contextmanager
def answered() -> Iterator[None]:
    """Let signals raise :class:`Ended`, once.

    Signals that are ignored, as by ``nohup``, stay ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _ENDING}
    taken = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}

    def end(number: int, _frame: FrameType | None = None) -> None:
        if _held is not None:
            _held.append(number)
            return
        for other in taken:
            signal.signal(other, signal.SIG_IGN)
        late = threading.Timer(_PATIENCE, _stop, [128 + number])
        late.daemon = True
        late.start()
        raise Ended(number)

    for number in taken:
        signal.signal(number, end)
    over = False
    try:
        yield
    except Ended:
        over = True  # and signals stay ignored
        raise
    finally:
        for number, handler in () if over else taken.items():
            signal.signal(number, handler)


@contextmanager
def held_up() -> Iterator[None]:
    """Let signals wait for the end of what must not be left half done."""
    global _held
    if _held is not None or threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    _held = came
    try:
        yield
    finally:
        _held = None
        for number in came[:1]:
            signal.raise_signal(number)


def leave(code: int) -> NoReturn:
    """End this process.

    After a signal that is done at once: threads of Dask, zarr and asyncio that are in the middle of something would show
    tracebacks while the interpreter takes itself apart.
    """
    if code <= 128:
        sys.exit(code)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # the terminal may be gone
            stream.flush()
    os._exit(code)


def _stop(code: int) -> None:
    """End this process and all that it has started."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            child.kill()
    os._exit(code)
