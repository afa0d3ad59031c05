"""Algorithm 1 in plain NumPy, whole arrays at a time, for the porous medium energy without data."""

from __future__ import annotations

import numpy as np

from dajko.grid import Array
from dajko.problem.problem import Problem
from dajko.solvers.pd3o import PD3O


def largest_root(rho: Array, m: Array, lam: float) -> Array:
    """The largest root of (4.15) by Newton's method from the right of it."""
    x = np.maximum(rho, 0.0) + np.cbrt(0.5 * lam * m**2)
    for _ in range(8):
        y = x + lam
        x -= ((x - rho) * y**2 - 0.5 * lam * m**2) / (y * (y + 2.0 * (x - rho)))
    return np.asarray(np.maximum(x, 0.0))


class NumpyPD3O:
    """Algorithm 1 for one problem with the energy ``u^2`` and no data.

    Parameters
    ----------
    problem : Problem
    """

    def __init__(self, problem: Problem) -> None:
        self.grid, self.initial, self.tau = problem.grid, problem.initial, problem.tau
        steps = PD3O().steps(problem)
        self.lam, self.sigma, self.delta = steps.primal, steps.dual, 1e-5
        shape = (self.grid.nt + 1, self.grid.nx + 1)
        self.rho = np.repeat(self.initial[None], shape[0], axis=0)
        self.m = np.zeros(shape)
        self.bar_rho, self.bar_m = self.rho.copy(), self.m.copy()
        self.y = [np.zeros((self.grid.nt, shape[1])), np.zeros((shape[0], 2)), np.zeros(shape[0]), np.zeros(shape[1])]

    def run(self, iterations: int) -> Array:
        """Do so many iterations; returns the density at the last level."""
        g, wx, w = self.grid, self.grid.wx, self.grid.wt_metric
        weights = [np.outer(w[1:], wx), np.repeat(w[:, None], 2, axis=1), w, wx]
        scale = 2.0 * self.tau / w[-1]
        for _ in range(iterations):
            rho, m = self.bar_rho, self.bar_m
            divergence = np.empty_like(self.y[0])
            divergence[:, 1:-1] = (m[1:, 2:] - m[1:, :-2]) / (2.0 * g.dx)
            divergence[:, 0], divergence[:, -1] = (m[1:, 1] - m[1:, 0]) / g.dx, (m[1:, -1] - m[1:, -2]) / g.dx
            constraint = [
                (rho[1:] - rho[:-1]) / g.dt + divergence,
                m[:, [0, -1]],
                rho @ wx - self.initial @ wx,
                rho[0] - self.initial,
            ]
            for i, (y, residual) in enumerate(zip(self.y, constraint, strict=True)):
                new = y + self.sigma * residual
                norm = np.sqrt(np.sum(weights[i] * new**2))
                self.y[i] = new * max(0.0, 1.0 - self.sigma * self.delta / norm) if norm > 0 else new
            continuity, boundary, mass, start = self.y
            adjoint_rho = np.repeat(mass[:, None], g.nx + 1, axis=1)
            adjoint_rho[1:] += continuity / g.dt
            adjoint_rho[:-1] -= (w[1:] / w[:-1])[:, None] * continuity / g.dt
            adjoint_rho[0] += start / w[0]
            padded = np.concatenate([-continuity[:, :1], continuity, -continuity[:, -1:]], axis=1)
            adjoint_m = np.zeros_like(m)
            adjoint_m[1:] = 0.5 * (padded[:, :-2] - padded[:, 2:]) / wx
            adjoint_m[:, [0, -1]] += boundary / wx[[0, -1]]
            new_rho, new_m = self.rho - self.lam * adjoint_rho, self.m - self.lam * adjoint_m
            new_rho[-1] -= self.lam * scale * self.rho[-1]
            root = largest_root(new_rho, new_m, self.lam)
            new_m *= root / (root + self.lam)
            self.bar_rho, self.bar_m = 2.0 * root - self.rho, 2.0 * new_m - self.m
            self.bar_rho[-1] += self.lam * scale * (self.rho[-1] - root[-1])
            self.rho, self.m = root, new_m
        return np.asarray(self.rho[-1])
