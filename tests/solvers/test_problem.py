"""What a daJKO step is: objective, energy and input checks."""

import numpy as np
import pytest

from dajko import DataTerm, Energy, Entropy, Grid, InputError, PorousMedium, Quadratic, Status, measure
from dajko.problem.problem import Path, Problem, Step, energy_gradient, energy_value
from dajko.solvers import as_solver
from dajko.solvers.pd3o import PD3O

from .reference_cases import NAMES, load

GRID = Grid(-1.0, 1.5, 20, 3)
ENERGY = Energy(PorousMedium(2.5), Quadratic(3.0, 0.2))
DATA = DataTerm(["mean", "variance"], [0.1, 0.3], theta=0.02)


def random_density(seed=1):
    return np.random.default_rng(seed).uniform(0.1, 2.0, GRID.nx + 1)


@pytest.mark.parametrize("name", NAMES)
def test_combined_energy_at_the_references(name):
    """`energy` of a reference is E without tau, data term included."""
    reference = load(name)
    assert reference.problem.combined_energy(reference.density) == pytest.approx(reference.energy, rel=1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_no_feasible_neighbour_of_a_reference_is_better(name):
    """The objective is convex, or nearly: mixing the minimiser with another feasible path cannot lower it."""
    reference = load(name)
    problem, grid = reference.problem, reference.problem.grid
    rest = np.repeat(problem.initial[None], grid.nt + 1, axis=0)
    rho = np.vstack([problem.initial, reference.path])
    m = np.zeros_like(rho)
    m[1:, 1:-1] = reference.flux
    least = problem.value(Path(rho, m))
    # Positive densities that were rounded to 0 leave a flux of about 1e-17 in vacuum.
    assert np.isfinite(least)
    for share in (1e-3, 0.1, 0.5, 1.0):
        assert problem.value(Path((1 - share) * rho + share * rest, (1 - share) * m)) > least


def test_combined_energy_is_energy_plus_data_term():
    u = random_density()
    problem = Problem(u, ENERGY, GRID, 0.01, DATA)
    misfit = measure(["mean", "variance"], u, GRID) - [0.1, 0.3]
    expected = sum(GRID.wx * (u**2.5 / 1.5 + 1.5 * (GRID.x - 0.2) ** 2 * u)) + misfit @ misfit / (2 * 0.02)
    assert problem.combined_energy(u) == pytest.approx(expected, rel=1e-13)
    assert ENERGY.value(u, GRID) + DATA.value(u, GRID) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("rule", ["right", "trapezoid"])
def test_value_of_a_path(rule):
    """The action with its quadrature weights, and tau times the energy of the last level only."""
    grid = Grid(-1.0, 1.5, 20, 3, rule)
    rng = np.random.default_rng(2)
    rho, m = rng.uniform(0.1, 1.0, (4, 21)), rng.standard_normal((4, 21))
    m[0] = 0.0
    problem = Problem(rho[0], ENERGY, grid, 0.07, DATA)
    weights = [1 / 3, 1 / 3, 1 / 6 if rule == "trapezoid" else 1 / 3]
    action = sum(weights[k - 1] * sum(grid.wx * m[k] ** 2 / (2 * rho[k])) for k in (1, 2, 3))
    expected = action + 0.07 * problem.combined_energy(rho[3])
    assert problem.value(Path(rho, m)) == pytest.approx(expected, rel=1e-13)


def test_flux_in_vacuum_costs_infinitely_much():
    rho, m = np.ones((4, 21)), np.zeros((4, 21))
    rho[2, 5:9] = 0.0
    problem = Problem(rho[0], ENERGY, GRID, 0.1)
    assert problem.value(Path(rho, m)) == pytest.approx(0.1 * problem.combined_energy(rho[3]), rel=1e-13)
    m[2, 6] = 1e-3
    assert problem.value(Path(rho, m)) == np.inf


@pytest.mark.parametrize("with_internal", [True, False])
@pytest.mark.parametrize("with_data", [True, False])
def test_energy_gradient_by_parts(with_internal, with_data):
    """What the kernels read is the sum of the public gradients."""
    u = random_density()
    objective = Problem(u, ENERGY, GRID, 0.01, DATA).objective
    misfit, mean_field, gradient = np.empty(2), np.empty_like(u), np.empty_like(u)
    energy_value(objective, u, misfit, mean_field)
    energy_gradient(objective, u, misfit, mean_field, with_internal, with_data, gradient)
    expected = (ENERGY if with_internal else Energy(potential=ENERGY.potential)).first_variation(u, GRID)
    if with_data:
        expected = expected + DATA.gradient(u, GRID)
    np.testing.assert_allclose(gradient, expected, rtol=1e-12)


@pytest.mark.parametrize("off", [DataTerm(["mean"], [np.nan], 0.02), DataTerm(["mean"], [0.1], np.inf)])
def test_data_that_are_off_leave_no_trace(off):
    u = random_density()
    objective = Problem(u, ENERGY, GRID, 0.01, off).objective
    assert objective.data.size == objective.operator.kind.size == 0
    assert Problem(u, ENERGY, GRID, 0.01, off).combined_energy(u) == Problem(u, ENERGY, GRID, 0.01).combined_energy(u)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"density": -random_density()}, "density must not be negative"),
        ({"density": np.full(21, np.nan)}, "density must be finite"),
        ({"density": np.ones(20)}, r"density must have the shape \(21,\)"),
        ({"density": np.zeros(21)}, "density must have a positive mass"),
        ({"tau": 0.0}, "tau must be greater than 0"),
        ({"tau": -1e-3}, "tau must be greater than 0"),
        ({"tau": np.nan}, "tau must be greater than 0"),
        ({"tau": np.inf}, "tau must be greater than 0 and finite"),
        ({"tau": "short"}, "tau must be greater than 0"),
        ({"data": DataTerm(["mean"], [[0.1], [0.2]], 1.0)}, "the data of one step must be one row of values"),
    ],
)
def test_bad_problems_are_refused(change, says):
    with pytest.raises(InputError, match=says):
        Problem(**{"density": random_density(), "energy": ENERGY, "grid": GRID, "tau": 0.01} | change)


