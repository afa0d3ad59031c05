"""The interior point method against exact minimisers, Algorithm 1, and itself in other company."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dajko import (
    PD3O,
    Barenblatt,
    DataTerm,
    DoubleWell,
    Energy,
    Entropy,
    Gaussian,
    Grid,
    InputError,
    InteriorPoint,
    Linear,
    PorousMedium,
    Quadratic,
    Sensors,
    Status,
    jko_step,
    measure,
)
from dajko.flow import Flow, steps_in_time, trajectories, trajectory
from dajko.problem.problem import Problem
from dajko.solvers import solve
from dajko.solvers.primal_dual.method import solve_local

from .reference_cases import NAMES, load

PME = Energy(PorousMedium(2.0))
GRID = Grid(-0.7, 0.7, 40, 4)
TAU = 5e-4


def l1(u, v, grid):
    return float(grid.integrate(np.abs(u - v)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("tol", "bound"), [(1e-5, 1e-4), (1e-8, 2e-6)])
def test_reference_minimisers(name, tol, bound):
    case = load(name)
    step = InteriorPoint(tol=tol).solve(case.problem)
    assert step.status == Status.CONVERGED
    assert l1(step.density, case.density, case.problem.grid) < bound * case.problem.grid.integrate(case.density)
    # rho, not the whole path, is what the bounds are about; the path is as close at the tight setting.
    if tol < 1e-6:
        np.testing.assert_allclose(step.path.density[1:], case.path, atol=1e-4)


def flows():
    """Eleven flows of one step: other energies, exponents, data, weights and densities, some without data."""
    x = GRID.x
    energies = [PME, Energy(PorousMedium(2.5)), Energy(Entropy(), Quadratic(10.0)), Energy(PorousMedium(1.3))]
    values = [[np.nan, np.nan] if i % 4 == 3 else [0.01 * i, 0.03] for i in range(11)]
    terms = [DataTerm(["mean", "spread"], [v], 10.0 ** (i - 6)) for i, v in enumerate(values)]
    return [Flow(Barenblatt(shift=0.02 * i)(x), energies[i % 4], GRID, TAU, 1, term) for i, term in enumerate(terms)]


def test_alone_in_lanes_and_in_any_company_the_result_is_the_same_to_the_last_bit():
    chosen = flows()
    alone = [InteriorPoint().solve(flow.problem(np.asarray(flow.density), 0)) for flow in chosen]
    together, shuffled = trajectories(chosen), trajectories(chosen[::-1])[::-1]
    for a, b, c in zip(alone, together, shuffled, strict=True):
        assert a.status == b.worst_status == c.worst_status == Status.CONVERGED
        for other in (b, c):
            assert a.iterations == other.iterations[1]
            assert a.residual == other.residual[1]
            np.testing.assert_array_equal(a.density, other.density[1])


def test_flows_together_are_the_flows_alone():
    x = GRID.x
    truth = np.array([Barenblatt()(x, n * TAU) for n in range(1, 7)])
    data = measure(["mean", "spread"], truth, GRID)
    rng = np.random.default_rng(0)
    flows = [
        Flow(
            Barenblatt(shift=0.1)(x),
            PME,
            GRID,
            TAU,
            6,
            DataTerm(["mean", "spread"], data + 0.003 * rng.standard_normal(data.shape), theta),
            "interior_point",
        )
        for theta in (1e-6, 1e-3, 1.0, np.inf, 1e-4)
    ]
    for flow, run in zip(flows, trajectories(flows), strict=True):
        np.testing.assert_array_equal(run.density, trajectories([flow])[0].density)
        assert run.worst_status == Status.CONVERGED


@pytest.mark.parametrize("time_rule", ["right", "trapezoid"])
@pytest.mark.parametrize("energy", [PME, Energy(PorousMedium(2.5)), Energy(Entropy(), DoubleWell(1.0, 0.4))])
def test_the_objective_is_not_above_that_of_algorithm_1(energy, time_rule):
    grid = Grid(-0.7, 0.7, 30, 3, time_rule)
    problem = Problem(Barenblatt(shift=0.1)(grid.x), energy, grid, TAU, DataTerm(["expectation"], [0.0], 1e-2))
    ours = InteriorPoint(tol=1e-7).solve(problem)
    theirs = PD3O(tol=1e-6, constraint_tolerance=1e-7).solve(problem)
    assert ours.converged
    assert theirs.converged
    # Both satisfy the constraints only up to their tolerances; Algorithm 1's is the looser.
    assert problem.value(ours.path) <= problem.value(theirs.path) + 1e-4 * abs(problem.value(theirs.path))
    assert l1(ours.density, theirs.density, grid) < 5e-3


def test_mass_over_31_steps():
    grid = Grid(-0.7, 0.7, 100, 10, "trapezoid")
    truth = np.array([Barenblatt()(grid.x, n * TAU) for n in range(1, 32)])
    for observations in (["expectation"], ["expectation", "variance"]):
        term = DataTerm(observations, measure(observations, truth, grid), 1 / 200)
        run = trajectory(Barenblatt(shift=0.1)(grid.x), PME, grid, TAU, 31, term, "interior_point")
        assert run.worst_status == Status.CONVERGED
        np.testing.assert_allclose(run.mass, run.mass[0], rtol=1e-7)


def test_limits_in_theta():
    start = Barenblatt(shift=0.1)(GRID.x)
    plain = jko_step(start, PME, GRID, TAU, solver="interior_point")
    far = jko_step(start, PME, GRID, TAU, DataTerm(["mean", "spread"], [0.0, 0.02], 1e8), "interior_point")
    near = jko_step(start, PME, GRID, TAU, DataTerm(["mean", "spread"], [0.0, 0.02], 1e-8), "interior_point")
    assert l1(plain.density, far.density, GRID) < 1e-6
    np.testing.assert_allclose(measure(["mean", "spread"], near.density, GRID), [0.0, 0.02], atol=1e-5)


def test_sensors_pull_the_density_to_what_they_measure():
    sensors = Sensors([-0.3, 0.0, 0.3], 0.1)
    start, truth = Barenblatt(shift=0.1)(GRID.x), Barenblatt()(GRID.x, TAU)
    values = measure([sensors], truth, GRID)
    step = jko_step(start, PME, GRID, TAU, DataTerm([sensors], values, 1e-7), "interior_point")
    np.testing.assert_allclose(measure([sensors], step.density, GRID), values, rtol=1e-2)


def test_too_few_iterations_fall_back_to_algorithm_1_and_say_so():
    problem = Problem(Barenblatt()(GRID.x), PME, GRID, TAU)
    solver = InteriorPoint(max_iterations=2)
    assert solver.solve(problem).status == Status.NOT_CONVERGED
    step = solve(solver, problem)
    assert step.status == Status.FALLBACK
    assert "pd3o" in step.message
    np.testing.assert_array_equal(step.density, PD3O().solve(problem).density)


def test_flows_that_fall_back_do_not_touch_the_others():
    """The steep one needs more iterations than it gets: Algorithm 1 takes such steps, its neighbours march on."""
    solver = InteriorPoint(max_iterations=3)
    slopes = [0.0, 3000.0, 50.0, 100.0]
    chosen = [
        Flow(Barenblatt()(GRID.x), Energy(PorousMedium(2.0), Linear(slope)), GRID, TAU, 3, None, solver) for slope in slopes
    ]
    together = trajectories(chosen)
    assert [run.worst_status == Status.CONVERGED for run in together] == [True, False, True, True]
    for run, flow in zip(together, chosen, strict=True):
        np.testing.assert_array_equal(run.density, trajectories([flow])[0].density)


def test_a_flow_that_fails_is_nan_from_there_on_and_the_others_go_on():
    rows = [[np.nan, np.nan], [0.0, 0.03], [0.0, 0.03], [0.0, 0.03]]
    broken = [rows[0], [1e160, 1e160], *rows[2:]]
    chosen = [
        Flow(Barenblatt()(GRID.x), PME, GRID, TAU, 4, DataTerm(["mean", "spread"], values, 1e-3))
        for values in (rows, broken)
    ]
    good, bad = trajectories(chosen)
    np.testing.assert_array_equal(good.density, trajectories([chosen[0]])[0].density)
    assert [Status(s).name for s in bad.status] == ["CONVERGED", "CONVERGED", "FAILED", "PENDING", "PENDING"]
    np.testing.assert_array_equal(bad.density[:2], good.density[:2])
    assert np.isnan(bad.density[2:]).all()
    assert np.isnan(bad.residual[2:]).all()


def test_a_march_is_its_steps_one_by_one():
    data = DataTerm(["expectation", "variance"], np.tile([0.05, 0.06], (5, 1)), 1e-3)
    flow = Flow(Barenblatt(shift=0.1)(GRID.x), PME, GRID, TAU, 5, data)
    run = trajectories([flow])[0]
    for n, step in enumerate(steps_in_time(flow.density, PME, GRID, TAU, 5, data), start=1):
        np.testing.assert_array_equal(step.density, run.density[n])
        assert (step.status, step.iterations, step.residual) == (run.status[n], run.iterations[n], run.residual[n])


@pytest.mark.parametrize("options", [{"tol": 0.0}, {"tol": 1.0}, {"tol": np.nan}, {"max_iterations": 0}])
def test_options_out_of_range(options):
    with pytest.raises(InputError, match=f"{next(iter(options))} of InteriorPoint must be"):
        InteriorPoint(**options)


@settings(max_examples=60, deadline=None)
@given(
    nx=st.integers(4, 24),
    nt=st.integers(1, 6),
    rule=st.sampled_from(["right", "trapezoid"]),
    exponent=st.one_of(st.just(1.0), st.floats(1.1, 4.0)),
    stiffness=st.floats(0.0, 20.0),
    width=st.floats(0.05, 0.4),
    vacuum=st.booleans(),
    log_tau=st.floats(-5.0, -2.0),
    log_theta=st.floats(-8.0, 8.0),
)
def test_random_problems(nx, nt, rule, exponent, stiffness, width, vacuum, log_tau, log_theta):
    grid = Grid(-1.0, 1.0, nx, nt, rule)
    start = np.maximum(Gaussian(0.1, width)(grid.x) - (0.2 if vacuum else 0.0), 0.0)
    # Centred differences keep the masses of even and odd nodes apart; a class that is empty has no interior.
    assume(min(start[::2].sum(), start[1::2].sum()) > 1e-2 * start.sum())
    energy = Energy(Entropy() if exponent == 1.0 else PorousMedium(exponent), Quadratic(stiffness))
    mean, spread = measure(["mean", "spread"], start, grid)
    term = DataTerm(["mean", "spread"], [0.8 * mean, 1.1 * spread], 10.0**log_theta)
    problem = Problem(start, energy, grid, 10.0**log_tau, term)
    step = InteriorPoint().solve(problem)
    assert step.status == Status.CONVERGED
    assert (step.density >= 0).all()
    assert grid.integrate(step.density) == pytest.approx(grid.integrate(start), rel=1e-12)
    np.testing.assert_allclose(grid.integrate(step.path.density), grid.integrate(start), rtol=1e-8)
    # Optimality by another route: staying where it is, which is admissible too, is no better than the duality gap.
    slope = problem.tau * energy.first_variation(np.maximum(start, 0.3 * start.max()), grid)
    gap = 3e-5 * (grid.right - grid.left) * start.mean() * max(np.ptp(slope), grid.dx**2)
    stay = Problem.value(problem, type(step.path)(np.repeat(start[None], nt + 1, 0), np.zeros_like(step.path.flux)))
    assert problem.value(step.path) <= stay + gap


# Starts


def test_a_step_says_how_wrong_its_prediction_was():
    """Largest difference to 2 u - before, cut off at 0, relative to the largest density; cold, to the old density."""
    first = Barenblatt()(GRID.x)
    cold = InteriorPoint().solve(Problem(first, PME, GRID, TAU))
    assert cold.warm_start.error == pytest.approx(np.abs(cold.density - first).max() / cold.density.max())
    warm = InteriorPoint().solve(Problem(cold.density, PME, GRID, TAU), cold.warm_start)
    predicted = np.maximum(2.0 * cold.density - first, 0.0)
    assert warm.warm_start.error == pytest.approx(np.abs(warm.density - predicted).max() / warm.density.max())
    np.testing.assert_array_equal(warm.warm_start.before, cold.density)


@pytest.mark.parametrize("error", [0.0, 0.05, 10.0])
def test_a_wrong_error_of_the_prediction_changes_no_minimiser(error):
    first = Barenblatt()(GRID.x)
    tight = InteriorPoint(tol=1e-9)
    second = tight.solve(Problem(first, PME, GRID, TAU))
    problem = Problem(second.density, PME, GRID, TAU)
    step = tight.solve(problem, second.warm_start._replace(error=error))
    assert step.converged
    assert l1(step.density, tight.solve(problem).density, GRID) < 1e-7


def test_a_curvature_counts_as_an_internal_energy_does():
    """c u^2 / 2 with c = 2 is the porous medium energy with m = 2: the same start, the same iterates."""
    first = Barenblatt(shift=0.1)(GRID.x)
    expected = InteriorPoint().solve(Problem(first, PME, GRID, TAU))
    step = solve_local(InteriorPoint(), Problem(first, Energy(None), GRID, TAU), None, stiffness=2.0)
    assert step.iterations == expected.iterations
    np.testing.assert_allclose(step.density, expected.density, rtol=1e-9, atol=1e-12)
