"""Powers with large exponents, up to the mesa limit: no density of the same masses may have a smaller objective."""

import numpy as np
import pytest

from dajko import Energy, Grid, InteriorPoint, PorousMedium, evolve
from dajko.distance import w2
from dajko.problem.problem import Problem
from dajko.status import Status

GRID, TAU = Grid(-1.0, 1.0, 80, 4), 1e-3
BOX = np.where(np.abs(GRID.x) < 0.25, 1.5, 0.0) + 1e-6


@pytest.mark.parametrize("m", [5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 1000.0])
def test_no_stretched_box_is_better(m):
    energy = Energy(PorousMedium(m))
    step = InteriorPoint().solve(Problem(BOX, energy, GRID, TAU))
    assert step.status == Status.CONVERGED

    def objective(u):
        return TAU * float(energy.value(u, GRID)) + 0.5 * GRID.integrate(BOX) * float(w2(u, BOX, GRID)) ** 2

    reached = objective(step.density)
    for height in np.linspace(0.7, 1.3, 25):
        width = 0.375 / height
        stretched = height * np.clip((width + 0.5 * GRID.dx - np.abs(GRID.x)) / GRID.dx, 0.0, 1.0) + 1e-6
        for i in (0, 1):  # centred differences keep both masses
            stretched[i::2] *= (GRID.wx @ BOX) / (GRID.wx @ stretched)
        assert reached < 1.05 * objective(stretched)


def test_the_mesa_limit():
    """As m grows, a density relaxes to one that is at most 1, after Caffarelli and Friedman (1987)."""
    flow = evolve(BOX, Energy(PorousMedium(1000.0)), GRID, TAU, 5)
    assert (flow.status == Status.CONVERGED).all()
    last = flow.density.values[-1]
    pairs = 0.5 * (last[1:] + last[:-1])
    assert pairs.max() == pytest.approx(1.0, abs=0.02)
    inside = np.abs(GRID.x) < 0.3
    np.testing.assert_allclose(0.5 * (last[inside][1:] + last[inside][:-1]), 1.0, atol=0.02)


@pytest.mark.parametrize("m", [5.0, 20.0, 50.0, 200.0, 1000.0])
def test_the_tolerance_means_the_same_for_all_exponents(m):
    """In a slope, from a rough density: within 0.1 % of the mass of the minimiser, though U' says little of the density."""
    rough = np.random.default_rng(3).exponential(size=GRID.nx + 1)
    problem = Problem(0.8 * rough, Energy(PorousMedium(m), potential=3.0 * GRID.x), GRID, 0.02)
    step, finer = InteriorPoint().solve(problem), InteriorPoint(tol=1e-8, max_iterations=400).solve(problem)
    assert step.converged
    assert finer.converged
    assert GRID.integrate(np.abs(step.density - finer.density)) < 1e-3 * GRID.integrate(problem.initial)
