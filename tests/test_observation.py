"""Measurements and the data term against the formulas of the paper, closed forms and finite differences."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dajko import (
    DataTerm,
    Expectation,
    Gaussian,
    Grid,
    InputError,
    IntervalMasses,
    Mass,
    Mean,
    Sensors,
    Spread,
    Variance,
    measure,
)
from dajko.data.operator import add_gradient, operator
from dajko.observation import labels

GRID = Grid(-1.0, 1.5, 30, 1)
SENSORS = Sensors([-0.4, 0.1, 0.9], 0.2)
MASSES = IntervalMasses([-0.9, -0.15, 0.2, 1.5])
NAMES = ["mass", "expectation", "variance", "mean", "spread"]
OBSERVATIONS = {name: [name] for name in NAMES} | {"sensors": [SENSORS], "masses": [MASSES], "all": [*NAMES, SENSORS]}


def random_density(mass):
    values = np.random.default_rng(3).uniform(0.0, 2.0, GRID.nx + 1)
    return values * mass / GRID.integrate(values)


def direction():
    return np.random.default_rng(4).standard_normal(GRID.nx + 1)


@pytest.mark.parametrize("mass", [1.0, 2.0, 0.3])
def test_the_printed_formulas(mass):
    """(5.6) and (5.7) are not divided by the mass; mean and spread are."""
    u, x, w = random_density(mass), GRID.x, GRID.wx
    b1 = sum(w * x * u)
    b2 = sum(w * (x - b1) ** 2 * u)
    spread = sum(w * (x - b1 / mass) ** 2 * u) / mass
    np.testing.assert_allclose(measure(NAMES, u, GRID), [mass, b1, b2, b1 / mass, spread], rtol=1e-13)


@pytest.mark.parametrize("mass", [1.0, 2.0])
def test_moments_of_a_gaussian(mass):
    """The trapezoidal rule is exact to rounding for a Gaussian far from the ends."""
    grid, mu, s = Grid(-3.0, 3.0, 120, 1), 0.3, 0.25
    expected = [mass, mass * mu, mass * (s**2 + (mu - mass * mu) ** 2), mu, s**2]
    np.testing.assert_allclose(measure(NAMES, Gaussian(mu, s, mass)(grid.x), grid), expected, rtol=1e-12)


def test_sensors_of_a_gaussian():
    """A Gaussian footprint over a Gaussian is a Gaussian of the summed variances."""
    grid, u = Grid(-3.0, 3.0, 120, 1), Gaussian(0.3, 0.25, 2.0)
    exact = Gaussian(0.3, np.hypot(0.25, SENSORS.width), 2.0)(np.array(SENSORS.positions))
    np.testing.assert_allclose(measure([SENSORS], u(grid.x), grid), exact, rtol=1e-12)


def test_interval_masses_of_a_gaussian():
    """The normal distribution's increments, to second order in the cell; edges need not be nodes."""
    grid, edges = Grid(-3.0, 3.0, 1200, 1), np.array([-0.2, 0.013, 0.4, 0.81])
    exact = 2.0 * np.diff([0.5 * math.erfc(-(edge - 0.3) / (0.25 * math.sqrt(2.0))) for edge in edges])
    np.testing.assert_allclose(measure([IntervalMasses(edges)], Gaussian(0.3, 0.25, 2.0)(grid.x), grid), exact, rtol=1e-4)


def test_interval_masses_add_up():
    """Also where the edges are no nodes; together they are the mass."""
    u, edges = random_density(1.4), [GRID.left, -0.47, 0.013, 0.2, GRID.right]
    parts = measure([IntervalMasses(edges)], u, GRID)
    assert parts.sum() == pytest.approx(1.4, rel=1e-13)
    assert parts[1:3].sum() == pytest.approx(measure([IntervalMasses([-0.47, 0.2])], u, GRID)[0], rel=1e-13)


