"""Algorithm 1 of Pietschmann and Schlottbom: the primal-dual splitting PD3O (Yan 2018) for one daJKO step.

With ``u = (rho, m)``, the constraints relaxed to four balls ``|A_i u - b_i| <= delta_i`` (4.9)-(4.13), and the weighted
inner product (4.2), one iteration is::

    phi   <- prox_{sigma i*}(phi + sigma A ubar)
    u_new <- prox_{lambda Phi}(u - lambda grad E(u) - lambda A* phi)
    ubar  <- 2 u_new - u + lambda grad E(u) - lambda grad E(u_new)

It converges for ``lambda sigma |AA*| < 1`` and ``lambda < 2 / L``, L the Lipschitz constant of ``grad E``.

Everything is matrix-free. The rows of A carry square roots of quadrature weights, ``A = S D`` with D the plain difference
quotients and S diagonal; the kernels keep ``y = S^-1 phi``, for which A and A* need no roots:

- dual step: with ``g = y + sigma (D ubar - d)``, ``b = S d``, Moreau's identity and the projection onto a ball give
  ``y <- g (1 - sigma delta / |S g|)_+``, a scalar factor for each ball;
- adjoint: ``A* phi = W^-1 D^T S^2 y`` with W the weights of (4.2).

Two parts of E cannot always be taken explicitly, as printed, because L is too large or infinite for a useful lambda:

- An internal energy with an unbounded second derivative (entropy, or m < 2) belongs to the proximal map of the last level,
  which becomes one scalar equation a node.
- A data term with a small theta moves into the dual step, as one more block of rows, ``B_h`` itself: with ``z`` its dual
  variable, ``z <- (z + sigma (B_h(ubar) - v)) / (1 + sigma theta / tau)`` and ``A* phi`` gains the gradient of ``z . B_h``
  at u. The minimiser is the same, and the number of iterations no longer depends on theta. For the nonlinear
  observations this is the primal-dual method with the operator linearised at u (Valkonen 2014).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

import numpy as np
import scipy.sparse.linalg

from dajko._numba import kernel
from dajko.energy import internal_curvature, internal_slope
from dajko.errors import InputError
from dajko.grid import Array, Grid, whole_number
from dajko.observation import add_gradient, observe
from dajko.solvers.problem import Objective, Path, Problem, Status, Step, energy_gradient, energy_value

DataStep = Literal["auto", "explicit", "dual"]

# The data rows are scaled so that they add this share to |AA*|.
_DATA_SHARE = 0.1

# The stopping rule looks at changes only, and a density that a steep potential has emptied does not change either. An
# iterate that violates mass, continuity or initial density by more than this share of the density is not converged.
_MOST_VIOLATION = 1e-2

# A power of the density with an exponent below this has an unbounded second derivative at 0.
_LEAST_SMOOTH_EXPONENT = 2.0

_RESIDUALS = ("change_primal", "change_dual", "change_energy", "continuity", "boundary", "mass", "initial")


class Dual(NamedTuple):
    """Scaled dual variables ``y`` of the four constraints."""

    continuity: Array  # (nt, nx + 1), (4.9)
    boundary: Array  # (nt + 1, 2), (4.10)
    mass: Array  # (nt + 1,), (4.11)
    initial: Array  # (nx + 1,), (4.12)
    data: Array  # (numbers,), empty without data in the dual step


def zero_dual(grid: Grid, numbers: int = 0) -> Dual:
    """Dual variables that are all zero, with ``numbers`` of them for data."""
    nx, nt = grid.nx, grid.nt
    return Dual(np.zeros((nt, nx + 1)), np.zeros((nt + 1, 2)), np.zeros(nt + 1), np.zeros(nx + 1), np.zeros(numbers))


class Weights(NamedTuple):
    """The grid as the kernels read it."""

    wx: Array  # (nx + 1,)
    metric: Array  # (nt + 1,), weights in time of the inner product
    dx: float
    dt: float


class Steps(NamedTuple):
    """Step sizes of a solve, and which parts of E it takes explicitly."""

    primal: float  # lambda
    dual: float  # sigma
    data: Array  # (numbers,), sigma of each data row; empty where the data term is explicit
    internal_explicit: bool


def weights(grid: Grid) -> Weights:
    """The weights of a grid."""
    return Weights(grid.wx, grid.wt_metric, grid.dx, grid.dt)


@dataclass(frozen=True)
class PD3O:
    """Solver options of Algorithm 1.

    Parameters
    ----------
    tol : float
        The paper's stopping rule: bound on the relative change of u, phi and E in one iteration. Iterates that are far from
        satisfying the constraints do not count as converged.
    max_iterations : int
    primal_step : float or None
        lambda; by default the paper's 0.2, or less where the gradient of the energy demands it.
    dual_step : float or None
        sigma; by default ``0.9 / (lambda |AA*|)``.
    constraint_tolerance : float
        Radius delta of the four balls.
    data_step : {"auto", "explicit", "dual"}
        Where the data term goes: into the explicit gradient as printed, or into the dual step. ``"auto"`` takes it
        explicitly as long as that does not make lambda smaller.

    Raises
    ------
    InputError
        If an option is out of its range.
    """

    tol: float = 1e-5
    max_iterations: int = 200_000
    primal_step: float | None = None
    dual_step: float | None = None
    constraint_tolerance: float = 1e-5
    data_step: DataStep = "auto"

    def __post_init__(self) -> None:
        for name in ("tol", "primal_step", "dual_step", "constraint_tolerance"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InputError(f"solver.{name} must be greater than 0, got {value}")
        object.__setattr__(self, "max_iterations", whole_number("solver.max_iterations", self.max_iterations, least=1))
        if self.data_step not in get_args(DataStep):
            raise InputError(f"solver.data_step must be one of {', '.join(get_args(DataStep))}, got {self.data_step!r}")

    def solve(self, problem: Problem, warm_start: tuple[Path, Dual] | None = None) -> Step:
        """Solve one daJKO step.

        Parameters
        ----------
        problem : Problem
        warm_start : object, optional
            :attr:`Step.warm_start` of the previous step, as Algorithm 2 hands it on.

        Raises
        ------
        InputError
            If given steps violate ``lambda sigma |AA*| < 1`` or ``lambda < 2 / L``.
        """
        grid, steps = problem.grid, self.steps(problem)
        path, dual = _cold_start(problem) if warm_start is None else warm_start
        path = Path(path.density.copy(), path.flux.copy())
        dual = Dual._make(part.copy() for part in dual)
        if dual.data.size != steps.data.size:
            dual = dual._replace(data=np.zeros(steps.data.size))
        iterations, converged, residuals = _iterate(
            problem.objective,
            problem.tau,
            problem.initial,
            path.density,
            path.flux,
            dual,
            weights(grid),
            steps,
            self.constraint_tolerance,
            self.tol,
            self.max_iterations,
        )
        if not (np.isfinite(residuals).all() and np.isfinite(path.density[-1]).all()):
            status = Status.FAILED
        else:
            status = Status.CONVERGED if converged else Status.NOT_CONVERGED
        return Step(
            path=path,
            status=status,
            iterations=int(iterations),
            residuals=dict(zip(_RESIDUALS, residuals.tolist(), strict=True)),
            residual=float(residuals[:3].max()),
            message=f"pd3o, {iterations} iterations: {status.message}",
            warm_start=(path, dual),
        )

    def steps(self, problem: Problem) -> Steps:
        """The step sizes that a solve of ``problem`` uses.

        Raises
        ------
        InputError
            If given steps violate ``lambda sigma |AA*| < 1`` or ``lambda < 2 / L``.
        """
        norm = operator_norm(problem.grid)
        internal_explicit = problem.energy.exponent >= _LEAST_SMOOTH_EXPONENT
        internal, data = lipschitz_bounds(problem)
        internal = internal if internal_explicit else 0.0
        wanted = 0.2 if self.primal_step is None else self.primal_step
        in_dual = self.data_step == "dual" or (self.data_step == "auto" and wanted * (internal + data) > 1.0)
        in_dual = in_dual and problem.objective.data.size > 0
        bound = 2.0 / max(internal if in_dual else internal + data, 1e-300)
        norm *= 1.0 + _DATA_SHARE * in_dual

        primal = wanted
        if self.primal_step is None:
            primal = min(primal, 0.5 * bound)
            if self.dual_step is not None:
                primal = min(primal, 0.9 / (self.dual_step * norm))
        elif not primal < bound:
            raise InputError(
                f"solver.primal_step must be less than 2 / L = {bound:.6g}, where L is the Lipschitz constant of the "
                f"gradient of the energy, got {primal:.6g}"
            )
        dual = 0.9 / (primal * norm) if self.dual_step is None else self.dual_step
        if not primal * dual * norm < 1.0:
            raise InputError(
                f"solver.primal_step * solver.dual_step must be less than 1 / |AA*| = {1 / norm:.6g}, "
                f"got {primal:.6g} * {dual:.6g} = {primal * dual:.6g}"
            )
        rows = _data_row_norms(problem) if in_dual else np.zeros(0)
        return Steps(
            primal, dual, dual * _DATA_SHARE * norm / (np.maximum(rows, 1e-300) * max(rows.size, 1)), internal_explicit
        )


def _cold_start(problem: Problem) -> tuple[Path, Dual]:
    """The old density at all levels, at rest. (Algorithm 2 prints zeros instead, which costs twice the iterations.)"""
    density = np.repeat(problem.initial[None], problem.grid.nt + 1, axis=0)
    return Path(density, np.zeros_like(density)), zero_dual(problem.grid)


def _data_row_norms(problem: Problem) -> Array:
    """``|B_i|^2`` of each linearised measurement in the inner product (4.2), shape ``(numbers,)``."""
    grid, u, op = problem.grid, problem.initial, problem.objective.operator
    gradients = np.zeros((op.kind.size, grid.nx + 1))
    for gradient, unit in zip(gradients, np.eye(op.kind.size), strict=True):
        add_gradient(op, u, unit, gradient)
    return np.asarray(grid.integrate(gradients**2) / grid.wt_metric[-1])


def lipschitz_bounds(problem: Problem) -> tuple[float, float]:
    """Lipschitz constants of ``grad E`` in the inner product (4.2) at the old density: internal energy, and data term.

    The first is infinite in vacuum for exponents below 2.
    """
    exponent = problem.energy.exponent
    curvature = max(
        float(internal_curvature(float(problem.initial.max()), exponent)),
        float(internal_curvature(float(problem.initial.min()), exponent)),
    )
    data = float(_data_row_norms(problem).sum()) * problem.objective.inverse_theta
    return problem.tau * curvature / problem.grid.wt_metric[-1], problem.tau * data


@lru_cache(maxsize=256)
def operator_norm(grid: Grid) -> float:
    """``|AA*|``, the largest eigenvalue, by Lanczos iterations with the kernels of the solver."""
    w = weights(grid)
    shape = (grid.nt + 1, grid.nx + 1)
    zero = np.zeros(grid.nx + 1)

    def normal_product(v: Array) -> Array:
        """W^(1/2) A*A W^(-1/2) v, which is symmetric and has the nonzero eigenvalues of AA*."""
        roots = np.sqrt(np.outer(w.metric, w.wx))
        rho, m = np.ascontiguousarray(v).reshape(2, *shape) / roots
        dual = zero_dual(grid)
        apply(rho, m, zero, 0.0, w, dual)
        rho, m = np.empty(shape), np.empty(shape)
        apply_adjoint(dual, w, rho, m)
        return np.concatenate([(rho * roots).ravel(), (m * roots).ravel()])

    size = 2 * shape[0] * shape[1]
    linear = scipy.sparse.linalg.LinearOperator((size, size), matvec=normal_product, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(size)
    largest = scipy.sparse.linalg.eigsh(linear, k=1, which="LA", v0=start, tol=1e-8, return_eigenvectors=False)
    return float(largest[0])


@kernel
def apply(rho: Array, m: Array, initial: Array, total_mass: float, w: Weights, out: Dual) -> None:
    """``D u - d``: the residuals of (4.3)-(4.5), (4.6), (4.8) and (4.7), without the weights."""
    last = rho.shape[1] - 1
    for k in range(1, rho.shape[0]):
        row, old, new, flux = out.continuity[k - 1], rho[k - 1], rho[k], m[k]
        for j in range(1, last):
            row[j] = (new[j] - old[j]) / w.dt + (flux[j + 1] - flux[j - 1]) / (2.0 * w.dx)
        row[0] = (new[0] - old[0]) / w.dt + (flux[1] - flux[0]) / w.dx
        row[last] = (new[last] - old[last]) / w.dt + (flux[last] - flux[last - 1]) / w.dx
    for k in range(rho.shape[0]):
        out.boundary[k, 0] = m[k, 0]
        out.boundary[k, 1] = m[k, last]
        mass = 0.0
        for j in range(last + 1):
            mass += w.wx[j] * rho[k, j]
        out.mass[k] = mass - total_mass
    for j in range(last + 1):
        out.initial[j] = rho[0, j] - initial[j]


@kernel
def apply_adjoint(dual: Dual, w: Weights, rho: Array, m: Array) -> None:
    """``A* phi`` of the scaled dual variables, written into ``rho`` and ``m``."""
    nt, last = dual.continuity.shape[0], rho.shape[1] - 1
    for k in range(nt + 1):
        _adjoint_density(dual, w, k, rho[k])
        if k == 0:
            m[k] = 0.0
        else:
            _adjoint_flux(dual.continuity[k - 1], w, m[k])
        m[k, 0] += dual.boundary[k, 0] / w.wx[0]
        m[k, last] += dual.boundary[k, 1] / w.wx[last]


@kernel
def _adjoint_density(dual: Dual, w: Weights, k: int, out: Array) -> None:
    nt = dual.continuity.shape[0]
    if k == 0:
        ratio, following = w.metric[1] / w.metric[0] / w.dt, dual.continuity[0]
        for j in range(out.size):
            out[j] = dual.mass[0] + dual.initial[j] / w.metric[0] - ratio * following[j]
    elif k < nt:
        ratio, row, following = w.metric[k + 1] / w.metric[k] / w.dt, dual.continuity[k - 1], dual.continuity[k]
        for j in range(out.size):
            out[j] = dual.mass[k] + row[j] / w.dt - ratio * following[j]
    else:
        row = dual.continuity[nt - 1]
        for j in range(out.size):
            out[j] = dual.mass[nt] + row[j] / w.dt


@kernel
def _adjoint_flux(row: Array, w: Weights, out: Array) -> None:
    # Each entry of a row times its weight in space is +-1/2, one-sided rows at the ends included.
    last = out.size - 1
    for j in range(1, last):
        out[j] = (row[j - 1] - row[j + 1]) / (2.0 * w.dx)
    out[0] = -0.5 * (row[0] + row[1]) / w.wx[0]
    out[last] = 0.5 * (row[last - 1] + row[last]) / w.wx[last]


@kernel
def _dual_step(old: Array, out: Array, weight: Array, sigma: float) -> float:
    """``out <- old + sigma out``; returns the sum of ``weight * out^2``."""
    total = 0.0
    for j in range(old.size):
        out[j] = old[j] + sigma * out[j]
        total += weight[j] * out[j] ** 2
    return total


@kernel
def _shrink(old: Array, out: Array, weight: Array, factor: float) -> tuple[float, float]:
    """Scale ``out`` and return the weighted sums of squares of its change against ``old``, and of ``old``."""
    change, size = 0.0, 0.0
    for j in range(old.size):
        out[j] *= factor
        change += weight[j] * (out[j] - old[j]) ** 2
        size += weight[j] * old[j] ** 2
    return change, size


@kernel
def _shrink_factor(squared_norm: float, radius: float) -> float:
    norm = math.sqrt(squared_norm)
    return 1.0 - radius / norm if norm > radius else 0.0


@kernel
def project_dual(old: Dual, out: Dual, w: Weights, sigma: float, delta: float) -> tuple[float, float]:
    """Line 3 of Algorithm 1: ``out`` holds ``D ubar - d`` and receives the new dual variables.

    Returns the squared norms of the change of phi and of the old phi.
    """
    nt = old.continuity.shape[0]
    total = 0.0
    for k in range(nt):
        total += w.metric[k + 1] * _dual_step(old.continuity[k], out.continuity[k], w.wx, sigma)
    factor = _shrink_factor(total, sigma * delta)
    change, size = 0.0, 0.0
    for k in range(nt):
        c, s = _shrink(old.continuity[k], out.continuity[k], w.wx, factor)
        change += w.metric[k + 1] * c
        size += w.metric[k + 1] * s

    for side in range(2):
        out.boundary[:, side] = old.boundary[:, side] + sigma * out.boundary[:, side]
    total = 0.0
    for k in range(nt + 1):
        total += w.metric[k] * (out.boundary[k, 0] ** 2 + out.boundary[k, 1] ** 2)
    factor = _shrink_factor(total, sigma * delta)
    for side in range(2):
        c, s = _shrink(old.boundary[:, side], out.boundary[:, side], w.metric, factor)
        change += c
        size += s

    factor = _shrink_factor(_dual_step(old.mass, out.mass, w.metric, sigma), sigma * delta)
    c, s = _shrink(old.mass, out.mass, w.metric, factor)
    change += c
    size += s

    factor = _shrink_factor(_dual_step(old.initial, out.initial, w.wx, sigma), sigma * delta)
    c, s = _shrink(old.initial, out.initial, w.wx, factor)
    return change + c, size + s


@kernel
def prox_action(rho: Array, m: Array, lam: float, start: Array) -> None:
    """Proximal map of ``lam Phi`` in every node, (4.14), in place.

    The new density is the largest root of ``(x - rho)(x + lam)^2 = lam m^2 / 2`` (4.15), or 0. On the right of
    ``max(rho, -lam)`` the cubic is increasing and convex, so Newton's method from any nonnegative ``start`` passes the root
    at most once and then descends to it; all nodes go together, which vectorises where Cardano's branches do not.
    ``start`` is overwritten.
    """
    n = rho.size
    for j in range(n):
        s = start[j]
        s = s if s > rho[j] else rho[j]
        start[j] = s if s > 0.0 else 0.0
    for _ in range(100):
        moving = 0
        for j in range(n):
            x, r = start[j], rho[j]
            y = x + lam
            value = (x - r) * y * y - 0.5 * lam * m[j] * m[j]
            new = x - value / (y * (y + 2.0 * (x - r)))
            new = new if new > 0.0 else 0.0
            # Newton's method squares the relative error, so after a step this small the next one is below rounding.
            moving += abs(new - x) > 1e-8 * y
            start[j] = new
        if moving == 0:
            break
    for j in range(n):
        x = start[j]
        rho[j] = x
        m[j] = m[j] * x / (x + lam)


@kernel
def prox_action_internal(rho: Array, m: Array, lam: float, weight: float, exponent: float, start: Array) -> None:
    """Proximal map of ``lam (Phi + weight U)`` in every node, in place.

    With the flux eliminated as in (4.14), the new density is the root of the increasing function
    ``x - rho - lam m^2 / (2 (x + lam)^2) + lam weight U'(x)``, or 0 if it is positive there.
    """
    for j in range(rho.size):
        rho[j] = _root_internal(rho[j], 0.5 * lam * m[j] * m[j], lam, lam * weight, exponent, start[j])
        m[j] = m[j] * rho[j] / (rho[j] + lam)


@kernel
def _root_internal(r: float, c: float, lam: float, weight: float, exponent: float, start: float) -> float:
    if r + c / lam**2 - weight * internal_slope(0.0, exponent) <= 0.0:
        return 0.0
    # The root lies below the one without U where U' is positive, and U' is positive beyond 1 / e at the latest.
    low, high = 0.0, max(1.0, r) + c / lam**2
    x = start if low < start < high else min(max(r, 1e-3), 0.5 * high)
    for _ in range(200):
        y = x + lam
        value = x - r - c / (y * y) + weight * internal_slope(x, exponent)
        if value > 0.0:
            high = x
        else:
            low = x
        slope = 1.0 + 2.0 * c / (y * y * y) + weight * internal_curvature(x, exponent)
        # A Newton step in log x, in which the entropy is linear; it cannot leave the positive numbers.
        new = x * math.exp(max(-30.0, min(30.0, -value / (x * slope))))
        if not low < new < high:
            new = 0.5 * (low + high)
        if abs(new - x) <= 4e-16 * x or new == low == 0.0:
            return new
        x = new
    return x


@kernel
def _iterate(
    objective: Objective,
    tau: float,
    initial: Array,
    rho: Array,
    m: Array,
    dual: Dual,
    w: Weights,
    steps: Steps,
    delta: float,
    tol: float,
    max_iterations: int,
) -> tuple[int, bool, Array]:
    """Algorithm 1, with ``rho``, ``m`` and ``dual`` as start and result."""
    nt, n = rho.shape[0] - 1, rho.shape[1]
    total_mass, size_initial = np.sum(w.wx * initial), math.sqrt(np.sum(w.wx * initial**2))
    lam, sigma = steps.primal, steps.dual
    weight = tau / w.metric[nt]
    data_explicit, with_internal = steps.data.size == 0, steps.internal_explicit
    result = dual
    bar_rho, bar_m = rho.copy(), m.copy()
    next_dual = Dual(dual.continuity.copy(), dual.boundary.copy(), dual.mass.copy(), dual.initial.copy(), dual.data.copy())
    new_rho, new_m, start = np.empty(n), np.empty(n), np.empty(n)
    gradient, new_gradient = np.empty(n), np.empty(n)
    data_gradient, misfit = np.empty(n), np.empty(objective.data.size)
    energy = energy_value(objective, rho[nt], misfit)
    energy_gradient(objective, rho[nt], misfit, with_internal, data_explicit, gradient)
    change_primal, change_dual, change_energy = math.inf, math.inf, math.inf
    iterations, converged = 0, False

    while iterations < max_iterations and not converged:
        iterations += 1
        apply(bar_rho, bar_m, initial, total_mass, w, next_dual)
        dual_change, dual_size = project_dual(dual, next_dual, w, sigma, delta)
        if not data_explicit:
            observe(objective.operator, bar_rho[nt], next_dual.data)
            for i in range(misfit.size):
                z = dual.data[i] + steps.data[i] * (next_dual.data[i] - objective.data[i])
                next_dual.data[i] = z / (1.0 + steps.data[i] / (objective.inverse_theta * tau))
                dual_change += (next_dual.data[i] - dual.data[i]) ** 2 * sigma / steps.data[i]
                dual_size += dual.data[i] ** 2 * sigma / steps.data[i]
            data_gradient[:] = 0.0
            add_gradient(objective.operator, rho[nt], next_dual.data, data_gradient)
        dual, next_dual = next_dual, dual

        primal_change, primal_size = 0.0, 0.0
        for k in range(nt + 1):
            old_rho, old_m = rho[k], m[k]
            _adjoint_density(dual, w, k, new_rho)
            for j in range(n):
                new_rho[j] = old_rho[j] - lam * new_rho[j]
            if k == 0:
                # No constraint sees the flux of level 0; without it the proximal map keeps the density nonnegative.
                for j in range(n):
                    new_rho[j] = new_rho[j] if new_rho[j] > 0.0 else 0.0
                    new_m[j] = 0.0
            else:
                _adjoint_flux(dual.continuity[k - 1], w, new_m)
                new_m[0] += dual.boundary[k, 0] / w.wx[0]
                new_m[n - 1] += dual.boundary[k, 1] / w.wx[n - 1]
                for j in range(n):
                    new_m[j] = old_m[j] - lam * new_m[j]
                    start[j] = old_rho[j]
                if k == nt:
                    for j in range(n):
                        new_rho[j] -= lam * weight * gradient[j]
                    if not data_explicit:
                        for j in range(n):
                            new_rho[j] -= lam / w.metric[nt] * data_gradient[j]
                if k == nt and not with_internal:
                    prox_action_internal(new_rho, new_m, lam, weight, objective.exponent, start)
                else:
                    prox_action(new_rho, new_m, lam, start)
            change, size = 0.0, 0.0
            bar_rho_k, bar_m_k = bar_rho[k], bar_m[k]
            for j in range(n):
                d_rho, d_m = new_rho[j] - old_rho[j], new_m[j] - old_m[j]
                change += w.wx[j] * (d_rho * d_rho + d_m * d_m)
                size += w.wx[j] * (old_rho[j] * old_rho[j] + old_m[j] * old_m[j])
                bar_rho_k[j] = new_rho[j] + d_rho
                bar_m_k[j] = new_m[j] + d_m
                old_rho[j] = new_rho[j]
                old_m[j] = new_m[j]
            primal_change += w.metric[k] * change
            primal_size += w.metric[k] * size

        new_energy = energy_value(objective, rho[nt], misfit)
        energy_gradient(objective, rho[nt], misfit, with_internal, data_explicit, new_gradient)
        for j in range(n):
            bar_rho[nt, j] += lam * weight * (gradient[j] - new_gradient[j])
        gradient, new_gradient = new_gradient, gradient

        change_primal = _relative(math.sqrt(primal_change), math.sqrt(primal_size))
        change_dual = _relative(math.sqrt(dual_change), math.sqrt(dual_size))
        change_energy = _relative(abs(new_energy - energy), abs(energy))
        energy = new_energy
        converged = max(change_primal, change_dual, change_energy) < tol
        if converged:
            apply(rho, m, initial, total_mass, w, next_dual)
            off = _violations(next_dual, w)
            converged = (
                off[2] <= _MOST_VIOLATION * total_mass + delta
                and max(off[0], off[3]) <= _MOST_VIOLATION * size_initial + delta
            )
        if not math.isfinite(primal_change + dual_change + energy):
            break

    if iterations % 2 == 1:
        _copy_dual(dual, result)
        next_dual = dual
    apply(rho, m, initial, total_mass, w, next_dual)
    residuals = np.zeros(7)
    residuals[0], residuals[1], residuals[2] = change_primal, change_dual, change_energy
    residuals[3:] = _violations(next_dual, w)
    return iterations, converged, residuals


@kernel
def _violations(residual: Dual, w: Weights) -> Array:
    """Left-hand sides of (4.9)-(4.12), without the squares, from what :func:`apply` gives."""
    squares = np.zeros(4)
    for k in range(residual.continuity.shape[0]):
        squares[0] += w.metric[k + 1] * np.sum(w.wx * residual.continuity[k] ** 2)
    squares[1] = np.sum(w.metric * (residual.boundary[:, 0] ** 2 + residual.boundary[:, 1] ** 2))
    squares[2] = np.sum(w.metric * residual.mass**2)
    squares[3] = np.sum(w.wx * residual.initial**2)
    return np.sqrt(squares)


@kernel
def _copy_dual(source: Dual, target: Dual) -> None:
    target.continuity[:] = source.continuity
    target.boundary[:] = source.boundary
    target.mass[:] = source.mass
    target.initial[:] = source.initial
    target.data[:] = source.data


@kernel
def _relative(change: float, size: float) -> float:
    """Relative change, with a floor for a start from zero and for energies that pass through it."""
    return change / max(size, 1e-12)
