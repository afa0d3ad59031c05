"""Ingredients of somebody else's, for studies of dajko: a potential, a profile, an observation and a solver."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from dajko.energy.potential import Potential
from dajko.grid import Array, Grid
from dajko.observation import Observation
from dajko.problem.problem import Problem, Step
from dajko.profile import Profile
from dajko.solvers import Solver
from dajko.solvers.interior_point import InteriorPoint
from dajko.status import Status
from dajko.validation import Number, Positive


class Ripple(Potential, kind="ripple"):
    """Potential ``V(x) = height (1 - cos(2 pi x / period))``."""

    label: ClassVar[str] = "a rippled potential"

    height: Number = 1.0
    period: Positive = 0.5

    def __call__(self, x: ArrayLike) -> Array:
        return np.asarray(self.height * (1.0 - np.cos(2.0 * math.pi * np.asarray(x) / self.period)))


class Laplace(Profile, kind="laplace"):
    """Density ``mass / (2 width) exp(-|x - mean| / width)``."""

    label: ClassVar[str] = "a Laplace density"

    mean: Number = 0.0
    width: Positive = 0.1
    mass: Positive = 1.0

    def __call__(self, x: ArrayLike, t: float = 0.0) -> Array:
        return np.asarray(0.5 * self.mass / self.width * np.exp(-np.abs(np.asarray(x) - self.mean) / self.width))

    def share_below(self, x: float, t: float = 0.0) -> float:
        half = 0.5 * math.exp(-abs(x - self.mean) / self.width)
        return half if x < self.mean else 1.0 - half


class FourierMode(Observation, kind="fourier_mode"):
    """``int cos(2 pi x / period) u``."""

    label: ClassVar[str] = "a Fourier mode"

    period: Positive = 1.0

    def footprints(self, grid: Grid) -> Array:
        return np.cos(2.0 * math.pi * grid.x / self.period)[None, :]


class Twice(Solver, kind="twice"):
    """``interior_point`` at two tolerances: converged is what both agree on."""

    label: ClassVar[str] = "interior_point, twice"

    tol: Positive = 1e-4
    agreement: Positive = 1e-2

    def solve(self, problem: Problem, warm_start: Any = None) -> Step:
        rough = InteriorPoint(tol=self.tol).solve(problem, warm_start)
        fine = InteriorPoint(tol=1e-3 * self.tol).solve(problem, warm_start)
        apart = float(np.abs(rough.density - fine.density).sum() / fine.density.sum())
        return (
            fine if apart < self.agreement else replace(fine, status=Status.NOT_CONVERGED, message=f"apart by {apart:.1e}")
        )
