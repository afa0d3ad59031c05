"""Finite volumes: steps against exact steps of the continuous problem, discrete minimisers by another method, and shifts."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

from dajko import (
    Barenblatt,
    DataTerm,
    Energy,
    Entropy,
    Gaussian,
    Grid,
    InteriorPoint,
    IntervalMasses,
    Linear,
    PorousMedium,
    Sensors,
    evolve,
    jko_step,
    measure,
)
from dajko.certify.duality import feasible_path
from dajko.certify.optimality import optimality
from dajko.flow import Flow, trajectories, trajectory
from dajko.problem.problem import Problem
from dajko.resolution import odd_even
from dajko.status import Status
from dajko.transport import transport

EXACT = Path(__file__).parents[1] / "reference" / "exact"
POTENTIALS = {
    "a": lambda x: 2.0 * (x - 0.1) ** 2,
    "c": lambda x: 20.0 * x,
    "d": lambda x: 40.0 * (x**2 - 0.16) ** 2,
    "e": lambda x: 30.0 * x**4,
    "f": lambda x: 6.0 * x**2,
}
RULES = ("half_level", "right")


def cells(left, right, nx, nt, rule="half_level"):
    return Grid(left, right, nx, nt, rule, "finite_volume")


def distance_to_the_exact_step(name, nx, nt, rule="half_level"):
    """L1 distance of a step to the exact Wasserstein step, relative to the mass."""
    (path,) = EXACT.glob(f"jko1d_{name}_*.npz")
    with np.load(path) as exact:
        told, edges, mass = json.loads(str(exact["meta"])), exact["edges"], float(exact["mass"])
        old, new = (exact[key].reshape(nx, -1).mean(axis=1) for key in ("initial_cells", "cells"))
    grid = cells(edges[0], edges[-1], nx, nt, rule)
    energy = Energy(Entropy() if told["m"] == 1.0 else PorousMedium(told["m"]), POTENTIALS.get(name))
    data = told["data"] and DataTerm(told["data"]["observations"], told["data"]["values"], told["data"]["theta"])
    step = jko_step(old, energy, grid, told["tau"], data, solver=InteriorPoint(tol=1e-7))
    assert step.converged
    return float(grid.integrate(np.abs(step.density - new))) / mass


@pytest.mark.parametrize(
    ("name", "largest"), [("a", 4e-4), ("b", 2e-3), ("c", 1.5e-3), ("d", 6e-3), ("e", 6e-3), ("f", 4.5e-3)]
)
def test_the_exact_step_in_the_limit(name, largest):
    """Jumps of up to three widths of the density, with eight levels and 200 cells."""
    errors = [distance_to_the_exact_step(name, nx, nt) for nx, nt in ((50, 4), (100, 8), (200, 8))]
    assert errors[0] > 1.9 * errors[2]
    assert errors[2] < largest
    assert errors[2] < 0.3 * distance_to_the_exact_step(name, 200, 8, "right")


@pytest.mark.parametrize("name", ["a", "d", "e", "f"])
def test_second_order_in_artificial_time(name):
    errors = [distance_to_the_exact_step(name, 200, nt) for nt in (1, 2, 4)]
    assert errors[0] > 2.4 * errors[1] > 5.7 * errors[2]


def objective(problem):
    """The discrete objective as a function of the fluxes, written without the package's operators."""
    grid, n = problem.grid, problem.grid.points
    share = 0.5 if grid.time_rule == "half_level" else 1.0

    def value(flux):
        m = np.pad(flux.reshape(grid.nt, n - 1), ((0, 0), (1, 1)))
        rho = problem.initial - np.cumsum(np.diff(m, axis=1), axis=0) * grid.dt / grid.dx
        if (rho <= 0.0).any():
            return np.inf
        moving = share * rho + (1.0 - share) * np.vstack([problem.initial, rho[:-1]])
        faces = 0.5 * (moving[:, 1:] + moving[:, :-1])
        action = grid.dt * grid.dx * np.sum(m[:, 1:-1] ** 2 / (2.0 * faces))
        return action + problem.tau * problem.combined_energy(rho[-1])

    def density(flux):
        m = np.pad(flux.reshape(grid.nt, n - 1), ((0, 0), (1, 1)))
        return problem.initial - np.sum(np.diff(m, axis=1), axis=0) * grid.dt / grid.dx

    return value, density


