"""Quantiles: steps against exact steps, time schemes against their closed forms, remapping, and what must never happen."""

import json
from pathlib import Path

import numpy as np
import pytest

import dajko
from dajko import (
    Barenblatt,
    DataTerm,
    DoubleWell,
    Energy,
    Entropy,
    Expectation,
    Gaussian,
    Grid,
    InputError,
    InteriorPoint,
    Linear,
    Mass,
    OrnsteinUhlenbeck,
    PorousMedium,
    Quadratic,
    QuadraticAttraction,
    Quantile,
    Sensors,
    evolve,
    jko_step,
)
from dajko.certify.certificate import certificate
from dajko.flow import Flow, steps_in_time, trajectories, trajectory
from dajko.problem.problem import Problem
from dajko.status import Status

EXACT = Path(__file__).parents[1] / "reference" / "exact"
CLOSED = json.loads((EXACT / "closed_forms.json").read_text())
POTENTIALS = {
    "a": lambda x: 2.0 * (x - 0.1) ** 2,
    "c": lambda x: 20.0 * x,
    "d": lambda x: 40.0 * (x**2 - 0.16) ** 2,
    "e": lambda x: 30.0 * x**4,
    "f": lambda x: 6.0 * x**2,
}


def cells(left, right, nx, nt=1):
    return Grid(left, right, nx, nt, scheme="finite_volume")


def internal(m):
    return Entropy() if m == 1.0 else PorousMedium(m)


def moments(density, grid):
    """Mass, mean and spread of means over cells of a smooth density."""
    mass = float(grid.integrate(density))
    mean = float(grid.integrate(grid.x * density)) / mass
    return mass, mean, float(grid.integrate((grid.x - mean) ** 2 * density)) / mass - grid.dx**2 / 12.0


# --- exact steps ----------------------------------------------------------------------------------------------------------


def step_and_exact(name, nx):
    """A step, its grid, and the exact one."""
    (path,) = EXACT.glob(f"jko1d_{name}_*.npz")
    with np.load(path) as file:
        exact = {key: file[key] for key in file.files}
    told = json.loads(str(exact["meta"]))
    profile = dict(told["profile"])
    profile = getattr(dajko, profile.pop("kind"))(**profile)
    grid = cells(exact["edges"][0], exact["edges"][-1], nx)
    old = grid.sample(lambda x: profile(x, 0.0))
    old *= float(exact["mass"]) / grid.integrate(old)
    data = told["data"] and DataTerm(told["data"]["observations"], told["data"]["values"], told["data"]["theta"])
    energy = Energy(internal(told["m"]), POTENTIALS.get(name))
    return jko_step(old, energy, grid, told["tau"], data, Quantile(tol=1e-8)), grid, exact


def distances(name, nx):
    """Of mean, spread, quantiles, and of means over 200 cells in L1."""
    step, grid, exact = step_and_exact(name, nx)
    assert step.converged, step.message
    mass, mean, spread = moments(step.density, grid)
    below = np.concatenate([[0.0], np.cumsum(step.density * grid.dx)]) / mass
    quantiles = np.interp(exact["levels"], below, grid.edges)
    coarse = step.density.reshape(200, -1).mean(axis=1)
    return {
        "mean": abs(mean - float(exact["mean"])),
        "spread": abs(spread - float(exact["spread"])),
        "quantiles": np.abs(quantiles - exact["quantiles"]).max(),
        "L1": np.abs(coarse - exact["cells"]).sum() * (grid.right - grid.left) / 200 / mass,
    }


@pytest.mark.parametrize("name", "abcdef")
def test_exact_steps(name):
    """Jumps of up to three widths of the density; d, a jump into a well, has the narrowest peak."""
    coarse, fine = distances(name, 400), distances(name, 2000)
    assert all(value < 1e-5 for value in fine.values()), fine
    assert coarse["L1"] > 16.0 * fine["L1"]  # second order would be 25


@pytest.mark.parametrize(
    ("name", "energy", "data", "largest"),
    [
        ("a07_m15_tilt_sensor", Energy(PorousMedium(1.5), Linear(0.5)), DataTerm([Sensors([0.3], 0.15)], [1.2], 0.02), 2e-5),
    ],
)
def test_exact_steps_at_walls_with_footprints(name, energy, data, largest):
    with np.load(EXACT / f"{name}.npz") as file:
        exact = {key: file[key] for key in file.files}
    grid = cells(-1.0, 1.0, 1000)
    step = jko_step(exact["initial"], energy, grid, 0.02, data, Quantile(tol=1e-8))
    assert step.converged, step.message
    assert grid.integrate(np.abs(step.density - exact["final"])) / float(exact["mass"]) < largest
    below = np.concatenate([[0.0], np.cumsum(step.density * grid.dx)])
    np.testing.assert_allclose(np.interp(exact["levels"] * below[-1], below, grid.edges), exact["quantiles"], atol=largest)
    np.testing.assert_allclose(data.measure(step.density, grid), exact["B"], rtol=2.0 * largest)


