"""Wild problems solved as studies solve them, and judged: mass, sign, and the distance to a much finer solve."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np

from dajko.certify.duality import dual_bound
from dajko.problem.problem import Problem, Step
from dajko.solvers import solve
from dajko.solvers.interior_point import InteriorPoint
from dajko.status import Status
from soak.wild import wild_problem

# What a good step may have: relative change of the mass of either class of nodes, and distance to a much finer one.
MOST_MASS_CHANGE, MOST_APART = 1e-8, 0.02
# The tolerance of the step that others are compared with.
_FINE = 1e-8


@dataclass(frozen=True)
class Verdict:
    """What became of a wild problem.

    Attributes
    ----------
    number : int
        Of the problem.
    status : str
    exponent : float
        Of the internal energy; 1 stands for the entropy, 0 for none.
    mass : float
        Largest relative change of the mass of the even and of the odd nodes.
    least : float
        Least value of the density, relative to its largest.
    apart : float
        L1 distance to the density of a step that is solved with a tolerance 1000 times smaller, relative to the mass; NaN
        where that does not converge, or the step is not convex and may have several minima.
    """

    number: int
    status: str
    exponent: float
    mass: float
    least: float
    apart: float

    @property
    def good(self) -> bool:
        """Whether the step is called good."""
        return self.status in ("converged", "fallback")

    @property
    def doubtful(self) -> bool:
        """Whether the step is called good and is not."""
        return self.good and (self.mass > MOST_MASS_CHANGE or self.least < 0.0 or self.apart > MOST_APART)


def verdict(number: int) -> Verdict:
    """Solve a wild problem with the default solver and its fallback, and judge the step."""
    problem = wild_problem(number)
    step = solve(InteriorPoint(), problem)
    apart = _apart(problem, step) if step.status.usable else float("nan")
    grid, old, new = problem.grid, problem.initial, step.density
    masses = [(float(grid.wx[i::2] @ new[i::2]), float(grid.wx[i::2] @ old[i::2])) for i in (0, 1)]
    return Verdict(
        number=number,
        status=step.status.name.lower(),
        exponent=float(problem.energy.exponent),
        mass=max(abs(after - before) / before for after, before in masses if before > 0.0),
        least=float(new.min() / new.max()) if step.status.usable else float("nan"),
        apart=apart,
    )


def verdicts(numbers: list[int], processes: int) -> Iterator[Verdict]:
    """Verdicts on several problems, in their order."""
    if processes == 1:
        yield from map(verdict, numbers)
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(verdict, numbers, chunksize=20)


def figures(found: list[Verdict]) -> dict[str, object]:
    """What verdicts come to."""
    good = [v for v in found if v.good]
    return {
        "problems": len(found),
        "statuses": {s.name.lower(): sum(v.status == s.name.lower() for v in found) for s in Status if s != Status.PENDING},
        "without_fallback": sum(v.status == "converged" for v in found) / len(found),
        "largest_mass_change": max((v.mass for v in good), default=0.0),
        "least_density": min((v.least for v in good), default=0.0),
        "compared": sum(bool(np.isfinite(v.apart)) for v in good),
        "largest_distance": max((v.apart for v in good if np.isfinite(v.apart)), default=0.0),
        "not_good_by_exponent": {
            str(m): sum(v.exponent == m and not v.good for v in found)
            for m in sorted({v.exponent for v in found if not v.good})
        },
        "doubtful": [v.number for v in found if v.doubtful],
    }


def _apart(problem: Problem, step: Step) -> float:
    """The distance of a step to one that is solved much more accurately; NaN where there is none."""
    finer = InteriorPoint(tol=_FINE, max_iterations=400).solve(problem)
    with np.errstate(all="ignore"):
        if finer.status != Status.CONVERGED or not dual_bound(problem, finer.path, finer.potential).certified:
            return float("nan")
    return float(problem.grid.integrate(np.abs(step.density - finer.density)) / problem.grid.integrate(finer.density))
