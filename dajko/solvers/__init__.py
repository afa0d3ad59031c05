"""Solvers of one daJKO step: what is solved (``problem``) and how (one module each)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dajko.errors import InputError
from dajko.solvers.interior_point import InteriorPoint
from dajko.solvers.majorize import descend, split
from dajko.solvers.pd3o import PD3O
from dajko.solvers.problem import Path, Problem, Status, Step

Solver = InteriorPoint | PD3O

SOLVERS: dict[str, type[InteriorPoint] | type[PD3O]] = {"interior_point": InteriorPoint, "pd3o": PD3O}
DEFAULT_SOLVER = "interior_point"

__all__ = [
    "DEFAULT_SOLVER",
    "PD3O",
    "SOLVERS",
    "InteriorPoint",
    "Path",
    "Problem",
    "Solver",
    "Status",
    "Step",
    "as_solver",
    "solve_step",
    "solve_together",
]


def as_solver(given: str | Solver) -> Solver:
    """A solver from its name, with its default options, or itself.

    Raises
    ------
    InputError
        If there is no solver of that name.
    """
    if isinstance(given, str):
        if given not in SOLVERS:
            raise InputError(f"solver must be one of {', '.join(SOLVERS)}, got {given!r}")
        return SOLVERS[given]()
    if not isinstance(given, Solver):
        raise InputError(f"solver must be a name or one of dajko's solver objects, got {given!r}")
    return given


def solve_step(solver: Solver, problem: Problem, warm_start: Any = None) -> Step:
    """One step by one solver.

    ``interior_point`` knows no interaction. One that is concave on densities of one mass leads to convex steps without
    interaction; any other is left to Algorithm 1.

    Parameters
    ----------
    solver : solver object
    problem : Problem
    warm_start : object, optional
        :attr:`Step.warm_start` of the step before.
    """
    if isinstance(solver, PD3O) or problem.interaction is None:
        return solver.solve(problem, warm_start)
    if _left_to_pd3o(problem):
        return PD3O().solve(problem, warm_start)

    def solve(convex: Problem, last: Step | None) -> Step:
        # The method begins at the extrapolation 2 u - before; that is to be the density of the last convex step.
        before = warm_start if last is None else 2.0 * problem.initial - last.density
        return solver.solve(convex, before)

    return replace(descend(problem, solve, solver.tol), warm_start=problem.initial)


def _left_to_pd3o(problem: Problem) -> bool:
    return problem.interaction is not None and split(problem.interaction).convex is not None


def solve_together(solver: Solver, problems: Sequence[Problem], warm_starts: Sequence[Any]) -> list[Step]:
    """One step of each of several flows on one grid.

    Where ``interior_point`` does not converge, Algorithm 1 takes the step; the status says so.

    Parameters
    ----------
    solver : solver object
    problems : sequence of Problem
        With the same grid and the same number of measured numbers.
    warm_starts : sequence
        :attr:`Step.warm_start` of the step before of each flow, or None.
    """
    if isinstance(solver, PD3O):
        return [solver.solve(p, before) for p, before in zip(problems, warm_starts, strict=True)]
    if len(problems) == 1 or any(p.interaction is not None for p in problems):
        found = [solve_step(solver, p, before) for p, before in zip(problems, warm_starts, strict=True)]
    else:
        found = solver.solve_many(problems, warm_starts)
    return [
        step if step.converged or _left_to_pd3o(p) else _fall_back(p, step) for p, step in zip(problems, found, strict=True)
    ]


def _fall_back(problem: Problem, failed: Step) -> Step:
    step = PD3O().solve(problem)
    status = Status.FALLBACK if step.converged else step.status
    message = f"{failed.message}; {step.message}"
    # The next step begins as if this one were the first: what a warm start extrapolates may be what went wrong.
    return replace(step, status=status, message=message, warm_start=None)
