"""Where time goes: clocks put around functions of the program, each of which stands while another runs inside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest import mock


class Place(NamedTuple):
    """A function, as an attribute of a module or class, and the stage that its time belongs to."""

    owner: Any
    name: str
    stage: str


class Stages:
    """Seconds of each stage.

    Parameters
    ----------
    clock : callable
        Such as ``time.process_time``.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._clock = clock
        self._running: list[str] = []
        self._since = 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what runs inside for this stage, unless an inner stage takes it."""
        self._turn()
        self._running.append(name)
        try:
            yield
        finally:
            self._turn()
            self._running.pop()

    @contextmanager
    def watch(self, places: Sequence[Place]) -> Iterator[None]:
        """Put clocks around functions, until the end of the block."""
        with ExitStack() as stack:
            for place in places:
                timed = self._timed(getattr(place.owner, place.name), place.stage)
                stack.enter_context(mock.patch.object(place.owner, place.name, timed))
            yield

    def _timed(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.stage(name):
                return function(*args, **kwargs)

        return timed

    def _turn(self) -> None:
        """Give the time since the last turn to the innermost stage."""
        now = self._clock()
        if self._running:
            self.seconds[self._running[-1]] += now - self._since
        self._since = now
