"""Check a plan before anything runs: what can be wrong with it depends on a few sections at a time, not on every cell."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dajko.errors import InputError
from dajko.study.config.ingredients import PD3OConfig
from dajko.study.design.plan import Plan
from dajko.study.design.sweep import section_of
from dajko.study.twin.experiment import check

# Cells that are checked, at most; more than these are a matter of minutes.
_MOST_CHECKED = 10_000

# Sections that can be wrong together. Noise and theta fit everything that they may be.
_TOGETHER = (("model", "grid", "time"), ("truth", "grid", "time", "observations"), ("solver",))
# With step sizes that a user gives, these can.
_STEPS = ("solver", "model", "grid", "time", "observations", "theta")


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
        isinstance(solver, PD3OConfig) and (solver.primal_step is not None or solver.dual_step is not None)
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
