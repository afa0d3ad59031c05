"""The same discrete problem by CVXPY and Clarabel, where cones reach: ``U(u) = u^2``, and linear measurements.

The action of a node, ``m^2 / (2 rho)``, is half of the least t with ``m^2 <= rho t``, a second-order cone of dimension 3.
The internal energy and the data term are quadratic, which Clarabel takes as they are. Other exponents would need power
cones, and a variance is not linear.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import cvxpy as cp
import numpy as np

from dajko.flow import Flow
from dajko.grid import Array


@dataclass(frozen=True, eq=False)
class ConicRun:
    """A flow by CVXPY and Clarabel."""

    density: Array  # (steps + 1, nx + 1)
    iterations: float  # mean of the steps
    own_share: float  # of the CPU time: in Clarabel, not in CVXPY


class ConicFlow:
    """A flow, with the problem of a step written down once: the old density and the data are parameters (CVXPY's DPP).

    Parameters
    ----------
    flow : Flow
        A porous medium flow with the exponent 2, without potential, with ``expectation`` as data or without data.
    tol : float
        Clarabel's tolerances of gap and feasibility; its own default is 1e-8.
    """

    def __init__(self, flow: Flow, tol: float = 1e-8) -> None:
        grid, n = flow.grid, flow.grid.nx + 1
        self.flow, self.old, self.datum = flow, cp.Parameter(n), cp.Parameter(1)
        # One thread, and the factorisation that Clarabel would choose by itself.
        self.options = {"tol_gap_abs": tol, "tol_gap_rel": tol, "tol_feas": tol, "direct_solve_method": "qdldl"}
        self.rho = cp.Variable((grid.nt, n), nonneg=True)
        flux, t = cp.Variable((grid.nt, n - 2)), cp.Variable((grid.nt, n - 2))

        # (4.3)-(4.6): no flux at the ends, where the differences are one-sided.
        before = cp.vstack([cp.reshape(self.old, (1, n), order="C"), self.rho[:-1]])
        change = (self.rho - before) / grid.dt
        closed = cp.hstack([np.zeros((grid.nt, 1)), flux, np.zeros((grid.nt, 1))])
        continuity = [
            change[:, 1:-1] + (closed[:, 2:] - closed[:, :-2]) / (2.0 * grid.dx) == 0,
            change[:, 0] + closed[:, 1] / grid.dx == 0,
            change[:, -1] - closed[:, -2] / grid.dx == 0,
        ]
        # |(2 m, rho - t)| <= rho + t
        r, f, s = (cp.reshape(part, (t.size,), order="C") for part in (self.rho[:, 1:-1], flux, t))
        cones = cp.SOC(r + s, cp.vstack([2.0 * f, r - s]), axis=0)

        # Divided by tau, which makes the objective a number of order 1, as tolerances expect.
        weights = grid.wt[1:, None] * grid.wx[1:-1] / (2.0 * flow.tau)
        objective = cp.sum(cp.multiply(weights, t)) + cp.sum_squares(cp.multiply(np.sqrt(grid.wx), self.rho[-1]))
        if flow.data is not None:
            objective += cp.sum_squares((grid.wx * grid.x) @ self.rho[-1] - self.datum) / (2.0 * flow.data.theta)
        self.problem = cp.Problem(cp.Minimize(objective), [*continuity, cones])
        if not self.problem.is_dpp():
            raise RuntimeError("CVXPY would compile the problem anew at every step")
        self.old.value, self.datum.value = np.asarray(flow.density), np.zeros(1)
        self.problem.get_problem_data(cp.CLARABEL, solver_opts=self.options)  # compiles it, once

    def run(self) -> ConicRun:
        """All steps of the flow."""
        density, iterations, own = [np.asarray(self.flow.density)], [], 0.0
        started = time.process_time()
        for n in range(self.flow.steps):
            self.old.value = density[-1]
            if self.flow.data is not None:
                self.datum.value = np.asarray(self.flow.data.values)[n]
            # What `problem.solve` does, in its three parts.
            data, chain, inverse = self.problem.get_problem_data(cp.CLARABEL, solver_opts=self.options)
            before = time.process_time()
            solution = chain.solve_via_data(self.problem, data, solver_opts=self.options)
            own += time.process_time() - before
            self.problem.unpack_results(solution, chain, inverse)
            if self.problem.status != cp.OPTIMAL:
                raise RuntimeError(f"Clarabel ended a step as {self.problem.status}")
            density.append(np.maximum(self.rho.value[-1], 0.0))
            iterations.append(self.problem.solver_stats.num_iters)
        return ConicRun(np.array(density), float(np.mean(iterations)), own / (time.process_time() - started))
