"""How time and iterations of ``interior_point`` grow with the grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.figures import STEPS, ensemble, figure, grid, largest_l1
from benchmarks.solvers import exact_flow
from benchmarks.timing import Contestant, alternate
from dajko.flow import Flow, trajectories

# The easiest of the figures and the hardest.
FIGURES = ("5.1", "5.5")
NX, NT = (100, 200, 400, 800), (10, 20, 40)
_MEMBERS = 8


@dataclass(frozen=True)
class Point:
    """``interior_point`` at its default tolerance on one grid.

    Attributes
    ----------
    lanes : bool
        Whether an ensemble is solved together, or one flow alone.
    seconds : list of float
        CPU seconds a step (for lanes: a step of one member), one number for each round.
    iterations : float
        Mean of the steps of the figure's own flow.
    l1 : float
        Largest L1 distance at any step to the flow of exact minimisers on the same grid.
    """

    figure: str
    nx: int
    nt: int
    lanes: bool
    seconds: list[float]
    iterations: float
    l1: float

    @property
    def milliseconds(self) -> float:
        """Milliseconds a step, the least of the rounds."""
        return 1e3 * min(self.seconds)


def measure(name: str, rounds: int, steps: int = STEPS, nx: Sequence[int] = NX, nt: Sequence[int] = NT) -> list[Point]:
    """A figure on all grids, the grids in turn: Nx with the least Nt, and Nt with the least Nx."""
    sizes = list(dict.fromkeys([(n, nt[0]) for n in nx] + [(nx[0], n) for n in nt]))
    flows: dict[str, tuple[tuple[int, int], list[Flow]]] = {}
    quality = {}
    for size in sizes:
        alone = figure(name, grid(*size), steps)
        flows[f"alone {size}"] = size, [alone]
        flows[f"lanes {size}"] = size, ensemble(name, grid(*size), steps, _MEMBERS)
        (run,) = trajectories([alone])
        quality[size] = float(run.iterations[1:].mean()), largest_l1(run.density, exact_flow(alone), alone.grid)
    contestants = {key: Contestant(partial(trajectories, many), steps * len(many)) for key, (_, many) in flows.items()}
    seconds = alternate(contestants, rounds)
    return [
        Point(name, *size, lanes=len(many) > 1, seconds=seconds[key], iterations=quality[size][0], l1=quality[size][1])
        for key, (size, many) in flows.items()
    ]


def along(points: Sequence[Point], name: str, lanes: bool, axis: str) -> list[Point]:
    """The points of a figure along ``nx`` or ``nt``, in order."""
    other = "nt" if axis == "nx" else "nx"
    chosen = [p for p in points if (p.figure, p.lanes) == (name, lanes)]
    least = min(getattr(p, other) for p in chosen)
    return sorted((p for p in chosen if getattr(p, other) == least), key=lambda p: int(getattr(p, axis)))


def exponent(points: Sequence[Point], axis: str) -> float:
    """p of the least squares fit of ``time = c size^p``, in logarithms."""
    size = [getattr(p, axis) for p in points]
    return float(np.polyfit(np.log(size), np.log([p.milliseconds for p in points]), 1)[0])
