"""The interior point method as an ingredient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from dajko.solvers import Solver
from dajko.validation import PLAIN, PositiveWhole

if TYPE_CHECKING:
    from dajko.problem.problem import Problem, Step
    from dajko.solvers.together import Flow, March


class InteriorPoint(Solver, kind="interior_point"):
    """The interior point method, the default: a few Newton iterations a step; :mod:`dajko.solvers.primal_dual.method`.

    Where it does not converge, Algorithm 1 takes the step.

    Parameters
    ----------
    tol : float
        The complementarity ``mean(rho s)`` at the end, relative to ``mean(rho) * (range of tau dF/du)`` of the old density,
        between 0 and 1. The L1 error of the density is about five times the mass times this. For exponents above 4, where an
        error of U' means much for the density, a fourth of the exponent divides it.
    max_iterations : int
        Newton iterations.
    """

    label: ClassVar[str] = "interior_point"

    tol: Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0, lt=1), PLAIN] = 1e-5
    max_iterations: PositiveWhole = 80

    @property
    def then(self) -> tuple[Solver, ...]:
        from dajko.solvers.pd3o import PD3O

        return (PD3O(),)

    def solve(self, problem: Problem, warm_start: Any = None) -> Step:
        from dajko.solvers.primal_dual.method import solve

        return solve(self, problem, warm_start)

    def marches(self, flows: Sequence[Flow]) -> bool:
        """Flows without interaction march together."""
        return all(flow.energy.interaction is None for flow in flows)

    def march(self, flows: Sequence[Flow], take_over: Callable[[Problem, Step], Step]) -> list[March]:
        from dajko.solvers.primal_dual.method import march

        return march(self, flows, take_over)

    def seconds(self, nx: int, nt: int, *, interacts: bool) -> float:
        """Some 5 Newton iterations, ten times that with an interaction; elimination goes with the square of nt."""
        iterations = 50.0 if interacts else 5.0
        return iterations * (nx + 1) * (nt + 1) * (15e-9 + 0.3e-9 * nt**2)
