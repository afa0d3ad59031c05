"""Minimising movements in R^d: closed forms, the nudging limit, and the other limits of the paper."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from dajko import InputError, Status, euclidean
from dajko.euclidean import Energy, LinearData, quadratic

A = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, -0.3], [0.0, -0.3, 3.0]])
B = np.array([[1.0, 0.0, 1.0], [0.0, 2.0, 0.0]])
START = np.array([1.0, -2.0, 0.5])

# Two wells at u_0 = +-1 and a coupling: not quadratic, not convex.
WELLS = Energy(
    lambda u: 0.25 * (u[0] ** 2 - 1) ** 2 + 0.5 * (u[1] - u[0] ** 2) ** 2,
    lambda u: np.array([u[0] ** 3 - u[0] - 2 * u[0] * (u[1] - u[0] ** 2), u[1] - u[0] ** 2]),
    lambda u: np.array([[9 * u[0] ** 2 - 1 - 2 * u[1], -2 * u[0]], [-2 * u[0], 1.0]]),
)


def truth(t):
    """Data in continuous time."""
    return np.array([np.cos(3 * t), np.sin(2 * t)])


@pytest.mark.parametrize("theta", [0.3, np.inf])
@pytest.mark.parametrize("tau", [1e-3, 0.1, 10.0])
def test_a_step_of_a_quadratic_energy_solves_a_linear_system(tau, theta):
    """(1 / tau + A + B^T B / theta) u = u_0 / tau + b + B^T v / theta."""
    b, v = np.array([0.3, 0.0, -1.0]), np.array([0.2, 0.7])
    found = euclidean.step(START, quadratic(A, b), tau, LinearData(B, v, theta))
    expected = np.linalg.solve(np.eye(3) / tau + A + B.T @ B / theta, START / tau + b + B.T @ v / theta)
    assert found.status == Status.CONVERGED
    np.testing.assert_allclose(found.state, expected, rtol=1e-9)


def test_a_flow_is_the_product_of_its_steps():
    flow = euclidean.evolve(START, quadratic(A), 0.1, 5)
    expected = START
    for n in range(6):
        np.testing.assert_allclose(flow.state[n], expected, rtol=1e-9)
        assert flow.energy[n] == pytest.approx(expected @ A @ expected / 2)
        expected = np.linalg.solve(np.eye(3) + 0.1 * A, expected)
    assert set(flow.status.values) == {Status.CONVERGED}
    assert flow.time.values.tolist() == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])


def final_errors(energy, start, scale_theta, reference, taus, end=1.0):
    errors = []
    for tau in taus:
        steps = round(end / tau)
        data = LinearData(np.eye(2), np.array([truth((n + 1) * tau) for n in range(steps)]), scale_theta(tau))
        flow = euclidean.evolve(start, energy, tau, steps, data)
        assert set(flow.status.values) == {Status.CONVERGED}
        errors.append(np.linalg.norm(flow.state.values[-1] - reference))
    return np.array(errors)


@pytest.mark.parametrize("c", [0.2, 2.0])
@pytest.mark.parametrize("name", ["quadratic", "wells"])
def test_remark_3_2_the_nudging_limit(name, c):
    """With theta = c, which is c / tau in (3.3), the flow tends to u' = -grad F(u) - B^T (B u - v) / c at first order.

    (3.4) prints + in front of B^T; that flow is another one.
    """
    energy, start = {"quadratic": quadratic(A[:2, :2], [0.1, 0.2]), "wells": WELLS}[name], np.array([0.4, 0.3])
    taus = 0.05 * 0.5 ** np.arange(4)

    def nudged(sign):
        def right_hand_side(t, u):
            return -np.asarray(energy.gradient(u)) + sign / c * (u - truth(t))

        return solve_ivp(right_hand_side, (0.0, 1.0), start, rtol=1e-11, atol=1e-12).y[:, -1]

    errors = final_errors(energy, start, lambda tau: c, nudged(-1), taus)
    order = np.polyfit(np.log(taus), np.log(errors), 1)[0]
    assert order == pytest.approx(1.0, abs=0.15)
    assert errors[-1] < 0.03
    assert np.linalg.norm(nudged(1) - nudged(-1)) > 0.3


def test_a_constant_theta_in_3_3_is_data_only_as_tau_tends_to_zero():
    """theta = tau theta(3.3): the state follows the data at a lag of first order, whatever the energy."""
    taus = 0.05 * 0.5 ** np.arange(4)
    errors = final_errors(WELLS, np.array([0.4, 0.3]), lambda tau: 0.5 * tau, truth(1.0), taus)
    assert np.polyfit(np.log(taus), np.log(errors), 1)[0] == pytest.approx(1.0, abs=0.15)


def test_without_data_the_scheme_is_of_first_order():
    """Remark 2.3."""
    taus, start = 0.05 * 0.5 ** np.arange(4), np.array([0.4, 0.3])
    exact = solve_ivp(lambda t, u: -WELLS.gradient(u), (0.0, 1.0), start, rtol=1e-11, atol=1e-12).y[:, -1]
    errors = final_errors(WELLS, start, lambda tau: np.inf, exact, taus)
    assert np.polyfit(np.log(taus), np.log(errors), 1)[0] == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("theta", [1e-3, 1.0])
def test_remark_3_1_data_from_the_scheme_itself_change_nothing(theta):
    plain = euclidean.evolve([0.4, 0.3], WELLS, 0.1, 20)
    row = np.array([[1.0, 2.0]])
    data = LinearData(row, plain.state.values[1:] @ row.T, theta)
    np.testing.assert_allclose(euclidean.evolve([0.4, 0.3], WELLS, 0.1, 20, data).state, plain.state, atol=1e-7)


def test_limits_of_theta():
    plain = euclidean.step(START, quadratic(A), 0.1).state
    for theta, close in ((1e6, 1e-5), (1e9, 1e-8)):
        np.testing.assert_allclose(
            euclidean.step(START, quadratic(A), 0.1, LinearData(B, [3.0, 1.0], theta)).state, plain, atol=close
        )
    for theta, close in ((1e-4, 1e-2), (1e-8, 1e-6)):
        found = euclidean.step(START, quadratic(A), 0.1, LinearData(B, [3.0, 1.0], theta))
        np.testing.assert_allclose(B @ found.state, [3.0, 1.0], atol=close)
        assert found.status == Status.CONVERGED


def test_energy_estimates():
    """(2.10): F(u_n) + |u_n - u_(n-1)|^2 / (2 tau) <= F(u_(n-1)); and (3.5), with the misfits; at large steps too."""
    data = LinearData([[1.0, 0.0]], np.sin(np.arange(30.0))[:, None], 0.5)
    for tau in (0.05, 1.0):
        for term in (None, data):
            flow = euclidean.evolve([0.1, 0.3], WELLS, tau, 30, term)
            u, f = flow.state.values, flow.energy.values
            left = f[1:] + np.sum(np.diff(u, axis=0) ** 2, axis=1) / (2 * tau)
            misfit = 0.0 if term is None else ((u[:-1, 0] - data.values[:, 0]) ** 2 - (u[1:, 0] - data.values[:, 0]) ** 2)
            assert (left <= f[:-1] + misfit / (2 * 0.5) + 1e-9).all()


def test_a_step_without_data_is_a_plain_step():
    values = np.array([[3.0, 1.0], [np.nan, np.nan]])
    flow = euclidean.evolve(START, quadratic(A), 0.1, 2, LinearData(B, values, 1e-2))
    np.testing.assert_array_equal(flow.state[2], euclidean.step(flow.state[1], quadratic(A), 0.1).state)


def test_one_dimension():
    assert euclidean.step([3.0], quadratic([[1.0]]), 0.5).state == pytest.approx(np.array([2.0]))


def test_a_failed_step_is_the_last():
    """The gradient is known only below 2, where the second step would lead."""
    runaway = Energy(lambda u: float(-u[0]), lambda u: np.where(u < 2, -1.0, np.nan), lambda u: np.zeros((1, 1)))
    flow = euclidean.evolve([0.5], runaway, 1.0, 5)
    assert flow.status.values.tolist() == [Status.CONVERGED, Status.CONVERGED, Status.FAILED, 0, 0, 0]
    assert np.isnan(flow.state.values[2:]).all()
    assert flow.state.values[1] == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: quadratic([[1.0, 2.0], [0.0, 1.0]]), "matrix must be a symmetric matrix"),
        (lambda: LinearData([1.0], [1.0], 1.0), "operator must be a matrix of finite numbers"),
        (
            lambda: LinearData(B, [1.0], 1.0),
            r"data values must have 2 numbers a step, .* got shape \(1,\)",
        ),
        (lambda: LinearData(B, [1.0, 2.0], 0.0), "theta must be greater than 0, got 0"),
        (lambda: euclidean.step([np.nan], quadratic([[1.0]]), 0.1), "state must be a vector of finite numbers"),
        (lambda: euclidean.step([1.0], quadratic([[1.0]]), -0.1), "tau must be greater than 0 and finite, got -0.1"),
        (
            lambda: euclidean.step([1.0], quadratic([[1.0]]), 0.1, LinearData(B, [1, 2], 1)),
            "operator must have 1 columns, got 3",
        ),
        (lambda: euclidean.evolve(START, quadratic(A), 0.1, 0), "steps must be a whole number of at least 1"),
        (
            lambda: euclidean.evolve(START, quadratic(A), 0.1, 3, LinearData(B, np.zeros((2, 2)), 1.0)),
            "data values must have one row for each of the 3 steps, got 2",
        ),
    ],
)
def test_bad_input_is_refused(call, says):
    with pytest.raises(InputError, match=says):
        call()
