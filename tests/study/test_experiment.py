"""One cell as numbers: truth, data, noise, and the variables that a cell stores."""

import math

import numpy as np
import pytest

import dajko
from dajko import distance, flow, measure
from dajko.data.data_term import DataTerm
from dajko.energy.energy import Energy
from dajko.energy.interaction.gaussian_kernel import GaussianKernel
from dajko.energy.interaction.logarithmic import Logarithmic
from dajko.energy.interaction.morse import Morse
from dajko.energy.interaction.power_law import PowerLaw
from dajko.energy.interaction.quadratic_attraction import QuadraticAttraction
from dajko.energy.internal.entropy import Entropy
from dajko.energy.internal.porous_medium import PorousMedium
from dajko.energy.potential.quadratic import Quadratic
from dajko.errors import InputError
from dajko.flow import trajectories
from dajko.grid import Grid
from dajko.observation.sensors import Sensors
from dajko.solvers.pd3o import PD3O
from dajko.status import Status
from dajko.study.config.parse import parse
from dajko.study.config.study import StudyConfig
from dajko.study.design.members import make_plan
from dajko.study.execution.simulate import run_cells
from dajko.study.twin import experiment
from dajko.study.twin.checks import check
from dajko.study.twin.experiment import TruthError, build, simulate

KERNELS = {
    "quadratic_attraction": QuadraticAttraction,
    "power_law": PowerLaw,
    "gaussian_kernel": GaussianKernel,
    "morse": Morse,
}
SENSORS = {"kind": "sensors", "positions": [-0.2, 0.1], "width": 0.15}


@pytest.fixture
def built(tiny):
    """Builds the experiment of a changed tiny study."""
    return lambda changes=None: build(parse(StudyConfig, tiny(changes)), "studies.one")


# --- truth ----------------------------------------------------------------------------------------------------------------


def test_exact_truth_is_the_closed_form(built):
    """(5.4) written out for m = 2, at the nodes, at every time."""
    e = built({"grid.nx": 16, "time": {"tau": 2e-3, "steps": 3}})
    x, c = np.linspace(-0.7, 0.7, 17), (3 / 16) ** (1 / 3)
    for n, found in enumerate(e.truth):
        age = n * 2e-3 + 1e-3
        expected = age ** (-1 / 3) * np.maximum(c - x**2 / (12 * age ** (2 / 3)), 0)
        assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("solution", "profile"),
    [
        (
            {"kind": "barenblatt", "m": 3.0, "shift": 0.05, "time_shift": 1e-3},
            dajko.Barenblatt(3.0, shift=0.05, time_shift=1e-3),
        ),
        ({"kind": "gaussian", "mean": 0.1, "std": 0.2, "mass": 3.0}, dajko.Gaussian(0.1, 0.2, 3.0)),
        ({"kind": "heat", "mean": 0.1, "std": 0.2, "mass": 0.5}, dajko.Heat(0.1, 0.2, 0.5)),
        (
            {"kind": "ornstein_uhlenbeck", "stiffness": 9.0, "center": 0.1, "mean": -0.2, "std": 0.2},
            dajko.OrnsteinUhlenbeck(9.0, 0.1, -0.2, 0.2),
        ),
    ],
    ids=lambda given: given["kind"] if isinstance(given, dict) else "",
)
def test_every_profile_can_be_truth_and_model(built, solution, profile):
    e = built({"truth.solution": solution, "model.initial": solution})
    assert np.array_equal(e.truth, [profile(e.grid.x, n * e.tau) for n in range(4)])
    assert np.array_equal(e.initial, e.truth[0])


def test_exact_data_of_a_barenblatt_profile(built):
    """A parabola of radius R has the mean 0 and the variance R^2 / 5; the grid adds an error of second order."""
    e = built({"grid.nx": 100, "observations.operators": ["mean", "spread", "mass"]})
    radius = [math.sqrt(12 * (3 / 16) ** (1 / 3)) * (n * 5e-4 + 1e-3) ** (1 / 3) for n in range(4)]
    mean, spread, mass = e.data_exact.T
    assert mean == pytest.approx(0, abs=1e-12)
    assert spread == pytest.approx(np.array(radius) ** 2 / 5, rel=5e-3)
    assert mass == pytest.approx(2.0, rel=2e-3)


