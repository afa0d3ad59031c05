"""Interactions that are not convex: a step as a sequence of convex steps whose objective never increases.

A step keeps the mass, so only perturbations ``h`` of mass zero matter. On them the quadratic form of an interaction splits
by its eigenvalues in the inner product of space::

    sum_ij wx_i wx_j W_ij h_i h_j = sum_p lambda_p (q_p . h)^2,        q . h = sum_j wx_j q_j h_j

``W+ = sum lambda_p q_p q_p^T`` over the positive eigenvalues is the convex part; ``W- = W - W+`` is concave, so that for
densities of one mass its energy lies below its tangent::

    1/2 u.W-u  <=  1/2 v.W-v + (u - v).W-v

Replacing it by the tangent at the current density v gives a convex step: the potential gains ``W- * v``, and the interaction
is ``W+``. Its minimiser has an objective no larger than v has (majorise-minimise; Hunter and Lange 2004). The logarithmic
kernel with chi > 0, ``|r|^p / p`` for 0 < p <= 2 and a Gaussian that attracts have no convex part: for them the convex steps
are steps without interaction.

A solver that knows no interaction replaces all of W by its tangent and the largest eigenvalue::

    1/2 u.Wu  <=  1/2 v.Wv + (u - v).Wv + lambda_1 / 2 |u - v|^2

which adds a potential and the internal energy ``lambda_1 u^2 / 2``. The loop is written over an abstract solver of the
convex steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from dajko.energy.energy import Energy
from dajko.energy.on_grid import ROUNDING, GridInteraction
from dajko.grid import Array
from dajko.problem.problem import Problem, Step
from dajko.status import Status

# Convex steps before a step is given up. The error shrinks by a constant factor each time.
_MOST_CONVEX_STEPS = 200

# Solves the convex step at a density; the second argument is the convex step before, None at the first.
ConvexSolver = Callable[[Array, Step | None], Step]


@dataclass(frozen=True, eq=False)
class Splitting:
    """An interaction as a convex and a concave part, on perturbations of mass zero.

    Attributes
    ----------
    values : array of shape (p,)
        The positive eigenvalues of the convex part, largest first.
    modes : array of shape (p, points)
        Their eigenfunctions, orthonormal in the inner product of space and of mass zero.
    convex : GridInteraction or None
        ``W+ = sum_p values_p modes_p modes_p^T``; None where it vanishes.
    concave : GridInteraction
        ``W - W+``.
    neglected : float
        The largest eigenvalue that ``concave`` still has, at least 0: the tangent at ``v`` may lie below the energy by
        ``neglected |u - v|^2 / 2`` at most, with the norm in the inner product of space.
    """

    values: Array
    modes: Array
    convex: GridInteraction | None
    concave: GridInteraction
    neglected: float


@lru_cache(maxsize=16)
def split(interaction: GridInteraction, rank: int | None = None) -> Splitting:
    """Split an interaction; ``rank`` keeps only so many of the largest positive eigenvalues in the convex part.

    Parameters
    ----------
    interaction : GridInteraction
    rank : int, optional
        By default all that are not rounding. What is left out is counted in :attr:`Splitting.neglected`.
    """
    grid = interaction.grid
    found, functions = interaction.eigen
    kept = int(np.sum(found > ROUNDING * interaction.norm))
    kept = kept if rank is None else min(rank, kept)
    values, modes, rest = found[:kept].copy(), functions[:kept].copy(), found[kept:]
    neglected = max(float(rest[0]), 0.0) if rest.size else 0.0
    if kept == 0:
        return Splitting(values, modes, None, interaction, neglected)
    convex = (modes.T * values) @ modes
    convex = 0.5 * (convex + convex.T)
    return Splitting(
        values, modes, GridInteraction(grid, convex), GridInteraction(grid, interaction.matrix - convex), neglected
    )


def convex_step(problem: Problem, density: Array) -> Problem:
    """The step with the concave part of its interaction replaced by the tangent at a density of the same mass."""
    interaction = problem.interaction
    if interaction is None:
        return problem
    parts = split(interaction)
    potential = problem.energy.potential_on(problem.grid) + parts.concave.mean_field(density)
    return replace(problem, energy=Energy(problem.energy.internal, potential, parts.convex))


def local_step(problem: Problem, density: Array) -> tuple[Problem, float]:
    """The step with its interaction replaced by the tangent at a density of the same mass and a curvature.

    Returns
    -------
    Problem
        Without interaction.
    float
        The curvature c of the internal energy ``c u^2 / 2`` that the step also has; its slope at the density is part of the
        potential.
    """
    interaction = problem.interaction
    if interaction is None:
        return problem, 0.0
    values = split(interaction).values
    curvature = float(values[0]) if values.size else 0.0
    potential = problem.energy.potential_on(problem.grid) + interaction.mean_field(density) - curvature * density
    return replace(problem, energy=Energy(problem.energy.internal, potential)), curvature


def descend(problem: Problem, solve: ConvexSolver, tol: float) -> Step:
    """Solve a step by convex steps, from rest; the objective never increases from one to the next.

    Parameters
    ----------
    problem : Problem
    solve : function of a density and the Step before
        Solves the convex step at that density.
    tol : float
        The loop ends when the density is estimated to be within this share of the mass of its limit, in L1, or when a convex
        step no longer lowers the objective, which then is as low as the solver's own tolerance allows.

    Returns
    -------
    Step
        The last convex step that lowered the objective, or the state of rest; with the iterations of all.
    """
    grid, mass = problem.grid, float(problem.grid.integrate(problem.initial))
    path, density, value = problem.at_rest, problem.initial, problem.value(problem.at_rest)
    step, potential, change, iterations, count, status = None, None, np.inf, 0, 0, Status.NOT_CONVERGED
    transported: Array | None = None
    while count < _MOST_CONVEX_STEPS:
        step = solve(density, step)
        count, iterations = count + 1, iterations + step.iterations
        if step.status == Status.FAILED:
            return replace(step, iterations=iterations)
        new_value = problem.value(step.path)
        lower, ratio = new_value < value, 1.0
        if lower:
            new_change = float(grid.integrate(np.abs(step.density - density)))
            ratio, change = (new_change / change if change < np.inf else 1.0), new_change
            path, potential, density, value = step.path, step.potential, step.density, new_value
            transported = step.transported
        # The changes shrink like a geometric series, whose rest is the error.
        settled = not lower or change == 0.0 or (ratio < 1.0 and change * ratio <= tol * mass * (1.0 - ratio))
        if settled or not step.converged:
            status = step.status if step.converged else Status.NOT_CONVERGED
            break
    assert step is not None
    message = f"{count} convex steps, {iterations} iterations: {status.message}"
    return replace(
        step, path=path, status=status, iterations=iterations, message=message, potential=potential, transported=transported
    )
