"""Solvers of one daJKO step: a kind each module. What they compute with is in the packages beside them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from dajko.checks import shown
from dajko.errors import InputError
from dajko.ingredient import Ingredient
from dajko.status import Status

if TYPE_CHECKING:  # they load a compiler, which who only configures a solver does not need
    from dajko.problem.problem import Problem, Step
    from dajko.solvers.together import Flow, March

DEFAULT_SOLVER = "interior_point"


class Solver(Ingredient, family="solver"):
    """How one step is solved; its fields are its options.

    What it calls converged must be so; a solve that fails is a status with a message, never an exception.
    """

    # The schemes of grids that it knows, and what it can step in time by: see dajko.flow.TIME_SCHEMES.
    schemes: ClassVar[tuple[str, ...]] = ("centred", "finite_volume")
    time_schemes: ClassVar[tuple[str, ...]] = ("euler",)

    @abstractmethod
    def solve(self, problem: Problem, warm_start: Any = None) -> Step:
        """Solve one step.

        Parameters
        ----------
        problem : Problem
        warm_start : object, optional
            :attr:`Step.warm_start` of the step before.
        """

    @property
    def then(self) -> tuple[Solver, ...]:
        """The solvers that take a step on which this one has not converged, one after the other."""
        return ()

    def take_over(self, problem: Problem) -> Step:
        """The step on which another solver has not converged."""
        return self.solve(problem)

    def why_not(self, problem: Problem) -> str:
        """Why this solver cannot take such a step, as a sentence; empty if it can."""
        if problem.grid.scheme in self.schemes:
            return ""
        return f"{self.kind} is for grid.scheme {self.schemes[0]}, got {problem.grid.scheme}; take interior_point"

    def marches(self, flows: Sequence[Flow]) -> bool:
        """Whether :meth:`march` can take all steps of these flows together."""
        return False

    def march(self, flows: Sequence[Flow], take_over: Callable[[Problem, Step], Step]) -> list[March]:
        """All steps of flows on one grid, which :meth:`marches` says yes to.

        Parameters
        ----------
        flows : sequence of Flow
        take_over : callable
            Takes a step that has not converged: gets the problem and the step, returns another one.
        """
        raise NotImplementedError

    def seconds(self, nx: int, nt: int, *, interacts: bool) -> float:
        """What a step takes, roughly: it decides how many cells are one task."""
        return 1e-7 * nx * nt


def as_solver(given: str | Solver) -> Solver:
    """A solver from its kind, with its default options, or itself.

    Raises
    ------
    InputError
        If there is no solver of that kind.
    """
    if isinstance(given, Solver):
        return given
    if not isinstance(given, str):
        raise InputError(f"solver must be the word of a kind or a solver object, got {shown(given)}")
    try:
        return Solver.of_kind(given)()
    except InputError as error:
        raise InputError(f"solver: {error}") from None


def solve(solver: Solver, problem: Problem, warm_start: Any = None) -> Step:
    """One step, by the first of the chain ``solver, *solver.then`` that converges; the status says if it is not the first.

    Parameters
    ----------
    solver : Solver
    problem : Problem
    warm_start : object
        :attr:`Step.warm_start` of the step before, or None.
    """
    step = solver.solve(problem, warm_start)
    return step if step.converged else take_over(solver, problem, step)


def take_over(solver: Solver, problem: Problem, failed: Step) -> Step:
    """The step by the rest of a solver's chain, after the solver itself has not converged."""
    for other in solver.then:
        if other.why_not(problem):
            continue
        step = other.take_over(problem)
        status = Status.FALLBACK if step.converged else step.status
        # The next step begins as if this one were the first: what a warm start extrapolates may be what went wrong.
        failed = replace(step, status=status, message=f"{failed.message}; {step.message}", warm_start=None)
        if step.converged:
            break
    return failed
