"""How concentrated a density is: what the claims about chemotaxis are judged by."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from dajko.grid import Array
from dajko.observation.interval_masses import IntervalMasses
from dajko.observation.sensors import Sensors
from reproductions.data_driven_gradient_flows.stores import Flow

# A bump is at the limit of its grid when two neighbouring nodes hold this share of its mass.
LIMIT = 0.9


def largest(flow: Flow) -> Array:
    """Largest density at each time."""
    return np.asarray(flow.density.max(axis=-1))


def pair_share(flow: Flow) -> Array:
    """Largest mass in two neighbouring nodes at each time, as a share of half the mass, which is that of one bump.

    Two nodes, because centred differences keep the masses of even and odd nodes apart.
    """
    masses = flow.density * flow.grid.wx
    return np.asarray((masses[:, 1:] + masses[:, :-1]).max(axis=-1) / (0.5 * masses.sum(axis=-1)))


def clusters(flow: Flow) -> list[float]:
    """Masses, at the last time, of the runs of nodes whose density is above half of the largest density."""
    u = flow.density[-1]
    masses = u * flow.grid.wx
    runs = itertools.groupby(range(u.size), key=lambda j: bool(u[j] > 0.5 * u.max()))
    return [float(masses[list(nodes)].sum()) for high, nodes in runs if high]


def time_to_limit(flow: Flow) -> float:
    """First time at the limit of the grid; NaN if it is not reached."""
    reached = np.flatnonzero(pair_share(flow) >= LIMIT)
    return float(flow.time[reached[0]]) if reached.size else np.nan


def growth(coarse: Flow, fine: Flow) -> float:
    """Exponent p of the largest density ``~ dx^-p`` at the last time: 0 is resolved, 1 the limit of the grid."""
    return float(np.log(largest(fine)[-1] / largest(coarse)[-1]) / np.log(coarse.grid.dx / fine.grid.dx))


def by_grid(flows: Iterable[Flow], key: Callable[[Flow], Any]) -> list[tuple[Any, list[Flow]]]:
    """Flows that differ only by the grid, coarsest first, by what they have in common."""
    ordered = sorted(flows, key=lambda flow: (key(flow), flow.grid.nx))
    return [(common, list(group)) for common, group in itertools.groupby(ordered, key=key)]


# --- what was swept -----------------------------------------------------------------------------------------------------


def interaction(flow: Flow) -> Any:
    """The model's interaction."""
    return flow.config.model.energy.interaction


def has_data(flow: Flow) -> bool:
    """Whether the data act."""
    return bool(np.isfinite(flow.theta))


def sensors(flow: Flow) -> tuple[int, float]:
    """Number and width of the sensors; 0 and 0 where something else is measured."""
    for observation in flow.config.observations.operators:
        if isinstance(observation, Sensors):
            return len(observation.positions), observation.width
    return 0, 0.0


def measured(flow: Flow) -> str:
    """What is measured, in words."""
    number, _ = sensors(flow)
    if number:
        length = flow.grid.right - flow.grid.left
        return f"{number} sensors, spacing {length / number:.3g}"
    halves = any(isinstance(o, IntervalMasses) for o in flow.config.observations.operators)
    return "mass in each half" if halves else ", ".join(o.kind for o in flow.config.observations.operators)


def largest_theta(chi: float, density: float, width: float, spacing: float, length: float) -> float:
    """Weight up to which sensors damp all modes ``k < chi u`` of a constant density on an interval.

    Linear stability, derived in docs/chemotaxis.md.

    Parameters
    ----------
    chi : float
    density : float
        The constant density u.
    width, spacing : float
        Of the sensors.
    length : float
        Of the interval.
    """
    k = np.linspace(np.pi / length, 0.999 * chi * density, 2000)
    return float(np.min(np.exp(-((k * width) ** 2)) / (spacing * (chi / k - 1.0 / density))))
