"""Driving energies against closed forms and finite differences."""

import numpy as np
import pytest

from dajko import DoubleWell, Energy, Entropy, Grid, InputError, Linear, Logarithmic, Morse, PorousMedium, Quadratic

GRID = Grid(-1.0, 1.5, 30, 1)
ENERGIES = {
    "none": Energy(),
    "potential": Energy(potential=DoubleWell(2.0, 0.6, 0.1)),
    "entropy": Energy(Entropy()),
    "fokker_planck": Energy(Entropy(), Quadratic(3.0, 0.2)),
    "chemotaxis": Energy(Entropy(), interaction=Logarithmic(10.0)),
    "all_three": Energy(PorousMedium(2.5), Quadratic(3.0, 0.2), Morse(3.0, 0.4, 2.0, 0.1)),
    "matrix": Energy(interaction=np.add.outer(GRID.x, GRID.x)),
    **{f"porous_medium_{m}": Energy(PorousMedium(m), Linear(-0.7)) for m in (1.2, 1.5, 2.0, 2.5, 3.0)},
}


def positive_density(mass):
    values = np.random.default_rng(1).uniform(0.3, 2.0, GRID.nx + 1)
    return values * mass / GRID.integrate(values)


def direction():
    return np.random.default_rng(2).standard_normal(GRID.nx + 1)


@pytest.mark.parametrize("c", [0.3, 1.0, 7.0])
@pytest.mark.parametrize(
    ("internal", "per_length"),
    [
        (None, lambda c: 0.0),
        (Entropy(), lambda c: c * np.log(c)),
        (PorousMedium(2.0), lambda c: c**2),
        (PorousMedium(3.0), lambda c: c**3 / 2.0),
        (PorousMedium(1.5), lambda c: 2.0 * c**1.5),
    ],
)
def test_energy_of_a_constant(internal, per_length, c):
    """(5.3) times the length, and the potential x, whose integral the trapezoidal rule knows."""
    u = np.full(GRID.nx + 1, c)
    assert Energy(internal).value(u, GRID) == pytest.approx(2.5 * per_length(c), rel=1e-13)
    with_potential = Energy(internal, Linear(2.0)).value(u, GRID)
    assert with_potential == pytest.approx(2.5 * per_length(c) + c * (1.5**2 - 1.0), rel=1e-13)


@pytest.mark.parametrize("mass", [1.0, 2.6])
@pytest.mark.parametrize("name", ENERGIES)
def test_first_variation_is_the_gradient_of_the_value(name, mass):
    energy, u, h, eps = ENERGIES[name], positive_density(mass), direction(), 1e-5
    difference = (energy.value(u + eps * h, GRID) - energy.value(u - eps * h, GRID)) / (2 * eps)
    assert GRID.integrate(energy.first_variation(u, GRID) * h) == pytest.approx(difference, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("mass", [1.0, 2.6])
@pytest.mark.parametrize("name", ENERGIES)
def test_hessian_product_is_the_derivative_of_the_first_variation(name, mass):
    energy, u, h, eps = ENERGIES[name], positive_density(mass), direction(), 1e-5
    difference = (energy.first_variation(u + eps * h, GRID) - energy.first_variation(u - eps * h, GRID)) / (2 * eps)
    np.testing.assert_allclose(energy.hessian_product(u, h, GRID), difference, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize(
    ("internal", "value", "slope", "curvature"),
    [
        (Entropy(), 0.0, -np.inf, np.inf),
        (PorousMedium(1.5), 0.0, 0.0, np.inf),
        (PorousMedium(2.0), 0.0, 0.0, 2.0),
        (PorousMedium(2.5), 0.0, 0.0, 0.0),
    ],
)
def test_vacuum(internal, value, slope, curvature):
    u, energy = np.zeros(GRID.nx + 1), Energy(internal)
    assert energy.value(u, GRID) == value
    assert set(energy.first_variation(u, GRID)) == {slope}
    assert set(energy.hessian_product(u, np.ones_like(u), GRID)) == {curvature}


def test_potentials():
    x = np.array([-0.5, 0.25, 1.0])
    assert Linear(-2.0)(x).tolist() == [1.0, -0.5, -2.0]
    assert Quadratic(4.0, 0.25)(x).tolist() == [1.125, 0.0, 1.125]
    assert DoubleWell(height=3.0, distance=0.75, center=0.25)(x).tolist() == [0.0, 3.0, 0.0]


def test_a_potential_is_a_function_or_its_values_or_a_constant():
    given = [Energy(potential=p).potential_on(GRID) for p in (Quadratic(2.0), GRID.x**2, lambda x: list(x**2))]
    for values in given:
        np.testing.assert_allclose(values, GRID.x**2, rtol=1e-15)
    assert set(Energy(potential=3).potential_on(GRID)) == {3.0}
    assert set(Energy().potential_on(GRID)) == {0.0}


def test_exponents():
    assert [Energy(i).exponent for i in (None, Entropy(), PorousMedium(2.5))] == [0.0, 1.0, 2.5]


@pytest.mark.parametrize("m", [1.0, 0.5, -2.0, np.nan, np.inf])
def test_bad_exponents_are_refused(m):
    with pytest.raises(InputError, match=r"m of PorousMedium must be (greater than 1|a finite number)"):
        PorousMedium(m)


def test_other_bad_input_is_refused():
    with pytest.raises(InputError, match="distance of DoubleWell must be greater than 0"):
        DoubleWell(distance=0.0)
    with pytest.raises(InputError, match=r"internal must be PorousMedium\(m\), Entropy\(\) or None"):
        Energy("entropy")


@pytest.mark.parametrize(
    ("potential", "says"),
    [
        (np.zeros(5), r"potential must have the shape \(31,\)"),
        (lambda x: x[1:], r"potential must have the shape \(31,\)"),
        (lambda x: np.where(x > 0, x, np.nan), "potential must be finite at every point of the grid"),
        ("steep", "potential must be a number at each point of the grid, or a function of x, got 'steep'"),
    ],
)
def test_bad_potentials_are_refused(potential, says):
    with pytest.raises(InputError, match=says):
        Energy(potential=potential).potential_on(GRID)
