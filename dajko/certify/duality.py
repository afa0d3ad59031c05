r"""How far a step can be from optimal: a lower bound on its objective from any potential, whoever computed it.

*The dual problem.* With multipliers ``phi_k``, k = 1 ... K, of the continuity equation and their velocity ``v_k``, the
objective of :mod:`dajko.problem.problem` is at least

    D(phi) = - <phi(0), rho_0> + inf_u (tau E(u) - <q, u>),          q = - phi(1),

for every phi that satisfies the Hamilton-Jacobi inequality of :mod:`dajko.transport` at the levels 0 < k < K, with the
potentials ``phi(0)`` and ``phi(1)`` at both ends of artificial time: the action is the perspective function of ``m^2 / 2``,
whose conjugate is the indicator of these inequalities, a discrete ``d phi/dt + |grad phi|^2 / 2 <= 0``. The derivation is in
docs/mathematics.md, section 7.

*The energy.* ``E`` is bounded from below by something whose infimum is taken node by node: an interaction by its tangent at
a density, a data term by ``y . (B(u) - v) - theta |y|^2 / 2`` for any y, and B by its tangent. What is left is ``U``, with
the conjugate ``U*``. The mass of each sublattice is given: a constant for each may be added to phi; these constants and y
are chosen by Newton steps to make the bound as large as possible.

*What is certified.* All these are bounds from below where the step is convex. Where it is not (an interaction with a concave
part, or data whose term is concave along the first moment) the tangent of the concave part lies above it. The bound is then
that of the convex step that majorises this one at the density: it says that the density is stationary, not that it is best.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dajko._numba import kernel
from dajko.data.operator import at_fixed_mass
from dajko.energy.internal import NO_INTERNAL_ENERGY
from dajko.energy.kernels import internal_conjugate, internal_slope
from dajko.grid import Array, Grid
from dajko.problem.problem import Path, Problem
from dajko.transport import transport

# Newton steps of the bound; it holds however many are taken.
_MOST_STEPS = 60
# Densities below this share of the largest count as vacuum where a quotient by them is taken.
_SUPPORT = 1e-6
# Ceilings of a potential: its largest value where the density is above this share of its largest; 0 for none.
_CEILINGS = (0.0, 1e-6, 1e-4)
# Potentials beyond this are of no use, and their squares not finite.
_LARGEST = 1e100
# Sweeps that mend a level; each leaves a share of what is violated, as long as v dt / dx is less than 1.
_MOST_SWEEPS = 50
# Shares of a density that is positive everywhere, mixed into a path whose flux meets vacuum.
_SHARES = np.concatenate([[0.0], np.logspace(-12, -1, 12)])


@dataclass(frozen=True, eq=False)
class DualBound:
    """A lower bound on the objective of a step.

    Attributes
    ----------
    value : float
        The bound; minus infinity where the potential gives none.
    multipliers : array of shape (numbers,)
        ``y``, at the minimiser ``(B - v) / theta``.
    variation : array of shape (points,)
        The first variation of E at the density less ``U'``: potential, interaction, and data with these multipliers.
    certified : bool
        Whether it bounds the step itself; otherwise the convex step that majorises it at the density.
    potential : array of shape (nt, points)
        The admissible potential that gives it; of zeros where none does.
    """

    value: float
    multipliers: Array
    variation: Array
    certified: bool
    potential: Array


class _Inequality(NamedTuple):
    """The Hamilton-Jacobi inequality of :mod:`dajko.transport`, as kernels read it."""

    wt: Array  # (nt + 1,)
    dx: float
    dt: float
    share: float  # of the kinetic energy of an interval that counts at its end
    sublattices: int


@kernel
def _lower(potential: Array, rule: _Inequality) -> None:
    """Make a potential admissible: forwards in time, lowered where the inequality is violated, and then as a whole."""
    n = potential.shape[1]
    bound, need, shift = np.empty(n), np.empty(n), np.empty(rule.sublattices)
    for k in range(potential.shape[0] - 1):
        here, after, w = potential[k], potential[k + 1], rule.wt[k + 1]
        for j in range(n):
            bound[j] = here[j] - rule.share * _kinetic(here, j, w, rule)
            after[j] = min(after[j], bound[j])
        if rule.share < 1.0:
            for j in range(n):
                bound[j] = -bound[j]
                after[j] = -after[j]
            # With both signs turned, it is the level that is to be raised.
            _mend(after, bound, 1.0 - rule.share, w, rule, need, shift)
            for j in range(n):
                after[j] = -after[j]


@kernel
def _raise(potential: Array, rule: _Inequality) -> None:
    """Make a potential admissible: backwards in time, raised where the inequality is violated, and then as a whole."""
    n = potential.shape[1]
    bound, need, shift = np.empty(n), np.empty(n), np.empty(rule.sublattices)
    for k in range(potential.shape[0] - 2, -1, -1):
        here, after, w = potential[k], potential[k + 1], rule.wt[k + 1]
        for j in range(n):
            bound[j] = after[j]
            if rule.share < 1.0:
                bound[j] += (1.0 - rule.share) * _kinetic(after, j, w, rule)
        _mend(here, bound, rule.share, w, rule, need, shift)


@kernel
def _mend(level: Array, bound: Array, share: float, w: float, rule: _Inequality, need: Array, shift: Array) -> None:
    """Raise a level until ``level >= bound + share kinetic(level)``; ``need`` and ``shift`` are scratch."""
    n, before = level.size, math.inf
    for _ in range(_MOST_SWEEPS):
        largest = 0.0
        for j in range(n):
            need[j] = max(bound[j] + share * _kinetic(level, j, w, rule) - level[j], 0.0)
            largest = max(largest, need[j])
        if largest == 0.0 or not largest < before:
            break
        before = largest
        for j in range(n):
            level[j] += need[j]
    for i in range(rule.sublattices):
        least = -math.inf
        for j in range(i, n, rule.sublattices):
            least = max(least, bound[j] + share * _kinetic(level, j, w, rule) - level[j])
        shift[i] = least
    # A velocity sees differences within one sublattice only: each may be moved as a whole.
    for j in range(n):
        level[j] += shift[j % rule.sublattices]


@kernel
def _kinetic(potential: Array, j: int, w: float, rule: _Inequality) -> float:
    """``w v^2 / 2`` at a point; of finite volumes, the mean of both faces."""
    last = potential.size - 1
    if rule.sublattices == 1:
        square = 0.0
        if j > 0:
            square += ((potential[j] - potential[j - 1]) / rule.dx) ** 2
        if j < last:
            square += ((potential[j + 1] - potential[j]) / rule.dx) ** 2
        return float(0.25 * w * square)
    if j == 0 or j == last:
        return 0.0
    v: float = (potential[j + 1] - potential[j - 1]) * (rule.dt / (2.0 * rule.dx)) / w
    return 0.5 * w * v * v


def potential_of(path: Path, problem: Problem) -> Array:
    """A potential from a path alone, shape ``(nt, points)``: exact where the path is a minimiser and its density positive.

    The last level follows from the first variation, the others from the Hamilton-Jacobi equation with ``v = m / rho``,
    continued into vacuum.
    """
    grid, operators, v = problem.grid, transport(problem.grid), np.empty_like(path.flux[1:])
    for k, (rho, m) in enumerate(zip(operators.moving(path.density), path.flux[1:], strict=True)):
        inside = rho > _SUPPORT * rho.max()
        v[k] = np.interp(operators.places, operators.places[inside], m[inside] / rho[inside])
    kinetic = operators.kinetic(v)
    kinetic[:-1] += operators.kinetic_before(v)[1:]
    u = path.density[-1]
    slope = problem.energy.first_variation(np.maximum(u, _SUPPORT * u.max()), grid)
    if problem.objective.data.size > 0 and problem.data is not None:
        slope = slope + problem.data.gradient(u, grid)
    # From the last level backwards, each gains its kinetic energy.
    return np.asarray(np.cumsum(kinetic[::-1], axis=0)[::-1] - problem.tau * slope)


def _candidates(given: Array | None, path: Path, problem: Problem) -> list[Array]:
    """Admissible potentials; which of them gives the largest bound cannot be told beforehand.

    What a solver leaves in vacuum, where its stopping rule does not look, may violate the inequality by far: potentials are
    also tried with a ceiling at their largest value on the support. A splitting method finds the constants of a level late:
    potentials are also tried with the mean slack of each level taken off.
    """
    grid, rho = problem.grid, path.density[1:]
    rule = _Inequality(grid.wt, grid.dx, grid.dt, grid.share_of_level, grid.sublattices)
    sources = [potential_of(path, problem)]
    if given is not None:
        sources += [given, _levelled(given, rho, grid)]
    found = []
    for source in sources:
        for share in _CEILINGS:
            inside = rho > share * rho.max(axis=1, keepdims=True)
            highest = np.where(inside, source, -np.inf).max(axis=1, keepdims=True)
            # Falling in time, so that the ceiling is admissible itself.
            capped = np.minimum(source, np.maximum.accumulate(highest[::-1])[::-1]) if share > 0.0 else source
            for mend in (_lower, _raise):
                found.append(np.ascontiguousarray(capped).copy())
                mend(found[-1], rule)
    return [potential for potential in found if np.abs(potential).max() < _LARGEST]


def _levelled(potential: Array, rho: Array, grid: Grid) -> Array:
    """The potential with constants on the sublattices of each level that make the mean slack 0."""
    found, missing, step = potential.copy(), transport(grid).slack(potential), grid.sublattices
    for i in range(step):
        weight = rho[:-1, i::step]
        mean = np.sum(weight * missing[:, i::step], axis=1) / np.maximum(weight.sum(axis=1), 1e-300)
        found[:-1, i::step] -= np.cumsum(mean[::-1])[::-1][:, None]
    return found


def dual_bound(problem: Problem, path: Path, potential: Array | None = None) -> DualBound:
    """The largest dual objective that is found from a potential, with the energy bounded by its tangent at the new density.

    Parameters
    ----------
    problem : Problem
    path : Path
        Where the tangent is taken; its last density has the mass of the old one.
    potential : array of shape (nt, points), optional
        Multipliers of the continuity equation, admissible or not. Potentials made from the path alone are tried besides.
    """
    grid, tangent = problem.grid, _Tangent(problem, path.density[-1])
    z, value, most = tangent.starts(np.zeros(grid.points))[0], -np.inf, -np.inf
    best, admissible = np.empty(0), np.zeros((grid.nt, grid.points))
    operators = transport(grid)
    for phi in _candidates(potential, path, problem):
        p = -operators.final_potential(phi) / problem.tau - tangent.potential
        transported = float(grid.integrate(operators.first_potential(phi) * problem.initial)) / problem.tau
        for start in tangent.starts(p):
            found = tangent.value(p, start)[0] - transported
            if found > most:
                best, z, value, most, admissible = p, start, transported, found, phi
    if most > -np.inf:
        z, most = tangent.largest(best, z)
        most -= value
    y = tangent.multipliers(z)
    certified = problem.interaction_is_convex and float(tangent.square @ y) <= 0.0
    return DualBound(problem.tau * most, y, tangent.potential + y @ tangent.rows, certified, admissible)


class _Tangent:
    """A lower bound on ``inf_u E(u) - <p + V, u>`` as a concave function of ``z = (constants, y)``, for any p.

    There is a constant for each sublattice; V is :attr:`potential`, which contains the tangent of the interaction.
    """

    def __init__(self, problem: Problem, density: Array) -> None:
        grid, objective = problem.grid, problem.objective
        self.wx, self.exponent, self.density = grid.wx, problem.energy.exponent, density
        self.sublattices = step = grid.sublattices
        mass = float(grid.integrate(problem.initial))
        self.masses = np.array([self.wx[i::step] @ problem.initial[i::step] for i in range(step)])
        self.potential, self.base = objective.potential, 0.0
        interaction = problem.interaction
        if interaction is not None:
            field = interaction.centred @ (grid.wx * density)
            self.potential = self.potential + interaction.potential(mass) + field
            self.base = -0.5 * float(grid.integrate(density * field))
        # B_i = row_i . u - square_i b^2 with b the first moment, exact for densities of this mass.
        found = at_fixed_mass(() if problem.data is None else problem.data.observations, grid, mass)
        used = objective.data.size  # none of them where theta is infinite
        x, self.square = grid.x - 0.5 * (grid.left + grid.right), found.squares[:used]
        first = float(grid.integrate(x * density))
        self.rows = found.rows[:used] - 2.0 * first * self.square[:, None] * x
        self.offset = self.square * first**2 + found.offsets[:used] - objective.data
        self.theta = 1.0 / objective.inverse_theta if used else 1.0
        constants = [np.arange(grid.points) % step == i for i in range(step)]
        self.columns = np.vstack([*constants, self.rows]).astype(np.float64)
        self.linear = np.concatenate([-self.masses, self.offset])
        with np.errstate(divide="ignore"):
            self.slope = np.array([internal_slope(u, self.exponent) for u in density])
        self.misfit = self.rows @ (grid.wx * density) + self.offset

    def value(self, p: Array, z: Array) -> tuple[float, Array, Array]:
        """Value, gradient and minus the Hessian."""
        with np.errstate(over="ignore", invalid="ignore"):
            conjugate, slope, curvature = internal_conjugate(p - z @ self.columns, self.exponent)
            y = self.multipliers(z)
            value = self.base + self.linear @ z - 0.5 * self.theta * (y @ y) - self.wx @ conjugate
            gradient = self.linear + self.columns @ (self.wx * slope)
            hessian = (self.columns * (self.wx * curvature)) @ self.columns.T
        step = self.sublattices
        gradient[step:] -= self.theta * y
        hessian[step:, step:] += self.theta * np.eye(y.size)
        return (float(value) if np.isfinite(value) else -np.inf), gradient, hessian

    def multipliers(self, z: Array) -> Array:
        """``y``, behind the constants."""
        return z[self.sublattices :]

    def largest(self, p: Array, start: Array) -> tuple[Array, float]:
        """Where the function is largest, and its value there, by Newton steps; without internal energy it stays."""
        z, (value, gradient, hessian) = start, self.value(p, start)
        for _ in range(0 if self.exponent == NO_INTERNAL_ENERGY else _MOST_STEPS):
            scale = 1.0 / np.sqrt(np.maximum(np.diag(hessian), 1e-300))
            step = scale * np.linalg.lstsq(hessian * np.outer(scale, scale), scale * gradient, rcond=1e-13)[0]
            length, found = 1.0, self.value(p, z + step)
            while not found[0] > value and length > 1e-6:
                length *= 0.5
                found = self.value(p, z + length * step)
            if not found[0] > value:
                break
            z, (value, gradient, hessian) = z + length * step, found
        return z, value

    def starts(self, p: Array) -> list[Array]:
        """Multipliers from the misfit, and those that fit the first-order condition best; each with its best constants."""
        weight = np.where(self.density > _SUPPORT * self.density.max(), np.sqrt(self.wx * self.density), 0.0)
        target = np.where(weight > 0.0, p - self.slope, 0.0)
        multipliers = [self.misfit / self.theta]
        if self.misfit.size > 0:
            multipliers.append(self.multipliers(np.linalg.lstsq((self.columns * weight).T, weight * target, rcond=1e-12)[0]))
        found = []
        for y in multipliers:
            rest = (p if self.exponent == NO_INTERNAL_ENERGY else target) - y @ self.rows
            constants = []
            for i in range(self.sublattices):
                own = slice(i, None, self.sublattices)
                if self.exponent == NO_INTERNAL_ENERGY:
                    constants.append(rest[own].max())
                else:
                    share = weight[own] ** 2
                    constants.append(share @ rest[own] / max(share.sum(), 1e-300))
            found.append(np.concatenate([constants, y]))
        return found


def feasible_path(path: Path, problem: Problem) -> Path:
    """A path near to a given one that satisfies all constraints, up to rounding.

    Each sublattice gets the mass that the old density has there; in one dimension the continuity equation then decides the
    flux. Where that would leave vacuum, a little of a path that is positive everywhere is mixed in.
    """
    grid, initial = problem.grid, problem.initial
    rho = np.maximum(path.density, 0.0)
    spread = np.empty_like(rho)
    share = np.linspace(0.0, 1.0, grid.nt + 1)[:, None]
    step = grid.sublattices
    for i in range(step):
        part, wx = rho[:, i::step], grid.wx[i::step]
        wanted, found = wx @ initial[i::step], part @ wx
        part *= np.divide(wanted, found, out=np.zeros_like(found), where=found > 0.0)[:, None]
        part[found <= 0.0] = initial[i::step]
        spread[:, i::step] = (1.0 - share) * initial[i::step] + share * wanted / wx.sum()
    rho[0] = initial
    flux, spread_flux = (transport(grid).flux_between(densities) for densities in (rho, spread))
    paths = [Path((1.0 - s) * rho + s * spread, (1.0 - s) * flux + s * spread_flux) for s in _SHARES]
    return min(paths, key=problem.value)
