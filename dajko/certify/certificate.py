r"""Whether a step may be called converged: a stopping rule says what an iteration changes, not what is wrong.

A certified step has the mass of the old density, to 10^-8, nothing negative, and passes two tests in the problem without
units. With an admissible potential phi (:mod:`.duality`), whose dual objective D(phi) is a lower bound on all objectives,
and the residual r of the continuity equation,

- the *gap* ``J(rho, m) + <phi, r> - D(phi)``, which is not negative, and 0 at a minimiser: the Lagrangian lies above its
  least value by this much;
- the *leak* ``<phi, r>``: by how much the objective is lower because the path violates the continuity equation

are at most a share of the action of the path, half the squared distance that the step moves; the root of the gap's share
bounds the distance to the minimiser, relative to that moved, where the energy is convex along geodesics. A step that has not
moved has none, so that what stands still is certified only where there is next to nothing to gain: an action below what a
velocity far below those of the problem would have. In addition the objective is not above that of the old density at rest.
Every other competitor, whatever it may be, has an objective of at least D(phi), where the step is convex.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

# The module, not its names: it imports this package in its turn.
from dajko.certify import duality
from dajko.energy.kernels import internal_slope
from dajko.grid import Array
from dajko.problem.problem import Path, Problem, Step
from dajko.status import Status
from dajko.transport import transport

# Largest relative change of the mass of a sublattice.
MOST_MASS_CHANGE = 1e-8
# The leak of an iterate near the minimiser may be larger than its gap: of first order in the distance, not of second.
_LEAK = 2.5
# Velocities below this share of (range of dE/du) / length count as rest, and the range as at most ...
_SLOW = 0.1
# ... what moves the density by this share of the length in one step. Less than the least share is rest in any case.
_FARTHEST, _LEAST = 0.1, 1e-7
# Objectives that differ by less than this share are the same.
_ROUNDING = 1e-14


class Certificate(NamedTuple):
    """What is looked at, in the problem without units.

    Attributes
    ----------
    mass : float
        Relative change of the mass.
    least : float
        Least value of the density, relative to its largest.
    gap, leak, above_rest : float
        See the module; the last is the objective less that at rest.
    action : float
        Half the squared distance that the step moves, or that of a velocity that counts as rest.
    """

    mass: float
    least: float
    gap: float
    leak: float
    above_rest: float
    action: float

    def shortcoming(self, missing: float) -> str:
        """What is wrong, for people; empty where the gap is at most this share of the action and all else is right."""
        if self.mass > MOST_MASS_CHANGE:
            return f"the mass changed by {self.mass:.1e} of itself"
        if self.least < 0.0:
            return "the density is negative somewhere"
        if not all(map(math.isfinite, self)):
            return "no bound on its objective was found"
        for name, value, share in (
            ("the objective may be above the least one by", self.gap, missing),
            ("violating the continuity equation lowered the objective by", abs(self.leak), _LEAK * missing),
            ("the objective is above that of staying at rest by", self.above_rest, missing),
        ):
            if value > share * self.action:
                return f"{name} {value / self.action:.2g} times the action, allowed are {share:g}"
        return ""


def certified(problem: Problem, step: Step, missing: float) -> Step:
    """The step itself, or the same as one that has not converged, with the reason.

    Parameters
    ----------
    problem : Problem
        Without units.
    step : Step
        With its path, and a potential if the solver has one; one is made from the path otherwise.
    missing : float
        Largest share of the action that the gap may have.
    """
    if not step.status.usable:
        return step
    shortcoming = certificate(problem, step.path, step.potential).shortcoming(missing)
    if not shortcoming:
        return step
    message = f"{step.message}, but {shortcoming}: {Status.NOT_CONVERGED.message}"
    return replace(step, status=Status.NOT_CONVERGED, message=message)


def certificate(problem: Problem, path: Path, potential: Array | None = None) -> Certificate:
    """The certificate of a path of a problem without units."""
    grid, u = problem.grid, path.density[-1]
    largest = float(u.max())
    if not (np.isfinite(path.density).all() and np.isfinite(path.flux).all() and largest > 0.0):
        return Certificate(*[math.nan] * 6)
    total = float(grid.integrate(problem.initial))
    step, change = grid.sublattices, grid.wx * (u - problem.initial)
    mass = max(abs(float(change[i::step].sum())) for i in range(step)) / total
    with np.errstate(all="ignore"):
        bound = duality.dual_bound(problem, path, potential)
        phi, objective = bound.potential, problem.value(path)
        leak = np.sum(phi * transport(grid).residual(path.density, path.flux))
        moved = objective - problem.tau * problem.combined_energy(u)
        length = grid.right - grid.left
        slow = _SLOW * min(problem.tau * _range(problem, u, bound.variation) / length, _FARTHEST * length)
        rest = 0.5 * total * max(slow, _LEAST * length) ** 2 + _ROUNDING * abs(objective)
        return Certificate(
            mass=mass,
            least=float(path.density.min()) / largest,
            gap=float(objective + leak - bound.value),
            leak=float(leak),
            above_rest=float(objective + leak - problem.value(problem.at_rest)),
            action=float(moved + rest),
        )


def _range(problem: Problem, u: Array, variation: Array) -> float:
    """Standard deviation of the first variation over the density: of ``U'`` and of the rest of it, which cancel at rest."""
    inside = u > 0.0
    weight = (problem.grid.wx * u)[inside]
    weight = weight / weight.sum()
    slope = np.array([internal_slope(value, problem.energy.exponent) for value in u[inside]])
    parts = [part - weight @ part for part in (slope, variation[inside])]
    return math.sqrt(sum(float(weight @ part**2) for part in parts))


def projected(path: Path, problem: Problem) -> Path:
    """A path with nonnegative densities, the old one at level 0, whose sublattices have its masses.

    What a splitting method has in excess or lacks is shared out by a factor.
    """
    grid, initial, step = problem.grid, problem.initial, problem.grid.sublattices
    rho = np.maximum(path.density, 0.0)
    for i in range(step):
        part, wx = rho[:, i::step], grid.wx[i::step]
        wanted, found = wx @ initial[i::step], part @ wx
        part *= np.divide(wanted, found, out=np.zeros_like(found), where=found > 0.0)[:, None]
        part[found <= 0.0] = initial[i::step]
    rho[0] = initial
    return Path(rho, path.flux)
