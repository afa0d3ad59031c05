"""The best theta, on errors whose minimum is known."""

import numpy as np
import pytest

from dajko.report.choice import best_theta
from dajko.status import Status

THETAS = [1e-4, 1e-3, 1e-2, 1e-1]


def valley(at):
    """Errors with their minimum at a theta."""
    return lambda theta: 0.1 + abs(np.log10(theta / at)) if np.isfinite(theta) else 9.0


def chosen(table, **values):
    table = table[(table["norm"] == "l1") & (table["statistic"] == "mean")]
    for name, value in values.items():
        table = table[table[name] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_each_noise_has_its_best_theta_and_says_whether_it_is_at_an_end(results_of):
    at = {0.0: (1e-4, "lower"), 0.1: (1e-3, ""), 0.2: (1e-2, ""), 0.5: (1e-1, "upper")}
    changes = {"sweep": {"theta": THETAS, "noise.level": list(at)}}
    table = best_theta(results_of(changes, lambda study, member: {"l1": valley(at[study.noise.level][0])(study.theta)}))
    for level, (theta, end) in at.items():
        best = chosen(table, noise_level=level)
        assert (best["theta"], best["end"]) == (theta, end)
        assert best["median"] == pytest.approx(0.1)
        assert np.isnan(best[["model_only", "data_only"]].astype(float)).all()


def test_the_limits_are_told_beside_but_not_chosen(results_of):
    def cell(study, member):
        return {"l1": 0.01 if study.theta == np.inf else 0.02 if study.theta < 1e-5 else valley(1e-2)(study.theta)}

    best = chosen(best_theta(results_of({"sweep": {"theta": THETAS}, "limits": True}, cell)))
    assert (best["theta"], best["model_only"], best["data_only"]) == (1e-2, pytest.approx(0.01), pytest.approx(0.02))


def test_an_infinite_theta_in_the_list_is_the_model_alone(results_of):
    results = results_of({"sweep": {"theta": [1e-3, np.inf]}}, lambda study, member: {"l1": valley(1e-3)(study.theta)})
    best = chosen(best_theta(results))
    assert (best["theta"], best["end"], best["model_only"]) == (1e-3, "only", pytest.approx(9.0))


def test_the_median_decides_and_members_say_how_sure(results_of):
    at = [1e-4, 1e-3, 1e-3, 1e-3, 1e-2]
    changes = {"sweep": {"theta": THETAS}, "ensemble": {"members": 5}}
    best = chosen(best_theta(results_of(changes, lambda study, member: {"l1": valley(at[member])(study.theta)})))
    assert (best["theta"], best["member_low"], best["member_high"]) == (1e-3, 1e-4, 1e-2)


def test_thetas_without_a_converged_member_are_not_chosen(results_of):
    def cell(study, member):
        bad = study.theta == 1e-3 or study.noise.level == 0.5
        return {"l1": valley(1e-3)(study.theta), "status": Status.FAILED if bad else Status.CONVERGED}

    table = best_theta(results_of({"sweep": {"theta": THETAS[:3], "noise.level": [0.1, 0.5]}}, cell))
    assert set(table["noise_level"]) == {0.1}
    assert chosen(table)["theta"] in (1e-4, 1e-2)


def test_keys_that_vary_with_theta_are_no_combinations(results_of):
    changes = {"zip": {"theta": THETAS, "noise.level": [0.1, 0.2, 0.3, 0.4]}}
    best = chosen(best_theta(results_of(changes, lambda study, member: {"l1": valley(1e-2)(study.theta)})))
    assert best["theta"] == 1e-2


def test_without_theta_in_the_sweep_there_is_no_choice(results_of):
    assert best_theta(results_of({"sweep": {"noise.level": [0.0, 0.1]}}, lambda study, member: {})).empty