@pytest.mark.parametrize("n", [4, 16, 64])
@pytest.mark.parametrize(("scheme", "told"), [("euler", "jko"), ("bdf2", "bdf2")])
def test_time_schemes_of_an_ornstein_uhlenbeck_flow(scheme, told, n):
    """Mean and standard deviation at the end are those of the scheme in closed form, whatever its own error."""
    about, exact = CLOSED["ou"], CLOSED["ou_time_schemes"]["steps"][str(n)][told]
    grid = cells(-2.5, 2.2, 1600)
    profile = OrnsteinUhlenbeck(about["lam"], about["c"], about["mean"], about["std"])
    energy = Energy(Entropy(), Quadratic(about["lam"], about["c"]))
    flow = trajectory(grid.sample(lambda x: profile(x, 0.0)), energy, grid, 0.1 / n, n, None, Quantile(), scheme)
    _, mean, spread = moments(flow.density[-1], grid)
    assert abs(mean - exact[0]) < 1e-8
    assert abs(np.sqrt(spread) - exact[1]) < 2e-5


@pytest.mark.parametrize("m", [1.5, 2.0, 3.0])
@pytest.mark.parametrize(("scheme", "told", "order"), [("euler", "jko", 0.9), ("bdf2", "bdf2", 1.6)])
def test_time_schemes_of_a_barenblatt_flow(scheme, told, order, m):
    """A dilation, whose spread goes with the square of its radius; and the order against the true solution."""
    about = CLOSED[f"barenblatt_m{m:g}"]
    profile = Barenblatt(m, about["c"], about["t0"])
    end, radius = about["t"], profile.radius(0.0)
    grid = cells(-2.0 * radius, 2.0 * radius, 1600)
    old = grid.sample(lambda x: profile(x, 0.0))
    _, _, spread_0 = moments(old, grid)
    wrong = []
    for n in (8, 16, 32):
        flow = trajectory(old, Energy(PorousMedium(m)), grid, end / n, n, None, Quantile(), scheme)
        found = radius * np.sqrt(moments(flow.density[-1], grid)[2] / spread_0)
        assert abs(found - about["radius_time_schemes"][str(n)][told]) < 2e-5
        wrong.append(abs(found - about["radius"]))
    assert np.log2(wrong[0] / wrong[2]) / 2.0 > order


# --- another solver -------------------------------------------------------------------------------------------------------


def two_bumps(x):
    return np.where(np.abs(x + 0.5) < 0.1, 1.0, 0.0) + np.where(np.abs(x - 0.5) < 0.15, 2.0, 0.0)


@pytest.mark.parametrize(
    ("start", "energy"),
    [
        (two_bumps, Energy(Entropy())),
        (two_bumps, Energy(PorousMedium(2.0))),
        (Gaussian(0.0, 0.1), Energy(PorousMedium(2.0), Linear(-20.0))),
        (Gaussian(0.0, 0.1), Energy(Entropy(), Linear(-20.0))),
        (Gaussian(-0.4, 0.1), Energy(PorousMedium(3.0), DoubleWell(5.0, 0.5))),
    ],
)
def test_the_interior_point_method_agrees_in_the_limit(start, energy):
    """Bumps that meet, densities that are pressed to a wall: the distance of both falls with the mesh."""
    distance = []
    for nx in (50, 100, 200):
        grid = cells(-1.0, 1.0, nx, 4)
        flows = [trajectory(start(grid.x), energy, grid, 4e-3, 30, None, solver) for solver in (Quantile(), InteriorPoint())]
        assert all((flow.status <= Status.FALLBACK).all() for flow in flows)
        assert (flows[0].status == Status.CONVERGED).all()
        apart = np.abs(flows[0].density[-1] - flows[1].density[-1])
        distance.append(float(grid.integrate(apart) / grid.integrate(start(grid.x))))
    assert distance[2] < 0.02
    assert distance[0] > 1.9 * distance[2]


