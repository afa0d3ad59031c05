"""Certificates of steps: what is near to a minimiser has one, what only meets a stopping rule has none."""

from dataclasses import replace

import numpy as np
import pytest

from dajko import (
    PD3O,
    Barenblatt,
    DataTerm,
    Energy,
    Entropy,
    Gaussian,
    Grid,
    InteriorPoint,
    Logarithmic,
    PorousMedium,
    Status,
)
from dajko.certify.certificate import MOST_MASS_CHANGE, certificate, certified, projected
from dajko.certify.duality import feasible_path
from dajko.distance import l1, w2
from dajko.problem.problem import Path, Problem, Step
from dajko.solvers import solve
from dajko.solvers.algorithm_1.dimensionless import dimensionless
from dajko.solvers.algorithm_1.method import FALLBACK_MISSING, MOST_MISSING

from .reference_cases import NAMES, load

references = pytest.mark.parametrize("name", NAMES)


def without_units(problem):
    """The problem without units, its minimiser by interior_point as a path, and the potential."""
    same = dimensionless(problem)
    step = InteriorPoint(tol=1e-9).solve(problem)
    return same.problem, same.without_units(step.path), same.potential_without_units(step.potential)


def claimed(path):
    return Step(path, Status.CONVERGED, 1, {}, 0.0, "a solver, 1 iteration: converged")


@references
def test_a_minimiser_has_a_certificate(name):
    """With the potential of the solver and with one made from the path."""
    problem, path, potential = without_units(load(name).problem)
    path = projected(path, problem)
    for given in (potential, None):
        found = certificate(problem, path, given)
        assert not found.shortcoming(0.02)
        assert found.above_rest < -0.5 * found.action  # a step gains at least the action


@references
def test_what_has_not_moved_or_only_half_the_way_has_none(name):
    problem, path, _ = without_units(load(name).problem)
    assert certified(problem, claimed(problem.at_rest), MOST_MISSING).status == Status.NOT_CONVERGED
    for share in (0.01, 0.2, 0.5):
        half = Path((1 - share) * problem.at_rest.density + share * path.density, share * path.flux)
        assert "may be above the least one" in certificate(problem, half).shortcoming(MOST_MISSING)
    # The final density without the fluxes that lead to it.
    jumped = projected(Path(path.density, np.zeros_like(path.flux)), problem)
    assert certificate(problem, jumped).shortcoming(MOST_MISSING)


@references
def test_lost_mass_and_negative_densities_have_none(name):
    problem, path, potential = without_units(load(name).problem)
    for factor in (0.99, 1 + 1e-7, 466.0):
        changed = Path(factor * path.density, path.flux)
        assert "the mass changed" in certificate(problem, changed, potential).shortcoming(1e300)
    density = path.density.copy()
    density[-1, 3], density[-1, 5] = -1e-3, density[-1, 5] + density[-1, 3] + 1e-3
    assert "negative" in certificate(problem, Path(density, path.flux), potential).shortcoming(1e300)


def test_no_number_is_no_certificate():
    problem, path, potential = without_units(load("pme_m2").problem)
    for bad in (np.nan, np.inf):
        flux = path.flux.copy()
        flux[1, 4] = bad
        assert certificate(problem, Path(path.density, flux), potential).shortcoming(1e300)
    assert certificate(problem, Path(0.0 * path.density, path.flux), potential).shortcoming(1e300)


def test_a_stationary_density_has_a_certificate():
    """Nothing to gain: a flat density of the heat equation, and one that has all but settled."""
    grid = Grid(-1.0, 1.0, 40, 4)
    for u in (np.ones(41), 1.0 + 1e-9 * np.cos(np.pi * grid.x)):
        step = PD3O().solve(Problem(u, Energy(Entropy()), grid, 1e-3))
        assert step.status == Status.CONVERGED
        np.testing.assert_allclose(step.density, 1.0, rtol=1e-4)


def test_a_projected_path_has_the_masses_of_both_classes_of_nodes():
    problem, rng = load("pme_m2").problem, np.random.default_rng(3)
    shape = problem.at_rest.density.shape
    path = projected(Path(rng.normal(0.5, 1.0, shape), np.zeros(shape)), problem)
    assert path.density.min() >= 0.0
    for i in (0, 1):
        masses = path.density[:, i::2] @ problem.grid.wx[i::2]
        np.testing.assert_allclose(masses, masses[0], rtol=1e-14)
    np.testing.assert_array_equal(path.density[0], problem.initial)


# Solvers


