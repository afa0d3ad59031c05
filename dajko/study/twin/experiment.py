"""One cell as numbers: truth, data and the daJKO flow of a twin experiment, and how far it is from the truth."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dajko import distance
from dajko.certify.optimality import OptimalityOverTime
from dajko.data.data_term import DataTerm, measure
from dajko.energy.energy import Energy
from dajko.energy.potential.values import PotentialValues
from dajko.errors import InputError
from dajko.flow import Flow, TimeScheme, Trajectory, trajectories, trajectory
from dajko.grid import Array, Grid
from dajko.observation import Observation
from dajko.profile import Profile
from dajko.profile.values import ProfileValues
from dajko.resolution import check_spreads, odd_even, resolution
from dajko.solvers import Solver
from dajko.status import Status
from dajko.study.config.ingredients import EnergyConfig, ExactTruth, SolvedTruth
from dajko.study.config.study import StudyConfig

# The interaction of a member may take 2 GB, once on each worker.
_MOST_INTERACTIONS = 2**28


@dataclass(frozen=True, eq=False)
class Experiment:
    """A twin experiment without its noise: what is true, what is measured, what the model believes."""

    grid: Grid
    energy: Energy
    initial: Array  # (points,)
    tau: float
    time_scheme: TimeScheme
    steps: int
    observations: tuple[Observation, ...]
    has_data: NDArray[np.bool_]  # (steps + 1,)
    theta: float
    solver: Solver
    truth: Array  # (steps + 1, points)
    truth_outside: Array  # (steps + 1,), the part of the truth's mass that is outside the domain
    data_exact: Array  # (steps + 1, numbers)
    noise_std: Array  # (numbers,)
    diagnostics: tuple[str, ...] = ()

    def data(self, generator: np.random.Generator) -> Array:
        """Noisy data of one member, shape ``(steps + 1, numbers)``, NaN where there is none.

        Random numbers are drawn for every step in the order of time, so that a longer study keeps the data of a shorter one.
        """
        noise = generator.standard_normal((self.steps, self.noise_std.size)) * self.noise_std
        data = np.full_like(self.data_exact, np.nan)
        data[1:] = self.data_exact[1:] + noise
        data[~self.has_data] = np.nan
        return data

    def data_term(self, data: Array) -> DataTerm | None:
        """The data term of :meth:`data`; None where nothing is measured."""
        return DataTerm(self.observations, data[1:], self.theta) if self.observations else None


def build(study: StudyConfig, prefix: str) -> Experiment:
    """The twin experiment of one cell.

    Parameters
    ----------
    study : StudyConfig
        With swept values and draws put in.
    prefix : str
        Dotted key of the study, for messages.

    Raises
    ------
    InputError
        If the densities, the energy or the sensors do not fit the grid.
    """
    grid, energy, initial = model_of(study, prefix)
    content = study.model_dump_json(include={"truth", "grid", "time", "observations"})
    truth, data_exact, scale = _truth(_TruthRequest(content, study, prefix))
    known = has_data(study, prefix)
    rms = np.sqrt(np.mean(scale[known] ** 2, axis=0))
    noise_std = study.noise.level * (rms if study.noise.relative else np.ones_like(rms))
    return Experiment(
        grid=grid,
        energy=energy,
        initial=initial,
        tau=study.time.tau,
        time_scheme=study.time.scheme,
        steps=study.time.count,
        observations=observations_of(study, grid, prefix),
        has_data=known,
        theta=study.theta,
        solver=study.solver,
        truth=truth,
        truth_outside=_truth_outside(study, grid),
        data_exact=data_exact,
        noise_std=noise_std,
        diagnostics=tuple(study.store.diagnostics),
    )


def model_of(study: StudyConfig, prefix: str) -> tuple[Grid, Energy, Array]:
    """Grid, energy and initial density of what daJKO believes.

    Raises
    ------
    InputError
        If energy and density do not fit the grid.
    """
    grid, energy = grid_of(study), energy_of(study.model.energy)
    check_energy(study.model.energy, grid, f"{prefix}.model.energy")
    initial = density_of(study.model.initial, grid, f"{prefix}.model.initial")
    if study.model.mass is not None:
        initial = initial * (study.model.mass / float(grid.integrate(initial)))
    return grid, energy, initial


def check_energy(config: EnergyConfig, grid: Grid, where: str) -> None:
    if isinstance(config.potential, PotentialValues):
        _check_length(config.potential.values, grid, f"{where}.potential")
    if config.interaction is not None and grid.points**2 > _MOST_INTERACTIONS:
        raise InputError(
            f"{where}.interaction: the grid must have at most {math.isqrt(_MOST_INTERACTIONS)} points, got {grid.points}; "
            "see grid.nx"
        )
    for part in ("potential", "interaction"):
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                getattr(energy_of(config), f"{part}_on")(grid)
        except InputError as error:
            raise InputError(f"{where}.{part}: {error}") from None


def _check_length(values: Sequence[float], grid: Grid, where: str) -> None:
    if len(values) != grid.points:
        raise InputError(f"{where}.values: must be {grid.points} numbers, one for each point of the grid, got {len(values)}")


def has_data(study: StudyConfig, prefix: str) -> NDArray[np.bool_]:
    """Which times have data, shape ``(steps + 1,)``; step n leads to time n tau, so the initial time has none."""
    steps, first, every = study.time.count, study.observations.first, study.observations.every
    if first > steps:
        raise InputError(f"{prefix}.observations.first: must be at most the number of steps, {steps}, got {first}")
    step = np.arange(steps + 1)
    return np.asarray((step >= first) & ((step - first) % every == 0))


def simulate(experiment: Experiment, generator: np.random.Generator) -> dict[str, Any]:
    """Run one cell; see :func:`simulate_many`."""
    return simulate_many([experiment], [generator])[0]


def simulate_many(experiments: Sequence[Experiment], generators: Sequence[np.random.Generator]) -> list[dict[str, Any]]:
    """Run several cells together; what comes out is the same as if each were run alone.

    Parameters
    ----------
    experiments : sequence of Experiment
    generators : sequence of numpy.random.Generator
        Source of the noise of each.

    Returns
    -------
    list of dict
        The variables of the store for each cell, with the time along the first axis, and ``messages``, what steps that
        failed say by their number. The time in the solver is shared out evenly.
    """
    data = [e.data(generator) for e, generator in zip(experiments, generators, strict=True)]
    flows = [
        Flow(e.initial, e.energy, e.grid, e.tau, e.steps, e.data_term(values), e.solver, e.time_scheme)
        for e, values in zip(experiments, data, strict=True)
    ]
    started = time.perf_counter()
    checks = [OptimalityOverTime(e.steps) for e in experiments]
    watched = any("optimality" in e.diagnostics for e in experiments)
    runs = trajectories(flows, (lambda i, n, problem, step: checks[i].add(n, problem, step)) if watched else None)
    seconds = (time.perf_counter() - started - sum(check.seconds for check in checks)) / max(len(flows), 1)
    return [
        {
            "density": run.density,
            "truth": e.truth,
            "truth_outside": e.truth_outside,
            "data": values,
            "data_exact": e.data_exact,
            "observed": _observed(e, run),
            "error_l1": distance.l1(run.density, e.truth, e.grid),
            "error_l2": distance.l2(run.density, e.truth, e.grid),
            "error_w2": distance.w2(run.density, e.truth, e.grid),
            "energy": run.energy,
            "mass": run.mass,
            "odd_even": odd_even(run.density, e.grid),
            "resolution": resolution(run.density, e.grid),
            "iterations": run.iterations,
            "residual": run.residual,
            "step_status": run.status,
            "solve_time": seconds,
            "status": run.worst_status,
            "messages": run.messages,
            **(check.values if "optimality" in e.diagnostics else {}),
        }
        for e, values, run, check in zip(experiments, data, runs, checks, strict=True)
    ]


def _observed(e: Experiment, run: Trajectory) -> Array:
    known = run.status != Status.FAILED
    known &= run.status != Status.PENDING
    observed = np.full_like(e.data_exact, np.nan)
    observed[known] = measure(e.observations, run.density[known], e.grid)
    return observed


# --- truth ----------------------------------------------------------------------------------------------------


class TruthError(RuntimeError):
    """The truth of a cell could not be computed; the cells that need it fail with this message."""


@dataclass(frozen=True)
class _TruthRequest:
    """The part of a study that decides its truth, as a key for the cache, with the study itself."""

    content: str
    study: StudyConfig = field(compare=False)
    prefix: str = field(compare=False)


@lru_cache(maxsize=64)
def _truth(request: _TruthRequest) -> tuple[Array, Array, Array]:
    """Truth on the model's grid, exact data, and the size of the signal, at each time. Most cells share one truth."""
    study, prefix = request.study, request.prefix
    grid, steps, tau = grid_of(study), study.time.count, study.time.tau
    if isinstance(study.truth, ExactTruth):
        own_grid = grid
        densities = exact_truth(study, study.truth, grid, prefix)
    else:
        own_grid = truth_grid(study, study.truth)
        density = density_of(study.truth.initial, own_grid, f"{prefix}.truth.initial")
        energy, substeps = energy_of(study.truth.energy), study.truth.substeps
        run = trajectory(density, energy, own_grid, tau / substeps, steps * substeps, None, study.truth.solver)
        if not run.worst_status.usable:
            bad = int(np.argmax(run.status == run.worst_status))
            raise TruthError(f"the truth could not be computed: step {bad}: {run.worst_status.message}")
        densities = run.density[::substeps]
    observations = observations_of(study, own_grid, prefix)
    with np.errstate(all="ignore"):
        exact = measure(observations, densities, own_grid)
        scale = np.empty_like(exact)
        at = 0
        for observation in observations:
            numbers = slice(at, at + len(observation.labels))
            scale[:, numbers] = observation.scale(densities, exact[:, numbers], own_grid)[:, None]
            at = numbers.stop
    if not (np.isfinite(exact).all() and np.isfinite(scale).all()):
        raise InputError(f"{prefix}.observations: the measured numbers must be finite; see grid.left and grid.right")
    if own_grid is not grid:
        densities = grid.restrict(densities, own_grid)
    return densities, exact, scale


