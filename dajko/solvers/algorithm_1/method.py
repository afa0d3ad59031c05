"""Algorithm 1 of Pietschmann and Schlottbom: the primal-dual splitting PD3O (Yan 2018) for one daJKO step.

With ``u = (rho, m)``, the constraints relaxed to four balls ``|A_i u - b_i| <= delta_i`` (4.9)-(4.13), and the weighted
inner product (4.2), one iteration is::

    phi   <- prox_{sigma i*}(phi + sigma A ubar)
    u_new <- prox_{lambda Phi}(u - lambda grad E(u) - lambda A* phi)
    ubar  <- 2 u_new - u + lambda grad E(u) - lambda grad E(u_new)

It converges for ``lambda sigma |AA*| < 1`` and ``lambda < 2 / L``, L the Lipschitz constant of ``grad E``.

Everything is matrix-free, in the scaled dual variables ``y`` of :mod:`.constraints`: with ``g = y + sigma (D
ubar - d)``, ``b = S d``, Moreau's identity and the projection onto a ball give ``y <- g (1 - sigma delta / |S g|)_+``, a
scalar factor for each ball.

Two parts of E cannot always be taken explicitly, as printed, because L is too large or infinite for a useful lambda:

- An internal energy with an unbounded second derivative (entropy, or m < 2) belongs to the proximal map of the last level,
  which becomes one scalar equation a node.
- A data term with a small theta moves into the dual step, as one more block of rows, ``B_h`` itself: with ``z`` its dual
  variable, ``z <- (z + sigma (B_h(ubar) - v)) / (1 + sigma theta / tau)`` and ``A* phi`` gains the gradient of ``z . B_h``
  at u. The minimiser is the same, and the number of iterations no longer depends on theta. For the nonlinear
  observations this is the primal-dual method with the operator linearised at u (Valkonen 2014).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from dajko.certify.certificate import certified, projected
from dajko.data.operator import add_gradient
from dajko.energy.internal import LEAST_SMOOTH_EXPONENT
from dajko.energy.kernels import internal_curvature
from dajko.errors import InputError
from dajko.grid import Array
from dajko.problem.majorize import convex_step, descend
from dajko.problem.problem import Path, Problem, Step
from dajko.solvers.algorithm_1.constraints import (
    Dual,
    Weights,
    operator_norm,
    weights,
    zero_dual,
)
from dajko.solvers.algorithm_1.dimensionless import dimensionless
from dajko.solvers.algorithm_1.iteration import LEAST_SIZE, Steps, iterate
from dajko.solvers.pd3o import PD3O
from dajko.status import Status

# The data rows are scaled so that they add this share to |AA*|.
_DATA_SHARE = 0.1

# Largest gap, relative to the action, of a step that may be called converged. At the paper's tolerance Algorithm 1 leaves up
# to 0.17 in its figures (5.6, where data pull hard on a density that hardly moves), 0.03 in the mean.
MOST_MISSING = 0.2
# The same for a step that another solver could not take.
FALLBACK_MISSING = 0.02
# A step that meets the stopping rule and is not certified goes on, with tolerance and radius times this: the rule looks at
# changes only, and what moves slowly, or not at all, changes little.
_TIGHTER = 1.0 / 3.0
# Nodes times artificial levels times iterations of a fallback at most: 10 to 20 seconds.
_FALLBACK_WORK = 1_000_000_000

_RESIDUALS = ("change_primal", "change_dual", "change_energy", "continuity", "boundary", "mass", "initial")


def fallback(solver: PD3O, problem: Problem) -> Step:
    """The step where another solver has not converged: nearer to the minimiser than the tolerance asks, in bounded time.

    Goes on until the gap (:mod:`dajko.certify.certificate`) is below a share of the action that is ten times smaller
    than that of :meth:`solve`, and gives up after as many iterations as take 10 to 20 seconds.
    """
    nodes = problem.initial.size * (problem.grid.nt + 1)
    limited = replace(solver, max_iterations=min(solver.max_iterations, max(_FALLBACK_WORK // nodes, 1)))
    return solve(limited, problem, None, FALLBACK_MISSING)


def solve(solver: PD3O, problem: Problem, warm_start: tuple[Path, Dual] | None, missing: float) -> Step:
    """A step, in the problem without units; ``missing`` is the largest gap, relative to the action, of a good one."""
    try:
        same = dimensionless(problem)
        step = _dimensionless(solver, same.problem, warm_start, missing)
    except ArithmeticError as reason:
        message = f"pd3o, 0 iterations: {reason}"
        return Step(problem.at_rest, Status.FAILED, 0, {}, math.nan, message)
    potential = None if step.potential is None else same.potential_with_units(step.potential)
    return replace(step, path=same.with_units(step.path), potential=potential)


def _dimensionless(solver: PD3O, problem: Problem, warm_start: tuple[Path, Dual] | None, missing: float) -> Step:
    step = _solve(solver, problem, warm_start, missing)
    if problem.interaction_is_convex or step.converged:
        return step
    left = solver.max_iterations  # of all convex steps together

    def convex_solve(density: Array, last: Step | None) -> Step:
        nonlocal left
        limited = replace(solver, max_iterations=max(1, left))
        convex = _solve(limited, convex_step(problem, density), warm_start if last is None else last.warm_start, missing)
        left -= convex.iterations
        return convex

    found = descend(problem, convex_solve, solver.tol)
    found = replace(found, iterations=step.iterations + found.iterations)
    found = replace(found, message=f"pd3o did not descend; in its place {found.message}")
    return certified(problem, found, missing)


def _solve(solver: PD3O, problem: Problem, warm_start: tuple[Path, Dual] | None, missing: float) -> Step:
    """Algorithm 1, with the gradient of the interaction taken explicitly, convex or not."""
    grid, steps, objective = problem.grid, step_sizes(solver, problem), problem.objective
    if problem.interaction is not None:
        objective = objective._replace(interaction=np.ascontiguousarray(objective.interaction))
    # A first step starts at rest. (Algorithm 2 prints zeros instead, which costs twice the iterations.)
    path, dual = (problem.at_rest, zero_dual(grid)) if warm_start is None else warm_start
    path = Path(path.density.copy(), path.flux.copy())
    dual = Dual._make(part.copy() for part in dual)
    if dual.data.size != steps.data.size:
        dual = dual._replace(data=np.zeros(steps.data.size))
    # Energies are relative to at least this. Their zero is that of V, and V has none of its own.
    least_energy = max(float(grid.integrate(np.abs(objective.potential) * problem.initial)), LEAST_SIZE)
    tighter, iterations = 1.0, 0
    while True:
        done, converged, residuals = iterate(
            objective,
            problem.tau,
            problem.initial,
            path.density,
            path.flux,
            dual,
            weights(grid),
            steps,
            solver.constraint_tolerance * tighter,
            solver.tol * tighter,
            least_energy,
            solver.max_iterations - iterations,
        )
        iterations += int(done)
        step = Step(
            path=path,
            status=Status.CONVERGED if converged else Status.NOT_CONVERGED,
            iterations=iterations,
            residuals=dict(zip(_RESIDUALS, residuals.tolist(), strict=True)),
            residual=float(residuals[:3].max()),
            message=f"pd3o, {iterations} iterations",
            warm_start=(path, dual),
            potential=_potential(dual, weights(grid)),
        )
        if not (np.isfinite(residuals).all() and np.isfinite(path.density[-1]).all()):
            return _told(replace(step, status=Status.FAILED))
        step = replace(step, path=projected(path, problem))
        if step.residual < solver.tol:
            step = certified(problem, replace(step, status=Status.CONVERGED), missing)
        if step.converged or not converged or iterations >= solver.max_iterations:
            return _told(step)
        tighter *= _TIGHTER


def why_not(solver: PD3O, problem: Problem) -> str:
    """Why given steps violate the conditions of :func:`step_sizes`, as a sentence; empty if they do not."""
    try:
        step_sizes(solver, dimensionless(problem).problem)
    except InputError as error:
        return str(error)
    except ArithmeticError:  # the solve answers that
        pass
    return ""


def step_sizes(solver: PD3O, problem: Problem) -> Steps:
    """The step sizes that a solve of a problem without units uses.

    Raises
    ------
    InputError
        If given steps violate ``lambda sigma |AA*| < 1`` or ``lambda < 2 / L``.
    """
    norm = operator_norm(problem.grid)
    internal_explicit = problem.energy.exponent >= LEAST_SMOOTH_EXPONENT
    internal, data = lipschitz_bounds(problem)
    model = internal if internal_explicit else 0.0
    if problem.interaction is not None:
        model += problem.tau * problem.interaction.norm / problem.grid.wt_metric[-1]
    wanted = 0.2 if solver.primal_step is None else solver.primal_step
    in_dual = solver.data_step == "dual" or (solver.data_step == "auto" and wanted * (model + data) > 1.0)
    in_dual = in_dual and problem.objective.data.size > 0
    bound = 2.0 / max(model if in_dual else model + data, 1e-300)
    norm *= 1.0 + _DATA_SHARE * in_dual

    primal = wanted
    if solver.primal_step is None:
        primal = min(primal, 0.5 * bound)
        if solver.dual_step is not None:
            primal = min(primal, 0.9 / (solver.dual_step * norm))
    elif not primal < bound:
        raise InputError(
            f"primal_step must be less than 2 / L = {bound:.6g}, where L is the Lipschitz constant of the "
            f"gradient of the energy, got {primal:.6g}"
        )
    if solver.primal_step is None and not (0.0 < primal < math.inf and 0.9 / (primal * norm) < math.inf):
        raise ArithmeticError("the energy is so steep that there is no step size for it")
    dual = 0.9 / (primal * norm) if solver.dual_step is None else solver.dual_step
    if not primal * dual * norm < 1.0:
        raise InputError(
            f"primal_step * dual_step must be less than 1 / |AA*| = {1 / norm:.6g}, "
            f"got {primal:.6g} * {dual:.6g} = {primal * dual:.6g}"
        )
    rows = _data_row_norms(problem) if in_dual else np.zeros(0)
    return Steps(primal, dual, dual * _DATA_SHARE * norm / (np.maximum(rows, 1e-300) * max(rows.size, 1)), internal_explicit)


def _told(step: Step) -> Step:
    """The step with its status in its message, unless a certificate has said more."""
    told = step.message.endswith(step.status.message)
    return step if told else replace(step, message=f"{step.message}: {step.status.message}")


def _potential(dual: Dual, w: Weights) -> Array:
    """The multiplier of the continuity equation as :attr:`Step.potential` has it, shape ``(nt, nx + 1)``.

    The scaled ``y`` of (4.9) counts a level with its weight in the metric and the quotient by dt; the multiplier of the mass
    of a level, which is constant in space, counts for all levels before it too.
    """
    masses = np.cumsum((w.metric * dual.mass)[:0:-1])[::-1]
    return np.asarray(w.metric[1:, None] * dual.continuity / w.dt + masses[:, None])


def _data_row_norms(problem: Problem) -> Array:
    """``|B_i|^2`` of each linearised measurement in the inner product (4.2), shape ``(numbers,)``."""
    grid, u, op = problem.grid, problem.initial, problem.objective.operator
    gradients = np.zeros((op.kind.size, grid.nx + 1))
    for gradient, unit in zip(gradients, np.eye(op.kind.size), strict=True):
        add_gradient(op, u, unit, gradient)
    return np.asarray(grid.integrate(gradients**2) / grid.wt_metric[-1])


def lipschitz_bounds(problem: Problem) -> tuple[float, float]:
    """Lipschitz constants of ``grad E`` in the inner product (4.2) at the old density: internal energy, and data term.

    The first is infinite in vacuum for exponents below 2.
    """
    exponent = problem.energy.exponent
    curvature = max(
        float(internal_curvature(float(problem.initial.max()), exponent)),
        float(internal_curvature(float(problem.initial.min()), exponent)),
    )
    data = float(_data_row_norms(problem).sum()) * problem.objective.inverse_theta
    return problem.tau * curvature / problem.grid.wt_metric[-1], problem.tau * data