def ornstein_uhlenbeck(nt, substeps=1):
    """A truth by JKO steps whose closed forms are known; `jko_moments` are those."""
    return {
        "grid": {"left": -1.2, "right": 1.2, "nx": 12, "nt": 2},
        "time": {"tau": 1e-2, "steps": 2},
        "model.initial": {"kind": "gaussian", "mean": 0.2, "std": 0.2},
        "truth": {
            "kind": "solve",
            "energy": {"internal": {"kind": "entropy"}, "potential": {"kind": "quadratic", "stiffness": 5.0}},
            "initial": {"kind": "gaussian", "mean": 0.2, "std": 0.2},
            "nx": 24,
            "nt": nt,
            "substeps": substeps,
            "solver": {"kind": "pd3o", "tol": 1e-5, "constraint_tolerance": 1e-5},
        },
    }


def jko_moments(substeps):
    """Mean and variance after two steps of the time-discrete scheme, which keeps Gaussians: implicit Euler for the mean,
    and the positive root of (1 + 5 tau) s^2 - s_old s - tau for the standard deviation."""
    mean, std, tau = 0.2, 0.2, 1e-2 / substeps
    for _ in range(2 * substeps):
        mean /= 1 + 5 * tau
        std = (std + math.sqrt(std**2 + 4 * tau * (1 + 5 * tau))) / (2 * (1 + 5 * tau))
    return mean, std**2


def test_solved_truth_converges_to_the_jko_scheme(built):
    """The error of the variance is of first order in artificial time: twice as many levels halve it."""
    _, expected = jko_moments(1)
    errors = [built(ornstein_uhlenbeck(nt)).data_exact[-1, 1] - expected for nt in (2, 4)]
    assert 1.6 < errors[0] / errors[1] < 2.4
    assert abs(errors[1]) < 0.06 * (expected - 0.04)


def test_substeps_bring_the_solved_truth_to_the_pde(built):
    exact = dajko.OrnsteinUhlenbeck(stiffness=5.0, mean=0.2, std=0.2)
    for substeps in (1, 4):
        e = built(ornstein_uhlenbeck(4, substeps))
        mean, variance = jko_moments(substeps)
        assert e.data_exact[-1, 0] == pytest.approx(mean, abs=0.05 * (0.2 - mean))
        assert e.data_exact[-1, 1] == pytest.approx(variance, abs=0.05 * (variance - 0.04))
        error = distance.l1(e.truth[-1], exact(e.grid.x, 2e-2), e.grid)
        assert error < 0.025
    # Steps of a quarter leave less than half of the lag of JKO steps behind the PDE.
    lag = exact.moments(2e-2)[1] - np.array([jko_moments(1)[1], jko_moments(4)[1]])
    assert 0 < lag[1] < 0.5 * lag[0]


def test_solved_truth_is_a_flow_on_its_own_grid(built):
    """An independent computation: the flow of the truth on the finer grid, every second step and node of it."""
    e = built(
        {
            "truth": {
                "kind": "solve",
                "energy": {"internal": {"kind": "porous_medium", "m": 3.0}, "potential": {"kind": "linear", "slope": 2.0}},
                "initial": {"kind": "barenblatt", "shift": -0.1},
                "substeps": 2,
                "solver": {"kind": "pd3o", "tol": 1e-3},
            },
            "observations.operators": ["mean", SENSORS],
        }
    )
    grid = Grid(-0.7, 0.7, 20, 2)
    energy = Energy(PorousMedium(3.0), lambda x: 2.0 * x)
    fine = flow.evolve(dajko.Barenblatt(shift=-0.1)(grid.x), energy, grid, 2.5e-4, 6, solver=PD3O(tol=1e-3))
    density = fine.density.values[::2]
    assert e.truth == pytest.approx(density[:, ::2], abs=1e-12)
    assert e.data_exact == pytest.approx(measure(["mean", Sensors([-0.2, 0.1], 0.15)], density, grid), abs=1e-12)


