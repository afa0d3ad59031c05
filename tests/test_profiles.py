"""Exact solutions: their PDEs, masses and moments."""

import numpy as np
import pytest
from scipy.integrate import quad

from dajko import Barenblatt, Gaussian, GaussianMixture, Heat, InputError, OrnsteinUhlenbeck

BARENBLATTS = [
    Barenblatt(),
    Barenblatt(m=2.5),
    Barenblatt(m=3.0, c=0.4, t0=0.01, shift=0.2, time_shift=0.005),
    Barenblatt(m=1.5, c=0.7, t0=0.1),
]
SPREADING = [Heat(mean=0.2, std=0.3, mass=1.5), OrnsteinUhlenbeck(3.0, 0.1, -0.4, 0.3, 2.0), OrnsteinUhlenbeck(std=1.4)]


def derivative(f, x, h):
    """Central difference of fourth order."""
    return (8.0 * (f(x + h) - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))) / (12.0 * h)


@pytest.mark.parametrize("u", BARENBLATTS)
@pytest.mark.parametrize("age", [1.0, 4.0])
def test_barenblatt_solves_the_porous_medium_equation(u, age):
    """du/dt = (u^m)_xx inside the support, by finite differences."""
    t = (age - 1.0) * u.t0
    x = u.shift + np.linspace(-0.9, 0.9, 13) * u.radius(t)
    rate = derivative(lambda s: u(x, s), t, 1e-3 * u.t0)

    def slope(y):
        return derivative(lambda z: u(z, t) ** u.m, y, 2e-3 * u.radius(t))

    np.testing.assert_allclose(derivative(slope, x, 2e-3 * u.radius(t)), rate, atol=1e-6 * np.abs(rate).max())


@pytest.mark.parametrize("u", BARENBLATTS)
@pytest.mark.parametrize("t", [0.0, 0.02])
def test_barenblatt_mass_and_support(u, t):
    r = u.radius(t)
    mass, _ = quad(lambda x: u(x, t), u.shift - r, u.shift + r, epsrel=1e-11)
    assert u.mass == pytest.approx(mass, rel=1e-8)
    ends = np.array([u.shift - 1.0001 * r, u.shift - 0.9999 * r, u.shift + 0.9999 * r, u.shift + 1.0001 * r])
    assert (u(ends, t) > 0).tolist() == [False, True, True, False]


def test_barenblatt_of_the_paper():
    """C = (3/16)^(1/3) gives mass 2 for m = 2, but 2.63 for m = 2.5."""
    assert Barenblatt().mass == pytest.approx(2.0, rel=1e-13)
    assert Barenblatt(m=2.5).mass == pytest.approx(2.63, abs=0.005)
    assert Barenblatt()(np.array(0.0)) == pytest.approx(10.0 * (3.0 / 16.0) ** (1.0 / 3.0), rel=1e-13)
    assert Barenblatt().radius(31 * 5e-4) < 0.7


def test_barenblatt_is_self_similar_and_shifts():
    u, x = Barenblatt(m=2.5), np.linspace(-0.5, 0.5, 41)
    scale = 8.0 ** (1.0 / 3.5)
    np.testing.assert_allclose(u(x, 7.0 * u.t0), u(x / scale) / scale, rtol=1e-12, atol=1e-14)
    shifted = Barenblatt(m=2.5, shift=0.1, time_shift=0.003)
    np.testing.assert_allclose(shifted(x, 0.002), u(x - 0.1, 0.005), rtol=1e-12, atol=1e-14)
    assert shifted.mass == u.mass


@pytest.mark.parametrize("u", SPREADING)
@pytest.mark.parametrize("t", [0.02, 0.3])
def test_heat_and_ornstein_uhlenbeck_solve_their_equation(u, t):
    """du/dt = (u_x + k (x - c) u)_x, by finite differences."""
    k, c = (u.stiffness, u.center) if isinstance(u, OrnsteinUhlenbeck) else (0.0, 0.0)
    x = np.linspace(-1.5, 1.5, 25)

    def minus_flux(y):
        return derivative(lambda z: u(z, t), y, 2e-3) + k * (y - c) * u(y, t)

    rate = derivative(lambda s: u(x, s), t, 1e-4)
    np.testing.assert_allclose(derivative(minus_flux, x, 2e-3), rate, atol=1e-6 * np.abs(rate).max())