def exact_truth(study: StudyConfig, truth: ExactTruth, grid: Grid, prefix: str) -> Array:
    """A truth in closed form at all times, shape ``(steps + 1, points)``."""
    where, tau = f"{prefix}.truth.solution", study.time.tau
    densities = np.array([_evaluated(truth.solution, grid, n * tau, where) for n in range(study.time.count + 1)])
    for density in densities:
        grid.check_density(density, f"{where}: the density")
    return densities


def _truth_outside(study: StudyConfig, grid: Grid) -> Array:
    """The part of the truth's mass that is outside the domain, shape ``(steps + 1,)``."""
    times = np.arange(study.time.count + 1.0) * study.time.tau
    return shares_outside(study.truth.solution, grid, times) if isinstance(study.truth, ExactTruth) else np.zeros_like(times)


def shares_outside(profile: Profile, grid: Grid, times: Array) -> Array:
    """The part of the mass of a density that lies outside the domain at some times."""
    return np.array([profile.share_outside(grid.left, grid.right, t) for t in times.tolist()])


def truth_grid(study: StudyConfig, truth: SolvedTruth) -> Grid:
    """The grid that a truth is solved for on."""
    own = study.grid
    return Grid(own.left, own.right, truth.nx or 2 * own.nx, truth.nt or own.nt, own.time_rule, own.scheme)


