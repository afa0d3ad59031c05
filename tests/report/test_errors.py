"""Statistics over the ensemble, against NumPy on the labelled store."""

import numpy as np
import pytest

from dajko.report.errors import cell_errors, error_table, over_time, status_table
from dajko.report.reading import read_results
from dajko.status import Status
from dajko.study.store.labelled import open_study


def row(table, norm, statistic, **values):
    chosen = table[(table["norm"] == norm) & (table["statistic"] == statistic)]
    for name, value in values.items():
        chosen = chosen[chosen[name] == value]
    assert len(chosen) == 1
    return chosen.iloc[0]


@pytest.mark.parametrize("norm", ["l1", "l2", "w2"])
@pytest.mark.parametrize("statistic", ["mean", "final"])
def test_statistics_are_those_of_numpy(theta_study, norm, statistic):
    table = error_table(read_results(theta_study))
    stored = open_study(theta_study).sel(theta=1e-3, noise_level=0.1)
    values = stored[f"error_{norm}"].values
    if norm == "l1":
        values = values / stored["mass"].values[:, [0]]
    values = values[:, 1:].mean(axis=1) if statistic == "mean" else values[:, -1]
    found = row(table, norm, statistic, theta=1e-3, noise_level=0.1)
    assert found["median"] == pytest.approx(np.median(values))
    assert found["q05"] == pytest.approx(np.quantile(values, 0.05))
    assert found["q95"] == pytest.approx(np.quantile(values, 0.95))
    assert (found["used"], found["left_out"]) == (3, 0)


def test_the_table_is_tidy(theta_study):
    table = error_table(read_results(theta_study))
    assert list(table.columns) == [
        "point", "theta", "noise_level", "norm", "statistic", "median", "q05", "q95", "used", "left_out"
    ]  # fmt: skip
    assert len(table) == 8 * 3 * 2


def test_the_first_error_is_relative_to_the_mass(results_of):
    results = results_of({}, lambda study, member: {"l1": 0.25, "l2": 0.25, "mass": 4.0})
    assert row(error_table(results), "l1", "final")["median"] == pytest.approx(0.25)
    assert row(error_table(results), "l2", "final")["median"] == pytest.approx(0.25)


def test_cells_that_did_not_converge_are_left_out_and_counted(results_of):
    status = [Status.CONVERGED, Status.FAILED, Status.NOT_CONVERGED, Status.FALLBACK]

    def cell(study, member):
        bad = not status[member].usable
        return {
            "l1": np.nan if status[member] == Status.FAILED else 100.0 if bad else 0.1 + member,
            "status": status[member],
        }

    results = results_of(
        {"ensemble": {"members": 5}, "block": 1}, lambda study, member: cell(study, member) if member < 4 else None
    )
    found = row(error_table(results), "l1", "mean")
    assert found["median"] == pytest.approx(np.median([0.1, 3.1]))
    assert (found["used"], found["left_out"]) == (2, 3)
    counts = status_table(results).set_index("status")["cells"]
    assert counts[counts > 0].to_dict() == {"pending": 1, "converged": 1, "fallback": 1, "not_converged": 1, "failed": 1}
    assert cell_errors(results)["l1_mean"].isna().sum() == 3
    band = over_time(results, 0, "l1")
    assert (band.used, band.left_out) == (2, 3)
    np.testing.assert_allclose(band.median, [0.0, 1.6, 1.6, 1.6, 1.6])


def test_without_a_converged_member_nothing_is_made_up(results_of):
    results = results_of({"sweep": {"theta": [1e-3, 1e-2]}}, lambda study, member: {"status": Status.FAILED})
    table = error_table(results)
    assert table[["median", "q05", "q95"]].isna().all(axis=None)
    assert (table["used"] == 0).all()
    assert (table["left_out"] == 1).all()
    assert np.isnan(over_time(results, 0, "w2").median).all()


def test_bands_over_time_are_those_of_numpy(theta_study):
    results, stored = read_results(theta_study), open_study(theta_study)
    point = results.points.query("theta == 1e-4 and noise_level == 0.1").index[0]
    energy = stored["energy"].sel(theta=1e-4, noise_level=0.1).values
    band = over_time(results, point, "energy")
    np.testing.assert_allclose(band.lower, np.quantile(energy, 0.05, axis=0))
    np.testing.assert_allclose(band.median, np.median(energy, axis=0))
    np.testing.assert_allclose(band.upper, np.quantile(energy, 0.95, axis=0))
    np.testing.assert_allclose(band.time, stored["time"])
