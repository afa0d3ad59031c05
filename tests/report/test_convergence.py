"""Orders of convergence, against orders that are known."""

import math

import numpy as np
import pytest

from dajko import distance
from dajko.grid import Grid
from dajko.report.convergence import convergence_table, fit_order, orders
from dajko.report.findings import findings
from dajko.report.reading import read_results
from dajko.status import Status
from dajko.study.store.labelled import open_study

TAUS = {"time": {"tau": 1e-3, "end": 8e-3}, "sweep": {"time.tau": [8e-3, 4e-3, 2e-3, 1e-3]}}


def finest(table):
    """The rows that are taken against the finest run."""
    return table[table["reference"] == "finest"]


@pytest.mark.parametrize("order", [0.5, 1.0, 2.0])
def test_exact_powers_give_their_order_without_error(order):
    h = np.array([0.4, 0.2, 0.1, 0.05])
    found, stderr, fitted, note = fit_order(h, 3.0 * h**order)
    assert found == pytest.approx(order)
    assert stderr == pytest.approx(0.0, abs=1e-7)
    assert (fitted, note) == (4, "")


def test_the_standard_error_is_that_of_the_textbook():
    h, noise = np.array([0.4, 0.2, 0.1, 0.05]), np.array([0.1, -0.05, -0.1, 0.05])
    found, stderr, _, _ = fit_order(h, np.exp(noise) * h**1.5)
    x, y = np.log(h), 1.5 * np.log(h) + noise
    slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    residual = y - y.mean() - slope * (x - x.mean())
    assert found == pytest.approx(slope)
    assert stderr == pytest.approx(math.sqrt((residual**2).sum() / 2 / ((x - x.mean()) ** 2).sum()))


@pytest.mark.parametrize(
    ("error", "note"),
    [
        ([0.1, 0.2, 0.4, 0.8], "no order: the error rises as the step size falls"),
        ([0.100, 0.102, 0.104, 0.105], "no order: the error rises as the step size falls"),
        ([0.8, 0.2, 0.3, 0.4], "no order: the error rises below the step size 0.2"),
        ([0.8, 0.4, 0.2, 0.3], "no order: the error rises below the step size 0.1"),
        ([0.8, 0.3, 0.205, 0.2], "no order: the error levels off at 0.2"),
        ([0.2, 0.2, 0.2, 0.2], "no order: the error levels off at 0.2"),
    ],
)
def test_errors_that_do_not_fall_have_no_order(error, note):
    """A slope through them would be contradicted by the table beside it; the order of the rows does not matter."""
    h, e = np.array([0.4, 0.2, 0.1, 0.05]), np.array(error)
    for places in ([0, 1, 2, 3], [3, 1, 0, 2]):
        order, stderr, fitted, said = fit_order(h[places], e[places])
        assert math.isnan(order)
        assert math.isnan(stderr)
        assert (fitted, said) == (4, note)


def test_too_few_step_sizes_are_said_not_printed_as_nan():
    found, stderr, fitted, note = fit_order(np.array([0.2, 0.1]), np.array([0.2, 0.1]))
    assert (found, fitted) == (pytest.approx(1.0), 2)
    assert math.isnan(stderr)
    assert "no standard error" in note
    found, _, fitted, note = fit_order(np.array([0.2, 0.1, 0.05]), np.array([0.2, 0.0, np.nan]))
    assert math.isnan(found)
    assert (fitted, note) == (1, "no order: it needs two step sizes with an error above 0")


def test_the_order_in_the_time_step_is_found_in_a_store(results_of):
    def cell(study, member):
        tau = study.time.tau
        return {"l1": tau, "l2": tau**2, "w2": math.sqrt(tau), "mass": 2.0}

    found = orders(convergence_table(results_of(TAUS, cell))).set_index("norm")
    np.testing.assert_allclose(found["order"][["l1", "l2", "w2"]], [1.0, 2.0, 0.5])
    assert (found["fitted"] == 4).all()
    assert set(found["reference"]) == {"truth"}


def test_medians_of_ensembles_and_every_value_of_the_other_keys(results_of):
    def cell(study, member):
        order = 1.0 if study.grid.time_rule == "right" else 2.0
        return {"l1": study.time.tau**order * [1.0, 1.0, 1e6][member]}

    changes = {**TAUS, "ensemble": {"members": 3}}
    changes["sweep"] = {**TAUS["sweep"], "grid.time_rule": ["right", "trapezoid"]}
    found = orders(convergence_table(results_of(changes, cell))).query("norm == 'l1'").set_index("grid_time_rule")
    assert found["order"]["right"] == pytest.approx(1.0)
    assert found["order"]["trapezoid"] == pytest.approx(2.0)


def test_against_the_finest_run_coarse_nodes_are_taken_out_of_it(results_of):
    """On nested grids u_h = 1 + h g gives |u_h - u_finest| = (h - h_finest) |g| at the common nodes."""
    sizes = [7, 14, 28, 56]

    def cell(study, member):
        h = 1.4 / study.grid.nx
        return {"density": lambda x: 1.0 + h * (2.0 + np.sin(50.0 * x)), "mass": 2.0}

    changes = {"sweep": {"grid.nx": sizes}, "store": {"density": "final"}, "report": {"reference": "finest"}}
    table = finest(convergence_table(results_of(changes, cell)))
    assert sorted(table["step"].unique()) == pytest.approx([0.05, 0.1, 0.2])
    for nx in sizes[:-1]:
        grid = Grid(-0.7, 0.7, nx, 1)
        expected = (grid.dx - 0.025) * grid.integrate(2.0 + np.sin(50.0 * grid.x)) / 2.0
        found = table[(table["norm"] == "l1") & np.isclose(table["step"], grid.dx)]["median"]
        assert found.item() == pytest.approx(float(expected), rel=1e-9)