# --- from configuration to objects ----------------------------------------------------------------------------


def grid_of(study: StudyConfig) -> Grid:
    """The grid of the model."""
    return Grid(**study.grid.model_dump())


def energy_of(config: EnergyConfig) -> Energy:
    """An energy as the object that it describes."""
    return Energy(config.internal, config.potential, config.interaction)


def density_of(profile: Profile, grid: Grid, where: str) -> Array:
    """A density on a grid.

    Raises
    ------
    InputError
        If it does not fit the grid.
    """
    if isinstance(profile, ProfileValues):
        _check_length(profile.values, grid, where)
    density = grid.check_density(_evaluated(profile, grid, 0.0, where), f"{where}: the density")
    check_spreads(density, grid, f"{where}: the density")
    return density


def _evaluated(profile: Profile, grid: Grid, t: float, where: str) -> Array:
    try:
        with np.errstate(all="ignore"):  # whether it is finite is checked by those who use it
            return profile.on(grid, t)
    except ArithmeticError:
        raise InputError(f"{where}: its numbers are too large or too small to compute the density at time {t:g}") from None


def observations_of(study: StudyConfig, grid: Grid, prefix: str) -> tuple[Observation, ...]:
    """What a study measures, on a grid.

    Raises
    ------
    InputError
        If one does not fit the grid.
    """
    for i, observation in enumerate(study.observations.operators):
        try:
            observation.footprints(grid)
        except InputError as error:
            raise InputError(f"{prefix}.observations.operators.{i}: {error}") from None
    return tuple(study.observations.operators)
