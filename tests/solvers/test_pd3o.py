"""Algorithm 1: its operator, a NumPy version of it, reference minimisers, step sizes and statuses."""

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
    InputError,
    PorousMedium,
    PowerLaw,
    Quadratic,
    Sensors,
    Status,
    measure,
)
from dajko.data.operator import operator
from dajko.distance import l1
from dajko.energy.on_grid import interaction_on
from dajko.problem.problem import Problem
from dajko.solvers.algorithm_1.constraints import Dual, apply, apply_adjoint, operator_norm, weights, zero_dual
from dajko.solvers.algorithm_1.dimensionless import dimensionless
from dajko.solvers.algorithm_1.method import lipschitz_bounds

from .numpy_pd3o import algorithm_1, constraints, gramian, normal_norm
from .reference_cases import NAMES, WITH_DATA, load

TAU = 5e-4
rules = pytest.mark.parametrize("rule", ["right", "trapezoid"])
sizes = pytest.mark.parametrize(("nx", "nt"), [(4, 1), (5, 2), (12, 3), (23, 7)])


def porous_medium(nx=40, nt=4, rule="right", data=None, m=2.0, shift=0.1):
    """A step of the paper on a coarse grid."""
    grid = Grid(-0.7, 0.7, nx, nt, rule)
    return Problem(Barenblatt(m=m, shift=shift)(grid.x), Energy(PorousMedium(m)), grid, TAU, data)


def random_duals(grid, rng):
    return Dual._make(rng.standard_normal(part.shape) for part in zero_dual(grid))


def roots_of_weights(grid):
    """S of the module docstring, for each block of rows."""
    metric = np.outer(grid.wt_metric, grid.wx)
    return [np.sqrt(w) for w in (metric[1:], grid.wt_metric[:, None], grid.wt_metric, grid.wx)]


# The operator


@rules
@sizes
def test_adjoint_in_the_weighted_inner_product(nx, nt, rule):
    """<phi, A u> = <A* phi, u> with the right-hand side in (4.2); phi = S y, so the left one carries S^2."""
    grid, rng = Grid(-0.7, 1.1, nx, nt, rule), np.random.default_rng(nx)
    w, metric = weights(grid), np.outer(grid.wt_metric, grid.wx)
    rho, m = rng.standard_normal((2, nt + 1, nx + 1))
    y, image, adjoint = random_duals(grid, rng), zero_dual(grid), np.empty((2, nt + 1, nx + 1))
    apply(rho, m, np.zeros(nx + 1), 0.0, w, image)
    apply_adjoint(y, w, *adjoint)
    squares = Dual(metric[1:], grid.wt_metric[:, None], grid.wt_metric, grid.wx, np.ones(0))
    terms = [s * a * b for s, a, b in zip(squares, y, image, strict=True)]
    left, right = sum(t.sum() for t in terms), (metric * (adjoint[0] * rho + adjoint[1] * m)).sum()
    assert abs(left - right) <= 1e-14 * sum(np.abs(t).sum() for t in terms)


@rules
@sizes
def test_operator_and_adjoint_are_those_of_the_paper(nx, nt, rule):
    """Against matrices assembled from (4.9)-(4.12), and A* = W^-1 A^T."""
    grid, rng = Grid(-0.7, 1.1, nx, nt, rule), np.random.default_rng(nx)
    density = rng.uniform(size=nx + 1)
    u, y, result = rng.standard_normal((2, nt + 1, nx + 1)), random_duals(grid, rng), zero_dual(grid)
    apply(*u, density, grid.wx @ density, weights(grid), result)
    adjoint = np.zeros(u.size)
    for (a, b), root, part, dual in zip(constraints(grid, density), roots_of_weights(grid), result, y, strict=False):
        np.testing.assert_allclose((root * part).ravel(), a @ u.ravel() - b, rtol=1e-11, atol=1e-12)
        adjoint += a.T @ (root * dual).ravel() / gramian(grid)
    out = np.empty_like(u)
    apply_adjoint(y, weights(grid), *out)
    np.testing.assert_allclose(out.ravel(), adjoint, rtol=1e-11, atol=1e-11 * np.abs(adjoint).max())


@rules
@sizes
def test_operator_norm_against_a_dense_svd(nx, nt, rule):
    grid = Grid(-0.7, 1.1, nx, nt, rule)
    assert operator_norm(grid) == pytest.approx(normal_norm(grid), rel=1e-8)


@pytest.mark.parametrize(("right", "norm"), [(0.7, 10_699), (1.0, 5464), (0.5, 20_537)])
def test_operator_norms_of_the_design(right, norm):
    assert operator_norm(Grid(-right, right, 100, 10, "trapezoid")) == pytest.approx(norm, abs=0.6)