def test_solved_truth_between_its_nodes_is_linear(built):
    truth = {"kind": "solve", "energy": {}, "initial": {"kind": "gaussian", "std": 0.2}, "nx": 8, "nt": 1, "substeps": 1}
    e = built({"truth": {**truth, "solver": {"kind": "pd3o", "tol": 1e-2}}, "time.steps": 1, "grid.nx": 10})
    coarse = dajko.Gaussian(std=0.2)(np.linspace(-0.7, 0.7, 9))
    position = np.linspace(0, 8, 11)
    left = np.minimum(position.astype(int), 7)
    expected = coarse[left] + (position - left) * (coarse[left + 1] - coarse[left])
    assert e.truth[0] == pytest.approx(expected, abs=1e-12)


def test_a_truth_that_cannot_be_computed(built):
    changes = ornstein_uhlenbeck(2)
    changes["truth"]["solver"] = {"kind": "pd3o", "max_iterations": 1}
    with pytest.raises(TruthError, match=r"^the truth could not be computed: step 1: the iteration limit was reached"):
        built(changes)


def test_members_share_a_truth(built):
    """Only keys that decide the truth make another one."""
    experiment._truth.cache_clear()
    for changes in ({}, {"theta": 5.0}, {"noise.level": 0.3}, {"solver.tol": 0.1}, {"model.initial.shift": 0.0}):
        built({**ornstein_uhlenbeck(2), "model.initial": {"kind": "barenblatt", "shift": 0.1}, **changes})
    assert experiment._truth.cache_info().misses == 1
    other = ornstein_uhlenbeck(2)
    other["truth"]["initial"]["mean"] = 0.1
    assert built(other).truth[0].argmax() <= built(ornstein_uhlenbeck(2)).truth[0].argmax()
    assert experiment._truth.cache_info().misses == 2


# --- data -----------------------------------------------------------------------------------------------------------------


def data_of(e, members=600):
    return np.array([e.data(np.random.default_rng(m)) for m in range(members)])


def test_relative_noise_of_the_spread(built):
    """Its signal is its own magnitude: R^2 / 5 for a parabola, in the mean square over the times with data."""
    e = built({"noise.level": 0.2, "grid.nx": 100, "observations": {"operators": ["spread"], "first": 2}})
    r2 = [12 * (3 / 16) ** (1 / 3) * (n * 5e-4 + 1e-3) ** (2 / 3) for n in (2, 3)]
    expected = 0.2 * math.sqrt(np.mean(np.square(r2) / 25))
    assert e.noise_std == pytest.approx([expected], rel=5e-3)


def test_relative_noise_of_the_mean(built):
    """Where the origin lies does not matter: the signal is the width of the density, R / sqrt(5) for a parabola."""
    r2 = [12 * (3 / 16) ** (1 / 3) * (n * 5e-4 + 1e-3) ** (2 / 3) for n in (1, 2, 3)]
    expected = 0.2 * math.sqrt(np.mean(r2) / 5)
    for shift in (0.0, 0.15):
        changes = {"noise.level": 0.2, "grid.nx": 100, "truth.solution.shift": shift}
        e = built({**changes, "observations": {"operators": ["mean", "expectation"]}})
        assert e.noise_std == pytest.approx([expected, 2.0 * expected], rel=1e-2)  # the mass is 2


def test_absolute_noise(built):
    e = built({"noise": {"level": 0.03, "relative": False}, "observations.operators": ["mean", "mass", SENSORS]})
    assert e.noise_std.tolist() == [0.03] * 4


@pytest.mark.parametrize("relative", [True, False])
def test_data_are_exact_data_with_noise(built, relative):
    e = built({"noise": {"level": 0.1, "relative": relative}})
    error = (data_of(e) - e.data_exact)[:, 1:]
    count = len(error)
    assert np.abs(error.mean(axis=0) / e.noise_std).max() < 5 / math.sqrt(count)
    assert np.abs(error.std(axis=0) / e.noise_std - 1).max() < 5 / math.sqrt(2 * count)
    # No two steps and no two numbers share their noise.
    correlation = np.corrcoef(error.reshape(count, -1).T) - np.eye(error[0].size)
    assert np.abs(correlation).max() < 5 / math.sqrt(count)