@pytest.mark.parametrize("mass", [1.0, 2.0])
def test_gradients_as_printed(mass):
    """The two gradients below (5.7), without the factor 1/w of the last level."""
    u, x, w = random_density(mass), GRID.x, GRID.wx
    b1 = sum(w * x * u)
    printed = {"expectation": x, "variance": (x - b1) ** 2 - 2.0 * x * sum(w * (x - b1) * u)}
    for name, expected in printed.items():
        gradient = np.zeros_like(u)
        add_gradient(operator([name], GRID), u, np.ones(1), gradient)
        np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("mass", [1.0, 2.3])
@pytest.mark.parametrize("name", OBSERVATIONS)
def test_gradient_and_hessian_of_the_data_term(name, mass):
    """Central differences, in the weighted inner product of space."""
    u, h, eps = random_density(mass), direction(), 1e-4
    observations = OBSERVATIONS[name]
    term = DataTerm(observations, measure(observations, u, GRID) * 0.7 + 0.2, theta=0.3)
    up, down = u + eps * h, u - eps * h
    difference = (term.value(up, GRID) - term.value(down, GRID)) / (2 * eps)
    assert GRID.integrate(term.gradient(u, GRID) * h) == pytest.approx(difference, rel=1e-7)
    difference = (term.gradient(up, GRID) - term.gradient(down, GRID)) / (2 * eps)
    product = term.hessian_product(u, h, GRID)
    np.testing.assert_allclose(product, difference, rtol=1e-6, atol=1e-7 * np.abs(product).max())


@pytest.mark.parametrize("name", OBSERVATIONS)
def test_hessian_is_symmetric(name):
    u, g, h = random_density(1.7), direction(), np.sin(5 * GRID.x)
    numbers = len(labels(OBSERVATIONS[name]))
    term = DataTerm(OBSERVATIONS[name], np.linspace(1.0, 2.0, numbers), theta=0.3)
    left = GRID.integrate(term.hessian_product(u, g, GRID) * h)
    assert left == pytest.approx(GRID.integrate(term.hessian_product(u, h, GRID) * g), rel=1e-10)


@given(factor=st.floats(0.01, 100.0), cells=st.integers(-5, 5))
def test_mean_and_spread_under_scaling_and_translation(factor, cells):
    """Neither depends on the mass; a translation moves the mean and leaves the spread."""
    u = np.zeros(GRID.nx + 1)
    u[8:20] = np.random.default_rng(5).uniform(0.1, 1.0, 12)
    mean, spread = measure(["mean", "spread"], u, GRID)
    moved = measure(["mean", "spread"], factor * np.roll(u, cells), GRID)
    np.testing.assert_allclose(moved, [mean + cells * GRID.dx, spread], rtol=1e-11, atol=1e-14)


def test_measure_keeps_leading_axes():
    u = np.random.default_rng(6).uniform(size=(2, 3, GRID.nx + 1))
    b = measure([Mean(), SENSORS], u, GRID)
    assert b.shape == (2, 3, 4)
    np.testing.assert_allclose(b[1, 2], measure([Mean(), SENSORS], u[1, 2], GRID), rtol=0)


def test_names_labels_and_objects():
    objects = [Mass(), Expectation(), Variance(), Mean(), Spread()]
    assert labels(NAMES) == labels(objects) == NAMES
    assert labels([MASSES, "mass"]) == ["interval_mass_0", "interval_mass_1", "interval_mass_2", "mass"]
    assert labels([SENSORS, "mean"]) == ["sensor_0", "sensor_1", "sensor_2", "mean"]
    u = random_density(1.4)
    assert measure(NAMES, u, GRID).tolist() == measure(objects, u, GRID).tolist()


@pytest.mark.parametrize(
    ("observation", "size"),
    [
        (Expectation(), 2.0 * 0.25),
        (Mean(), 0.25),
        (Mass(), 2.0),
        (Spread(), 0.25**2),
        (Variance(), 2.0 * (0.25**2 + 0.3**2)),
        (Sensors([0.1, 0.5], 0.2), None),
    ],
)
def test_size_of_the_signal(observation, size):
    """Widths for locations, magnitudes (root mean square over sensors) for the others."""
    grid = Grid(-3.0, 3.0, 120, 1)
    u = np.stack([Gaussian(0.3, 0.25, 2.0)(grid.x)] * 2)
    exact = measure([observation], u, grid)
    expected = size or Gaussian(0.3, np.hypot(0.25, 0.2), 2.0)(np.array([0.1]))[0]  # both sensors are 0.2 away
    np.testing.assert_allclose(observation.scale(u, exact, grid), [expected] * 2, rtol=1e-11)


