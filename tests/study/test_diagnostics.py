"""Diagnostics of a study: what they store, that they change nothing else, and that the report shows them."""

import numpy as np
import pytest

from dajko.certify.optimality import STORED, optimality
from dajko.data.data_term import DataTerm
from dajko.errors import InputError
from dajko.flow import Flow, steps_in_time
from dajko.problem.problem import Problem
from dajko.report.figures import plot_study
from dajko.study.store.labelled import open_study, open_summary, write_summary
from dajko.study.store.variables import ALL_VARIABLES, DIAGNOSTICS, NOT_REPRODUCIBLE, VARIABLES
from dajko.study.twin.experiment import build, simulate

ON = {"store.diagnostics": ["optimality"]}
INTERIOR_POINT = {"solver": {"kind": "interior_point"}}


def test_off_by_default(make, computed, tmp_path):
    assert make().study.store.diagnostics == []
    assert not set(DIAGNOSTICS["optimality"]) & set(open_study(computed(tmp_path / "off").path.parent))


@pytest.mark.parametrize("solver", [{}, INTERIOR_POINT])
def test_everything_else_is_the_same_to_the_last_bit(computed, tmp_path, solver):
    plain, checked = (
        open_study(computed(tmp_path / name, {**solver, **changes}).path.parent).load()
        for name, changes in (("plain", {}), ("checked", ON))
    )
    assert set(checked) - set(plain) == set(DIAGNOSTICS["optimality"]) == set(STORED)
    for name in set(VARIABLES) - set(NOT_REPRODUCIBLE):
        np.testing.assert_array_equal(plain[name].values, checked[name].values)


def test_what_is_stored_is_the_optimality_of_each_step(make, computed, tmp_path):
    directory = computed(tmp_path / "one", {**ON, **INTERIOR_POINT}).path.parent
    cell = open_study(directory).isel(theta=1, member=2).load()
    plan = make({**ON, **INTERIOR_POINT})
    e = build(plan.cell_study(1, 2), "study")
    term = DataTerm(e.observations, cell["data"].values[1:], e.theta)
    density, flow = e.initial, Flow(e.initial, e.energy, e.grid, e.tau, e.steps, term, e.solver)
    steps = steps_in_time(e.initial, e.energy, e.grid, e.tau, e.steps, term, e.solver)
    for n, step in enumerate(steps, start=1):
        problem = Problem(density, e.energy, e.grid, e.tau, term.at_step(n - 1))
        found = optimality(problem, step)
        for name, attribute in STORED.items():
            assert cell[name].values[n] == getattr(found, attribute)
        density = step.density
    assert flow.steps == n
    for name in STORED:
        assert np.isnan(cell[name].values[0])
        assert cell[name].attrs["long_name"] == ALL_VARIABLES[name].long_name
        assert cell[name].attrs["units"] == "1"
    assert (cell["optimality_gap"][1:] >= -1e-10).all()


def test_a_failed_cell_has_none(make):
    study = make({**ON, "truth.solution.m": 2.0}).studies[0]
    e = build(study, "study")
    broken = e.__class__(**{**vars(e), "data_exact": np.full_like(e.data_exact, 1e200)})
    found = simulate(broken, np.random.default_rng(0))
    assert np.isnan(found["optimality_gap"]).all()


def test_report_and_summary_show_them(computed, tmp_path):
    directory = computed(tmp_path / "shown", ON).path.parent
    write_summary(directory)
    assert set(STORED) <= set(open_summary(directory))
    assert "optimality.svg" in {path.name for path in plot_study(directory)}
    directory = computed(tmp_path / "hidden").path.parent
    write_summary(directory)
    assert "optimality.svg" not in {path.name for path in plot_study(directory)}


def test_an_unknown_diagnostic_is_an_error(make):
    with pytest.raises(InputError, match=r"store\.diagnostics"):
        make({"store.diagnostics": ["speed"]})