def test_without_noise_the_data_are_exact(built):
    e = built({"noise.level": 0.0})
    assert np.array_equal(e.data(np.random.default_rng(0))[1:], e.data_exact[1:])


@pytest.mark.parametrize(
    ("first", "every", "expected"),
    [
        (1, 1, [1, 2, 3, 4, 5, 6, 7]),
        (3, 1, [3, 4, 5, 6, 7]),
        (1, 3, [1, 4, 7]),
        (2, 2, [2, 4, 6]),
        (7, 5, [7]),
        (1, 100, [1]),
    ],
)
def test_steps_with_data(built, first, every, expected):
    e = built({"time.steps": 7, "observations.first": first, "observations.every": every})
    assert np.flatnonzero(e.has_data).tolist() == expected
    data = e.data(np.random.default_rng(0))
    assert np.flatnonzero(~np.isnan(data).all(axis=1)).tolist() == expected
    assert np.isnan(data).any(axis=1).tolist() == np.isnan(data).all(axis=1).tolist()


def test_the_noise_of_a_step_does_not_depend_on_which_steps_have_data(built):
    all_steps, few = built({"noise.relative": False}), built({"noise.relative": False, "observations.every": 2})
    a, b = (e.data(np.random.default_rng(5)) for e in (all_steps, few))
    assert np.array_equal(a[few.has_data], b[few.has_data])


# --- the model ------------------------------------------------------------------------------------------------------------


def test_the_model_has_its_own_start_and_mass(built):
    e = built({"model.mass": 3.5})
    own = dajko.Barenblatt(shift=0.1)(e.grid.x)
    assert e.grid.integrate(e.initial) == pytest.approx(3.5, rel=1e-14)
    assert e.initial / own.max() == pytest.approx(own / own.max() * (3.5 / e.grid.integrate(own)))


def test_densities_and_potentials_by_their_values(built):
    values, potential = [0.0, 1.0, 2.0, 1.0, 0.5], [1.0, 0.0, 0.0, 0.5, 1.0]
    e = built(
        {
            "grid.nx": 4,
            "model.initial": {"kind": "values", "values": values},
            "model.energy": {"potential": {"kind": "values", "values": potential}},
        }
    )
    assert e.initial.tolist() == values
    assert e.energy.potential_on(e.grid).tolist() == potential
    assert e.energy.internal is None


def test_energies_and_solver_options(built):
    e = built(
        {
            "model.energy": {
                "internal": {"kind": "entropy"},
                "potential": {"kind": "double_well", "height": 2, "distance": 0.5},
            },
            "solver": {"kind": "pd3o", "tol": 0.5, "max_iterations": 7, "data_step": "dual"},
            "grid.time_rule": "trapezoid",
        }
    )
    assert e.energy.internal == Entropy()
    assert e.energy.potential_on(e.grid) == pytest.approx(2 * (e.grid.x**2 / 0.25 - 1) ** 2)
    assert e.solver == PD3O(tol=0.5, max_iterations=7, data_step="dual")
    assert e.grid == Grid(-0.7, 0.7, 10, 2, "trapezoid")
    quadratic = built({"model.energy": {"potential": {"kind": "quadratic", "stiffness": 3.0, "center": 0.2}}}).energy
    assert quadratic.potential == Quadratic(3.0, 0.2)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"kind": "logarithmic", "chi": 10, "core": 0.1}, Logarithmic(10.0, 0.1)),
        ({"kind": "quadratic_attraction", "strength": 2.0}, QuadraticAttraction(2.0)),
        ({"kind": "power_law", "attraction": 4.0, "repulsion": 0.5, "strength": 3.0}, PowerLaw(4.0, 0.5, 3.0)),
        ({"kind": "power_law", "repulsion": None}, PowerLaw(2.0, None)),
        ({"kind": "gaussian_kernel", "strength": -1.0, "width": 0.2}, GaussianKernel(-1.0, 0.2)),
        ({"kind": "morse", "repulsion": 2.0}, Morse(repulsion=2.0)),
        ({"kind": "values", "values": np.add.outer(np.arange(11.0), np.arange(11.0)).tolist()}, None),
        *[({"kind": kind}, kernel()) for kind, kernel in KERNELS.items()],
    ],
    ids=str,
)
def test_interactions(built, config, expected):
    """The same names and defaults in YAML as in Python."""
    e = built({"model.energy.interaction": config})
    if expected is None:
        np.testing.assert_array_equal(e.energy.interaction_on(e.grid).matrix, config["values"])
    else:
        assert e.energy.interaction == expected
    assert e.energy.interaction_on(e.grid).matrix.shape == (11, 11)


