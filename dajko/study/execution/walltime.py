"""A worker that stops in time: it begins no block that its job cannot finish, finishes what it has begun, and leaves.

Loaded by ``dask worker --preload dajko.study.execution.walltime``. The variable ``DAJKO_JOB_END`` of the environment, else
Slurm's ``SLURM_JOB_END_TIME``, says when the job ends, in seconds since 1970; without either nothing happens. The worker
stops ``DAJKO_MARGIN`` seconds before, or else as long before as its longest block has taken, with a reserve.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from typing import Any

from distributed import Status, Worker, WorkerPlugin
from tornado.ioloop import PeriodicCallback

logger = logging.getLogger("distributed.worker.drain")

END, MARGIN = "DAJKO_JOB_END", "DAJKO_MARGIN"
# Seconds to leave at least: to write, to say goodbye, and for a first block of unknown length.
LEAST = 20.0
# Blocks differ: the longest so far, times this.
RESERVE = 2.0
# Seconds in which the client fetches the last report, after which the worker leaves with it. Its cells are in the store.
_FAREWELL = 10.0


def job_end(environ: Mapping[str, str]) -> float | None:
    """The end of the job in seconds since 1970, None if nothing says it."""
    for name in (END, "SLURM_JOB_END_TIME"):
        try:
            return float(environ[name])
        except (KeyError, ValueError):
            continue
    return None


class Drain(WorkerPlugin):
    """Let a worker leave before a time.

    Parameters
    ----------
    end : float
        The end of its job, in seconds since 1970.
    margin : float, optional
        Seconds before the end from which on no block is begun; by default ``RESERVE`` times the longest block and ``LEAST``.
    """

    name = "dajko-drain"

    def __init__(self, end: float, margin: float | None = None) -> None:
        self.end, self._margin = end, margin
        self.longest = 0.0
        self._begun: dict[Any, float] = {}
        self._leaving: float | None = None

    def setup(self, worker: Worker) -> None:
        self.worker = worker
        self._timer = PeriodicCallback(self._look, 500)
        self._timer.start()

    def teardown(self, worker: Worker) -> None:
        self._timer.stop()

    def transition(self, key: Any, start: str, finish: str, **_: Any) -> None:
        """Measure how long blocks take; called by the worker."""
        if finish == "executing":
            self._begun[key] = time.monotonic()
        elif start == "executing" and key in self._begun:
            self.longest = max(self.longest, time.monotonic() - self._begun.pop(key))

    @property
    def margin(self) -> float:
        """Seconds before the end from which on no block is begun."""
        return self._margin if self._margin is not None else max(LEAST, RESERVE * self.longest + LEAST / 2)

    async def _look(self) -> None:
        if self._leaving is None:
            if self.end - time.time() > self.margin:
                return
            logger.info("The job ends in %.0f s: no further blocks", self.end - time.time())
            # Paused, not retired: Dask's own way, and its --lifetime, do not wait for a running task.
            self.worker.memory_manager.memory_pause_fraction = False  # would end the pause
            self.worker.status = Status.paused
            self._leaving = time.monotonic()
        if self.worker.state.executing_count:
            self._leaving = time.monotonic()
        elif not self.worker.state.data or time.monotonic() - self._leaving > _FAREWELL:
            self._timer.stop()
            logger.info("Nothing is left to finish: the worker leaves")
            await self.worker.close_gracefully(restart=False, reason="dajko-drain")


async def dask_setup(worker: Worker) -> None:
    """Called by Dask when the worker has started."""
    end = job_end(os.environ)
    if end is not None:
        margin = os.environ.get(MARGIN)
        await worker.plugin_add(Drain(end, float(margin) if margin else None))