def test_mixture_of_the_paper():
    """Below (5.9): two bumps exp(-x^2 / eta^2) / (2 pi eta^2) with eta = 1/5, together of mass 1 / (eta sqrt(pi)) = 2.8."""
    eta, x = 0.2, np.linspace(-1.0, 1.0, 21)
    mixture = GaussianMixture([-1 / 3, 1 / 3], std=eta / np.sqrt(2.0), mass=1.0 / (eta * np.sqrt(np.pi)))
    printed = sum(np.exp(-((x - at) ** 2) / eta**2) / (2 * np.pi * eta**2) for at in (-1 / 3, 1 / 3))
    np.testing.assert_allclose(mixture(x), printed, rtol=1e-13)
    assert quad(mixture, -2.0, 2.0)[0] == pytest.approx(2.8, abs=0.03)
    with pytest.raises(InputError, match="means of GaussianMixture must not be empty"):
        GaussianMixture([])


@pytest.mark.parametrize("u", [Gaussian(0.2, 0.3, 1.5), *SPREADING])
def test_initial_moments(u):
    mass, first, second = (quad(lambda x, k=k: x**k * u(np.array(x)), -12, 12, points=[u.mean])[0] for k in range(3))
    assert (mass, first / mass) == pytest.approx((u.mass, u.mean), abs=1e-10)
    assert second / mass - u.mean**2 == pytest.approx(u.std**2, rel=1e-9)


def test_moments_in_time():
    u = OrnsteinUhlenbeck(stiffness=2.0, center=0.5, mean=-1.0, std=0.3)
    assert u.moments(0.0) == pytest.approx((-1.0, 0.09))
    assert u.moments(50.0) == pytest.approx((0.5, 0.5))
    x = np.linspace(-2.0, 2.0, 9)
    np.testing.assert_array_equal(Gaussian(0.1, 0.2)(x, 3.0), Gaussian(0.1, 0.2)(x))
    np.testing.assert_allclose(Heat(0.1, 0.2)(x, 0.5), Gaussian(0.1, np.sqrt(1.04))(x), rtol=1e-14)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Barenblatt(m=1.0), "m of Barenblatt must be greater than 1"),
        (lambda: Barenblatt(c=0.0), "c of Barenblatt must be greater than 0"),
        (lambda: Barenblatt(t0=np.nan), "t0 of Barenblatt must be a finite number"),
        (lambda: Barenblatt(time_shift=-1e-3), "time_shift must be greater than -t0"),
        (lambda: Gaussian(std=0.0), "std of Gaussian must be greater than 0"),
        (lambda: Heat(mass=-1.0), "mass of Heat must be greater than 0"),
        (lambda: OrnsteinUhlenbeck(stiffness=0.0), "stiffness of OrnsteinUhlenbeck must be greater than 0"),
    ],
)
def test_bad_profiles_are_refused(make, says):
    with pytest.raises(InputError, match=says):
        make()


@pytest.mark.parametrize("u", [*BARENBLATTS, *SPREADING, Gaussian(0.1, 0.2, 3.0), GaussianMixture([-0.3, 0.2], 0.1, 2.0)])
@pytest.mark.parametrize("t", [0.0, 0.02])
def test_the_share_of_the_mass_below_a_point(u, t):
    ends = (-9.0, 9.0)
    whole = quad(lambda x: u(x, t), *ends, points=[-1.0, 0.0, 1.0], limit=500)[0]
    for x in (-0.5, -0.1, 0.0, 0.15, 0.4):
        below = quad(lambda x: u(x, t), ends[0], x, points=[min(-1.0, x), min(0.0, x)], limit=500)[0]
        assert u.share_below(x, t) == pytest.approx(below / whole, abs=2e-7)
    assert (u.share_below(-1e3, t), u.share_below(1e3, t)) == (0.0, 1.0)
    expected = 1.0 - (u.share_below(0.4, t) - u.share_below(-0.1, t))
    assert u.share_outside(-0.1, 0.4, t) == pytest.approx(expected, abs=1e-15)
