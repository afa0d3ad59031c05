"""The odd-even mode and the width of densities against what can be computed by hand, and what flows make of them."""

import math
from math import comb

import numpy as np
import pytest

from dajko import Barenblatt, Energy, Entropy, Gaussian, Grid, InputError, evolve
from dajko.resolution import LEAST_RESOLUTION, MOST_ODD_EVEN, check_spreads, imbalance, odd_even, resolution

GRID = Grid(-0.7, 0.7, 100, 4)
SIGN = (-1.0) ** np.arange(101)


def box(cells, grid=GRID, first=30):
    u = np.zeros(grid.nx + 1)
    u[first : first + cells] = 1.0
    return u


@pytest.mark.parametrize("amplitude", [1e-6, 0.01, 0.5, 1.0])
def test_the_amplitude_of_a_mode(amplitude):
    smooth = Gaussian(std=0.4)(GRID.x)
    assert odd_even(smooth * (1.0 + amplitude * SIGN), GRID) == pytest.approx(amplitude, rel=2e-3)
    assert odd_even(np.ones(101) * (1.0 - amplitude * SIGN), GRID) == pytest.approx(amplitude, rel=1e-9)


def test_a_mode_on_a_small_part_of_the_mass():
    """What a narrow sensor leaves behind, on a tenth of the domain."""
    where = np.exp(-0.5 * ((GRID.x - 0.2) / 0.04) ** 2)
    found = odd_even(Gaussian(std=0.3)(GRID.x) * (1.0 + 0.05 * where * SIGN), GRID)
    assert 0.03 < found < 0.05


def test_the_definition_in_the_middle_of_a_gaussian():
    u = Gaussian(std=1.2 * GRID.dx)(GRID.x)
    weights = np.array([comb(12, k) for k in range(13)])
    window = u[44:57]
    assert odd_even(u, GRID) == pytest.approx(abs((weights * SIGN[:13]) @ window) / (weights @ window), rel=1e-12)


@pytest.mark.parametrize("m", [1.5, 2.0, 2.5, 3.0, 5.0])
@pytest.mark.parametrize("t0", [1e-4, 1e-3, 1e-2])
def test_fronts_are_no_mode(m, t0):
    """A Barenblatt profile is resolved though its slope jumps, or is infinite, at the front."""
    u = Barenblatt(m=m, t0=t0)(GRID.x)
    assert odd_even(u, GRID) < 1e-3 < MOST_ODD_EVEN
    assert resolution(u, GRID) > 7.0 > LEAST_RESOLUTION


@pytest.mark.parametrize("cells", [1, 2, 3, 5])
def test_the_width_of_boxes(cells):
    assert resolution(box(cells), GRID) == pytest.approx(cells, rel=1e-12)
    assert resolution(3.0 * box(cells) + 5.0 * box(cells, first=70), GRID) == pytest.approx(cells, rel=1e-12)


@pytest.mark.parametrize("widths", [1.0, 1.3, 1.5])
def test_the_width_of_gaussians(widths):
    expected = 2.0 * math.sqrt(math.pi) * widths
    assert resolution(Gaussian(0.003, widths * GRID.dx)(GRID.x), GRID) == pytest.approx(expected, rel=2e-3)
    wall = Gaussian(GRID.left, widths * GRID.dx)(GRID.x)
    assert resolution(wall, GRID) == pytest.approx(expected, rel=2e-3)


def test_many_densities_at_once_and_what_is_none():
    u = np.stack([np.ones(101), box(2), np.full(101, np.nan), np.zeros(101)])
    assert odd_even(u, GRID).tolist()[:1] == [0.0]
    assert np.isnan(odd_even(u, GRID)).tolist() == np.isnan(resolution(u, GRID)).tolist() == [False, False, True, True]
    assert odd_even(u.reshape(2, 2, 101), GRID).shape == (2, 2)
    with pytest.raises(InputError, match="must have the shape"):
        odd_even(np.ones(100), GRID)


@pytest.mark.parametrize("nx", [4, 5, 11, 12, 13])
def test_small_grids(nx):
    grid = Grid(0.0, 1.0, nx, 1)
    assert odd_even(np.ones(nx + 1), grid) == 0.0
    assert odd_even(1.0 + 0.1 * (-1.0) ** np.arange(nx + 1), grid) == pytest.approx(0.1, rel=1e-9)
    assert resolution(np.ones(nx + 1), grid) == pytest.approx(2 * (min(12, nx) // 2) + 1)


@pytest.mark.parametrize("units", [1e-150, 1e-9, 1e9, 1e150])
def test_units_do_not_matter(units):
    u, grid = Gaussian(std=0.02)(GRID.x), Grid(-0.7 / units**0.5, 0.7 / units**0.5, 100, 4)
    for measure in (odd_even, resolution, imbalance):
        assert measure(units * u, grid) == pytest.approx(float(measure(u, GRID)), rel=1e-12)


def test_a_density_on_every_other_node_is_refused():
    """Its mass could never come to the nodes between, in no time."""
    grid = Grid(-1.0, 1.0, 40, 4)
    point = np.zeros(41)
    point[20] = 1.0
    for density in (point, np.roll(point, 1), point + np.roll(point, 2)):
        with pytest.raises(InputError, match=r"density must be wider than the mesh, got one on (even|odd) nodes only"):
            evolve(density, Energy(Entropy()), grid, 0.1, 1)
    check_spreads(point + np.roll(point, 1), grid, "density")


@pytest.mark.parametrize("cells", [3, 5, 41])
def test_what_a_flow_leaves_of_a_box(cells):
    """Heat flow spreads each class of nodes; what is left is the difference of their masses, for ever."""
    grid = Grid(-1.0, 1.0, 80, 5)
    u = box(cells, grid, first=20)
    run = evolve(u, Energy(Entropy()), grid, 0.5, 8)
    assert run.odd_even.values[-1] == pytest.approx(float(imbalance(u, grid)), rel=0.04)
    assert run.odd_even.values[-1] > MOST_ODD_EVEN


@pytest.mark.parametrize(("stiffness", "doubtful"), [(1e2, False), (1e3, False), (1e4, True), (1e6, True)])
def test_a_steep_well(stiffness, doubtful):
    """Its variance is that of the continuous problem until the density is to be doubted."""
    grid = Grid(-1.0, 1.0, 100, 4)
    run = evolve(Gaussian(0.3, 0.2)(grid.x), Energy(Entropy(), potential=0.5 * stiffness * grid.x**2), grid, 1e-2, 8)
    u = run.density.values[-1]
    variance = float(grid.integrate(u * grid.x**2) / grid.integrate(u)) * stiffness
    assert (abs(variance - 1.0) > 0.05) == doubtful
    assert (run.resolution.values[-1] < LEAST_RESOLUTION) == doubtful
