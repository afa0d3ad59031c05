"""Chemotaxis, figure 5.7: which data keep two bumps from concentrating to the grid's limit (docs/chemotaxis.md)."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import dajko
from dajko.study.config.parse import read_studies

MASS = 1.0 / (0.2 * np.sqrt(np.pi))
TAU, STEPS, HALF_WIDTH = 1e-3, 20, 1.0
MOMENTS = ("expectation", "variance")
HALVES = (dajko.IntervalMasses([-1.0, 0.0, 1.0]),)
COARSE, FINE = 50, 100


def sensors(number, width):
    """Evenly spaced over the interval."""
    spacing = 2.0 * HALF_WIDTH / number
    return (dajko.Sensors(-HALF_WIDTH + spacing * (np.arange(number) + 0.5), width),)


@cache
def flow(chi, nx, observations=(), theta=1e-4, core=0.0):
    """Densities over time from the paper's two bumps, with data of the flow with chi = 2."""
    grid = dajko.Grid(-HALF_WIDTH, HALF_WIDTH, nx=nx, nt=2)
    start = dajko.GaussianMixture([-1 / 3, 1 / 3], std=0.2 / np.sqrt(2.0), mass=MASS)(grid.x)
    energy = dajko.Energy(dajko.Entropy(), interaction=dajko.Logarithmic(chi, core))
    data = None
    if observations:
        truth_grid, truth = flow(2.0, 100)
        data = dajko.DataTerm(observations, dajko.measure(observations, truth[1:], truth_grid), theta)
    run = dajko.evolve(start, energy, grid, TAU, STEPS, data)
    assert (run.status == dajko.Status.CONVERGED).all()
    return grid, run.density.values


def pair(grid, density):
    """Largest mass in two neighbouring nodes, as a share of the mass of one bump."""
    mass = grid.wx * density
    return (mass[1:] + mass[:-1]).max() / (0.5 * mass.sum())


def growth(*args, **kwargs):
    """Exponent p of the largest density ~ dx^-p between two grids: 1 at the grid's limit, 0 where it is resolved."""
    coarse, fine = (flow(args[0], nx, *args[1:], **kwargs)[1][-1].max() for nx in (COARSE, FINE))
    return np.log(fine / coarse) / np.log(FINE / COARSE)


def test_below_the_threshold_it_spreads():
    """chi M < 2 pi; each bump has half the mass, and its largest density falls on both grids alike."""
    assert 2 * np.pi > MASS * 2.0
    _, density = flow(2.0, FINE)
    assert (np.diff(density.max(axis=1)) < 0).all()
    assert abs(growth(2.0)) < 0.05


@pytest.mark.parametrize("nx", [COARSE, FINE])
def test_the_second_moment_without_data(nx):
    """d/dt int x^2 u = 2 M (1 - chi M / (2 pi)) as long as nothing reaches the walls, within the lag of a step."""
    grid, density = flow(2.0, nx)
    rate = (grid.integrate(grid.x**2 * density[-1]) - grid.integrate(grid.x**2 * density[0])) / (STEPS * TAU)
    assert rate == pytest.approx(2 * MASS * (1 - MASS / np.pi), abs=0.1 * MASS)


@pytest.mark.parametrize("observations", [(), MOMENTS, HALVES])
def test_bumps_concentrate_to_the_limit_of_the_grid(observations):
    """chi M / 2 > 2 pi: each bump alone blows up, and neither its place nor its mass stops that."""
    for nx in (COARSE, FINE):
        grid, density = flow(10.0, nx, observations)
        assert pair(grid, density[-1]) > 0.85
    assert growth(10.0, observations) == pytest.approx(1.0, abs=0.1)


def test_moments_are_as_measured_while_bumps_concentrate():
    grid, density = flow(10.0, FINE, MOMENTS)
    truth_grid, truth = flow(2.0, 100)
    found, expected = dajko.measure(MOMENTS, density[-1], grid), dajko.measure(MOMENTS, truth[-1], truth_grid)
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_sensors_closer_than_the_critical_length_prevent_it():
    """Spacing 0.1 against 2 pi / (chi max u) = 0.158; the wide ones also give back the truth."""
    _, truth = flow(2.0, FINE)
    critical = 2 * np.pi / (10.0 * truth[0].max())
    assert 0.1 < critical < 0.25
    for width in (0.05, 0.1):
        assert abs(growth(10.0, sensors(20, width))) < 0.15
        assert flow(10.0, FINE, sensors(20, width))[1].max() < 1.1 * truth.max()
    grid, density = flow(10.0, FINE, sensors(20, 0.1))
    assert grid.integrate(np.abs(density[-1] - truth[-1])) < 0.02 * MASS


@pytest.mark.parametrize(("number", "width", "theta"), [(4, 0.25, 1e-4), (20, 0.05, 10.0), (20, 0.02, 1e-4)])
def test_sensors_too_far_apart_too_weak_or_too_narrow_do_not(number, width, theta):
    _, density = flow(10.0, FINE, sensors(number, width), theta=theta)
    assert density[-1].max() > 4 * flow(2.0, FINE)[1].max()


def test_a_core_bounds_the_density_whatever_the_grid():
    assert abs(growth(10.0, core=0.1)) < 0.05
    assert growth(10.0, core=0.0) > 0.9


def test_the_bumps_of_the_studies_are_those_of_the_paper():
    study = read_studies(Path(__file__).parents[1] / "config" / "paper" / "chemotaxis.yaml").studies["figure-5-7"]
    assert study.model.initial.mass == pytest.approx(MASS, rel=1e-10)
    assert study.model.initial.std == pytest.approx(0.2 / np.sqrt(2.0), rel=1e-10)
    assert study.model.initial == study.truth.initial