# The iteration


STEPS = {
    "porous_medium": (Energy(PorousMedium(2.0)), None),
    "with_potential": (Energy(PorousMedium(2.5), Quadratic(30.0, -0.1)), None),
    "expectation": (Energy(PorousMedium(2.0)), DataTerm(["expectation"], [0.0], 1 / 200)),
    "both_moments": (Energy(PorousMedium(2.0)), DataTerm(["expectation", "variance"], [0.0, 0.045], 1 / 200)),
    # Centred, as Algorithm 1 is given every interaction, so that this one is as printed.
    "interaction": (
        Energy(PorousMedium(2.0), Quadratic(3.0), interaction_on(PowerLaw(2.0, 0.5, 40.0), Grid(-0.5, 0.7, 16, 3)).centred),
        DataTerm(["mass"], [1.7], 0.05),
    ),
    "no_internal_energy": (Energy(potential=Quadratic(10.0)), DataTerm(["mass"], [1.7], 0.05)),
}


@rules
@pytest.mark.parametrize("iterations", [1, 2, 5, 40])
@pytest.mark.parametrize("name", STEPS)
def test_iterates_are_those_of_algorithm_1_as_printed(name, iterations, rule):
    """Densities, fluxes and dual variables of the problem without units against the NumPy version, to rounding."""
    energy, data = STEPS[name]
    grid, density = Grid(-0.5, 0.7, 16, 3, rule), np.random.default_rng(7).exponential(size=17)
    density[[2, 3, 11]] = 0.0
    problem = Problem(density, energy, grid, TAU, data)
    same = dimensionless(problem).problem
    lam, sigma, delta = 0.15, 0.9 / (0.15 * normal_norm(same.grid)), 1e-3
    options = {"primal_step": lam, "dual_step": sigma, "constraint_tolerance": delta, "data_step": "explicit"}
    step = PD3O(tol=1e-300, max_iterations=iterations, **options).solve(problem)

    def gradient(u):
        return same.energy.first_variation(u, same.grid) + (0.0 if data is None else same.data.gradient(u, same.grid))

    rho, m, phi = algorithm_1(same.grid, same.initial, same.tau, gradient, lam, sigma, delta, iterations)
    path, dual = step.warm_start
    assert step.status == Status.NOT_CONVERGED
    assert step.iterations == iterations
    np.testing.assert_allclose(path.density, rho, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(path.flux, m, rtol=1e-10, atol=1e-12)
    for root, y, expected in zip(roots_of_weights(same.grid), dual, phi, strict=False):
        np.testing.assert_allclose((root * y).ravel(), expected, rtol=1e-9, atol=1e-12)


@rules
def test_reported_violations_are_those_of_the_path(rule):
    problem = porous_medium(nx=20, rule=rule)
    step = PD3O(max_iterations=300).solve(problem)
    path, same = step.warm_start[0], dimensionless(problem).problem
    u = np.concatenate([path.density.ravel(), path.flux.ravel()])
    expected = [np.linalg.norm(a @ u - b) for a, b in constraints(same.grid, same.initial)]
    reported = [step.residuals[key] for key in ("continuity", "boundary", "mass", "initial")]
    np.testing.assert_allclose(reported, expected, rtol=1e-8, atol=1e-14)
    assert step.residual == max(step.residuals[f"change_{part}"] for part in ("primal", "dual", "energy"))


# The minimiser


@pytest.mark.parametrize(("name", "data_step"), [(name, "auto") for name in NAMES] + [(name, "dual") for name in WITH_DATA])
def test_references_with_the_default_options(name, data_step):
    """The paper's tolerance leaves an L1 error of 2 to 7.2 parts in 10 000 of the mass."""
    reference = load(name)
    problem, step = reference.problem, PD3O(data_step=data_step).solve(reference.problem)
    mass = problem.grid.integrate(problem.initial)
    assert step.converged
    assert l1(step.density, reference.density, problem.grid) < 1e-3 * mass
    assert problem.combined_energy(step.density) == pytest.approx(reference.energy, rel=5e-3)


@pytest.mark.parametrize(
    ("name", "data_step", "tol", "error"),
    [
        ("pme_m2", "explicit", 1e-7, 2e-6),
        ("pme_m2_right", "explicit", 1e-7, 2e-6),
        ("pme_m2_first_moment", "explicit", 1e-7, 8e-6),
        ("pme_m2_first_moment", "dual", 1e-7, 8e-6),
        ("pme_m25_both_moments", "explicit", 1e-7, 8e-6),
        ("pme_m25_both_moments", "dual", 1e-7, 8e-6),
        ("heat", "explicit", 1e-6, 2e-4),
        ("fokker_planck", "explicit", 1e-6, 2e-4),
    ],
)
def test_references_with_tight_tolerances(name, data_step, tol, error):
    """Densities, energies and whole paths; about twice the errors measured. Entropies take 10^6 iterations at 10^-7."""
    reference = load(name)
    problem = reference.problem
    step = PD3O(tol=tol, constraint_tolerance=tol, data_step=data_step).solve(problem)
    assert step.converged
    assert l1(step.density, reference.density, problem.grid) < error
    assert l1(step.path.density[1:], reference.path, problem.grid).max() < 10 * error
    assert l1(step.path.flux[1:, 1:-1], reference.flux, Grid(0.0, 1.0, reference.flux.shape[1] - 1, 1)).max() < error
    assert problem.combined_energy(step.density) == pytest.approx(reference.energy, rel=6 * error)


@pytest.mark.parametrize(
    ("observation", "theta", "least_effect"),
    [
        ("mass", 1 / 20, 0.0),  # the mass is constrained, so data on it do nothing
        ("expectation", 1 / 2000, 0.2),
        ("variance", 1 / 2000, 5e-3),
        ("mean", 1 / 2000, 0.1),
        ("spread", 1 / 2000, 5e-3),
        (Sensors([-0.2, 0.1, 0.3], 0.05), 1 / 20, 5e-3),
    ],
    ids=["mass", "expectation", "variance", "mean", "spread", "sensors"],
)
def test_data_in_the_dual_step_or_explicit_have_the_same_minimiser(observation, theta, least_effect):
    grid, truth = Grid(-0.7, 0.7, 40, 4), Barenblatt(shift=0.05, time_shift=1e-3)
    data = DataTerm([observation], measure([observation], truth(grid.x), grid), theta)
    options = {"tol": 1e-6, "constraint_tolerance": 1e-6}
    steps = [PD3O(**options, data_step=d).solve(porous_medium(data=data)) for d in ("explicit", "dual")]
    steps.append(PD3O(**options).solve(porous_medium()))
    assert [s.converged for s in steps] == [True] * 3
    explicit, dual, without = (s.density for s in steps)
    assert l1(explicit, dual, grid) < 3e-4
    assert l1(explicit, without, grid) >= least_effect


@pytest.mark.parametrize("theta", [1e-5, 1e-6, 1e-8, 1e-12])
def test_a_small_theta_enforces_the_data(theta):
    """By default such data are in the dual step, where the number of iterations does not depend on theta."""
    problem = porous_medium(data=DataTerm(["mean", "spread"], [0.05, 0.025], theta))
    assert PD3O().steps(problem).data.size == 2
    step = PD3O().solve(problem)
    assert step.converged
    assert step.iterations < 10_000
    np.testing.assert_allclose(
        measure(["mean", "spread"], step.density, problem.grid), [0.05, 0.025], atol=300 * theta + 1e-5
    )


def test_a_warm_start_saves_iterations_and_is_left_alone():
    problem = porous_medium()
    cold = PD3O().solve(problem)
    kept = [part.copy() for part in (*cold.warm_start[1], cold.path.density, problem.initial)]
    warm = PD3O().solve(problem, cold.warm_start)
    assert warm.converged
    assert warm.iterations < cold.iterations / 10
    assert l1(warm.density, cold.density, problem.grid) < 1e-4
    for before, after in zip(kept, (*cold.warm_start[1], cold.path.density, problem.initial), strict=True):
        np.testing.assert_array_equal(after, before)


def test_a_warm_start_fits_any_way_of_taking_the_data():
    first = PD3O(data_step="dual").solve(porous_medium(data=DataTerm(["mean", "spread"], [0.0, 0.03], 0.01)))
    for data in (None, DataTerm(["mean"], [0.0], 0.01)):
        assert PD3O(data_step="dual").solve(porous_medium(data=data), first.warm_start).converged


# Step sizes


@rules
def test_default_steps_are_those_of_the_paper(rule):
    """lambda = 0.2 and lambda sigma |AA*| = 0.9."""
    problem = porous_medium(rule=rule)
    steps = PD3O().steps(problem)
    assert steps.primal == 0.2
    assert steps.primal * steps.dual * operator_norm(problem.grid) == pytest.approx(0.9)
    assert steps.data.size == 0


def test_lambda_shrinks_with_the_lipschitz_constant():
    problem = Problem(np.ones(41), Energy(PorousMedium(2.0)), Grid(0.0, 1.0, 40, 4), tau=10.0)
    internal, _ = lipschitz_bounds(problem)
    assert internal == pytest.approx(10.0 * 2.0 / 0.25)
    assert PD3O().steps(problem).primal == pytest.approx(1.0 / internal)


@rules
@pytest.mark.parametrize(
    ("observations", "exact"),
    [
        (["expectation"], True),
        (["variance"], True),
        (["mean", "spread", "mass"], False),
        ([Sensors([0.0, 0.2], 0.1)], False),
    ],
)
def test_lipschitz_bound_of_the_data_term(observations, exact, rule):
    """Against the largest eigenvalue of tau / w times the Hessian where the misfit is 0; equal for a single number."""
    grid = Grid(-0.7, 0.7, 20, 3, rule)
    u = Barenblatt(shift=0.1)(grid.x)
    data = DataTerm(observations, measure(observations, u, grid), theta=0.01)
    hessian = np.column_stack([data.hessian_product(u, h, grid) for h in np.eye(21)])
    largest = np.linalg.eigvals(hessian).real.max() * TAU / grid.wt[-1]
    _, bound = lipschitz_bounds(Problem(u, Energy(), grid, TAU, data))
    assert largest <= bound * (1 + 1e-12)
    assert bound == pytest.approx(largest, rel=1e-9) if exact else bound < 3 * largest


@pytest.mark.parametrize(("theta", "in_dual"), [(1.0, False), (1 / 200, False), (1e-5, True)])
def test_data_go_where_lambda_can_stay(theta, in_dual):
    problem = porous_medium(data=DataTerm(["expectation"], [0.0], theta))
    assert PD3O().steps(problem).primal == 0.2
    assert (PD3O().steps(problem).data.size == 1) == in_dual
    assert PD3O(data_step="dual").steps(problem).data.size == 1
    assert PD3O(data_step="explicit").steps(problem).data.size == 0


@rules
@pytest.mark.parametrize(
    "observation", ["expectation", "mass", Sensors([-0.2, 0.0, 0.2], 0.1)], ids=lambda o: getattr(o, "name", o)
)
def test_steps_stay_admissible_with_data_rows(observation, rule):
    """lambda sigma |AA*| < 1 for A with the scaled rows of the data below it, by a dense singular value decomposition."""
    grid = Grid(-0.7, 0.7, 20, 3, rule)
    op = operator([observation], grid)
    data = DataTerm([observation], np.zeros(op.kind.size), theta=1e-6)
    steps = PD3O().steps(Problem(Barenblatt()(grid.x), Energy(PorousMedium(2.0)), grid, TAU, data))
    rows = np.zeros((op.kind.size, 2, grid.nt + 1, grid.nx + 1))
    rows[:, 0, -1] = np.sqrt(steps.data / steps.dual)[:, None] * grid.wx * op.footprint
    a = np.vstack([*(a for a, _ in constraints(grid, grid.x)), rows.reshape(op.kind.size, -1)])
    norm = np.linalg.norm(a / np.sqrt(gramian(grid)), 2) ** 2
    assert norm > normal_norm(grid)
    assert 0.8 < steps.primal * steps.dual * norm < 0.95


@pytest.mark.parametrize("internal", [Entropy(), PorousMedium(1.5)])
def test_unbounded_curvature_goes_to_the_proximal_map(internal):
    problem = porous_medium()
    assert PD3O().steps(problem).internal_explicit
    assert not PD3O().steps(Problem(problem.initial, Energy(internal), problem.grid, TAU)).internal_explicit


def test_an_interaction_shortens_the_step():
    """L is tau / wt times the largest stretch of W * u, whatever constant W may have."""
    problem = porous_medium()
    local, _ = lipschitz_bounds(problem)
    for strength, constant in ((4e4, 0.0), (4e4, 1e6), (0.0, 1e6)):
        energy = Energy(PorousMedium(2.0), interaction=lambda r, s=strength, c=constant: s * np.abs(r) + c)
        strong = Problem(problem.initial, energy, problem.grid, TAU)
        lipschitz = local + TAU / problem.grid.wt_metric[-1] * strong.interaction.norm
        # |r| is twice the fundamental solution of d2/dx2, whose least eigenvalue is (pi / 1.4)^2.
        assert strong.interaction.norm == pytest.approx(2 * strength * (1.4 / np.pi) ** 2, rel=1e-3, abs=1e-6)
        assert PD3O().steps(strong).primal == pytest.approx(min(0.2, 1 / lipschitz))
        with pytest.raises(InputError, match="where L is the Lipschitz constant"):
            PD3O(primal_step=2.01 / lipschitz).steps(strong)


def test_a_single_given_step_sets_the_other():
    problem = porous_medium()
    norm = operator_norm(problem.grid)
    assert PD3O(primal_step=0.05).steps(problem).dual == pytest.approx(0.9 / (0.05 * norm))
    assert PD3O(dual_step=90.0 / norm).steps(problem).primal == pytest.approx(0.01)
    assert PD3O(dual_step=1e-6 / norm).steps(problem).primal == 0.2


def test_steps_that_diverge_are_refused():
    problem = porous_medium()
    norm = operator_norm(problem.grid)
    says = r"primal_step \* dual_step must be less than 1 / \|AA\*\|"
    with pytest.raises(InputError, match=says):
        PD3O(primal_step=0.2, dual_step=5.05 / norm).solve(problem)
    assert PD3O(primal_step=0.2, dual_step=4.95 / norm, max_iterations=1).solve(problem).iterations == 1
    data = DataTerm(["expectation"], [0.0], 1e-6)
    with pytest.raises(InputError, match=r"primal_step must be less than 2 / L"):
        PD3O(primal_step=0.2, data_step="explicit").solve(porous_medium(data=data))


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("tol", 0.0, "tol of PD3O must be greater than 0"),
        ("tol", np.nan, "tol of PD3O must be a finite number"),
        ("primal_step", -0.2, "primal_step of PD3O must be greater than 0"),
        ("dual_step", np.inf, "dual_step of PD3O must be a finite number"),
        ("constraint_tolerance", 0.0, "constraint_tolerance of PD3O must be greater than 0"),
        ("max_iterations", 0, "max_iterations of PD3O must be greater than 0"),
        ("max_iterations", 10.5, "max_iterations of PD3O must be a whole number"),
        ("max_iterations", np.nan, "max_iterations of PD3O must be a whole number"),
        ("data_step", "implicit", "data_step of PD3O must be 'auto', 'explicit' or 'dual', got 'implicit'"),
    ],
)
def test_bad_options_are_refused(option, value, says):
    with pytest.raises(InputError, match=says):
        PD3O(**{option: value})


