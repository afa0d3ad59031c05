"""The flows that are timed: porous medium figures of Pietschmann and Schlottbom, and ensembles of such flows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dajko.data.data_term import DataTerm, measure
from dajko.energy.energy import Energy
from dajko.energy.internal.porous_medium import PorousMedium
from dajko.flow import Flow
from dajko.grid import Array, Grid
from dajko.profile.barenblatt import Barenblatt
from dajko.solvers import Solver

NAMES = ("5.1", "5.2", "5.4", "5.5")
TAU, STEPS = 5e-4, 31
MEMBERS = 16

# How members of an ensemble differ: noise relative to the size of the signal, or the shift of the initial datum where there
# are no data that could be noisy.
_NOISE, _SHIFT = 0.05, 0.02


def grid(nx: int = 100, nt: int = 10) -> Grid:
    """The paper's grid, or one as fine as wanted."""
    return Grid(left=-0.7, right=0.7, nx=nx, nt=nt, time_rule="trapezoid")


def figure(name: str, on: Grid | None = None, steps: int = STEPS, shift: float = 0.0) -> Flow:
    """The flow of a figure with the default solver.

    Parameters
    ----------
    name : str
        Number of the figure in the paper, one of :data:`NAMES`.
    on : Grid, optional
        By default the paper's.
    steps : int
        The paper takes 31.
    shift : float
        Moves the initial datum, on top of what the figure does.
    """
    on = on or grid()
    m = 2.5 if name == "5.5" else 2.0
    wrong = {"5.1": (0.0, 0.0), "5.2": (0.1, 0.0)}.get(name, (0.1, 6 * TAU))
    start = Barenblatt(m=m, shift=wrong[0] + shift, time_shift=wrong[1])
    observed = {"5.1": [], "5.2": ["expectation"]}.get(name, ["expectation", "variance"])
    theta = 1 / 400 if name == "5.5" else 1 / 200
    data = DataTerm(observed, measure(observed, _truth(on, steps), on), theta) if observed else None
    return Flow(start(on.x), Energy(PorousMedium(m)), on, TAU, steps, data)


def ensemble(name: str, on: Grid | None = None, steps: int = STEPS, members: int = MEMBERS) -> list[Flow]:
    """The flow of a figure and others like it, as a study has them: with noise in the data, or a shifted initial datum.

    The members need different numbers of iterations, so that those who finish early wait for the others, as they do in
    practice.
    """
    flows = [figure(name, on, steps)]
    noise_std = _NOISE * _signal(flows[0])
    for member in range(1, members):
        generator = np.random.default_rng(np.random.SeedSequence(1, spawn_key=(member,)))
        if (data := flows[0].data) is None:
            flows.append(figure(name, on, steps, shift=_SHIFT * generator.standard_normal()))
        else:
            noise = noise_std * generator.standard_normal(np.shape(data.values))
            flows.append(replace(flows[0], data=replace(data, values=np.asarray(data.values) + noise)))
    return flows


def _truth(on: Grid, steps: int) -> Array:
    return np.array([Barenblatt()(on.x, n * TAU) for n in range(1, steps + 1)])


def _signal(flow: Flow) -> Array:
    """Size of each measured number of the truth, as the noise of a study refers to it, shape ``(numbers,)``."""
    if flow.data is None:
        return np.zeros(0)
    truth, exact = _truth(flow.grid, flow.steps), np.asarray(flow.data.values)
    observations = [o for o in flow.data.observations if not isinstance(o, str)]
    sizes = [o.scale(truth, exact[:, [i]], flow.grid) for i, o in enumerate(observations)]
    return np.asarray(np.sqrt(np.mean(np.square(sizes), axis=1)))


def with_solver(flows: list[Flow], solver: Solver) -> list[Flow]:
    """The same flows by another solver."""
    return [replace(flow, solver=solver) for flow in flows]


def largest_l1(density: Array, reference: Array, on: Grid) -> float:
    """The largest L1 distance at any time between two flows of shape ``(steps + 1, nx + 1)``; the mass is about 2."""
    return float(np.max(on.integrate(np.abs(density - reference))))


def mass_drift(density: Array, on: Grid) -> float:
    """The largest relative change of the mass at any time."""
    mass = on.integrate(density)
    return float(np.max(np.abs(mass / mass[0] - 1.0)))
