"""The proximal maps of Algorithm 1 against roots in 60 digits, random points and a general minimiser."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st

from dajko.solvers.algorithm_1.proximal_maps import prox_action, prox_action_internal

EPS = np.finfo(float).eps

magnitudes = st.just(0.0) | st.floats(-8.0, 6.0).map(lambda e: 10.0**e)
signed = st.tuples(magnitudes, st.sampled_from([-1.0, 1.0])).map(lambda pair: pair[0] * pair[1])
primal_steps = st.floats(-4.0, 3.0).map(lambda e: 10.0**e)


def prox(function, rho, m, *parameters, start=0.0):
    """A proximal map at one node."""
    density, flux = np.array([rho]), np.array([m])
    function(density, flux, *parameters, np.array([start]))
    return density[0], flux[0]


def is_minimiser(x, rho, m, lam, slope=None):
    """Whether the derivative of the objective, flux eliminated, changes sign within rounding of x; in 60 digits."""
    with localcontext() as context:
        context.prec = 60
        x, r, lam, c = Decimal(x), Decimal(rho), Decimal(lam), Decimal(lam) * Decimal(m) ** 2 / 2

        def terms(y):
            return [y - r, -c / (y + lam) ** 2, slope(y) if slope else Decimal(0)]

        if slope is None:
            margin = 4 * Decimal(EPS) * (x + lam)
        elif x == 0:
            margin = Decimal("1e-300")
        else:  # rounding in the terms, over the derivative of their sum
            h = x / 10**25
            curvature = (sum(terms(x + h)) - sum(terms(x))) / h
            margin = 30 * Decimal(EPS) * (x + sum(map(abs, terms(x))) / curvature)
        return sum(terms(x + margin)) >= 0 and (x <= margin or sum(terms(x - margin)) <= 0)


@given(rho=signed, m=signed, lam=primal_steps, start=magnitudes)
def test_prox_action_is_the_largest_root_from_any_start(rho, m, lam, start):
    """Of (4.15), to rounding, in 60 digits; and the flux of (4.14)."""
    x, flux = prox(prox_action, rho, m, lam, start=start)
    assert x >= 0
    assert is_minimiser(x, rho, m, lam)
    assert flux == pytest.approx(m * x / (x + lam), rel=1e-14, abs=1e-300)


@given(rho=signed, m=signed, lam=primal_steps, seed=st.integers(0, 2**32 - 1))
def test_nothing_near_or_far_beats_prox_action(rho, m, lam, seed):
    x, flux = prox(prox_action, rho, m, lam)
    rng = np.random.default_rng(seed)
    sizes = 10.0 ** rng.uniform(-6, 1, (2, 300)) * rng.choice([-1.0, 1.0], (2, 300))
    others = np.maximum(x + sizes[0] * (x + lam), 1e-9 * lam), flux + sizes[1] * (abs(flux) + lam)

    def objective(a, b):
        return b**2 / (2 * a) + ((a - rho) ** 2 + (b - m) ** 2) / (2 * lam)

    least = objective(x, flux) if x > 0 else (rho**2 + m**2) / (2 * lam)
    assert least <= objective(*others).min() * (1 + 1e-12)


@pytest.mark.parametrize(
    ("rho", "m", "lam"), [(0.5, 0.3, 0.2), (-0.2, 1.5, 0.2), (3.0, -2.0, 1.0), (0.0, 0.4, 0.05), (-5.0, 9.0, 2.0)]
)
@pytest.mark.parametrize("exponent", [None, 1.0, 1.5, 2.0])
def test_proximal_maps_against_a_general_minimiser(rho, m, lam, exponent):
    """Nelder and Mead's method in density and flux, which knows nothing of cubics."""
    internal = {None: lambda a: 0.0, 1.0: lambda a: a * np.log(a), 1.5: lambda a: 2 * a**1.5, 2.0: lambda a: a**2}[exponent]

    def objective(v):
        a, b = abs(v[0]) + 1e-300, v[1]
        return b**2 / (2 * a) + 0.7 * internal(a) + ((a - rho) ** 2 + (b - m) ** 2) / (2 * lam)

    options = {"xatol": 1e-10, "fatol": 1e-14, "maxiter": 4000, "maxfev": 4000}
    best = scipy.optimize.minimize(objective, [1.0, m], method="Nelder-Mead", options=options)
    found = prox(prox_action, rho, m, lam) if exponent is None else prox(prox_action_internal, rho, m, lam, 0.7, exponent)
    np.testing.assert_allclose(found, np.abs(best.x) * [1.0, np.sign(m)], atol=1e-6)


M = Decimal.from_float(1.2)
SLOPES = {  # U' in decimals; the exponent 1.2 as the double that the kernel gets
    0.0: lambda y: Decimal(0),
    1.0: lambda y: y.ln() + 1,
    1.2: lambda y: M / (M - 1) * y ** (M - 1),
    1.5: lambda y: 3 * y.sqrt(),
    3.0: lambda y: Decimal("1.5") * y**2,
}


@pytest.mark.parametrize("exponent", SLOPES)
@given(rho=signed, m=signed, lam=primal_steps, weight=st.floats(1e-4, 1.0), start=magnitudes)
def test_prox_action_internal_is_the_root_from_any_start(exponent, rho, m, lam, weight, start):
    x, flux = prox(prox_action_internal, rho, m, lam, weight, exponent, start=start)
    assert x >= 0
    assert is_minimiser(x, rho, m, lam, lambda y: Decimal(lam * weight) * SLOPES[exponent](y))
    assert flux == pytest.approx(m * x / (x + lam), rel=1e-13, abs=1e-300)
