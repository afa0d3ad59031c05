"""The iteration of Algorithm 1, as a kernel; its equations are in :mod:`dajko.solvers.pd3o`."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dajko._numba import kernel
from dajko.data.operator import add_gradient, observe
from dajko.grid import Array
from dajko.problem.problem import Objective, energy_gradient, energy_value
from dajko.quadrature import squared_change
from dajko.solvers.algorithm_1.constraints import (
    Dual,
    Weights,
    adjoint_density,
    adjoint_flux,
    apply,
    violations,
)
from dajko.solvers.algorithm_1.proximal_maps import project_dual, prox_action, prox_action_internal

# Sizes that changes are relative to are at least this: dual variables start at 0.
LEAST_SIZE = 1e-12


class Steps(NamedTuple):
    """Step sizes of a solve, and which parts of E it takes explicitly."""

    primal: float  # lambda
    dual: float  # sigma
    data: Array  # (numbers,), sigma of each data row; empty where the data term is explicit
    internal_explicit: bool


@kernel
def iterate(
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
    least_energy: float,
    max_iterations: int,
) -> tuple[int, bool, Array]:
    """Algorithm 1, with ``rho``, ``m`` and ``dual`` as start and result."""
    nt, n = rho.shape[0] - 1, rho.shape[1]
    total_mass = np.sum(w.wx * initial)
    lam, sigma = steps.primal, steps.dual
    weight = tau / w.metric[nt]
    data_explicit, with_internal = steps.data.size == 0, steps.internal_explicit
    result = dual
    bar_rho, bar_m = rho.copy(), m.copy()
    next_dual = Dual(dual.continuity.copy(), dual.boundary.copy(), dual.mass.copy(), dual.initial.copy(), dual.data.copy())
    new_rho, new_m, start = np.empty(n), np.empty(n), np.empty(n)
    gradient, new_gradient = np.empty(n), np.empty(n)
    data_gradient, misfit, mean_field = np.empty(n), np.empty(objective.data.size), np.empty(n)
    energy = energy_value(objective, rho[nt], misfit, mean_field)
    energy_gradient(objective, rho[nt], misfit, mean_field, with_internal, data_explicit, gradient)
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
            adjoint_density(dual, w, k, new_rho)
            for j in range(n):
                new_rho[j] = old_rho[j] - lam * new_rho[j]
            if k == 0:
                # No constraint sees the flux of level 0; without it the proximal map keeps the density nonnegative.
                for j in range(n):
                    new_rho[j] = new_rho[j] if new_rho[j] > 0.0 else 0.0
                    new_m[j] = 0.0
            else:
                adjoint_flux(dual.continuity[k - 1], w, new_m)
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
            for new, old, bar in ((new_rho, old_rho, bar_rho[k]), (new_m, old_m, bar_m[k])):
                change, size = squared_change(w.wx, new, old)
                primal_change += w.metric[k] * change
                primal_size += w.metric[k] * size
                for j in range(n):
                    bar[j] = 2.0 * new[j] - old[j]
                    old[j] = new[j]

        new_energy = energy_value(objective, rho[nt], misfit, mean_field)
        energy_gradient(objective, rho[nt], misfit, mean_field, with_internal, data_explicit, new_gradient)
        for j in range(n):
            bar_rho[nt, j] += lam * weight * (gradient[j] - new_gradient[j])
        gradient, new_gradient = new_gradient, gradient

        change_primal = math.sqrt(primal_change) / max(math.sqrt(primal_size), LEAST_SIZE)
        change_dual = math.sqrt(dual_change) / max(math.sqrt(dual_size), LEAST_SIZE)
        change_energy = abs(new_energy - energy) / max(abs(energy), least_energy)
        energy = new_energy
        converged = max(change_primal, change_dual, change_energy) < tol
        if not math.isfinite(primal_change + dual_change + energy):
            break

    if iterations % 2 == 1:
        copy_dual(dual, result)
        next_dual = dual
    apply(rho, m, initial, total_mass, w, next_dual)
    residuals = np.zeros(7)
    residuals[0], residuals[1], residuals[2] = change_primal, change_dual, change_energy
    residuals[3:] = violations(next_dual, w)
    return iterations, converged, residuals


@kernel
def copy_dual(source: Dual, target: Dual) -> None:
    target.continuity[:] = source.continuity
    target.boundary[:] = source.boundary
    target.mass[:] = source.mass
    target.initial[:] = source.initial
    target.data[:] = source.data
