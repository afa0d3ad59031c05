"""Attend to the workers while their tasks run: how many there are, and when to give up because all are gone."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import time
from collections.abc import Iterator
from typing import Any, TypeVar

from distributed import Client, Future, as_completed
from distributed.comm.core import CommClosedError

from dajko.errors import InputError

Result = TypeVar("Result")

# Seconds between two questions to the scheduler, and between two lines that say that all workers are gone.
_ASK, _SAY = 2.0, 30.0


class Attendance:
    """The workers of a cluster, which come and go.

    Parameters
    ----------
    client : Client
    least : int
        Number of workers to count on, also while fewer are there.
    patience : float
        Seconds without any worker after which a study is given up.
    logger : logging.Logger
    """

    def __init__(self, client: Client, least: int, patience: float, logger: logging.Logger) -> None:
        self._client, self._least, self._patience, self._logger = client, least, patience, logger
        self._addresses, self._asked = frozenset(client.ncores()), time.monotonic()
        self._gone: float | None = None
        self._said = 0.0

    @property
    def workers(self) -> int:
        """Number of workers to have work ready for."""
        return max(len(self.addresses), self._least)

    @property
    def addresses(self) -> frozenset[str]:
        """Addresses of the workers that are there."""
        self._look_now_and_then()
        return self._addresses

    def finished(self, running: as_completed) -> Iterator[Future[Any]]:
        """The tasks as they finish.

        Raises
        ------
        InputError
            If there is no worker for too long.
        """
        while not running.is_empty():
            if running.has_ready():
                yield next(running)
                continue
            with running.thread_condition:  # as as_completed itself waits
                running.thread_condition.wait(timeout=0.1)
            self._look_now_and_then()

    def outcome(self, future: Future[Result]) -> Result | Exception:
        """The result of a task, or why there is none, waited for while there are workers.

        A task that has finished is waited for if its worker died before anybody fetched the result: Dask computes it again.

        Raises
        ------
        InputError
            If there is no worker for too long.
        concurrent.futures.CancelledError, distributed.comm.CommClosedError
            If the scheduler is lost.
        """
        loop = self._client.loop.asyncio_loop  # type: ignore[union-attr]  # a client that is connected has one
        gathered: Any = self._client.gather(future, asynchronous=True)
        fetched: concurrent.futures.Future[Result] = asyncio.run_coroutine_threadsafe(gathered, loop)
        try:
            while concurrent.futures.wait([fetched], timeout=0.1).not_done:
                self._look_now_and_then()
        finally:
            fetched.cancel()  # where it is given up
        error = fetched.exception()
        if error is None:
            return fetched.result()
        if isinstance(error, CommClosedError) or not isinstance(error, Exception):
            raise error
        return error

    def _look_now_and_then(self) -> None:
        if time.monotonic() - self._asked > _ASK:
            self._look()

    def _look(self) -> None:
        try:
            self._addresses = frozenset(self._client.ncores())
        except OSError:  # the scheduler does not answer; the client finds out by itself whether it is lost
            return
        now = self._asked = time.monotonic()
        if self._addresses:
            self._gone = None
            return
        if self._gone is None:
            self._gone = now
        if now - self._gone > self._patience:
            raise InputError(
                f"cluster: all workers have been gone for {self._patience:g} s; what is computed is kept: see why they "
                "ended, start others, and the same command goes on"
            )
        if now - self._said > _SAY:
            self._said = now
            self._logger.warning("all workers are gone; waiting for others for %.0f s", self._patience - (now - self._gone))
