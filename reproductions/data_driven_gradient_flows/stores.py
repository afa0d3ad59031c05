"""The flows of the paper's studies, read from their stores."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from dajko import distance
from dajko.errors import InputError
from dajko.grid import Array, Grid
from dajko.status import Status
from dajko.study.config.study import StudyConfig
from dajko.study.design.members import make_plan
from dajko.study.store.cells import CellStore, cells_path
from dajko.study.store.labelled import open_cells
from dajko.study.twin.experiment import Experiment, build


@dataclass(frozen=True, eq=False)
class Flow:
    """One flow of a study: its configuration with swept values put in, and its variables over ``time``.

    Attributes
    ----------
    name : str
        Name of the study.
    config : StudyConfig
    values : xarray.Dataset
        The variables of the store; densities hold the last time alone if the study keeps no others.
    """

    name: str
    config: StudyConfig
    values: xr.Dataset

    @cached_property
    def grid(self) -> Grid:
        """The grid of its steps."""
        return Grid(**self.config.grid.model_dump())

    @cached_property
    def experiment(self) -> Experiment:
        """What was computed, to solve single steps of it again."""
        return build(self.config, f"studies.{self.name}")

    @property
    def tau(self) -> float:
        """Time step."""
        return self.config.time.tau

    @property
    def theta(self) -> float:
        """Weight of the data term, as in section 4.2."""
        return self.config.theta

    @property
    def converged(self) -> bool:
        """Whether every step met the stopping rule of its solver."""
        return int(self.values["status"]) == Status.CONVERGED

    @property
    def time(self) -> Array:
        """Times, shape ``(steps + 1,)``."""
        return self["time"]

    @property
    def density(self) -> Array:
        """Densities, shape ``(times, nx + 1)``."""
        return np.atleast_2d(self["density"])

    @property
    def truth(self) -> Array:
        """True densities at the same times."""
        return np.atleast_2d(self["truth"])

    @property
    def iterations(self) -> NDArray[np.int32]:
        """Iterations of each step, shape ``(steps,)``."""
        return np.asarray(self.values["iterations"].values[1:])

    @property
    def errors(self) -> Array:
        """L1 distance to the truth, relative to the mass of the truth, shape ``(times,)``."""
        mass = self.grid.integrate(self.truth[0])
        return np.asarray(self["error_l1"] / mass)

    def __getitem__(self, name: str) -> Array:
        """A variable of the store as an array."""
        return np.asarray(self.values[name].values, dtype=float)

    def observed(self, label: str) -> Array:
        """A measured number of the flow over time."""
        return np.asarray(self.values["observed"].sel(observation=label).values, dtype=float)

    def exact(self, label: str) -> Array:
        """The same number of the truth."""
        return np.asarray(self.values["data_exact"].sel(observation=label).values, dtype=float)

    def squared_distance(self, u: Array, v: Array) -> Array:
        """``d^2`` of (2.8): the usual W2 squared times the mass, so that ``F + d^2 / (2 tau)`` is what a step minimises."""
        return np.asarray(self.grid.integrate(v) * distance.w2(u, v, self.grid) ** 2)


class Stores:
    """The studies in a results directory; each is read once.

    Parameters
    ----------
    results : Path
        The directory that holds the studies' directories.
    """

    def __init__(self, results: Path) -> None:
        self.results = results
        self._read: dict[str, tuple[Flow, ...]] = {}

    def flows(self, name: str) -> tuple[Flow, ...]:
        """All flows of a study, in the order of its sweep.

        Raises
        ------
        InputError
            If there is no store of this study.
        """
        if name not in self._read:
            self._read[name] = _read(self.results / name)
        return self._read[name]

    def flow(self, name: str, solver: str = "pd3o", rule: str = "trapezoid", data: bool = True) -> Flow:
        """One flow of a study; the defaults are what the paper has run.

        Parameters
        ----------
        name : str
            Name of the study.
        solver, rule : str
            Name of the solver, and ``grid.time_rule``.
        data : bool
            With a finite theta, or with an infinite one; a study without data has the latter alone.

        Raises
        ------
        InputError
            If there is not exactly one such flow.
        """
        flows = self.flows(name)
        swept = len({np.isinf(f.theta) for f in flows}) > 1
        found = [
            f
            for f in flows
            if f.config.solver.kind == solver and f.grid.time_rule == rule and (not swept or np.isfinite(f.theta) == data)
        ]
        if len(found) != 1:
            raise InputError(f"{name}: has {len(found)} flows with {solver}, {rule}, {'data' if data else 'no data'}")
        return found[0]

    def wide(self, name: str, data: bool = True) -> Flow:
        """The flow of a figure on a domain whose walls it does not reach, by ``interior_point``.

        Raises
        ------
        InputError
            If there is not exactly one such flow.
        """
        paper = self.flow(name).config
        found = [
            f
            for f in self.flows("wide-domain")
            if f.config.model == paper.model
            and ((f.theta, f.config.observations) == (paper.theta, paper.observations) if data else np.isinf(f.theta))
        ]
        if len(found) != 1:
            raise InputError(f"wide-domain: has {len(found)} flows of {name}, {'data' if data else 'no data'}")
        return found[0]


def _read(directory: Path) -> tuple[Flow, ...]:
    store = CellStore(cells_path(directory))
    plan = make_plan(store.study_name, store.study)
    found: dict[int, Flow] = {}
    for group, cells in zip(plan.groups, open_cells(store).values(), strict=True):
        for i, point in enumerate(group.points):
            values = cells.isel(cell=i * plan.members).load()
            found[point] = Flow(plan.name, plan.studies[point], values)
    return tuple(found[point] for point in range(len(plan.points)))
