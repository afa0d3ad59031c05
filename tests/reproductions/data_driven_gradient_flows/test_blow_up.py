"""What is said about chemotaxis: measures of concentration against closed forms, verdicts, thresholds."""

from types import SimpleNamespace

import numpy as np
import pytest

from dajko import Gaussian, Grid
from reproductions.data_driven_gradient_flows import concentration
from reproductions.data_driven_gradient_flows.claims import blow_up, optimality
from reproductions.data_driven_gradient_flows.finding import Verdict

# Measures


def flow(*densities, nx=100):
    grid = Grid(-1.0, 1.0, nx, 2)
    return SimpleNamespace(grid=grid, density=np.array([u(grid.x) for u in densities]), time=0.1 * np.arange(len(densities)))


def point(x):
    """Mass 2 at the node in the middle."""
    return np.where(np.abs(x) < 1e-12, 2.0 / (x[1] - x[0]), 0.0)


def two_points(x):
    return np.where(np.abs(np.abs(x) - 0.5) < 1e-12, 1.0 / (x[1] - x[0]), 0.0)


def test_a_smooth_density_does_not_grow_on_a_finer_grid_and_a_point_does():
    smooth = Gaussian(0.0, 0.2, 2.0)
    assert concentration.growth(flow(smooth, nx=100), flow(smooth, nx=200)) == pytest.approx(0.0, abs=1e-12)
    assert concentration.growth(flow(point, nx=100), flow(point, nx=200)) == pytest.approx(1.0)


def test_shares_clusters_and_the_time_to_the_limit():
    smooth = Gaussian(0.0, 0.2, 2.0)
    run = flow(smooth, two_points, two_points)
    nearly = 2 * run.grid.dx / (0.2 * np.sqrt(2 * np.pi)) * 2.0 / 1.0
    np.testing.assert_allclose(concentration.pair_share(run), [nearly, 1.0, 1.0], rtol=2e-2)
    np.testing.assert_allclose(concentration.clusters(run), [1.0, 1.0])
    assert concentration.time_to_limit(run) == pytest.approx(0.1)
    assert np.isnan(concentration.time_to_limit(flow(smooth)))


def test_close_sensors_may_be_trusted_less_where_they_are_wide():
    narrow, wide = (concentration.largest_theta(10.0, 4.0, width, 0.1, 2.0) for width in (0.02, 0.1))
    assert 0 < wide < narrow
    # Without blurring only the longest wave matters: 1 / (h theta) > chi / k - 1 / u.
    assert concentration.largest_theta(10.0, 4.0, 0.0, 0.1, 2.0) == pytest.approx(10.0 / (10.0 / (np.pi / 2.0) - 0.25))


# Claims


def test_moments_do_not_bound_the_density_and_sensors_do(stores):
    assert blow_up.boundedness(stores).verdict is Verdict.NOT_REPRODUCED
    assert blow_up.data(stores).verdict is Verdict.NOT_REPRODUCED
    grids = concentration.by_grid(stores.flows("blow-up-data"), concentration.measured)
    growth = {kind: concentration.growth(*flows) for kind, flows in grids}
    for kind in ("mass", "mass in each half", "expectation, variance", "4 sensors, spacing 0.5"):
        assert growth[kind] == pytest.approx(1.0, abs=0.05)
    for kind in ("16 sensors, spacing 0.125", "20 sensors, spacing 0.1"):
        assert growth[kind] == pytest.approx(0.0, abs=0.05)


class SensorsForMoments:
    """Stores in which what sensors do is said to be done by expectation and variance."""

    def __init__(self, stores):
        self.stores = stores

    def flows(self, name):
        if name == "figure-5-7":
            free = next(f for f in self.stores.flows(name) if np.isinf(f.theta))
            tied = next(f for f in self.stores.flows("blow-up-long") if concentration.sensors(f) == (20, 0.1))
            return (free, tied)
        return self.stores.flows(name)


def test_a_bounded_density_would_have_been_seen(stores, monkeypatch):
    said = concentration.measured
    monkeypatch.setattr(
        concentration,
        "measured",
        lambda f: "expectation, variance" if concentration.sensors(f)[0] == 20 else f"not {said(f)}",
    )
    assert blow_up.boundedness(SensorsForMoments(stores)).verdict is Verdict.REPRODUCED
    assert blow_up.data(stores).verdict is Verdict.REPRODUCED


def test_the_threshold_lies_where_it_should(stores):
    flows = [f for f in stores.flows("blow-up-chi") if np.isinf(f.theta)]
    growth = {
        chi: concentration.growth(*g)
        for chi, g in concentration.by_grid(flows, lambda f: f.config.model.energy.interaction.chi)
    }
    assert growth[1.5] < 0.1
    assert growth[3.5] > 0.9


def test_a_core_that_the_grid_resolves_bounds_the_density(stores):
    flows = concentration.by_grid(
        stores.flows("blow-up-core"), lambda f: (bool(np.isfinite(f.theta)), f.config.model.energy.interaction.core)
    )
    for (_, core), group in flows:
        if core == 0.0:
            assert concentration.growth(*group) > 0.9
        if core >= 0.1:
            assert abs(concentration.growth(*group)) < 0.05


def test_a_minimiser_satisfies_the_first_order_condition(stores):
    finding = optimality.first_order_condition(stores)
    assert finding.verdict is Verdict.REPRODUCED
    assert len(finding.tables[0].rows) == 4
    assert not any("\N{EN DASH}" in cell for row in finding.tables[0].rows for cell in row[1:])
