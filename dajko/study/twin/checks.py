"""Check a cell, or a whole plan, before anything runs.

What can be wrong with a plan depends on a few sections at a time, not on every cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from dajko.data.data_term import DataTerm
from dajko.errors import InputError
from dajko.flow import check_time_scheme
from dajko.grid import Array, Grid
from dajko.observation import Observation
from dajko.problem.problem import Problem
from dajko.solvers import Solver
from dajko.solvers.pd3o import PD3O
from dajko.study.config.ingredients import ExactTruth, SolvedTruth
from dajko.study.config.study import StudyConfig
from dajko.study.design.plan import Plan
from dajko.study.design.sweep import section_of
from dajko.study.twin.experiment import (
    build,
    check_energy,
    density_of,
    energy_of,
    exact_truth,
    has_data,
    model_of,
    observations_of,
    truth_grid,
)

# Cells that are checked, at most; more than these are a matter of minutes.
_MOST_CHECKED = 10_000

# Sections that can be wrong together. Noise and theta fit everything that they may be.
_TOGETHER = (
    ("model", "grid", "time"),
    ("truth", "grid", "time", "observations"),
    ("solver", "grid", "time"),
    ("solver", "model"),
)
# With step sizes that a user gives, these can.
_STEPS = ("solver", "model", "grid", "time", "observations", "theta")

# The densities of one member may take half a GB, of which a worker holds a few copies.
_MOST_NUMBERS = 2**26
# Products of a few numbers between this and its inverse are finite.
_FAR_BELOW_OVERFLOW = 1e50


def check_plan(plan: Plan) -> None:
    """Check the cells of a plan, as far as that is possible without solving.

    What cannot be wrong again is not checked again. If more than 10 000 checks were left, as many are made, evenly spread,
    and those of the least and the largest draws; a cell that is wrong nevertheless fails with the same message when it is
    computed.

    Raises
    ------
    InputError
        For the first cell that cannot be built.
    """
    for point, member in cells_to_check(plan):
        study = plan.cell_study(point, member)
        try:
            check(study, f"studies.{plan.name}")
        except InputError as error:
            drawn = plan.draws(point, member)
            where = ", ".join(f"{key} = {value}" for key, value in {**plan.points[point], **drawn}.items())
            place = f"member {member}, at" if drawn else "at"
            raise InputError(f"{error} ({place} {where})" if where else str(error)) from None


def cells_to_check(plan: Plan) -> Iterator[tuple[int, int]]:
    """Points and members that show whether the cells of a plan can be built."""
    points = _points(plan)
    if not plan.perturbed_keys:
        yield from ((point, 0) for point in _spread(points).tolist())
        return
    cells = points.size * plan.members
    chosen = _spread(np.arange(cells))
    if chosen.size < cells:
        chosen = np.unique(np.concatenate([chosen, *_extremes(plan, points)]))
    for number in chosen.tolist():
        yield int(points[number // plan.members]), number % plan.members


def _points(plan: Plan) -> NDArray[np.int64]:
    """Points among which there is each combination of what can be wrong together."""
    steps = any(
        isinstance(solver, PD3O) and (solver.primal_step is not None or solver.dual_step is not None)
        for solver in (plan.studies[point].solver for point in plan.sweep.distinct("solver")[0].tolist())
    )
    drawn = [(section_of(key),) for key in plan.perturbed_keys]
    together = [*_TOGETHER, *drawn, *([_STEPS] if steps else [])]
    return np.unique(np.concatenate([plan.sweep.distinct(*sections)[0] for sections in together]))


def _extremes(plan: Plan, points: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Cells with the least and the largest draw of each perturbed key, numbered as the members of the points."""
    found = []
    for key in plan.perturbed_keys:
        draws, rows = plan.drawn(key)
        _, places = np.unique(rows[points], return_index=True)
        for row, place in zip(np.unique(rows[points]), places, strict=True):
            ends = [int(np.argmin(draws[row])), int(np.argmax(draws[row]))]
            found.append(place * plan.members + np.array(ends))
    return found


def _spread(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """All numbers, or as many as may be checked, evenly spread, the first and the last among them."""
    if numbers.size <= _MOST_CHECKED:
        return numbers
    return numbers[np.linspace(0, numbers.size - 1, _MOST_CHECKED).astype(np.int64)]


def check(study: StudyConfig, prefix: str) -> None:
    """Check everything of a cell that can be checked without solving.

    Raises
    ------
    InputError
        If the densities, the energy or the sensors do not fit the grid, or given steps of the solver do not fit the
        energy.
    """
    _check_size(study, prefix)
    grid, energy, initial = model_of(study, prefix)
    has_data(study, prefix)
    observations = observations_of(study, grid, prefix)
    if isinstance(study.truth, ExactTruth):
        # To measure, kernels have to be loaded, which takes half a second.
        if not _surely_finite(observations, exact_truth(study, study.truth, grid, prefix), grid):
            build(study, prefix)
    else:
        own_grid, own_energy = truth_grid(study, study.truth), energy_of(study.truth.energy)
        own_initial = density_of(study.truth.initial, own_grid, f"{prefix}.truth.initial")
        check_energy(study.truth.energy, own_grid, f"{prefix}.truth.energy")
        own_problem = Problem(own_initial, own_energy, own_grid, study.time.tau / study.truth.substeps)
        _check_solver(study.truth.solver, own_problem, f"{prefix}.truth.solver")
    numbers = np.zeros(sum(len(o.labels) for o in observations))
    data = DataTerm(observations, numbers, study.theta).at_step(0) if observations else None
    _check_solver(study.solver, Problem(initial, energy, grid, study.time.tau, data), f"{prefix}.solver")
    check_time_scheme(study.time.scheme, study.solver, f"{prefix}.time.scheme")
    if study.time.scheme != "euler" and "optimality" in study.store.diagnostics:
        raise InputError(
            f"{prefix}.store.diagnostics: optimality is that of JKO steps, not of time.scheme {study.time.scheme}"
        )


def _check_size(study: StudyConfig, prefix: str) -> None:
    """Refuse what cannot fit into memory, such as a step of the wrong unit."""
    grid, times = study.grid, study.time.count
    levels, points = max(times, grid.nt) + 1, grid.nx + 1
    if isinstance(study.truth, SolvedTruth):
        levels = max(levels, times * study.truth.substeps + 1, (study.truth.nt or 0) + 1)
        points = max(points, (study.truth.nx or 2 * grid.nx) + 1)
    if levels * points > _MOST_NUMBERS:
        raise InputError(
            f"{prefix}: the densities of one member must be at most {_MOST_NUMBERS} numbers, got {points} points at "
            f"{levels} times; see grid.nx, grid.nt, time.tau"
        )


def _check_solver(solver: Solver, problem: Problem, where: str) -> None:
    """Check that a solver can take the first step."""
    if sentence := solver.why_not(problem):
        raise InputError(f"{where}: {sentence}")


def _surely_finite(observations: Sequence[Observation], densities: Array, grid: Grid) -> bool:
    """Whether measurements of densities, and sizes of their signals, are far from being too large for floating point."""
    with np.errstate(all="ignore"):
        powers = np.stack([np.ones_like(grid.x), grid.x, grid.x**2, *(f for o in observations for f in o.footprints(grid))])
        size = np.abs(powers) @ (grid.wx * densities).T
        return bool((size < _FAR_BELOW_OVERFLOW).all() and (size[0] > 1.0 / _FAR_BELOW_OVERFLOW).all())