def test_statuses_are_sentences_and_cf_flags():
    flags = Status.flags()
    assert dict(zip(flags["flag_meanings"].split(), flags["flag_values"].tolist(), strict=True)) == {
        "pending": 0,
        "converged": 1,
        "fallback": 2,
        "not_converged": 3,
        "failed": 4,
    }
    assert flags["flag_values"].dtype == np.int8
    assert len({status.message for status in Status}) == 5
    assert "max_iterations" in Status.NOT_CONVERGED.message


@pytest.mark.parametrize("status", Status)
def test_only_one_status_is_converged(status):
    step = Step(Path(np.ones((4, 21)) * [[0], [1], [2], [3]], np.zeros((4, 21))), status, 1, {}, 0.0, "")
    assert step.converged == (status.name == "CONVERGED")
    assert set(step.density) == {3.0}


def test_solvers_by_name():
    assert as_solver("pd3o") == PD3O()
    assert as_solver(PD3O(tol=1e-3)).tol == 1e-3
    known = "interior_point, pd3o, quantile, or module:Class"
    with pytest.raises(InputError, match=rf"solver: kind must be one of {known}, got 'newton'"):
        as_solver("newton")
    with pytest.raises(InputError, match="solver must be the word of a kind or a solver object"):
        as_solver(3)


def test_bad_potentials_are_told_before_a_solve():
    problem = Problem(random_density(), Energy(Entropy(), np.ones(3)), GRID, 0.01)
    with pytest.raises(InputError, match="potential must have the shape"):
        PD3O().solve(problem)