def test_a_study_of_chemotaxis_runs(built):
    """The truth with chi = 2 against a model with chi = 10, both with the default solver."""
    energy = {"internal": {"kind": "entropy"}, "interaction": {"kind": "logarithmic", "chi": 10.0}}
    initial = {"kind": "gaussian", "std": 0.2, "mass": 2.8}
    truth = {"internal": {"kind": "entropy"}, "interaction": {"kind": "logarithmic", "chi": 2.0}}
    e = built(
        {
            "grid": {"left": -1.0, "right": 1.0, "nx": 40, "nt": 2},
            "time": {"tau": 1e-3, "steps": 3},
            "truth": {"kind": "solve", "energy": truth, "initial": initial},
            "model": {"energy": energy, "initial": initial},
            "solver": {"kind": "interior_point"},
            "theta": np.inf,
        }
    )
    row = simulate(e, np.random.default_rng(3))
    assert row["status"] == Status.CONVERGED
    # d/dt of int x^2 u is 2 M - chi M^2 / pi: positive for chi = 2, negative for 10.
    before, after, true = (e.grid.integrate(e.grid.x**2 * u) for u in (e.initial, row["density"][-1], row["truth"][-1]))
    assert after < before < true
    assert true - after == pytest.approx((10 - 2) * 2.8**2 / np.pi * 3e-3, rel=0.15)
    assert row["energy"] == pytest.approx(e.energy.value(row["density"], e.grid), rel=1e-12)


def test_simulate_is_the_flow_and_its_distances(built):
    """Everything that a cell stores, computed again with the public functions."""
    e = built({"observations": {"operators": ["mean", SENSORS, "spread"], "every": 2}, "theta": 1e-2})
    row = simulate(e, np.random.default_rng(3))
    data = e.data(np.random.default_rng(3))
    observations = ["mean", Sensors([-0.2, 0.1], 0.15), "spread"]
    run = flow.evolve(e.initial, e.energy, e.grid, 5e-4, 3, DataTerm(observations, data[1:], 1e-2), e.solver)
    assert np.array_equal(row["density"], run.density.values)
    assert np.array_equal(row["data"], data, equal_nan=True)
    assert row["status"] == Status.CONVERGED
    for stored, name in [
        ("energy", "energy"),
        ("mass", "mass"),
        ("iterations", "iterations"),
        ("residual", "residual"),
        ("step_status", "status"),
    ]:
        assert np.array_equal(row[stored], run[name].values)
    u, v, wx = row["density"], row["truth"], e.grid.wx
    assert row["error_l1"] == pytest.approx(np.abs(u - v) @ wx, rel=1e-13)
    assert row["error_l2"] == pytest.approx(np.sqrt((u - v) ** 2 @ wx), rel=1e-13)
    assert np.array_equal(row["error_w2"], distance.w2(u, v, e.grid))
    assert row["mass"] == pytest.approx(u @ wx, rel=1e-13)
    assert row["observed"][:, 0] == pytest.approx((u * e.grid.x) @ wx / (u @ wx), rel=1e-12)
    assert row["observed"][:, 1:] == pytest.approx(measure(observations[1:], u, e.grid), rel=1e-13)
    assert row["solve_time"] > 0


def test_an_infinite_theta_is_the_flow_without_data(built):
    e = built({"theta": math.inf})
    row = simulate(e, np.random.default_rng(0))
    run = flow.evolve(e.initial, e.energy, e.grid, e.tau, e.steps, None, e.solver)
    assert np.array_equal(row["density"], run.density.values)


