r"""How far a step can be from optimal: a lower bound on its objective from any potential, whoever computed it.

*The dual problem.* With multipliers ``phi_k``, k = 1 ... K, of the continuity equation, their velocity ``v_k = dt / w_k
(phi[j+1] - phi[j-1]) / (2 dx)``, 0 at the ends, the objective of :mod:`dajko.problem.problem` is at least

    D(phi) = - <phi_1, rho_0> + inf_u (tau E(u) - <q, u>),          q = w_K v_K^2 / 2 - phi_K,

for every phi with ``phi_k - phi_{k+1} >= w_k v_k^2 / 2``, 0 < k < K: the action is the perspective function of ``m^2 / 2``,
whose conjugate is the indicator of these inequalities, a discrete ``d phi/dt + |grad phi|^2 / 2 <= 0``. The derivation is in
docs/mathematics.md, section 7.

*The energy.* ``E`` is bounded from below by something whose infimum is taken node by node: an interaction by its tangent at
a density, a data term by ``y . (B(u) - v) - theta |y|^2 / 2`` for any y, and B by its tangent. What is left is ``U``, with
the conjugate ``U*``. The masses of even and of odd nodes are given (centred differences keep them apart), so one constant
for each class may be added to phi; both constants and y are chosen by Newton steps to make the bound as large as possible.

*What is certified.* All these are bounds from below where the step is convex. Where it is not (an interaction with a concave
part, or data whose term is concave along the first moment) the tangent of the concave part lies above it. The bound is then
that of the convex step that majorises this one at the density: it says that the density is stationary, not that it is best.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dajko._numba import kernel
from dajko.data.operator import at_fixed_mass
from dajko.energy.internal import NO_INTERNAL_ENERGY
from dajko.energy.kernels import internal_conjugate, internal_slope
from dajko.grid import Array, Grid
from dajko.problem.problem import Path, Problem

# Newton steps of the bound; it holds however many are taken.
_MOST_STEPS = 60
# Densities below this share of the largest count as vacuum where a quotient by them is taken.
_SUPPORT = 1e-6
# Ceilings of a potential: its largest value where the density is above this share of its largest; 0 for none.
_CEILINGS = (0.0, 1e-6, 1e-4)
# Potentials beyond this are of no use, and their squares not finite.
_LARGEST = 1e100
# Sweeps that raise a level; each leaves a share of what is violated, as long as v dt / dx is less than 1.
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
    variation : array of shape (nx + 1,)
        The first variation of E at the density less ``U'``: potential, interaction, and data with these multipliers.
    certified : bool
        Whether it bounds the step itself; otherwise the convex step that majorises it at the density.
    potential : array of shape (nt, nx + 1)
        The admissible potential that gives it; of zeros where none does.
    """

    value: float
    multipliers: Array
    variation: Array
    certified: bool
    potential: Array


def velocity(potential: Array, grid: Grid) -> Array:
    """The velocity that belongs to a potential of shape ``(nt, nx + 1)``, the same shape; 0 at the ends."""
    v = np.zeros_like(potential)
    v[:, 1:-1] = (potential[:, 2:] - potential[:, :-2]) * (grid.dt / grid.wt[1:, None] / (2.0 * grid.dx))
    return v


def slack(potential: Array, grid: Grid) -> Array:
    """``(phi_k - phi_{k+1}) / w_k - v_k^2 / 2``, shape ``(nt - 1, nx + 1)``: at least 0 for an admissible potential."""
    change = (potential[:-1] - potential[1:]) / grid.wt[1:-1, None]
    return np.asarray(change - 0.5 * velocity(potential, grid)[:-1] ** 2)


def final_potential(potential: Array, grid: Grid) -> Array:
    """``phi_K - w_K v_K^2 / 2``, shape ``(nx + 1,)``: the potential at the end of artificial time, phi(1)."""
    return np.asarray(potential[-1] - 0.5 * grid.wt[-1] * velocity(potential, grid)[-1] ** 2)


@kernel
def _lower(potential: Array, wt: Array, speed: float) -> None:
    """Make a potential admissible: forwards in time, lowered where the inequality is violated."""
    for k in range(potential.shape[0] - 1):
        here, after, w = potential[k], potential[k + 1], wt[k + 1]
        for j in range(here.size):
            after[j] = min(after[j], here[j] - _kinetic(here, j, w, speed))


