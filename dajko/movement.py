"""Minimising movements: the time-stepping loop, the same in every metric space.

Pietschmann and Schlottbom, (3.2): each state minimises an energy plus its squared distance to the state before. What a state
is, and how a step is solved, is the business of :mod:`dajko.flow` (densities, Wasserstein distance) and
:mod:`dajko.euclidean` (vectors).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from dajko.grid import Array
from dajko.solvers.problem import Status


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

# Solves one step of several flows: the number of the step, counted from 0, which flows, their states and warm starts.
SolveStep = Callable[[int, list[int], list[Array], list[Any]], list[Solved]]


def minimizing_movements(initial: Sequence[Array], steps: int, solve: SolveStep[Solved]) -> Iterator[list[Solved]]:
    """Step several flows in time.

    Parameters
    ----------
    initial : sequence of arrays
        The initial state of each flow.
    steps : int
    solve : function
        Solves one step of those flows that still run.

    Yields
    ------
    list
        A step of every flow that still runs. A flow whose step has failed stays as it is and is not listed again.
    """
    running = list(range(len(initial)))
    state = list(initial)
    warm_start: list[Any] = [None] * len(state)
    for n in range(steps):
        found = solve(n, running, [state[i] for i in running], [warm_start[i] for i in running])
        yield found
        for i, step in zip(running, found, strict=True):
            state[i], warm_start[i] = step.state, step.warm_start
        running = [i for i, step in zip(running, found, strict=True) if step.status != Status.FAILED]
        if not running:
            return