@pytest.mark.parametrize(
    "data",
    [
        None,
        DataTerm(["mean", "spread"], [0.05, 0.03], 1e-4),
        DataTerm([Sensors([-0.2, 0.3], 0.2)], [0.9, 0.7], 1e-2),
        DataTerm([Expectation(), Mass()], [0.1, 1.2], 1e-3),
        DataTerm(["variance"], [0.06], 1e-3),
    ],
)
@pytest.mark.parametrize("energy", [Energy(Entropy(), Quadratic(3.0, 0.1)), Energy(PorousMedium(2.0))])
def test_the_certificate_of_steps_is_that_of_a_minimiser_up_to_the_mesh(energy, data):
    """The path is a geodesic, the problem one of cells: the gap is of the order of both meshes."""
    gaps = []
    for nx, nt in ((60, 4), (240, 16)):
        grid = cells(-1.0, 1.0, nx, nt)
        old = grid.sample(Gaussian(0.0, 0.15))
        problem = Problem(old, energy, grid, 5e-3, data)
        step = Quantile().solve(problem)
        assert step.converged
        found = certificate(problem, step.path)
        assert found.mass < 1e-14
        assert found.least >= 0.0
        gaps.append(found.gap / found.action)
    assert gaps[1] < 0.5 * gaps[0]
    assert gaps[1] < 0.03


# --- bits, conservation ---------------------------------------------------------------------------------------------------


def many_flows(scheme="euler"):
    grid = cells(-0.7, 0.7, 40)
    random = np.random.default_rng(5)
    flows = []
    for i in range(11):
        values = np.column_stack([0.05 * random.standard_normal(6), 0.02 * (1.0 + 0.3 * random.standard_normal(6))])
        values[random.random(6) < 0.2] = np.nan
        start = Gaussian(0.01 * i, 0.08 + 0.01 * i)(grid.x) * (grid.x > -0.3)
        energy = Energy(PorousMedium(2.0 + 0.5 * (i % 3)), Quadratic(float(i)) if i % 2 else None)
        data = DataTerm(["mean", "spread"], values, 10.0 ** (-1 - i % 5))
        flows.append(Flow(start, energy, grid, 1e-3, 6, data, Quantile(), scheme))
    return flows


@pytest.mark.parametrize("scheme", ["euler", "bdf2"])
def test_lanes_and_steps_one_by_one_give_the_same_bits(scheme):
    flows = many_flows(scheme)
    together = trajectories(flows)
    for flow, found in zip(flows, together, strict=True):
        (alone,) = trajectories([flow])
        given = (flow.density, flow.energy, flow.grid, flow.tau, flow.steps, flow.data, flow.solver, scheme)
        steps = list(steps_in_time(*given))
        assert found.density.tobytes() == alone.density.tobytes()
        assert found.density[1:].tobytes() == np.array([step.density for step in steps]).tobytes()
        assert found.iterations[1:].tolist() == alone.iterations[1:].tolist() == [step.iterations for step in steps]
        assert found.status.tolist() == [Status.CONVERGED, *(step.status for step in steps)]


