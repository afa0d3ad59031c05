"""One iteration of Algorithm 1: the kernel of ``pd3o`` beside plain NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.figures import TAU, figure
from benchmarks.numpy_pd3o import NumpyPD3O
from benchmarks.timing import Contestant, alternate
from dajko.problem.problem import Problem
from dajko.solvers.pd3o import PD3O

_KERNEL_ITERATIONS, _NUMPY_ITERATIONS = 5000, 200


@dataclass(frozen=True)
class Iteration:
    """CPU seconds of one iteration at Nx = 100, Nt = 10, one number for each round."""

    kernel: list[float]
    numpy: list[float]


def measure(rounds: int) -> Iteration:
    """Both programs in turn.

    Raises
    ------
    RuntimeError
        If they do not iterate alike.
    """
    flow = figure("5.1", steps=1)
    problem = Problem(flow.density, flow.energy, flow.grid, TAU)
    kernel = PD3O(tol=1e-300, max_iterations=_KERNEL_ITERATIONS)
    plain = NumpyPD3O(problem)
    few = PD3O(tol=1e-300, max_iterations=100).solve(problem).density
    if not np.allclose(few, NumpyPD3O(problem).run(100), rtol=1e-6, atol=1e-9):
        raise RuntimeError("pd3o and its NumPy version must iterate alike")
    contestants = {
        "kernel": Contestant(partial(kernel.solve, problem), _KERNEL_ITERATIONS),
        "numpy": Contestant(partial(plain.run, _NUMPY_ITERATIONS), _NUMPY_ITERATIONS),
    }
    return Iteration(**alternate(contestants, rounds))