def test_data_pull_the_flow_to_the_truth(built):
    """The model starts 0.1 beside the truth; exact data of the mean, trusted, take it there within a few steps."""
    changes = {"noise.level": 0.0, "observations.operators": ["mean"], "time.steps": 6}
    trusted, ignored = (simulate(built({**changes, "theta": t}), np.random.default_rng(0)) for t in (1e-4, math.inf))
    assert abs(trusted["observed"][-1, 0]) < 0.02
    assert ignored["observed"][-1, 0] == pytest.approx(0.1, abs=0.01)
    assert trusted["error_l1"][-1] < 0.5 * ignored["error_l1"][-1]


def test_a_member_that_does_not_converge_goes_on(built):
    row = simulate(built({"solver": {"kind": "pd3o", "max_iterations": 2, "tol": 1e-9}}), np.random.default_rng(0))
    assert row["status"] == Status.NOT_CONVERGED
    assert row["step_status"].tolist() == [Status.CONVERGED, *[Status.NOT_CONVERGED] * 3]
    assert row["iterations"].tolist() == [0, 2, 2, 2]
    assert np.isfinite(row["density"]).all()


# --- what is refused before anything is solved ----------------------------------------------------------------------------


def values(numbers):
    return {"kind": "values", "values": numbers}


def sensors(positions, width):
    return [{"kind": "sensors", "positions": positions, "width": width}]


NO_MASS = "the density must have a positive mass, got 0"
WIDE = {"kind": "gaussian", "std": 1.0}
ONES = {"kind": "values", "values": [1.0] * 11}
TOO_MANY = "the densities of one member must be at most 67108864 numbers"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.initial": values([1.0] * 10)}, "model.initial.values: must be 11 numbers, one for each point of the grid"),
        ({"model.initial": values([0] * 11)}, f"model.initial: {NO_MASS}"),
        ({"model.initial.shift": 9.0}, f"model.initial: {NO_MASS}"),
        ({"truth.solution.shift": 9.0}, f"truth.solution: {NO_MASS}"),
        ({"model.energy.potential": values([1.0])}, "model.energy.potential.values: must be 11 numbers"),
        (
            {"model.energy.potential": {"kind": "quadratic", "stiffness": 1e308, "center": 9}},
            "model.energy.potential: potential must be finite",
        ),
        (
            {"model.energy.interaction": {"kind": "values", "values": [[1.0, 2.0], [2.0, 1.0]]}},
            "model.energy.interaction: interaction must have the shape (11, 11) on this grid, got (2, 2)",
        ),
        (
            {"grid.nx": 20_000, "grid.nt": 1, "model.energy.interaction": {"kind": "morse"}},
            "model.energy.interaction: the grid must have at most 16384 points, got 20001; see grid.nx",
        ),
        (
            {"observations.operators": ["mean", *sensors([0.0, 0.71], 0.1)]},
            "observations.operators.1: positions of sensors must lie in [-0.7, 0.7], got 0.71",
        ),
        (
            {"observations.operators": sensors([0.0], 0.06)},
            "observations.operators.0: width of sensors must be at least half a cell, 0.07, got 0.06",
        ),
        (
            {"grid.left": -2e290, "grid.right": 2e290, "model.initial": ONES, "truth.solution": WIDE},
            "observations: the measured numbers must be finite; see grid.left and grid.right",
        ),
        ({"observations.first": 4}, "observations.first: must be at most the number of steps, 3, got 4"),
        ({"solver.primal_step": 1e6}, "solver: primal_step must be less than 2 / L = "),
        (
            {"solver.primal_step": 0.1, "solver.dual_step": 50.0},
            "solver: primal_step * dual_step must be less than 1 / |AA*| = ",
        ),
        ({"time.steps": 10**12}, TOO_MANY),
        ({"grid.nx": 10**12}, TOO_MANY),
        ({"grid.nt": 10**12}, TOO_MANY),
        ({"time": {"tau": 2.0**-40, "end": 1.0}}, TOO_MANY),
    ],
)
def test_check_finds_what_does_not_fit(tiny, changes, message):
    study = parse(StudyConfig, tiny(changes))
    with pytest.raises(InputError) as caught:
        check(study, "studies.one")
    assert str(caught.value).startswith("studies.one")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "initial",
            {"kind": "values", "values": [1.0] * 13},
            "truth.initial.values: must be 25 numbers, one for each point of the grid",
        ),
        ("initial", {"kind": "barenblatt", "shift": 9.0}, "truth.initial: the density must have a positive mass, got 0"),
        (
            "energy",
            {"potential": {"kind": "values", "values": [1.0] * 3}},
            "truth.energy.potential.values: must be 25 numbers",
        ),
        (
            "energy",
            {"interaction": {"kind": "values", "values": [[1.0]]}},
            "truth.energy.interaction: interaction must have the shape (25, 25) on this grid, got (1, 1)",
        ),
        ("nx", 10**9, TOO_MANY),
        ("nt", 10**9, TOO_MANY),
        ("substeps", 10**9, TOO_MANY),
        ("solver", {"kind": "pd3o", "primal_step": 1e6}, "truth.solver: primal_step must be less than 2 / L = "),
        (
            "solver",
            {"kind": "pd3o", "dual_step": 1e6, "primal_step": 0.2},
            "truth.solver: primal_step * dual_step must be less than",
        ),
    ],
)
def test_check_finds_it_in_a_solved_truth_without_solving(tiny, monkeypatch, key, value, message):
    def never(*_, **__):
        raise AssertionError("nothing may be solved here")

    monkeypatch.setattr(PD3O, "solve", never)
    good = ornstein_uhlenbeck(2)
    good["truth"]["energy"]["internal"] = {"kind": "porous_medium"}
    check(parse(StudyConfig, tiny(good)), "studies.one")
    good["truth"] = {**good["truth"], key: value}
    with pytest.raises(InputError) as caught:
        check(parse(StudyConfig, tiny(good)), "studies.one")
    assert message in str(caught.value)


