"""Steps for quantile functions as an ingredient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from dajko.solvers import Solver
from dajko.validation import PLAIN, PositiveWhole

if TYPE_CHECKING:
    from dajko.problem.problem import Problem, Step
    from dajko.solvers.together import Flow, March


class Quantile(Solver, kind="quantile"):
    """Newton steps for the quantile function, exact in the metric; :mod:`dajko.solvers.mass_elements.newton`.

    For finite volumes without interaction. Artificial time plays no part: ``grid.nt`` only says at how many places the
    geodesic of a step is recorded. Where it does not converge, the interior point method takes the step.

    Parameters
    ----------
    tol : float
        The largest displacement of a quantile in the last Newton step, relative to the length of the interval, between 0
        and 1. Newton steps converge quadratically: what is left is far less.
    max_iterations : int
        Newton iterations.
    """

    label: ClassVar[str] = "quantile"
    schemes: ClassVar[tuple[str, ...]] = ("finite_volume",)
    time_schemes: ClassVar[tuple[str, ...]] = ("euler", "bdf2")

    tol: Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0, lt=1), PLAIN] = 1e-6
    max_iterations: PositiveWhole = 200

    @property
    def then(self) -> tuple[Solver, ...]:
        from dajko.solvers.interior_point import InteriorPoint

        return (InteriorPoint(),)

    def solve(self, problem: Problem, warm_start: Any = None) -> Step:
        from dajko.solvers.mass_elements.method import solve

        return solve(self, problem, warm_start)

    def why_not(self, problem: Problem) -> str:
        """Elements are the cells of finite volumes, and interactions are not there yet."""
        if sentence := super().why_not(problem):
            return sentence
        if problem.energy.interaction is not None:
            return "quantile is for energies without interaction; take interior_point"
        return ""

    def marches(self, flows: Sequence[Flow]) -> bool:
        """All flows that this solver can take."""
        return all(flow.grid.scheme in self.schemes and flow.energy.interaction is None for flow in flows)

    def march(self, flows: Sequence[Flow], take_over: Callable[[Problem, Step], Step]) -> list[March]:
        from dajko.solvers.mass_elements.method import march

        return march(self, flows, take_over)

    def seconds(self, nx: int, nt: int, *, interacts: bool) -> float:
        """Some 5 Newton iterations, of 3 ns a cell."""
        return 5.0 * nx * 3e-9
