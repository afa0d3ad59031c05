"""Time of several programs that take turns, in CPU seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Contestant:
    """Something to be timed.

    Parameters
    ----------
    run : callable
        Does it once.
    units : int
        How many steps, or iterations, it does in one call.
    """

    run: Callable[[], object]
    units: int


def alternate(contestants: Mapping[str, Contestant], rounds: int, least: float = 0.4) -> dict[str, list[float]]:
    """CPU seconds a unit of each contestant, one number for each round.

    The contestants take turns (A B C A B C ...), so that what else the machine does, and how fast it clocks, meets all of
    them. CPU time does not count while another process has the core. (It does count the slowdown by a neighbour that shares
    caches or the execution units of the core.)

    Parameters
    ----------
    contestants : mapping from str to Contestant
    rounds : int
    least : float
        CPU seconds a turn lasts at least: a short run is repeated.

    Returns
    -------
    dict from str to list of float
    """
    repeats = {}
    for name, contestant in contestants.items():
        first = _cpu_seconds(contestant.run, 1)  # compiles and fills caches; a short one is measured again for its length
        typical = first if first > least else _cpu_seconds(contestant.run, 1)
        repeats[name] = max(1, round(least / max(typical, 1e-9)))
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            seconds = _cpu_seconds(contestant.run, repeats[name])
            found[name].append(seconds / (repeats[name] * contestant.units))
    return found


def _cpu_seconds(run: Callable[[], object], repeats: int) -> float:
    started = time.process_time()
    for _ in range(repeats):
        run()
    return time.process_time() - started


def times_faster(slow: Sequence[float], fast: Sequence[float]) -> float:
    """How many times faster: the ratio of the least of all rounds, because whatever else a machine does only adds time."""
    return min(slow) / min(fast)


def spread(slow: Sequence[float], fast: Sequence[float]) -> tuple[float, float]:
    """The least and the largest ratio of a round."""
    ratios = [a / b for a, b in zip(slow, fast, strict=True)]
    return min(ratios), max(ratios)
