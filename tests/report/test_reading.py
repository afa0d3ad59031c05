"""Studies as reports read them: every point of every shape of sweep, and summaries that are up to date."""

import shutil

import numpy as np
import pytest

from dajko.errors import InputError
from dajko.report.reading import read_results
from dajko.status import Status
from dajko.study.store.labelled import open_study
from dajko.study.store.variables import CELLS, SUMMARY


def test_every_point_has_the_numbers_of_the_store(theta_study):
    results, stored = read_results(theta_study), open_study(theta_study)
    assert results.parameters == ["theta", "noise_level"]
    assert len(results.points) == 8
    assert results.counts[Status.CONVERGED] == 24
    for point, row in results.points.iterrows():
        expected = stored["error_w2"].sel(theta=row["theta"], noise_level=row["noise_level"])
        np.testing.assert_array_equal(results.along(point)["error_w2"], expected)


def test_trees_are_read_as_one_list_of_points(tree_study):
    results, stored = read_results(tree_study), open_study(tree_study)
    assert sorted(results.points["grid_nx"]) == [8, 8, 16, 16, 32, 32]
    assert list(results.points.index) == list(range(6))
    for point, row in results.points.iterrows():
        node = next(n for n in stored.children.values() if n["grid_nx"] == row["grid_nx"])
        expected = node["error_l1"].sel(grid_nx=row["grid_nx"], grid_time_rule=row["grid_time_rule"])
        np.testing.assert_array_equal(results.along(point)["error_l1"], expected)


def test_a_study_without_a_sweep_is_one_point(results_of):
    results = results_of({"ensemble": {"members": 2}}, lambda study, member: {"l1": 0.1 * (member + 1)})
    assert results.parameters == []
    assert len(results.points) == 1
    np.testing.assert_allclose(results.along(0)["error_l1"][:, -1], [0.1, 0.2])


def test_keys_that_vary_together_are_one_axis(results_of):
    changes = {"zip": {"theta": [1e-4, 1e-3], "noise.level": [0.3, 0.1]}, "sweep": {"grid.nt": [1, 2]}}
    results = results_of(changes, lambda study, member: {"l1": study.theta})
    assert [axis.keys for axis in results.axes] == [("grid.nt",), ("theta", "noise.level")]
    assert results.others("theta") == [results.axis("grid_nt")]
    for point, row in results.points.iterrows():
        assert results.along(point)["error_l1"][0, -1] == row["theta"]
        assert row["noise_level"] == {1e-4: 0.3, 1e-3: 0.1}[row["theta"]]


@pytest.mark.parametrize("keep", ["all", "final"])
def test_densities_are_those_of_the_members_that_were_asked_for(results_of, keep):
    changes = {"store": {"density": keep}, "ensemble": {"members": 3}, "sweep": {"theta": [1e-3, np.inf]}}
    results = results_of(changes, lambda study, member: {"density": member + 10.0 * np.isinf(study.theta)})
    fields = results.fields(1, [0, 2])
    assert fields.density.shape == (2, 5 if keep == "all" else 1, 13)
    assert fields.time[-1] == pytest.approx(2e-3)
    np.testing.assert_array_equal(fields.density[:, -1, 0], [10.0, 12.0])
    assert results.fields(0, [1], final=True).density.shape == (1, 1, 13)


def test_without_densities_the_rest_can_be_read(results_of):
    results = results_of({"store": {"density": "none"}}, lambda study, member: {})
    assert not results.has_fields
    with pytest.raises(InputError, match="holds no densities"):
        results.fields(0, [0])


def test_a_summary_alone_is_enough(theta_study, tmp_path):
    shutil.copytree(theta_study / SUMMARY, tmp_path / "sent" / SUMMARY)
    results = read_results(tmp_path / "sent")
    assert results.counts[Status.CONVERGED] == 24
    assert not results.has_fields


def test_the_summary_follows_the_cells(make_study, tmp_path):
    changes = {"ensemble": {"members": 2}, "block": 1}
    directory = make_study(tmp_path / "study", changes, lambda study, member: {} if member == 0 else None)
    counts = read_results(directory).counts
    assert {status: n for status, n in counts.items() if n} == {Status.PENDING: 1, Status.CONVERGED: 1}
    make_study(directory, changes, lambda study, member: {}, summary=False)
    assert read_results(directory).counts[Status.CONVERGED] == 2
    shutil.rmtree(directory / SUMMARY)
    assert read_results(directory).counts[Status.CONVERGED] == 2


def test_a_directory_without_a_store_is_an_error(tmp_path):
    assert not (tmp_path / CELLS).exists()
    with pytest.raises(InputError, match=r"there is no summary\.zarr here"):
        read_results(tmp_path)
