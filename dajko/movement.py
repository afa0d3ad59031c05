"""Minimising movements: the time-stepping loop, the same in every metric space.

Pietschmann and Schlottbom, (3.2): each state minimises an energy plus its squared distance to the state before. What a state
is, and how a step is solved, is the business of :mod:`dajko.flow` (densities, Wasserstein distance) and
:mod:`dajko.euclidean` (vectors).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

from dajko.grid import Array
from dajko.status import Status


class Movement(Protocol):
    """What the loop needs to know of a step that has been solved."""

    @property
    def state(self) -> Array:
        """The new state."""
        ...

    @property
    def status(self) -> Status:
        """How the solve ended."""
        ...

    @property
    def warm_start(self) -> Any:
        """What the next step may start from."""
        ...


Solved = TypeVar("Solved", bound=Movement)

# Solves one step: its number, counted from 0, the state before it, and what it may start from.
SolveStep = Callable[[int, Array, Any], Solved]


def minimizing_movements(initial: Array, steps: int, solve: SolveStep[Solved]) -> Iterator[Solved]:
    """Steps in time; a failed step is the last.

    Parameters
    ----------
    initial : array
        The initial state.
    steps : int
    solve : function
        Solves one step.
    """
    state, warm_start = initial, None
    for n in range(steps):
        step = solve(n, state, warm_start)
        yield step
        if step.status == Status.FAILED:
            return
        state, warm_start = step.state, step.warm_start