@kernel
def _raise(potential: Array, wt: Array, speed: float) -> None:
    """Make a potential admissible: backwards in time, raised where the inequality is violated, and then as a whole."""
    n = potential.shape[1]
    need, shift = np.empty(n), np.empty(2)
    for k in range(potential.shape[0] - 2, -1, -1):
        here, after, w, before = potential[k], potential[k + 1], wt[k + 1], math.inf
        for _ in range(_MOST_SWEEPS):
            largest = 0.0
            for j in range(n):
                need[j] = max(after[j] + _kinetic(here, j, w, speed) - here[j], 0.0)
                largest = max(largest, need[j])
            if largest == 0.0 or not largest < before:
                break
            before = largest
            for j in range(n):
                here[j] += need[j]
        for parity in range(2):
            least = -math.inf
            for j in range(parity, n, 2):
                least = max(least, after[j] + _kinetic(here, j, w, speed) - here[j])
            shift[parity] = least
        # A velocity sees one of the two classes of nodes only, and no constant: each may be moved as a whole.
        for j in range(n):
            here[j] += shift[j % 2]


@kernel
def _kinetic(potential: Array, j: int, w: float, speed: float) -> float:
    """``w v^2 / 2`` at a node."""
    if j == 0 or j == potential.size - 1:
        return 0.0
    v: float = (potential[j + 1] - potential[j - 1]) * speed / w
    return 0.5 * w * v * v


def potential_of(path: Path, problem: Problem) -> Array:
    """A potential from a path alone, shape ``(nt, nx + 1)``: exact where the path is a minimiser and its density positive.

    The last level follows from the first variation, the others from the Hamilton-Jacobi equation with ``v = m / rho``,
    continued into vacuum.
    """
    grid, v = problem.grid, np.empty_like(path.density[1:])
    for k, (rho, m) in enumerate(zip(path.density[1:], path.flux[1:], strict=True)):
        inside = rho > _SUPPORT * rho.max()
        v[k] = np.interp(grid.x, grid.x[inside], m[inside] / rho[inside])
    kinetic = 0.5 * grid.wt[1:, None] * v**2
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
                mend(found[-1], grid.wt, grid.dt / (2.0 * grid.dx))
    return [potential for potential in found if np.abs(potential).max() < _LARGEST]


def _levelled(potential: Array, rho: Array, grid: Grid) -> Array:
    """The potential with constants on the two classes of nodes of each level that make the mean slack 0."""
    found, missing = potential.copy(), slack(potential, grid) * grid.wt[1:-1, None]
    for i in (0, 1):
        weight = rho[:-1, i::2]
        mean = np.sum(weight * missing[:, i::2], axis=1) / np.maximum(weight.sum(axis=1), 1e-300)
        found[:-1, i::2] -= np.cumsum(mean[::-1])[::-1][:, None]
    return found


def dual_bound(problem: Problem, path: Path, potential: Array | None = None) -> DualBound:
    """The largest dual objective that is found from a potential, with the energy bounded by its tangent at the new density.

    Parameters
    ----------
    problem : Problem
    path : Path
        Where the tangent is taken; its last density has the mass of the old one.
    potential : array of shape (nt, nx + 1), optional
        Multipliers of the continuity equation, admissible or not. Potentials made from the path alone are tried besides.
    """
    grid, tangent = problem.grid, _Tangent(problem, path.density[-1])
    z, value, most = tangent.starts(np.zeros(grid.nx + 1))[0], -np.inf, -np.inf
    best, admissible = np.empty(0), np.zeros((grid.nt, grid.nx + 1))
    for phi in _candidates(potential, path, problem):
        p = -final_potential(phi, grid) / problem.tau - tangent.potential
        transported = float(grid.integrate(phi[0] * problem.initial)) / problem.tau
        for start in tangent.starts(p):
            found = tangent.value(p, start)[0] - transported
            if found > most:
                best, z, value, most, admissible = p, start, transported, found, phi
    if most > -np.inf:
        z, most = tangent.largest(best, z)
        most -= value
    certified = problem.interaction_is_convex and float(tangent.square @ z[2:]) <= 0.0
    return DualBound(problem.tau * most, z[2:], tangent.potential + z[2:] @ tangent.rows, certified, admissible)