def test_a_computed_tree_against_its_finest_run(tree_study):
    stored = open_study(tree_study)
    finals = {
        int(n["grid_nx"][0]): n["density"].sel(grid_time_rule="right").values[0, 0, -1] for n in stored.children.values()
    }
    table = finest(convergence_table(read_results(tree_study)))
    grid = Grid(-0.7, 0.7, 8, 1)
    rows = table[(table["grid_time_rule"] == "right") & np.isclose(table["step"], grid.dx)].set_index("norm")
    assert rows["median"]["l2"] == pytest.approx(float(distance.l2(finals[8], finals[32][::4], grid)))
    assert rows["median"]["w2"] == pytest.approx(float(distance.w2(finals[8], finals[32][::4], grid)))
    found = orders(table)
    assert len(found) == 2 * 3
    assert (found["fitted"] == 2).all()
    assert found["note"].str.match("no standard error|no order: the error (rises|levels off)").all()


def test_the_solver_tolerance_is_always_compared_with_the_smallest(results_of):
    changes = {"sweep": {"solver.tol": [1e-1, 1e-2, 1e-3, 1e-9]}}
    found = orders(convergence_table(results_of(changes, lambda study, member: {"density": 1.0 + study.solver.tol})))
    assert finest(found).set_index("norm")["order"]["l1"] == pytest.approx(1.0, abs=1e-5)
    truth = found[found["reference"] == "truth"]
    assert truth["order"].isna().all()
    assert truth["note"].str.startswith("no order: the error levels off").all()


def test_beside_the_finest_run_stands_the_truth(results_of):
    """What converges to the finest run may move away from the truth, and is not told without it."""
    changes = {"sweep": {"grid.nt": [2, 4, 8, 16]}, "report": {"reference": "finest"}}

    def cell(study, member):
        h = 1.0 / study.grid.nt
        return {"density": 1.0 + h, "mass": 2.0, "l1": 0.5 - h / 2}

    results = results_of(changes, cell)
    table = convergence_table(results)
    table = table[table["norm"] == "l1"]
    np.testing.assert_allclose(finest(table)["step"], [0.5, 0.25, 0.125])
    np.testing.assert_allclose(finest(table)["median"], 1.4 / 2.0 * (finest(table)["step"] - 1 / 16))
    truth = table[table["reference"] == "truth"]
    np.testing.assert_allclose(truth["step"], [0.5, 0.25, 0.125, 0.0625])
    np.testing.assert_allclose(truth["median"], 0.5 - truth["step"] / 2)
    found = orders(table).set_index("reference")
    assert found["order"]["finest"] > 1.0
    assert math.isnan(found["order"]["truth"])
    (sentence,) = findings(results.axes, {"convergence": table, "orders": orders(table)})
    assert "compared with the finest run, order 1." in sentence
    assert "; compared with the truth, no order: the error rises as the step size falls." in sentence
    rises = "The L¹ error against the truth rises from 25\N{NO-BREAK SPACE}% of the mass at step size 0.5 to "
    assert f"{rises}47\N{NO-BREAK SPACE}% at 0.0625: what is left there belongs to what is not refined here" in sentence
    assert "errors cancel in part" in sentence


def test_the_finest_run_is_one_that_converged(results_of):
    def cell(study, member):
        finest = study.solver.tol == 1e-9
        return {"density": 1.0 + study.solver.tol, "status": Status.NOT_CONVERGED if finest else Status.CONVERGED}

    table = convergence_table(results_of({"sweep": {"solver.tol": [1e-1, 1e-2, 1e-3, 1e-9]}}, cell))
    rows = finest(table)[finest(table)["norm"] == "l2"].set_index("step")
    assert 1e-3 not in rows.index
    assert rows["median"][1e-1] == pytest.approx(0.099 * math.sqrt(1.4))
    assert rows["left_out"].to_dict() == {1e-1: 0, 1e-2: 0, 1e-9: 1}
    assert (orders(finest(table))["left_out"] == 1).all()


def test_no_run_that_converged_is_no_order(results_of):
    changes = {"sweep": {"solver.tol": [1e-1, 1e-2, 1e-3]}}
    assert convergence_table(results_of(changes, lambda study, member: {"status": Status.FAILED})).empty


def test_other_end_times_are_not_compared(results_of):
    changes = {"time": {"tau": 1e-3, "steps": 2}, "sweep": {"time.tau": [4e-3, 2e-3, 1e-3]}}
    found = orders(convergence_table(results_of(changes, lambda study, member: {"l1": study.time.tau})))
    assert found["order"].isna().all()
    assert found["note"].str.contains(r"give time\.end").all()


def test_keys_that_vary_with_the_resolution(results_of):
    changes = {"zip": {"grid.nx": [7, 14, 28], "grid.nt": [2, 4, 8]}}
    table = convergence_table(results_of(changes, lambda study, member: {"w2": 1.0 / study.grid.nx}))
    assert set(table["resolution"]) == {"grid.nx"}
    assert orders(table).set_index("norm")["order"]["w2"] == pytest.approx(1.0)


def test_there_is_nothing_without_resolutions_or_densities(results_of, make_study, tmp_path):
    assert convergence_table(results_of({"sweep": {"noise.level": [0.0, 0.1]}}, lambda study, member: {})).empty
    changes = {"sweep": {"grid.nt": [1, 2, 4]}, "store": {"density": "none"}, "report": {"reference": "finest"}}
    assert convergence_table(read_results(make_study(tmp_path / "none", changes, lambda study, member: {}))).empty
