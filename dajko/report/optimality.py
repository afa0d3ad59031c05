"""Figure of the first-order condition of one step, beside the exact Kantorovich potential."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from dajko.certify.optimality import first_order
from dajko.distance import kantorovich_potential
from dajko.problem.problem import Problem, Step
from dajko.report import style

# What is less dense than this share of the largest density is left out: nothing is determined in vacuum.
_SUPPORT = 2e-3


@style.styled
def first_order_figure(problem: Problem, step: Step) -> Figure:
    """``phi(1) / tau`` and ``dE/du`` on the support of the new density, their sum, and the exact Kantorovich potential.

    Parameters
    ----------
    problem : Problem
    step : Step
        What a solver returned for it.

    Returns
    -------
    Figure
        Left the functions, right what is left over: the sum at even and at odd nodes, and the distance of the computed
        from the exact potential.
    """
    grid, u = problem.grid, step.density
    condition = first_order(problem, step.path, step.potential)
    exact = kantorovich_potential(u, problem.initial, grid) / problem.tau
    there = u > _SUPPORT * u.max()
    x, weight = grid.x[there], (grid.wx * u)[there]
    potential, variation, exact = condition.potential[there], condition.variation[there], exact[there]
    middle = weight @ potential / weight.sum()
    potential, variation, exact = potential - middle, variation + middle, exact - weight @ exact / weight.sum()
    even = np.flatnonzero(there) % 2 == 0

    figure = Figure(figsize=(style.WIDTH, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(x, potential, label=r"$\varphi(1)/\tau$, computed", color=style.BLUE)
    left.plot(x, exact, "o", markevery=3, markersize=4, label=r"$\varphi(1)/\tau$, by quantiles", color=style.BLACK)
    left.plot(x, variation, label=r"$\delta E/\delta u$, less its mean", color=style.VERMILION, linestyle="--")
    left.plot(x, potential + variation, label="their sum", color=style.GREEN, linestyle="-.")
    left.set_xlabel("$x$")
    left.set_title("Potential and first variation", loc="left")
    low, high = left.get_ylim()
    left.set_ylim(low, high + 0.55 * (high - low))
    left.legend(loc="upper center", ncols=2, fontsize=8, handlelength=2.0, columnspacing=1.0)

    rest, apart = np.abs(potential + variation), np.abs(potential - exact)
    right.plot(x[even], rest[even], label="sum, even nodes", **style.BEST, markersize=3.5, linewidth=1.0)
    right.plot(x[~even], rest[~even], label="sum, odd nodes", **style.MODEL_ONLY, markersize=3.5, linewidth=1.0)
    right.plot(x, apart, label="computed less exact", color=style.BLACK, linestyle=":")
    style.log_axis(right.yaxis, np.concatenate([rest, apart]), pad=(0.06, 0.3))
    right.set_xlabel("$x$")
    right.set_title("Distance from 0", loc="left")
    right.legend(loc="upper center", ncols=2, fontsize=8, handlelength=2.0, columnspacing=1.0)
    return figure