class _Tangent:
    """A lower bound on ``inf_u E(u) - <p + V, u>`` as a concave function of ``z = (two constants, y)``, for any p.

    The constants are those of even and of odd nodes; V is :attr:`potential`, which contains the tangent of the interaction.
    """

    def __init__(self, problem: Problem, density: Array) -> None:
        grid, objective = problem.grid, problem.objective
        self.wx, self.exponent, self.density = grid.wx, problem.energy.exponent, density
        odd = np.arange(grid.nx + 1) % 2
        mass = float(grid.integrate(problem.initial))
        self.masses = np.array([self.wx[i::2] @ problem.initial[i::2] for i in (0, 1)])
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
        self.columns = np.vstack([1 - odd, odd, self.rows]).astype(np.float64)
        self.linear = np.concatenate([-self.masses, self.offset])
        with np.errstate(divide="ignore"):
            self.slope = np.array([internal_slope(u, self.exponent) for u in density])
        self.misfit = self.rows @ (grid.wx * density) + self.offset

    def value(self, p: Array, z: Array) -> tuple[float, Array, Array]:
        """Value, gradient and minus the Hessian."""
        with np.errstate(over="ignore", invalid="ignore"):
            conjugate, slope, curvature = internal_conjugate(p - z @ self.columns, self.exponent)
            value = self.base + self.linear @ z - 0.5 * self.theta * (z[2:] @ z[2:]) - self.wx @ conjugate
            gradient = self.linear + self.columns @ (self.wx * slope)
            hessian = (self.columns * (self.wx * curvature)) @ self.columns.T
        gradient[2:] -= self.theta * z[2:]
        hessian[2:, 2:] += self.theta * np.eye(z.size - 2)
        return (float(value) if np.isfinite(value) else -np.inf), gradient, hessian

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
            multipliers.append(np.linalg.lstsq((self.columns * weight).T, weight * target, rcond=1e-12)[0][2:])
        found = []
        for y in multipliers:
            rest = (p if self.exponent == NO_INTERNAL_ENERGY else target) - y @ self.rows
            constants = []
            for i in (0, 1):
                if self.exponent == NO_INTERNAL_ENERGY:
                    constants.append(rest[i::2].max())
                else:
                    share = weight[i::2] ** 2
                    constants.append(share @ rest[i::2] / max(share.sum(), 1e-300))
            found.append(np.concatenate([constants, y]))
        return found


def feasible_path(path: Path, problem: Problem) -> Path:
    """A path near to a given one that satisfies all constraints, up to rounding.

    Even and odd nodes get the masses that the old density has there; in one dimension the continuity equation then decides
    the flux. Where that would leave vacuum, a little of a path that is positive everywhere is mixed in.
    """
    grid, initial = problem.grid, problem.initial
    rho = np.maximum(path.density, 0.0)
    spread = np.empty_like(rho)
    share = np.linspace(0.0, 1.0, grid.nt + 1)[:, None]
    for i in (0, 1):
        part, wx = rho[:, i::2], grid.wx[i::2]
        wanted, found = wx @ initial[i::2], part @ wx
        part *= np.divide(wanted, found, out=np.zeros_like(found), where=found > 0.0)[:, None]
        part[found <= 0.0] = initial[i::2]
        spread[:, i::2] = (1.0 - share) * initial[i::2] + share * wanted / wx.sum()
    rho[0] = initial
    flux, spread_flux = _flux(rho, grid), _flux(spread, grid)
    paths = [Path((1.0 - s) * rho + s * spread, (1.0 - s) * flux + s * spread_flux) for s in _SHARES]
    return min(paths, key=problem.value)


def _flux(rho: Array, grid: Grid) -> Array:
    """The flux that the continuity equation gives densities whose even and odd nodes keep their masses."""
    change = 2.0 * grid.wx * np.diff(rho, axis=0) / grid.dt
    flux = np.zeros_like(rho)
    for i in (0, 1):
        mass = np.cumsum(rho[1:, i::2] * grid.wx[i::2], axis=1)
        # Summed from the nearer end: rounding must not leave a flux in vacuum.
        left = -np.cumsum(change[:, i::2], axis=1)
        right = np.cumsum(change[:, i::2][:, ::-1], axis=1)[:, ::-1]
        right = np.concatenate([right[:, 1:], np.zeros((grid.nt, 1))], axis=1)
        target = flux[1:, i + 1 :: 2]
        target[...] = np.where(mass <= 0.5 * mass[:, -1:], left, right)[:, : target.shape[1]]
    flux[:, -1] = 0.0
    return flux