def test_value_of_the_data_term():
    u = random_density(2.0)
    term = DataTerm(["mass", "expectation"], [1.5, 0.1], theta=0.05)
    b1 = GRID.integrate(GRID.x * u)
    assert term.value(u, GRID) == pytest.approx((0.5**2 + (b1 - 0.1) ** 2) / 0.1, rel=1e-12)
    assert DataTerm("mass", 1.5, theta=0.05).value(u, GRID) == pytest.approx(0.5**2 / 0.1, rel=1e-12)
    assert DataTerm("mass", 1.5, theta=np.inf).value(u, GRID) == 0.0


def test_steps_without_data():
    """A row of NaN and an infinite theta both mean: no data."""
    rows = DataTerm(["mean", "spread"], [[0.1, 0.2], [np.nan, np.nan], [0.3, 0.4]], theta=0.5)
    assert rows.at_step(1) is None
    assert rows.at_step(2).values.tolist() == [0.3, 0.4]
    assert rows.at_step(2).theta == 0.5
    assert DataTerm("mean", 0.1, theta=np.inf).at_step(0) is None
    assert DataTerm("mean", 0.1, theta=0.5).at_step(7).values.tolist() == [0.1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((["mean"], [0.1], 0.0), "theta must be greater than 0"),
        ((["mean"], [0.1], -1.0), "theta must be greater than 0"),
        ((["mean"], [0.1], np.nan), "theta must be greater than 0"),
        ((["mean"], [0.1], "small"), "theta must be greater than 0"),
        ((["mean"], [0.1, 0.2], 1.0), "data values must be 1 numbers"),
        ((["mean", "spread"], [[0.1], [0.2]], 1.0), "data values must be 2 numbers"),
        ((["mean"], np.zeros((2, 2, 1)), 1.0), "data values must be 1 numbers"),
        ((["mean"], ["a"], 1.0), "data values must be numbers"),
        ((["mean"], [np.inf], 1.0), "data values must be finite"),
        ((["mean", "spread"], [0.1, np.nan], 1.0), "only a whole step may be missing"),
        (
            (["median"], [0.1], 1.0),
            "observations: kind must be one of expectation, interval_masses, mass",
        ),
    ],
)
def test_bad_data_terms_are_refused(arguments, says):
    with pytest.raises(InputError, match=says):
        DataTerm(*arguments)


@pytest.mark.parametrize(
    ("positions", "width", "says"),
    [
        ([], 0.2, "positions of Sensors must not be empty"),
        ([0.1], 0.0, "width of Sensors must be (greater than 0|a finite number)"),
        ([0.1], np.nan, "width of Sensors must be (greater than 0|a finite number)"),
        ([0.1], 0.01, "width of sensors must be at least half a cell"),
        ([1.6], 0.2, r"positions of sensors must lie in \[-1.0, 1.5\]"),
    ],
)
def test_bad_sensors_are_refused(positions, width, says):
    with pytest.raises(InputError, match=says):
        measure([Sensors(positions, width)], random_density(1.0), GRID)


@pytest.mark.parametrize(
    ("edges", "says"),
    [
        ([0.1], "edges of IntervalMasses must have at least 2 items, got"),
        ([0.1, 0.1], "edges must be increasing positions"),
        ([0.1, np.nan], r"edges.1 of IntervalMasses must be a finite number"),
        ([-1.2, 0.1], r"edges of intervals must lie in \[-1.0, 1.5\], got -1.2"),
    ],
)
def test_bad_intervals_are_refused(edges, says):
    with pytest.raises(InputError, match=says):
        measure([IntervalMasses(edges)], random_density(1.0), GRID)
