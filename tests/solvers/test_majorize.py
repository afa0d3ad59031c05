"""Interactions that are not convex: their splitting, convex steps, and steps with interaction by every solver."""

import numpy as np
import pytest
from scipy.optimize import minimize

from dajko import (
    PD3O,
    DataTerm,
    Energy,
    Entropy,
    Gaussian,
    GaussianKernel,
    Grid,
    InteriorPoint,
    Logarithmic,
    Morse,
    PorousMedium,
    PowerLaw,
    Quadratic,
    QuadraticAttraction,
    Status,
    jko_step,
)
from dajko.distance import l1
from dajko.energy.on_grid import interaction_on
from dajko.flow import Flow, trajectories, trajectory
from dajko.problem.majorize import convex_step, descend, local_step, split
from dajko.problem.problem import Problem
from dajko.solvers.primal_dual.method import Start, solve_local

GRID = Grid(-1.0, 1.0, 24, 3)
# One start without symmetry, positive everywhere.
START = Gaussian(-0.1, 0.3, 2.0)(GRID.x) + Gaussian(0.5, 0.15, 0.5)(GRID.x) + 0.1
KERNELS = {
    "chemotaxis": Logarithmic(10.0),
    "repulsive_logarithm": Logarithmic(-10.0),
    "quadratic": QuadraticAttraction(8.0),
    "gaussian": GaussianKernel(10.0, 0.2),
    "repulsive_gaussian": GaussianKernel(-10.0, 0.2),
    "power_law": PowerLaw(2.0, 1.0, 10.0),
    "power_law_of_both_signs": PowerLaw(4.0, 2.0, 12.0),
    "morse": Morse(20.0, 0.4, 15.0, 0.1),
}
CONCAVE = ["chemotaxis", "quadratic", "gaussian"]
CONVEX = ["repulsive_logarithm", "repulsive_gaussian", "power_law"]
TIGHT = PD3O(tol=1e-6, constraint_tolerance=1e-6)
every_kernel = pytest.mark.parametrize("name", KERNELS)


def problem(name, tau=2e-3, internal=None, data=None):
    return Problem(START, Energy(internal or Entropy(), interaction=KERNELS[name]), GRID, tau, data)


def minimiser(p):
    """The minimiser by BFGS over the fluxes inside, from which the densities follow: no constraint is left, no kernel used.

    Written from section 4.2 with dense matrices.
    """
    n, levels, grid = GRID.nx + 1, GRID.nt, p.grid
    centred = (np.eye(n, k=1) - np.eye(n, k=-1)) / (2 * grid.dx)
    centred[0, :2] = centred[-1, -2:] = [-1 / grid.dx, 1 / grid.dx]
    divergence = grid.dt * centred[:, 1:-1]
    weights = np.outer(grid.wt[1:], grid.wx)

    def objective(m):
        flux = m.reshape(levels, n - 2)
        rho = p.initial - np.cumsum(flux @ divergence.T, axis=0)
        if rho.min() <= 0:
            return np.inf, np.zeros_like(m)
        v = flux / rho[:, 1:-1]
        value = np.sum(weights[:, 1:-1] * flux * v) / 2 + p.tau * p.energy.value(rho[-1], grid)
        by_rho = np.zeros_like(rho)
        by_rho[:, 1:-1] = -weights[:, 1:-1] * v**2 / 2
        by_rho[-1] += p.tau * grid.wx * p.energy.first_variation(rho[-1], grid)
        later = np.cumsum(by_rho[::-1], axis=0)[::-1]
        return value, (weights[:, 1:-1] * v - later @ divergence).ravel()

    found = minimize(
        objective, np.zeros(levels * (n - 2)), jac=True, method="BFGS", options={"gtol": 1e-11, "maxiter": 5000}
    )
    rho = p.initial - np.cumsum(found.x.reshape(levels, n - 2) @ divergence.T, axis=0)
    return rho[-1], found.fun


# Splitting


@every_kernel
def test_the_parts_add_up_and_have_their_signs(name):
    interaction, rng = interaction_on(KERNELS[name], GRID), np.random.default_rng(5)
    parts, size = split(interaction), np.abs(interaction.matrix).max()
    convex = 0.0 if parts.convex is None else parts.convex.matrix
    np.testing.assert_allclose(convex + parts.concave.matrix, interaction.matrix, atol=1e-13 * size)
    np.testing.assert_allclose((parts.modes.T * parts.values) @ parts.modes, convex + np.zeros((25, 25)), atol=1e-13 * size)
    np.testing.assert_allclose((parts.modes * GRID.wx) @ parts.modes.T, np.eye(parts.values.size), atol=1e-12)
    np.testing.assert_allclose(parts.modes @ GRID.wx, 0.0, atol=1e-12)
    assert parts.neglected <= 1e-12 * size
    for h in rng.standard_normal((50, 25)):
        h -= GRID.integrate(h) / 2.0
        assert parts.concave.value(h) <= 1e-13 * size
        assert parts.convex is None or parts.convex.value(h) >= -1e-13 * size


