"""Wild problems: what ``interior_point`` calls converged has the old mass, nothing negative, and no higher energy."""

from dataclasses import replace

import numpy as np

from dajko import InteriorPoint
from dajko.status import Status
from soak.verdict import figures, verdict, verdicts
from soak.wild import wild_problem

COUNT = 300


def test_what_is_called_converged_is_sound():
    converged = 0
    for seed in range(COUNT):
        problem = wild_problem(seed)
        step = InteriorPoint().solve(problem)
        assert step.status in (Status.CONVERGED, Status.NOT_CONVERGED, Status.FAILED)
        if step.status != Status.CONVERGED:
            continue
        converged += 1
        grid, old, new = problem.grid, problem.initial, step.density
        assert (new >= 0.0).all()
        for i in (0, 1):  # centred differences keep both masses
            np.testing.assert_allclose(grid.wx[i::2] @ new[i::2], grid.wx[i::2] @ old[i::2], rtol=1e-8)
        if problem.data is None:  # which are met up to the tolerance, whatever that is worth at a small theta
            before, after = problem.combined_energy(old), problem.combined_energy(new)
            assert after <= before + 1e-9 * max(abs(before), abs(after)) or not np.isfinite(before)
    assert converged >= 0.97 * COUNT


def test_verdicts_and_what_they_come_to():
    """The first problems, judged by mass, sign and a finer solve; none is called good that is not."""
    found = list(verdicts(list(range(60)), 1))
    assert not any(judged.doubtful for judged in found)
    known = figures(found)
    assert known["problems"] == sum(known["statuses"].values()) == 60
    assert known["without_fallback"] >= 0.95
    assert known["largest_mass_change"] < 1e-12
    assert known["least_density"] >= 0.0
    assert known["compared"] >= 40


def test_a_good_step_that_is_none_is_doubtful():
    good = replace(verdict(0), status="converged")
    assert not good.doubtful
    for damage in ({"mass": 1e-7}, {"least": -1e-9}, {"apart": 0.03}):
        assert replace(good, **damage).doubtful
        assert not replace(good, **damage, status="not_converged").doubtful
