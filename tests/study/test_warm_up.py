"""Kernels are compiled before the first block: those that the cells of a plan need."""

import pytest

from dajko.solvers.mass_elements import march as mass_elements
from dajko.solvers.primal_dual import march as primal_dual
from dajko.study.execution.simulate import run_cells
from dajko.study.execution.warm_up import parts, warm_up


@pytest.mark.parametrize(
    "changes",
    [
        {"grid.scheme": "finite_volume", "grid.nt": 1},
        {"grid.scheme": "finite_volume", "grid.nt": 3},
        {"grid.scheme": "finite_volume", "solver": {"kind": "quantile"}},
        {"sweep": {"grid.scheme": ["centred", "finite_volume"], "grid.nt": [1, 4]}},
    ],
    ids=str,
)
def test_cells_find_their_kernels_compiled(make, changes):
    """Eight members in lanes, and one alone."""
    plan = make({"solver": None, "ensemble.members": 8} | changes)
    for part in parts(plan):
        warm_up(part)
    compiled = [set(kernel.march_in_time.signatures) for kernel in (primal_dual, mass_elements)]
    for point in range(len(plan.points)):
        assert all(result.row for result in run_cells(plan, [(point, member) for member in range(8)]))
        run_cells(plan, [(point, 0)])
    assert compiled == [set(kernel.march_in_time.signatures) for kernel in (primal_dual, mass_elements)]
