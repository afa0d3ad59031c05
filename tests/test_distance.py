"""Distances against closed forms and POT."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dajko import Gaussian, Grid
from dajko.distance import kantorovich_potential, l1, l2, w2

with warnings.catch_warnings():  # its docstrings hold escapes that Python warns of when it first compiles them
    warnings.simplefilter("ignore")
    import ot

SMALL = Grid(0.0, 2.0, 8, 1)
DENSITIES = arrays(float, SMALL.nx + 1, elements=st.just(0.0) | st.floats(1e-6, 10.0)).filter(lambda u: u.max() > 0)


def bumpy(seed, grid, share_of_vacuum=0.4):
    rng = np.random.default_rng(seed)
    return rng.exponential(size=grid.nx + 1) * (rng.uniform(size=grid.nx + 1) > share_of_vacuum)


@pytest.mark.parametrize("c", [2.0, -0.5])
def test_l1_and_l2_of_a_constant_difference(c):
    grid, u = Grid(-1.0, 1.5, 20, 1), np.linspace(1.0, 2.0, 21)
    assert l1(u, u + c, grid) == pytest.approx(2.5 * abs(c), rel=1e-13)
    assert l2(u, u + c, grid) == pytest.approx(np.sqrt(2.5) * abs(c), rel=1e-13)


def test_l1_and_l2_of_a_line():
    """int |x| over (-1, 1) has a node at the kink; int x^2 is that of the trapezoidal rule."""
    grid = Grid(-1.0, 1.0, 20, 1)
    assert l1(grid.x, np.zeros(21), grid) == pytest.approx(1.0, rel=1e-13)
    assert l2(grid.x, np.zeros(21), grid) == pytest.approx(np.sqrt(2.0 / 3.0 + 2.0 * grid.dx**2 / 6.0), rel=1e-13)


@pytest.mark.parametrize("cells", [0, 1, 7])
def test_w2_of_a_translation(cells):
    grid = Grid(-1.0, 1.5, 50, 1)
    u = np.zeros(51)
    u[3:30] = bumpy(1, Grid(0.0, 1.0, 26, 1))
    assert w2(u, np.roll(u, cells), grid) == pytest.approx(cells * grid.dx, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("mean", "std"), [(0.0, 0.4), (0.3, 0.2), (-0.2, 0.35)])
def test_w2_of_gaussians(mean, std):
    """W2^2 = (difference of means)^2 + (difference of standard deviations)^2, up to the square of the mesh size."""
    grid = Grid(-3.0, 3.0, 600, 1)
    exact = np.hypot(mean, std - 0.2)
    assert w2(Gaussian(0.0, 0.2)(grid.x), Gaussian(mean, std)(grid.x), grid) == pytest.approx(exact, rel=1e-4)


def test_w2_of_densities_that_underflow():
    """A narrow Gaussian has nodes whose mass is so small that a width divided by it overflows."""
    grid = Grid(-1.0, 1.0, 800, 1)
    u, v = Gaussian(0.0, 0.02)(grid.x), Gaussian(0.1, 0.1)(grid.x)
    assert 0.0 < u[u > 0].min() < 1e-308
    assert w2(u, v, grid) == pytest.approx(np.hypot(0.1, 0.08), rel=2e-3)


@pytest.mark.parametrize("seed", range(8))
def test_w2_against_pot(seed):
    """POT on samples that fill each cell evenly; vacuum gaps included."""
    grid, fine = Grid(-1.0, 1.0, 20, 1), 400
    u, v = bumpy(seed, grid), bumpy(seed + 100, grid)
    left = np.maximum(grid.x - grid.dx / 2, grid.left)
    samples = (left[:, None] + grid.wx[:, None] * (np.arange(fine) + 0.5) / fine).ravel()
    p, q = (np.repeat(grid.wx * d / grid.integrate(d) / fine, fine) for d in (u, v))
    expected = np.sqrt(ot.wasserstein_1d(samples, samples, p, q, p=2))
    assert w2(u, v, grid) == pytest.approx(expected, rel=1e-4)


def test_w2_across_a_vacuum_gap():
    """Two bumps of one cell, masses 1/2, 1/2 and 1/4, 3/4: a quarter of the mass crosses the gap."""
    grid = Grid(0.0, 10.0, 100, 1)
    u, v = np.zeros(101), np.zeros(101)
    u[[20, 80]], v[[20, 80]] = [0.5, 0.5], [0.25, 0.75]
    # Quantile functions, linear on each of three intervals: differences at their ends.
    h, pieces = grid.dx, 0.0
    for length, start, end in [
        (0.25, 0.0, h / 2 - h),
        (0.25, h / 2 - 6.0, h - (6.0 + h / 3)),
        (0.5, -h / 3, 0.0),
    ]:
        pieces += length * (start**2 + start * end + end**2) / 3
    assert w2(u, v, grid) == pytest.approx(np.sqrt(pieces), rel=1e-12)


@given(u=DENSITIES, v=DENSITIES, w=DENSITIES)
def test_w2_is_a_metric(u, v, w):
    distance = float(w2(u, v, SMALL))
    assert 0.0 <= distance <= 2.0
    assert w2(u, u, SMALL) == pytest.approx(0.0, abs=1e-12)
    assert distance == pytest.approx(float(w2(v, u, SMALL)), rel=1e-9, abs=1e-9)
    assert distance <= w2(u, w, SMALL) + w2(w, v, SMALL) + 1e-9


@given(u=DENSITIES, v=DENSITIES, factor=st.floats(1e-3, 1e3))
def test_w2_ignores_the_mass(u, v, factor):
    assert w2(factor * u, v, SMALL) == pytest.approx(float(w2(u, v, SMALL)), rel=1e-9, abs=1e-7)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_density_that_is_not_finite_gives_nan_in_its_row_only(bad):
    u = np.ones((3, SMALL.nx + 1))
    u[1, 4] = bad
    v = np.linspace(0.0, 1.0, SMALL.nx + 1)
    for a, b in [(u, v), (v, u)]:
        assert np.isnan(w2(a, b, SMALL)).tolist() == [False, True, False]
        assert np.isfinite(l1(a, b, SMALL)).tolist() == [True, False, True]
        assert np.isfinite(l2(a, b, SMALL)).tolist() == [True, False, True]
    assert np.isnan(w2(np.zeros_like(v), v, SMALL))


def test_distances_broadcast_over_leading_axes():
    u, v = np.stack([bumpy(s, SMALL) for s in range(6)]).reshape(2, 3, -1), bumpy(9, SMALL)
    for distance in (l1, l2, w2):
        result = distance(u, v, SMALL)
        assert result.shape == (2, 3)
        assert result[1, 2] == pytest.approx(float(distance(u[1, 2], v, SMALL)), rel=1e-14)


def test_kantorovich_potential_of_gaussians_is_a_parabola():
    """From N(-0.02, 0.15) to N(0.05, 0.2) mass at x comes from -0.02 + 0.75 (x - 0.05); second order in dx."""
    sizes, errors = [40, 80, 160, 320], []
    for nx in sizes:
        grid = Grid(-1.5, 1.5, nx, 1)
        u, v = Gaussian(0.05, 0.2)(grid.x), Gaussian(-0.02, 0.15, 3.0)(grid.x)
        exact = 0.5 * grid.x**2 - (-0.02 * grid.x + 0.375 * (grid.x - 0.05) ** 2)
        exact -= grid.integrate(u * exact) / grid.integrate(u)
        errors.append(np.sqrt(grid.integrate(u * (kantorovich_potential(u, v, grid) - exact) ** 2)))
    assert abs(-np.polyfit(np.log(sizes), np.log(errors), 1)[0] - 2.0) < 0.1


def test_kantorovich_potential_of_a_shift_is_linear_and_unknown_in_vacuum():
    grid = Grid(0.0, 1.0, 20, 1)
    v = np.zeros(21)
    v[4:9] = [1.0, 0.0, 2.0, 0.0, 0.5]
    u = np.roll(v, 6)
    potential = kantorovich_potential(u, v, grid)
    np.testing.assert_array_equal(np.isnan(potential), u == 0.0)
    there = u > 0.0
    slope = 6 * grid.dx
    mean = grid.x[there] @ u[there] / u.sum()
    np.testing.assert_allclose(potential[there], slope * (grid.x[there] - mean), atol=1e-14)


def test_kantorovich_potential_solves_the_dual_problem():
    """It and its transform ``min_x (|x - y|^2 / 2 + ...)`` attain half the squared distance."""
    grid = Grid(-1.0, 1.0, 400, 1)
    u, v = Gaussian(0.1, 0.2)(grid.x), Gaussian(-0.1, 0.1)(grid.x) + Gaussian(0.3, 0.05)(grid.x)
    u, v = u / grid.integrate(u), v / grid.integrate(v)
    potential = kantorovich_potential(u, v, grid)
    transform = (0.5 * (grid.x[:, None] - grid.x) ** 2 - potential).min(axis=1)
    dual = grid.integrate(potential * u) + grid.integrate(transform * v)
    np.testing.assert_allclose(dual, 0.5 * w2(u, v, grid) ** 2, rtol=1e-3)