def test_which_kernels_are_concave_or_convex():
    assert [name for name in KERNELS if split(interaction_on(KERNELS[name], GRID)).convex is None] == CONCAVE
    assert [name for name in KERNELS if problem(name).interaction_is_convex] == CONVEX
    assert Problem(START, Energy(Entropy()), GRID, 1e-3).interaction_is_convex


@pytest.mark.parametrize("nx", [8, 41, 100, 200])
def test_the_logarithm_is_concave_on_every_grid(nx):
    grid = Grid(-0.9, 1.3, nx, 1)
    for kernel in (Logarithmic(2.0), *(Logarithmic(2.0, core) for core in (1e-4, 0.003, 0.01, 0.03, 0.1))):
        assert split(interaction_on(kernel, grid)).convex is None


@pytest.mark.parametrize("rank", [0, 1, 3, 7])
@pytest.mark.parametrize("name", ["repulsive_logarithm", "morse"])
def test_a_truncated_convex_part_says_how_wrong_the_tangent_may_be(name, rank):
    interaction, rng = interaction_on(KERNELS[name], GRID), np.random.default_rng(6)
    parts, whole = split(interaction, rank), split(interaction)
    assert parts.values.tolist() == whole.values[:rank].tolist()
    assert parts.neglected == whole.values[rank]
    for u in rng.uniform(size=(50, 25)):
        v = rng.uniform(size=25)
        v *= GRID.integrate(u) / GRID.integrate(v)
        tangent = parts.concave.value(v) + GRID.integrate((u - v) * parts.concave.mean_field(v))
        assert parts.concave.value(u) <= tangent + parts.neglected * GRID.integrate((u - v) ** 2) / 2 + 1e-12


@every_kernel
def test_a_convex_step_majorises_and_touches(name):
    """Up to a constant its energy lies above that of the step, and agrees at the density of the tangent."""
    p, rng = problem(name), np.random.default_rng(7)
    v = p.initial
    convex = convex_step(p, v)
    gap = p.combined_energy(v) - convex.combined_energy(v)
    assert convex.interaction_is_convex
    for u in rng.uniform(0.1, 2.0, size=(50, 25)):
        u *= GRID.integrate(v) / GRID.integrate(u)
        assert convex.combined_energy(u) + gap >= p.combined_energy(u) - 1e-12
    first = convex.energy.first_variation(v, GRID) - p.energy.first_variation(v, GRID)
    np.testing.assert_allclose(first, 0.0, atol=1e-11)


# Descent


@pytest.mark.parametrize("tau", [2e-3, 5e-2])
@pytest.mark.parametrize(
    ("inner", "name"), [("pd3o", name) for name in KERNELS] + [("interior_point", name) for name in CONCAVE]
)
def test_the_objective_never_increases(name, tau, inner):
    """Over all convex steps that are accepted, whatever solves them."""
    p = problem(name, tau)
    values, paths = [p.value(p.at_rest)], []

    def solve(density, last):
        if inner == "pd3o":
            step = PD3O().solve(convex_step(p, density), last and last.warm_start)
        else:
            local, stiffness = local_step(p, density)
            step = solve_local(InteriorPoint(), local, last and Start(2 * p.initial - last.density, 0.014), stiffness)
        paths.append(step.path)
        return step

    step = descend(p, solve, 1e-5)
    assert step.converged
    values += [p.value(path) for path in paths]
    accepted = np.array(values[:-1] if step.path is not paths[-1] else values)
    assert (np.diff(accepted) < 0).all()
    assert p.value(step.path) == accepted[-1]
    assert accepted.size >= (2 if inner == "pd3o" or name == "quadratic" else 3)


def test_without_descent_a_step_stays_at_rest():
    """A solver that returns nonsense cannot raise the objective."""
    p = problem("chemotaxis")

    def solve(density, last):
        step = InteriorPoint().solve(local_step(p, density)[0])
        step.path.flux[1:, 1:-1] += 5.0
        return step

    step = descend(p, solve, 1e-5)
    np.testing.assert_array_equal(step.path.density, p.at_rest.density)
    assert not step.path.flux.any()
    assert p.value(step.path) == p.value(p.at_rest)


def test_where_the_explicit_gradient_fails_convex_steps_take_over():
    p = Problem(START, Energy(Entropy(), interaction=Logarithmic(60.0)), GRID, 5e-2)
    step = PD3O(max_iterations=20_000).solve(p)
    assert "convex steps" in step.message
    assert step.converged
    assert p.value(step.path) < p.value(p.at_rest)


def test_a_failure_is_a_status():
    p = Problem(START, Energy(Entropy(), interaction=Logarithmic(2.0)), GRID, 1e300)
    for solver in (PD3O(max_iterations=100), InteriorPoint(max_iterations=5)):
        assert not solver.solve(p).converged


# Minimisers


