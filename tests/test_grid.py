"""Weights, inner products and input checks of the grid."""

import numpy as np
import pytest

from dajko import Grid, InputError


@pytest.mark.parametrize("rule", ["right", "trapezoid"])
@pytest.mark.parametrize(("left", "right", "nx", "nt"), [(-0.7, 0.7, 100, 10), (0.0, 1.0, 4, 1), (-3.0, 11.0, 37, 5)])
def test_weights_sum_to_the_measures_of_the_intervals(left, right, nx, nt, rule):
    grid = Grid(left, right, nx, nt, rule)
    assert grid.wx.sum() == pytest.approx(right - left, rel=1e-14)
    assert grid.wt.sum() == pytest.approx(1.0, rel=1e-14)
    assert (grid.x[0], grid.x[-1]) == (left, right)
    np.testing.assert_allclose(np.diff(grid.x), grid.dx, rtol=1e-12)


def test_weights_of_the_paper():
    """Half weights at the ends in space; in time too, or none at level 0."""
    trapezoid, right = Grid(0.0, 1.0, 4, 2, "trapezoid"), Grid(0.0, 1.0, 4, 2)
    assert trapezoid.wx.tolist() == [0.125, 0.25, 0.25, 0.25, 0.125]
    assert trapezoid.wt.tolist() == trapezoid.wt_metric.tolist() == [0.25, 0.5, 0.25]
    assert right.time_rule == "right"
    assert right.wt.tolist() == [0.0, 0.5, 0.5]
    assert right.wt_metric.tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("nx", [4, 7, 100])
def test_trapezoidal_rule_is_exact_for_lines_and_known_for_parabolas(nx):
    grid = Grid(-1.0, 2.5, nx, 1)
    assert grid.integrate(3.0 - 2.0 * grid.x) == pytest.approx(3.0 * 3.5 - (2.5**2 - 1.0), rel=1e-13)
    exact = (2.5**3 + 1.0) / 3.0
    assert grid.integrate(grid.x**2) == pytest.approx(exact + 3.5 * grid.dx**2 / 6.0, rel=1e-13)


def test_integrate_runs_along_the_last_axis():
    grid = Grid(0.0, 2.0, 6, 1)
    values = np.arange(6.0).reshape(2, 3, 1) * np.ones(7)
    np.testing.assert_allclose(grid.integrate(values), 2.0 * np.arange(6.0).reshape(2, 3), rtol=1e-15)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"left": np.nan}, "grid.left must be a finite number, got nan"),
        ({"right": np.inf}, "grid.right must be a finite number, got inf"),
        ({"left": 1.0}, "grid.left must be less than grid.right"),
        ({"left": 1.0 - 1e-16}, "so far apart that 10 cells fit between, got"),
        ({"left": -1e308, "right": 1e308, "nx": 4}, "so far apart that 4 cells fit"),
        ({"left": 2.0}, "grid.left must be less than grid.right"),
        ({"nx": 3}, "grid.nx must be a whole number of at least 4, got 3"),
        ({"nx": 10.5}, "grid.nx must be a whole number"),
        ({"nx": np.nan}, "grid.nx must be a whole number"),
        ({"nx": "many"}, "grid.nx must be a whole number"),
        ({"nt": 0}, "grid.nt must be a whole number of at least 1"),
        ({"nt": True}, "grid.nt must be a whole number"),
        ({"time_rule": "left"}, "grid.time_rule must be 'right' or 'trapezoid'"),
    ],
)
def test_bad_grids_are_refused(change, says):
    with pytest.raises(InputError, match=says):
        Grid(**{"left": 0.0, "right": 1.0, "nx": 10, "nt": 4} | change)


def test_whole_numbers_of_any_type_are_counts():
    grid = Grid(0.0, 1.0, 8.0, np.int64(2))
    assert (grid.x.size, grid.wt.size) == (9, 3)
    assert grid == Grid(0.0, 1.0, 8, 2)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([1.0] * 10, r"u must have the shape \(11,\)"),
        (np.ones((1, 11)), r"u must have the shape \(11,\)"),
        (["a"] * 11, "u must be an array of 11 numbers"),
        ([1.0] * 10 + [np.nan], "u must be finite, got nan"),
        ([np.inf] + [1.0] * 10, "u must be finite, got inf"),
        ([1.0] * 5 + [-0.25] + [1.0] * 5, "u must not be negative, got -0.25 at x = 0.5"),
        ([0.0] * 11, "u must have a positive mass"),
    ],
)
def test_bad_densities_are_refused(values, says):
    with pytest.raises(InputError, match=says):
        Grid(0.0, 1.0, 10, 1).check_density(values, "u")


def test_check_density_returns_contiguous_floats():
    values = Grid(0.0, 1.0, 10, 1).check_density(np.arange(22)[::2])
    assert values.dtype == np.float64
    assert values.flags.c_contiguous
    assert values.tolist() == list(range(0, 22, 2))
