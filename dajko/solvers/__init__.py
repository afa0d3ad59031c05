"""Solvers of one daJKO step: what is solved (``problem``) and how (one module each)."""

from dataclasses import replace
from typing import Any

from dajko.checks import shown
from dajko.errors import InputError
from dajko.problem.problem import Path, Problem, Step
from dajko.solvers.interior_point import InteriorPoint
from dajko.solvers.pd3o import PD3O
from dajko.status import Status

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
    "solve",
    "take_over",
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
        raise InputError(f"solver must be a name or one of dajko's solver objects, got {shown(given)}")
    return given


def solve(solver: Solver, problem: Problem, warm_start: Any = None) -> Step:
    """One step. Where ``interior_point`` does not converge, Algorithm 1 takes it; the status says so.

    Parameters
    ----------
    solver : solver object
    problem : Problem
    warm_start : object
        :attr:`Step.warm_start` of the step before, or None.
    """
    step = solver.solve(problem, warm_start)
    return step if step.converged or isinstance(solver, PD3O) else take_over(problem, step)


def take_over(problem: Problem, failed: Step) -> Step:
    """The step by Algorithm 1, after ``interior_point`` has not converged."""
    step = PD3O().fallback(problem)
    status = Status.FALLBACK if step.converged else step.status
    message = f"{failed.message}; {step.message}"
    # The next step begins as if this one were the first: what a warm start extrapolates may be what went wrong.
    return replace(step, status=status, message=message, warm_start=None)