@every_kernel
@pytest.mark.parametrize("internal", [Entropy(), PorousMedium(2.0)], ids=["entropy", "porous_medium"])
def test_minimisers_agree_with_a_descent_over_fluxes(name, internal):
    p = problem(name, internal=internal)
    density, value = minimiser(p)
    assert l1(density, p.initial, GRID) > 0.02
    for solver, bound, higher in ((InteriorPoint(tol=1e-8), 3e-6, 1e-6), (TIGHT, 3e-4, 3e-5)):
        step = solver.solve(p)
        assert step.converged
        assert l1(step.density, density, GRID) < bound
        assert p.value(step.path) == pytest.approx(value, rel=higher)


def test_minimisers_with_data_agree_with_each_other():
    data = DataTerm(["mean", "spread"], [0.1, 0.05], 1e-3)
    p = problem("chemotaxis", data=data)
    steps = [solver.solve(p) for solver in (InteriorPoint(tol=1e-8), TIGHT)]
    assert all(step.converged for step in steps)
    assert l1(steps[0].density, steps[1].density, GRID) < 2e-4
    assert l1(steps[0].density, InteriorPoint().solve(problem("chemotaxis")).density, GRID) > 0.05


@pytest.mark.parametrize("solver", [InteriorPoint(tol=1e-7), PD3O(tol=1e-6, constraint_tolerance=1e-6)], ids=["ip", "pd3o"])
def test_a_quadratic_attraction_is_a_potential_about_the_mean(solver):
    """strength M (x - mean)^2 / 2, as a step keeps the mean; symmetric about a node, so that the grid does so too."""
    grid, mass, strength, mean = Grid(-1.3, 1.3, 52, 5), 2.0, 3.0, 0.1
    u = np.maximum(0.3 - (grid.x - mean) ** 2, 0.0)
    u *= mass / grid.integrate(u)
    for internal in (Entropy(), PorousMedium(2.0)):
        start = u + (0.05 * np.exp(-20 * (grid.x - mean) ** 2) if isinstance(internal, Entropy) else 0.0)
        total = float(grid.integrate(start))
        energy = Energy(internal, interaction=QuadraticAttraction(strength))
        expected = jko_step(
            start, Energy(internal, Quadratic(strength * total, mean)), grid, 0.02, solver=InteriorPoint(1e-7)
        )
        step = jko_step(start, energy, grid, 0.02, solver=solver)
        assert step.converged
        assert l1(step.density, start, grid) > 0.1
        assert l1(step.density, expected.density, grid) < 2e-4 * total


def test_a_gaussian_with_quadratic_attraction_stays_a_gaussian():
    """s' = (s + sqrt(s^2 + 4 tau (1 + k tau))) / (2 (1 + k tau)) with k = strength M, and the mean stays."""
    grid, tau, mean, std, mass, strength = Grid(-1.2, 1.4, 80, 8), 0.01, 0.1, 0.25, 2.0, 5.0
    step = jko_step(
        Gaussian(mean, std, mass)(grid.x), Energy(Entropy(), interaction=QuadraticAttraction(strength)), grid, tau
    )
    k = 1 + strength * mass * tau
    exact = Gaussian(mean, (std + np.sqrt(std**2 + 4 * tau * k)) / (2 * k), mass)(grid.x)
    assert step.converged
    assert l1(step.density, exact, grid) < 2e-3 * mass
    assert l1(step.density, jko_step(Gaussian(mean, std, mass)(grid.x), Energy(Entropy()), grid, tau).density, grid) > 0.1


# Flows


@pytest.mark.parametrize("chi", [2.0, 10.0])
def test_chemotaxis_descends_and_both_solvers_agree(chi):
    grid, eta = Grid(-1.0, 1.0, 40, 4), 0.2
    u = sum(np.exp(-(((grid.x - c) / eta) ** 2)) / (2 * np.pi * eta**2) for c in (-1 / 3, 1 / 3))
    energy = Energy(Entropy(), interaction=Logarithmic(chi))
    assert grid.integrate(u) == pytest.approx(2.82, abs=0.01)  # the paper: about 2.8
    solvers = (InteriorPoint(), PD3O(tol=1e-6, constraint_tolerance=1e-6))
    first, second = (trajectory(u, energy, grid, 1e-3, 4, solver=solver) for solver in solvers)
    for run in (first, second):
        assert run.worst_status == Status.CONVERGED
        assert (np.diff(run.energy) < 0).all()
    assert l1(first.density, second.density, grid).max() < 1e-3 * grid.integrate(u)
    grows = first.density[-1].max() > u.max()
    assert grows == (chi == 10.0)  # 2 is below the critical 2 pi / M = 2.2, 10 above


def test_flows_with_and_without_interaction_together_are_the_flows_alone():
    energies = [Energy(Entropy()), Energy(Entropy(), interaction=Logarithmic(5.0)), Energy(PorousMedium(2.0))]
    flows = [Flow(START, e, GRID, 1e-3, 3) for e in energies]
    together, alone = trajectories(flows), [trajectories([flow])[0] for flow in flows]
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_array_equal(a.density, b.density)
        np.testing.assert_array_equal(a.iterations, b.iterations)