def test_steps_within_the_bounds_pass(tiny):
    study = parse(StudyConfig, tiny({"solver.primal_step": 0.1, "solver.dual_step": 1e-3, "theta": 1.0}))
    check(study, "studies.one")
    assert simulate(build(study, "studies.one"), np.random.default_rng(0))["status"] == Status.CONVERGED


def test_bad_input_inside_of_a_solve_is_a_failed_cell_and_the_others_are_computed(tiny, monkeypatch):
    """Whatever is raised while cells are computed together: only the cell that it belongs to fails, with its message."""
    plan = make_plan("one", parse(StudyConfig, tiny({"ensemble.members": 1, "sweep": {"theta": [1e-3, 1e-2, 1e-1]}})))
    cells = [(point, 0) for point in range(3)]
    expected = run_cells(plan, cells)

    def refusing(flows, watch=None):
        if any(flow.data.theta == 1e-2 for flow in flows):
            raise InputError("density must have a positive mass, got 0")
        return trajectories(flows, watch)

    monkeypatch.setattr("dajko.study.twin.experiment.trajectories", refusing)
    first, second, third = run_cells(plan, cells)
    assert (second.status, second.kind) == (Status.FAILED, "InputError")
    assert second.message == "InputError: density must have a positive mass, got 0"
    for found, whole in ((first, expected[0]), (third, expected[2])):
        np.testing.assert_array_equal(found.row["density"], whole.row["density"])


def test_what_a_failed_step_says_is_the_message_of_its_cell(tiny, monkeypatch):
    plan = make_plan("one", parse(StudyConfig, tiny({"ensemble.members": 1, "sweep": None})))

    def failing(flows, watch=None):
        (run,) = trajectories(flows, watch)
        run.status[2:] = [Status.FAILED, Status.PENDING]
        run.messages[2] = "the step before left no mass"
        return [run]

    monkeypatch.setattr("dajko.study.twin.experiment.trajectories", failing)
    (found,) = run_cells(plan, [(0, 0)])
    assert (found.kind, found.message) == ("not finite", "step 2: the step before left no mass")