@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("nt", [1, 2, 3])
def test_steps_minimise_the_discrete_objective(nt, rule, observed):
    grid = cells(-1.0, 1.0, 9, nt, rule)
    old = 0.6 + 0.3 * np.cos(2.0 * grid.x) + 0.2 * grid.x
    data = DataTerm(["mean", "spread"], [0.2, 0.3], 0.05) if observed else None
    problem = Problem(old, Energy(PorousMedium(2.0), lambda x: 0.5 * np.cos(3.0 * x)), grid, 0.08, data)
    step = InteriorPoint(tol=1e-10).solve(problem)
    value, density = objective(problem)
    found = minimize(
        value, np.zeros(nt * (grid.nx - 1)), method="BFGS", jac="3-point", options={"gtol": 1e-9, "maxiter": 2000}
    )
    np.testing.assert_allclose(step.density, density(found.x), atol=2e-6)
    assert value(feasible_path(step.path, problem).flux[1:, 1:-1].ravel()) <= found.fun + 1e-12
    met = optimality(problem, step)
    assert met.gap < 1e-7
    assert met.certified or observed


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("nt", [1, 4])
def test_velocity_is_the_adjoint_of_the_flux(nt, rule):
    """``sum phi outflow(M v) = -w sum M v^2`` for the velocity of phi, and masses are kept one by one."""
    grid, rng = cells(-0.3, 1.1, 7, nt, rule), np.random.default_rng(0)
    scheme, phi = transport(grid), rng.standard_normal((nt, 7))
    moving, v = scheme.moving(rng.uniform(size=(nt + 1, 7))), scheme.velocity(phi)
    left, out = phi * scheme.outflow(moving * v), scheme.outflow(moving * v)
    np.testing.assert_allclose(left.sum(axis=1), -grid.dt * grid.dx * (moving * v**2).sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(out.sum(axis=1), 0.0, atol=1e-15)
    density = np.cumsum(np.vstack([np.ones(7), -out / grid.wx]), axis=0)
    np.testing.assert_allclose(scheme.flux_between(density)[1:], moving * v, atol=1e-14)


@pytest.mark.parametrize(("nt", "error"), [(1, 1.5e-2), (2, 1e-3), (4, 1e-3)])
def test_a_pure_drift_keeps_the_variance(nt, error):
    """The exact step moves a density by slope times tau, and keeps its shape."""
    grid = cells(-1.0, 1.0, 200, nt)
    start = Gaussian(mean=0.3, std=0.1).on(grid)
    flow = evolve(start, Energy(None, potential=Linear(1.0)), grid, 0.05, 5, solver=InteriorPoint(tol=1e-7))
    (mean, spread), (before, width) = (measure(["mean", "spread"], u, grid) for u in (flow.density.values[-1], start))
    assert mean == pytest.approx(before - 0.25, abs=2e-4)
    assert spread == pytest.approx(width, rel=error)


def test_the_right_end_rule_spreads_in_a_drift():
    """By the square of the displacement over nt in each step, whatever the mesh."""
    for nt in (1, 4):
        grid = cells(-1.0, 1.0, 200, nt, "right")
        start = Gaussian(mean=0.3, std=0.1).on(grid)
        flow = evolve(start, Energy(None, potential=Linear(1.0)), grid, 0.05, 5)
        spread = measure(["spread"], flow.density.values[-1], grid).item()
        assert spread == pytest.approx(0.01 + 5 * 0.05**2 / nt, rel=0.03)


@pytest.mark.parametrize("at", [40, 41])
def test_what_is_one_cell_wide_spreads_over_all(at):
    """Centred differences would leave every other point empty for ever."""
    grid = cells(-1.0, 1.0, 81, 2)
    start = np.zeros(81)
    start[at] = 1.0 / grid.dx
    flow = evolve(start, Energy(Entropy()), grid, 1e-3, 40)
    assert (flow.status == Status.CONVERGED).all()
    amplitude = odd_even(flow.density.values, grid)
    assert amplitude[0] == 1.0
    assert amplitude[-1] < 2e-4  # of a Gaussian that wide, 1e-6; the rest is what the first step had
    assert measure(["spread"], flow.density.values[-1], grid).item() == pytest.approx(2.0 * 40 * 1e-3, rel=0.03)


def test_lanes_change_no_bit():
    grid, flows = cells(-0.7, 0.7, 40, 3), []
    operators = (None, ["mean", "spread"], [Sensors([-0.2, 0.1], 0.15)], [IntervalMasses([-0.3, 0.0, 0.3])])
    for i, (names, internal) in enumerate(itertools.product(operators, (PorousMedium(2.0), Entropy(), PorousMedium(5.0)))):
        start = Gaussian(mean=0.01 * i, std=0.1 + 0.01 * i).on(grid)
        values = names and np.tile(1.1 * measure(names, start, grid), (4, 1))
        data = names and DataTerm(names, values, 1e-3)
        flows += [Flow(start, Energy(internal), grid, tau, 4, data) for tau in (5e-4, 1e-3, 2e-3)]
    for flow, run in zip(flows, trajectories(flows), strict=True):
        alone = trajectory(flow.density, flow.energy, grid, flow.tau, flow.steps, flow.data, flow.solver)
        np.testing.assert_array_equal(run.density, alone.density)
        np.testing.assert_array_equal(run.iterations, alone.iterations)
        assert run.worst_status == Status.CONVERGED


def test_second_order_in_space():
    """Of a flow with steps so small that the mesh is what is left: the Barenblatt profile in one step of no length."""
    profile, errors = Barenblatt(m=2.0), []
    for nx in (25, 50, 100):
        grid, fine = cells(-0.7, 0.7, nx, 1), cells(-0.7, 0.7, 800, 1)
        energy = Energy(PorousMedium(2.0))
        coarse, exact = (
            jko_step(profile.on(g), energy, g, 1e-3, solver=InteriorPoint(tol=1e-8)).density for g in (grid, fine)
        )
        errors.append(float(grid.integrate(np.abs(coarse - grid.restrict(exact, fine)))))
    assert errors[0] > 2.8 * errors[1] > 7.8 * errors[2]