# Statuses


def test_too_few_iterations_are_not_convergence():
    step = PD3O(max_iterations=100).solve(porous_medium())
    assert step.status == Status.NOT_CONVERGED
    assert not step.converged
    assert step.iterations == 100
    assert "100 iterations" in step.message
    assert "solver.max_iterations" in step.message
    assert step.residual > 1e-5


@pytest.mark.parametrize(
    ("tau", "energy", "data"),
    [
        (1e300, Energy(PorousMedium(2.0)), None),
        (TAU, Energy(PorousMedium(2.0)), DataTerm(["mean", "spread"], [1e160, 1e160], 1e-3)),
        (TAU, Energy(PorousMedium(2.0), Quadratic(-1e155)), None),
    ],
    ids=["time_step", "data", "potential"],
)
def test_divergence_is_a_failure(tau, energy, data):
    """Infinities and NaN end the solve, in a status and not in an exception."""
    problem = porous_medium(data=data)
    step = PD3O().solve(Problem(problem.initial, energy, problem.grid, tau, data))
    assert step.status == Status.FAILED
    assert not np.isfinite(step.residual)
    assert Status.FAILED.message in step.message


@pytest.mark.parametrize("strength", [-1e10, -1e7, 1e10])
def test_a_standstill_far_from_the_constraints_is_not_convergence(strength):
    """A steep potential empties the density, or half of it, and then nothing changes any more."""
    problem = porous_medium()
    steep = Problem(problem.initial, Energy(PorousMedium(2.0), Quadratic(strength)), problem.grid, TAU)
    step = PD3O(max_iterations=2000, tol=1e-3).solve(steep)
    violated = step.residuals["mass"] > 0.1 or step.residuals["initial"] > 0.1
    assert step.residual < 1e-3
    assert violated
    assert step.status == Status.NOT_CONVERGED


@pytest.mark.parametrize("strength", [0.0, 1e2, 1e4, -1e4])
def test_what_has_converged_is_finite_nonnegative_and_keeps_its_mass(strength):
    grid = Grid(-0.7, 0.7, 40, 4)
    for internal, density in [(PorousMedium(2.0), Barenblatt()), (Entropy(), Gaussian(0.1, 0.2, 2.0))]:
        step = PD3O().solve(Problem(density(grid.x), Energy(internal, Quadratic(strength)), grid, TAU))
        assert step.converged
        assert np.isfinite(step.path.flux).all()
        assert (step.path.density >= 0).all()
        np.testing.assert_allclose(grid.integrate(step.path.density), grid.integrate(density(grid.x)), rtol=5e-3)
