"""Progress that people see: a bar in a terminal, plain lines elsewhere, and a log file in any case."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn

from dajko.study.store.disk import is_full

# Seconds until the first plain line, how much longer each pause is than the one before, and the longest one: a run of a
# minute writes a few lines, a night's run less than a hundred.
_FIRST, _GROWTH, _LONGEST = 5.0, 1.5, 600.0


# Marks lines that say what a bar shows, and those that are for the log file alone.
_SHOWN_BY_THE_BAR, FILE_ONLY = {"progress": True}, {"file_only": True}


class StudyProgress:
    """Counts members computed and those without a result, and estimates rate and time left.

    Parameters
    ----------
    name : str
        Name of the study.
    total, done : int
        Cells of the study, and those that were there before.
    logger : logging.Logger
        Takes the plain lines.
    bar : rich.progress.Progress or None
        Shows the bar, in a terminal.
    clock : callable
        Seconds since some instant.
    """

    def __init__(
        self,
        name: str,
        total: int,
        done: int,
        logger: logging.Logger,
        bar: Progress | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.total, self.done, self.failed = name, total, done, 0
        self._logger, self._bar, self._clock = logger, bar, clock
        self._started = self._spoken = clock()
        self._pause = _FIRST
        self._before = done
        self._task = bar.add_task(name, total=total, completed=done, note="") if bar else None

    def advance(self, cells: int, failed: int) -> None:
        """Say that a block of cells is computed, and how many of them have no usable result."""
        self.done += cells
        self.failed += failed
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self.done, note=self._note())
        now = self._clock()
        if now - self._spoken >= self._pause or self.done == self.total:
            self._spoken, self._pause = now, min(self._pause * _GROWTH, _LONGEST)
            words = (self.name, self.done, self.total, self._note())
            self._logger.info("%s: %d of %d members computed, %s", *words, extra=_SHOWN_BY_THE_BAR)

    def _note(self) -> str:
        rate = (self.done - self._before) / max(self._clock() - self._started, 1e-9)
        left = (self.total - self.done) / rate if rate > 0 else float("inf")
        return f"{self.failed} without a result, {rate:.3g}/s, {duration(left)} left"


class _LogFile(logging.FileHandler):
    """A log file that falls silent when the disk is full: the run itself says so, once."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        if not is_full(sys.exc_info()[1]):
            super().handleError(record)


class _AboveTheBar(logging.Handler):
    """Shows above the bar what the bar does not."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        if not hasattr(record, "progress") and not hasattr(record, "file_only"):
            self._console.print(record.getMessage(), markup=False, highlight=False, soft_wrap=True)


class _ToFiles(logging.Handler):
    """Hands records on to the files of a logger. Dask sets levels of its handlers; those of the files are not its own."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        for handler in self._logger.handlers:
            if isinstance(handler, logging.FileHandler):
                handler.handle(record)


@contextmanager
def dask_in(logger: logging.Logger) -> Iterator[None]:
    """Let what Dask and its libraries have to say go where a logger writes files, not to the terminal."""
    libraries = [
        name for name in logging.root.manager.loggerDict if name.split(".")[0] in ("bokeh", "distributed", "tornado")
    ]
    found = [logging.getLogger("asyncio"), *(known for known in map(logging.getLogger, libraries) if known.handlers)]
    before = [known.handlers for known in found]
    for known in found:
        known.handlers = [_ToFiles(logger)]
    try:
        yield
    finally:
        for known, handlers in zip(found, before, strict=True):
            known.handlers = handlers


@contextmanager
def logged(directory: Path, quiet: bool) -> Iterator[tuple[logging.Logger, Progress | None]]:
    """A logger that writes to ``run.log`` in ``directory``, and what shows it to people unless it is to be ``quiet``.

    That is a bar with single lines above it in a terminal, and plain lines elsewhere: in a file, a pipe, a batch job, or a
    terminal that cannot move its cursor.
    """
    logger = logging.Logger(f"dajko.{directory.name}", level=logging.INFO)
    file = _LogFile(directory / "run.log", encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(file)
    console = Console(stderr=True)
    bar = None
    if not quiet and sys.stderr.isatty() and not console.is_dumb_terminal:
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
        )
        logger.addHandler(_AboveTheBar(console))
        bar.start()
    elif not quiet:
        plain = logging.StreamHandler(sys.stderr)
        plain.setFormatter(logging.Formatter("%(message)s"))
        plain.addFilter(lambda record: not hasattr(record, "file_only"))
        logger.addHandler(plain)
    try:
        yield logger, bar
    finally:
        if bar is not None:
            bar.stop()
        with suppress(OSError):  # the disk is full
            file.close()


def duration(seconds: float) -> str:
    """Seconds as people say it."""
    if seconds == float("inf"):
        return "unknown time"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
