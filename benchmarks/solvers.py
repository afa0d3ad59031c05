"""All steps of a figure by every solver: time, iterations, accuracy, mass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from benchmarks.figures import STEPS, ensemble, figure, largest_l1, mass_drift, with_solver
from benchmarks.timing import Contestant, alternate
from dajko.flow import Flow, trajectories
from dajko.grid import Array
from dajko.solvers.interior_point import InteriorPoint
from dajko.solvers.pd3o import PD3O
from dajko.status import Status

# Figures whose steps are second-order cone programs.
CONIC = ("5.1", "5.2")
TOLERANCES = (1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
CONIC_TOLERANCES = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3)

# What two programs that solve the same problem tightly may differ in, in L1.
_AGREEMENT = 1e-5


@dataclass(frozen=True)
class Result:
    """One solver on one figure.

    Attributes
    ----------
    solver : str
        ``pd3o``, ``interior_point``, ``lanes`` (``interior_point`` on an ensemble, all members together), ``copies`` (the
        same with copies of one flow for members, none of which waits for another) or ``clarabel``.
    setting : str
        ``default``, or ``equal``: at the largest tolerance whose error is not above that of ``pd3o``.
    seconds : list of float
        CPU seconds a step (for lanes and copies: a step of one member), one number for each round.
    iterations : float
        Mean of the steps.
    l1 : float
        The largest L1 distance at any step to the flow of exact minimisers; the mass is about 2.
    mass_drift : float
        The largest relative change of the mass.
    not_converged : int
        Steps that did not meet the stopping rule of this solver.
    own_share : float
        Share of the time that the solver itself takes: 1, but for Clarabel, which is called through CVXPY.
    """

    figure: str
    solver: str
    setting: str
    tol: float
    seconds: list[float]
    iterations: float
    l1: float
    mass_drift: float
    not_converged: int = 0
    own_share: float = 1.0

    @property
    def milliseconds(self) -> float:
        """Milliseconds a step, the least of the rounds."""
        return 1e3 * min(self.seconds)


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A solver before it is timed."""

    solver: str
    setting: str
    tol: float
    run: Callable[[], object]
    units: int
    quality: dict[str, float] = field(default_factory=dict)


def measure(name: str, rounds: int, steps: int = STEPS) -> list[Result]:
    """Every solver on a figure.

    Raises
    ------
    RuntimeError
        If Clarabel and the tightly converged interior point method disagree.
    """
    flow = figure(name, steps=steps)
    exact = exact_flow(flow)
    pd3o = PD3O()
    candidates = [_candidate(flow, exact, pd3o, "pd3o", "default")]
    reached = candidates[0].quality["l1"]
    default = InteriorPoint()
    candidates.append(_candidate(flow, exact, default, "interior_point", "default"))
    for tol in sorted(TOLERANCES, reverse=True):
        equal = _candidate(flow, exact, InteriorPoint(tol=tol), "interior_point", "equal")
        if equal.quality["l1"] <= reached and not equal.quality["not_converged"]:
            candidates.append(equal)
            break
    members = ensemble(name, steps=steps)
    for alone in candidates[1:]:
        for solver, flows in (("lanes", members), ("copies", [flow] * len(members))):
            together = with_solver(flows, InteriorPoint(tol=alone.tol))
            # The first member is the figure itself, and comes out the same as alone.
            quality = {**alone.quality, **_ensemble_quality(together)}
            run, units = partial(trajectories, together), steps * len(together)
            candidates.append(_Candidate(solver, alone.setting, alone.tol, run, units, quality))
    if name in CONIC:
        candidates += _conic(flow, exact, reached)
    seconds = alternate({f"{c.solver} {c.setting}": Contestant(c.run, c.units) for c in candidates}, rounds)
    return [
        Result(
            figure=name,
            solver=c.solver,
            setting=c.setting,
            tol=c.tol,
            seconds=seconds[f"{c.solver} {c.setting}"],
            iterations=c.quality["iterations"],
            l1=c.quality["l1"],
            mass_drift=c.quality["mass_drift"],
            not_converged=int(c.quality.get("not_converged", 0)),
            own_share=c.quality.get("own_share", 1.0),
        )
        for c in candidates
    ]


def exact_flow(flow: Flow) -> Array:
    """Densities of the flow of exact minimisers, shape ``(steps + 1, nx + 1)``, by the interior point method.

    Raises
    ------
    RuntimeError
        If a step does not converge.
    """
    (run,) = trajectories(with_solver([flow], InteriorPoint(tol=1e-10)))
    if run.worst_status != Status.CONVERGED:
        raise RuntimeError(f"the flow to compare with: {run.worst_status.message}")
    return run.density


def _candidate(flow: Flow, exact: Array, solver: PD3O | InteriorPoint, name: str, setting: str) -> _Candidate:
    flows = with_solver([flow], solver)
    (run,) = trajectories(flows)
    quality = {
        "iterations": float(run.iterations[1:].mean()),
        "l1": largest_l1(run.density, exact, flow.grid),
        "mass_drift": mass_drift(run.density, flow.grid),
        "not_converged": int(np.sum(run.status != Status.CONVERGED)),
    }
    return _Candidate(name, setting, solver.tol, partial(trajectories, flows), flow.steps, quality)


def _ensemble_quality(flows: list[Flow]) -> dict[str, float]:
    runs = trajectories(flows)
    return {
        "iterations": float(np.mean([run.iterations[1:] for run in runs])),
        "not_converged": int(sum(np.sum(run.status != Status.CONVERGED) for run in runs)),
    }


def _conic(flow: Flow, exact: Array, reached: float) -> list[_Candidate]:
    found = [_conic_candidate(flow, exact, 1e-8, "default")]
    if not found[0].quality["l1"] <= _AGREEMENT:
        raise RuntimeError(
            f"Clarabel and interior_point must agree to {_AGREEMENT:g} in L1, they differ by {found[0].quality['l1']:.2g}"
        )
    for tol in sorted(CONIC_TOLERANCES, reverse=True):
        equal = _conic_candidate(flow, exact, tol, "equal")
        if equal.quality["l1"] <= reached:
            return [*found, equal]
    return found


def _conic_candidate(flow: Flow, exact: Array, tol: float, setting: str) -> _Candidate:
    from benchmarks.conic import ConicFlow  # the only thing that needs the extra `bench`

    conic = ConicFlow(flow, tol)
    run = conic.run()
    quality = {
        "iterations": run.iterations,
        "l1": largest_l1(run.density, exact, flow.grid),
        "mass_drift": mass_drift(run.density, flow.grid),
        "own_share": run.own_share,
    }
    return _Candidate("clarabel", setting, tol, conic.run, flow.steps, quality)
