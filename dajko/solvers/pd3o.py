"""Algorithm 1 of Pietschmann and Schlottbom as an ingredient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from dajko.solvers import Solver
from dajko.validation import Positive, PositiveWhole

if TYPE_CHECKING:
    from dajko.problem.problem import Problem, Step
    from dajko.solvers.algorithm_1.iteration import Steps


class PD3O(Solver, kind="pd3o"):
    """Algorithm 1 of the paper: the primal-dual splitting PD3O; :mod:`dajko.solvers.algorithm_1.method`.

    Steps, radius and tolerance are those of the problem without units (:mod:`dajko.solvers.algorithm_1.dimensionless`): of
    densities of mass 2 on (-0.7, 0.7), as in the paper's section 5.1, wherever and however large the given one is. What is
    called converged is certified besides (:mod:`dajko.certify.certificate`): iterates that meet the stopping rule and are
    not near enough to the minimiser go on.

    Parameters
    ----------
    tol : float
        The paper's stopping rule: bound on the relative change of u, phi and E in one iteration.
    max_iterations : int
        Where a step has to be taken in convex steps, these have so many iterations in all.
    primal_step : float or None
        lambda; by default the paper's 0.2, or less where the gradient of the energy demands it.
    dual_step : float or None
        sigma; by default ``0.9 / (lambda |AA*|)``.
    constraint_tolerance : float
        Radius delta of the four balls.
    data_step : {"auto", "explicit", "dual"}
        Where the data term goes: into the explicit gradient as printed, or into the dual step. ``"auto"`` takes it
        explicitly as long as that does not make lambda smaller.
    """

    label: ClassVar[str] = "pd3o"
    schemes: ClassVar[tuple[str, ...]] = ("centred",)

    tol: Positive = 1e-5
    max_iterations: PositiveWhole = 200_000
    primal_step: Positive | None = None
    dual_step: Positive | None = None
    constraint_tolerance: Positive = 1e-5
    data_step: Literal["auto", "explicit", "dual"] = "auto"

    def solve(self, problem: Problem, warm_start: Any = None) -> Step:
        """Solve one daJKO step.

        The gradient of an interaction is taken explicitly. Where that does not converge, or ends above the objective of
        staying at rest, as may happen with an interaction that is not convex, :mod:`dajko.problem.majorize` takes the step.

        Parameters
        ----------
        problem : Problem
        warm_start : object, optional
            :attr:`Step.warm_start` of the previous step, as Algorithm 2 hands it on.

        Raises
        ------
        InputError
            If given steps violate ``lambda sigma |AA*| < 1`` or ``lambda < 2 / L``.
        """
        from dajko.solvers.algorithm_1.method import MOST_MISSING, solve

        return solve(self, problem, warm_start, MOST_MISSING)

    def take_over(self, problem: Problem) -> Step:
        """The step where another solver has not converged: nearer to the minimiser than the tolerance asks, in bounded time.

        Goes on until the gap (:mod:`dajko.certify.certificate`) is below a share of the action that is ten times smaller
        than that of :meth:`solve`, and gives up after as many iterations as take 10 to 20 seconds.
        """
        from dajko.solvers.algorithm_1.method import fallback

        return fallback(self, problem)

    def why_not(self, problem: Problem) -> str:
        """Its grid is the paper's; steps that are given must satisfy the conditions of :meth:`steps`."""
        if sentence := super().why_not(problem):
            return sentence
        if self.primal_step is None and self.dual_step is None:
            return ""
        from dajko.solvers.algorithm_1.method import why_not

        return why_not(self, problem)

    def steps(self, problem: Problem) -> Steps:
        """The step sizes that a solve of a problem without units uses.

        Raises
        ------
        InputError
            If given steps violate ``lambda sigma |AA*| < 1`` or ``lambda < 2 / L``.
        """
        from dajko.solvers.algorithm_1.method import step_sizes

        return step_sizes(self, problem)

    def seconds(self, nx: int, nt: int, *, interacts: bool) -> float:
        """Some 160 iterations for each cell in space, of 7 ns a node."""
        return 160.0 * nx * (nx + 1) * (nt + 1) * 7e-9
