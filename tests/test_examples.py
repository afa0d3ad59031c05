"""The examples of config/examples, run as studies, against closed forms."""

from pathlib import Path

import numpy as np
import pytest

import dajko
from dajko.distance import l1
from dajko.profile.gaussian import Gaussian
from dajko.study.config.parse import read_studies
from dajko.study.config.study import LocalCluster
from dajko.study.execution.cluster import open_cluster
from dajko.study.twin.experiment import build
from tests.clusters import scheduler_of

FOLDER = Path(__file__).parents[1] / "config" / "examples"


@pytest.fixture(scope="module")
def address():
    with open_cluster(LocalCluster(workers=1), blocks=1) as client:
        yield scheduler_of(client)


@pytest.fixture
def run(address, tmp_path):
    """Runs a study of a file; returns its one cell and its ingredients."""

    def run(file, name):
        study = read_studies(FOLDER / f"{file}.yaml").studies[name]
        report = dajko.run_study(study, tmp_path / name, address, quiet=True)
        assert report.counts["converged"] == 1
        return dajko.open_study(tmp_path / name).load(), build(study, name)

    return run


def test_there_is_a_test_for_every_example():
    names = {name for file in FOLDER.glob("*.yaml") for name in read_studies(file).studies}
    assert {f"test_{name.replace('-', '_')}" for name in names} < set(globals())


def test_heat(run):
    """The variance grows by 2 t, and the density stays the Gaussian."""
    ds, e = run("heat", "heat")
    spread = ds.observed.sel(observation="spread").values.ravel()
    assert spread[-1] - spread[0] == pytest.approx(2 * 0.06, rel=5e-3)
    assert l1(ds.density.values[..., -1, :].ravel(), Gaussian(0.0, 0.4)(e.grid.x), e.grid) < 5e-3


def test_fokker_planck(run):
    """The energy falls to that of the Gaussian of variance 1 / 4 at the rate 2 k = 8, or 2 log(1 + k tau) / tau in steps."""
    ds, e = run("fokker-planck", "fokker-planck")
    steady = Gaussian(0.0, 0.5)(e.grid.x)
    excess = ds.energy.values.ravel() - e.energy.value(steady, e.grid)
    rate = -np.polyfit(ds.time.values[:161], np.log(excess[:161]), 1)[0]
    assert rate == pytest.approx(2 * np.log(1 + 4 * 5e-3) / 5e-3, rel=1e-2)
    assert rate == pytest.approx(8.0, rel=2e-2)
    assert l1(ds.density.values.reshape(-1, 101)[-1], steady, e.grid) < 2e-2


def test_double_well(run):
    """From either side to exp(-V)."""
    ds, e = run("double-well", "double-well")
    steady = np.exp(-((e.grid.x**2 / 0.25 - 1) ** 2))
    steady /= e.grid.integrate(steady)
    density, truth = ds.density.values.reshape(-1, 81), ds.truth.values.reshape(-1, 81)
    assert l1(density[0], truth[0], e.grid) > 1.99
    assert l1(density[-1], steady, e.grid) < 1e-3
    assert l1(truth[-1], steady, e.grid) < 1e-3


def test_aggregation_diffusion(run):
    """The parabola s M (R^2 - (x - mean)^2) / 4 with R^3 = 3 / s."""
    ds, e = run("aggregation", "aggregation-diffusion")
    radius = (3 / 24) ** (1 / 3)
    steady = 24 * 2.0 / 4 * np.maximum(radius**2 - (e.grid.x - 0.1) ** 2, 0.0)
    density, truth = ds.density.values.reshape(-1, 89), ds.truth.values.reshape(-1, 89)
    assert l1(density[0], truth[0], e.grid) > 0.2 * 2.0
    assert l1(density[-1], steady, e.grid) < 1e-2 * 2.0
    assert l1(truth[-1], steady, e.grid) < 1e-2 * 2.0


def test_attraction_repulsion(run):
    """The density 1 on (-1, 1), whose energy is -2/3."""
    ds, e = run("aggregation", "attraction-repulsion")
    density = ds.density.values.reshape(-1, 61)[-1]
    steady = np.where(np.abs(e.grid.x) < 1.0 + 1e-9, 1.0, 0.0)
    steady[np.isclose(np.abs(e.grid.x), 1.0)] = 0.5
    assert ds.energy.values.ravel()[-1] == pytest.approx(-2 / 3, rel=2e-3)
    assert l1(density, steady, e.grid) < 0.06 * 2.0