@references
def test_steps_of_algorithm_1_are_certified_and_keep_their_mass(name):
    problem = load(name).problem
    step, same = PD3O().solve(problem), dimensionless(problem)
    found = certificate(same.problem, same.without_units(step.path), same.potential_without_units(step.potential))
    assert step.converged
    assert not found.shortcoming(MOST_MISSING)
    assert abs(problem.grid.integrate(step.density) / problem.grid.integrate(problem.initial) - 1) < MOST_MASS_CHANGE
    assert step.density.min() >= 0.0


@pytest.mark.parametrize("m", [10.0, 30.0, 50.0, 100.0, 200.0])
@pytest.mark.parametrize("solver", ["interior_point", "pd3o"])
def test_no_large_exponent_is_called_good_above_a_simple_competitor(solver, m):
    """The competitor is the old density, stretched to height 1: the mesa limit, which the step tends to."""
    grid, tau = Grid(-1.0, 1.0, 80, 4), 1e-3
    u0 = np.where(abs(grid.x) < 0.25, 1.5, 0.0) + 1e-6
    competitor = np.clip((0.375 + 0.5 * grid.dx - abs(grid.x)) / grid.dx, 0.0, 1.0) + 1e-6
    competitor *= grid.integrate(u0) / grid.integrate(competitor)
    energy = Energy(PorousMedium(m))

    def objective(u):
        return tau * float(energy.value(u, grid)) + 0.5 * grid.integrate(u0) * float(w2(u, u0, grid)) ** 2

    chosen = {"interior_point": InteriorPoint(), "pd3o": PD3O(max_iterations=20_000)}[solver]
    step = chosen.solve(Problem(u0, energy, grid, tau))
    assert step.converged or solver == "pd3o"
    assert not step.converged or objective(step.density) < objective(competitor)


def test_a_fallback_is_nearer_to_the_minimiser_than_the_stopping_rule_asks():
    problem = load("pme_m25_both_moments").problem
    step, same = PD3O().take_over(problem), dimensionless(problem)
    found = certificate(same.problem, same.without_units(step.path), same.potential_without_units(step.potential))
    assert step.converged
    assert not found.shortcoming(FALLBACK_MISSING)


def test_the_work_of_a_fallback_is_bounded():
    """Out of reach of Algorithm 1; what comes back has not converged, and has its mass."""
    grid = Grid(-1.0, 1.0, 2000, 40)
    problem = Problem(Gaussian(0.0, 0.1, 1.0)(grid.x), Energy(PorousMedium(60.0)), grid, 1.0)
    step = PD3O().take_over(problem)
    assert step.status == Status.NOT_CONVERGED
    assert step.iterations * 2001 * 41 <= 1e9
    assert grid.integrate(step.density) == pytest.approx(1.0, rel=1e-8)


def test_a_flow_never_goes_on_from_a_density_that_has_lost_mass():
    """Every step by Algorithm 1, few iterations, without convergence: mass and sign are right all the same."""
    grid = Grid(-0.7, 0.7, 40, 4)
    problem = Problem(Barenblatt()(grid.x), Energy(PorousMedium(2.0)), grid, 5e-4)
    solver = InteriorPoint(max_iterations=1)
    density = problem.initial
    for _ in range(3):
        step = solve(solver, replace(problem, density=density))
        assert step.density.min() >= 0.0
        density = step.density
    assert grid.integrate(density) == pytest.approx(float(grid.integrate(problem.initial)), rel=1e-12)


def test_the_certificate_bounds_the_distance_to_the_minimiser():
    """The gap of a feasible path bounds half the squared distance, as the energy is convex along geodesics."""
    grid = Grid(-0.7, 0.7, 60, 4, "right")
    for energy, data in (
        (Energy(Entropy()), None),
        (Energy(PorousMedium(2.0)), DataTerm(["expectation"], [0.05], 1e-2)),
        (Energy(Entropy(), interaction=Logarithmic(-1.0)), None),
    ):
        problem = Problem(Gaussian(0.1, 0.15, 1.0)(grid.x), energy, grid, 1e-3, data)
        same, best, potential = without_units(problem)
        for share in (0.9, 0.97, 1.0):
            path = Path(same.at_rest.density * (1 - share) + share * best.density, best.flux * share)
            path = feasible_path(path, same)
            found = certificate(same, path, potential)
            away = float(w2(path.density[-1], best.density[-1], same.grid))
            total = float(same.grid.integrate(same.initial))
            assert 0.5 * total * away**2 <= found.gap + found.leak + 1e-3 * found.action
            assert l1(path.density[0], same.initial, same.grid) < 1e-12
