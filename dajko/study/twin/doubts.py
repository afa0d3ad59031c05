"""What can be computed and is to be doubted: sentences for people, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dajko.energy.energy import Energy
from dajko.energy.internal.entropy import Entropy
from dajko.energy.internal.porous_medium import PorousMedium
from dajko.grid import Array, Grid
from dajko.observation.interval_masses import IntervalMasses
from dajko.observation.sensors import Sensors
from dajko.profile import MOST_OUTSIDE, Profile
from dajko.resolution import LEAST_RESOLUTION, MOST_ODD_EVEN, imbalance, odd_even, resolution
from dajko.study.config.ingredients import SolvedTruth
from dajko.study.config.study import StudyConfig
from dajko.study.design.plan import Plan
from dajko.study.twin.experiment import (
    density_of,
    energy_of,
    grid_of,
    model_of,
    observations_of,
    shares_outside,
    truth_grid,
)

# Points of a sweep that are looked at, at most.
_MOST_POINTS = 500


def doubts(plan: Plan) -> list[str]:
    """Sentences about what will come out wrong, though it can be computed; each names the first point where it is so.

    Parameters
    ----------
    plan : Plan
        Of a study that has been checked.
    """
    found: dict[str, tuple[str, int]] = {}
    looks = ((_model, ("model", "grid")), (_observations, ("observations", "grid")), (_truth, ("truth", "grid", "time")))
    for look, sections in looks:
        points = plan.sweep.distinct(*sections)[0][:_MOST_POINTS].tolist()
        for point in points:
            for key, sentence in look(plan.studies[point]):
                first, number = found.get(key, (f"studies.{plan.name}.{key}: {sentence}", 0))
                found[key] = first, number + 1
    return [sentence if n == 1 else f"{sentence} (and so at {n - 1} more points)" for sentence, n in found.values()]


def _model(study: StudyConfig) -> Iterator[tuple[str, str]]:
    """The initial density, and where the energy leads it."""
    grid, energy, initial = model_of(study, "")
    yield from _start("model.initial", study.model.initial, initial, grid)
    yield from _end("model.energy", energy, initial, grid)


def _truth(study: StudyConfig) -> Iterator[tuple[str, str]]:
    """Whether the truth stays inside the domain, and is resolved where it is solved for."""
    if isinstance(study.truth, SolvedTruth):
        grid = truth_grid(study, study.truth)
        initial, energy = density_of(study.truth.initial, grid, ""), energy_of(study.truth.energy)
        yield from _start("truth.initial", study.truth.initial, initial, grid)
        yield from _end("truth.energy", energy, initial, grid)
        return
    times = np.arange(study.time.count + 1.0) * study.time.tau
    shares = shares_outside(study.truth.solution, grid_of(study), times)
    bad = shares > MOST_OUTSIDE
    if bad.any():
        yield (
            "truth.solution",
            f"leaves the domain at t = {times[bad.argmax()]:.3g}, in the end with {_percent(shares[-1])} of its mass; from "
            "then on errors say what is outside, and data are those of what is left: see grid.left, grid.right, time",
        )


def _observations(study: StudyConfig) -> Iterator[tuple[str, str]]:
    """What data pull at."""
    grid = grid_of(study)
    narrow = "set even and odd nodes apart" if grid.sublattices == 2 else "make peaks that the mesh does not resolve"
    for number, observation in enumerate(observations_of(study, grid, "")):
        if isinstance(observation, Sensors | IntervalMasses):
            width = min(float(resolution(row, grid)) for row in observation.footprints(grid) if row.any())
            if width < LEAST_RESOLUTION:
                yield (
                    f"observations.operators.{number}",
                    f"sees {_widths(width)} (grid.nx is {grid.nx}); data that pull so locally {narrow}",
                )


def _start(key: str, profile: Profile, density: Array, grid: Grid) -> Iterator[tuple[str, str]]:
    """A density that a flow starts from."""
    width = float(resolution(density, grid))
    amplitude = max(float(odd_even(density, grid)), float(imbalance(density, grid)))
    if width < LEAST_RESOLUTION:
        yield key, f"is {_widths(width)} wide (grid.nx is {grid.nx}), and will not spread as it should"
    elif grid.sublattices == 2 and amplitude > MOST_ODD_EVEN:
        yield key, f"differs by {_percent(amplitude)} between even and odd nodes (grid.nx is {grid.nx}), which will stay"
    (share,) = shares_outside(profile, grid, np.zeros(1))
    if share > MOST_OUTSIDE:
        yield key, f"{_percent(share)} of its mass are outside the domain, and left out: see grid.left, grid.right"


def _end(key: str, energy: Energy, initial: Array, grid: Grid) -> Iterator[tuple[str, str]]:
    """The density that a potential confines in the end."""
    density = _stationary(energy, initial, grid)
    if density is not None and (width := float(resolution(density, grid))) < LEAST_RESOLUTION:
        yield (
            f"{key}.potential",
            f"leads to a density that is {_widths(width)} wide (grid.nx is {grid.nx}), and comes out wider than it should",
        )


def _widths(number: float) -> str:
    return f"{number:.2g} mesh widths"


def _percent(share: float) -> str:
    return f"{100.0 * share:.2g} %"


def _stationary(energy: Energy, initial: Array, grid: Grid) -> Array | None:
    """The density of this mass for which potential and internal energy balance, at the nodes; None if they never do."""
    if energy.potential is None or energy.interaction is not None:
        return None
    potential = energy.potential_on(grid) - np.min(energy.potential_on(grid))
    if isinstance(energy.internal, Entropy):
        return np.asarray(np.exp(-potential))
    if not isinstance(energy.internal, PorousMedium):
        return None
    # U'(u) = m / (m - 1) u^(m - 1) = (level - V)_+, at the level that gives the mass.
    m, mass = energy.internal.m, float(grid.integrate(initial))

    def at(level: float) -> Array:
        return np.asarray(((m - 1.0) / m * np.maximum(level - potential, 0.0)) ** (1.0 / (m - 1.0)))

    low, high = 0.0, float(np.max(potential)) + m / (m - 1.0) * (mass / (grid.right - grid.left)) ** (m - 1.0)
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if grid.integrate(at(middle)) > mass else (middle, high)
    return at(high)