STARTS = {
    "gaussian": Gaussian(0.2, 0.1),
    "far tails": Gaussian(0.0, 0.03),
    "one cell": lambda x: np.eye(x.size)[x.size // 3] * x.size,
    "two bumps": two_bumps,
    "flat": np.ones_like,
}


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("m", [1.0, 1.5, 2.0, 8.0])
def test_mass_sign_and_energy_of_long_flows(m, start):
    """The energy of cells falls, up to what remapping makes of it."""
    grid = cells(-1.0, 1.0, 80)
    energy = Energy(internal(m), Quadratic(4.0))
    flow = evolve(STARTS[start](grid.x), energy, grid, 1e-3, 1500, solver=Quantile())
    assert (flow.status == Status.CONVERGED).all()
    assert (flow.density >= 0.0).all()
    np.testing.assert_allclose(flow.mass, flow.mass[0], rtol=1e-13)
    values = flow.energy.values
    assert np.diff(values).max() <= 1e-3 * np.abs(values).max()


def energy_of_elements(start, m, stiffness):
    h, x = np.diff(start.x), start.x
    full = start.m > 0.0
    density = start.m[full] / h[full]
    inner = start.m[full] @ (np.log(density) if m == 1.0 else density ** (m - 1.0) / (m - 1.0))
    weight = 0.5 * (np.append(start.m, 0.0) + np.append(0.0, start.m))
    return inner + weight @ (0.5 * stiffness * x**2)


@pytest.mark.parametrize("m", [1.0, 2.0, 3.0])
def test_the_energy_of_elements_never_rises(m):
    """On (-1/2, 1/2) and with the mass 1 nothing is scaled: the elements of the warm start are those of the flow."""
    grid = cells(-0.5, 0.5, 40)
    old = grid.sample(Gaussian(0.1, 0.05))
    old /= grid.integrate(old)
    energies = [
        energy_of_elements(step.warm_start, m, 4.0)
        for step in steps_in_time(old, Energy(internal(m), Quadratic(4.0)), grid, 1e-3, 3000, None, Quantile())
    ]
    assert np.diff(energies).max() <= 1e-12 * np.ptp(energies)


def test_nothing_leaks_into_vacuum():
    grid = cells(-1.0, 1.0, 240)
    flow = evolve(Gaussian(0.2, 0.1)(grid.x), Energy(PorousMedium(2.0), Quadratic(8.0)), grid, 1e-3, 2000, solver="quantile")
    radius = (3.0 * float(flow.mass[0]) / 8.0) ** (1.0 / 3.0)
    last, outside = flow.density.values[-1], np.abs(grid.x) > radius + 2.0 * grid.dx
    assert grid.integrate(last * outside) < 1e-10
    assert grid.integrate(np.abs(last - np.maximum(2.0 * (radius**2 - grid.x**2), 0.0))) < 2e-3


@pytest.mark.parametrize("nx", [20, 50, 200])
def test_a_pure_drift_keeps_the_variance(nx):
    """Without diffusion a density is carried as it is: the exact steps keep the variance of 0.01."""
    grid = cells(-1.0, 1.0, nx)
    old = grid.sample(Gaussian(-0.4, 0.1))
    flow = trajectory(old, Energy(None, Linear(-1.0)), grid, 0.1, 5, None, Quantile())
    assert (flow.status == Status.CONVERGED).all()
    before, after = (moments(flow.density[n], grid) for n in (0, -1))
    assert abs(after[1] - before[1] - 0.5) < 1e-6
    assert abs(after[2] / before[2] - 1.0) < 0.15 / nx


def test_steps_do_not_diffuse_by_going_to_cells_and_back():
    """A thousand steps of next to nothing change next to nothing: elements go on as they are."""
    grid = cells(-1.0, 1.0, 50)
    old = grid.sample(Barenblatt(2.0))
    flow = trajectory(old, Energy(PorousMedium(2.0)), grid, 1e-12, 1000, None, Quantile())
    assert (flow.status == Status.CONVERGED).all()
    assert grid.integrate(np.abs(flow.density[-1] - old)) < 1e-5


# --- what it says ---------------------------------------------------------------------------------------------------------


def test_what_it_is_not_for():
    nodes, grid = Grid(-1.0, 1.0, 20, 2), cells(-1.0, 1.0, 20)
    with pytest.raises(InputError, match=r"quantile is for grid\.scheme finite_volume, got centred; take interior_point"):
        jko_step(np.ones(21), Energy(Entropy()), nodes, 1e-3, solver="quantile")
    with pytest.raises(InputError, match="quantile is for energies without interaction; take interior_point"):
        jko_step(np.ones(20), Energy(Entropy(), interaction=QuadraticAttraction()), grid, 1e-3, solver="quantile")
    with pytest.raises(InputError, match="time_scheme bdf2 is for the solver quantile, got interior_point"):
        evolve(np.ones(20), Energy(Entropy()), grid, 1e-3, 2, time_scheme="bdf2")
    with pytest.raises(InputError, match="time_scheme must be 'euler' or 'bdf2', got 'midpoint'"):
        evolve(np.ones(20), Energy(Entropy()), grid, 1e-3, 2, solver="quantile", time_scheme="midpoint")


def test_what_does_not_converge_is_taken_over_and_the_flow_goes_on():
    grid = cells(-1.0, 1.0, 40)
    flow = trajectory(Gaussian(0.0, 0.1)(grid.x), Energy(Entropy()), grid, 1e-2, 4, None, Quantile(max_iterations=2))
    assert (flow.status[1:] >= Status.CONVERGED).all()
    assert Status.FALLBACK in flow.status
    assert np.isfinite(flow.density).all()
    np.testing.assert_allclose(flow.mass, flow.mass[0], rtol=1e-10)
    step = Quantile(max_iterations=1).solve(Problem(Gaussian(0.0, 0.1)(grid.x), Energy(Entropy()), grid, 1e-2))
    assert step.status == Status.NOT_CONVERGED
    assert step.message.startswith("quantile, 1 iterations: ")
