"""Errors of steps do not add up: flows of thousands of steps, steps of next to nothing, and steps without end."""

import numpy as np
import pytest

from dajko import Barenblatt, DoubleWell, Energy, Entropy, Gaussian, Grid, InteriorPoint, PorousMedium, evolve
from dajko.status import Status

WELLS = {scheme: Grid(-1.0, 1.0, 60, 2, scheme=scheme) for scheme in ("centred", "finite_volume")}


@pytest.mark.parametrize("internal", [Entropy(), *(PorousMedium(m) for m in (1.5, 2.0, 2.5, 3.0, 8.0, 50.0))])
@pytest.mark.parametrize("potential", ["none", "well", "two wells"])
@pytest.mark.parametrize("scheme", WELLS)
def test_energy_never_rises(internal, potential, scheme):
    well = WELLS[scheme]
    given = {"none": None, "well": 4.0 * well.x**2, "two wells": DoubleWell(1.0, 0.5)}[potential]
    start = 0.5 * Gaussian(mean=0.2, std=0.1)(well.x)
    flow = evolve(start, Energy(internal, potential=given), well, 1e-3, 5000)
    assert (flow.status == Status.CONVERGED).all()
    energy = flow.energy.values
    assert np.diff(energy).max() <= 1e-9 * np.abs(energy).max()
    np.testing.assert_allclose(flow.mass, flow.mass[0], rtol=1e-11)
    assert (flow.density >= 0.0).all()


@pytest.mark.parametrize("tol", [1e-5, 1e-9])
@pytest.mark.parametrize("scheme", WELLS)
def test_nothing_leaks_into_vacuum(tol, scheme):
    """A porous medium in a well, long past its stationary state 2 (r^2 - x^2), which no tolerance may change."""
    well = WELLS[scheme]
    flow = evolve(
        Gaussian(mean=0.2, std=0.1)(well.x),
        Energy(PorousMedium(2.0), potential=4.0 * well.x**2),
        well,
        1e-3,
        2000,
        solver=InteriorPoint(tol=tol),
    )
    radius = (3.0 * float(flow.mass[0]) / 8.0) ** (1.0 / 3.0)
    last, outside = flow.density.values[-1], np.abs(well.x) > radius + 2.0 * well.dx
    exact = np.maximum(2.0 * (radius**2 - well.x**2), 0.0)
    assert well.wx[outside] @ last[outside] < 1e-11
    assert well.wx @ np.abs(last - exact) < 5e-4  # of the grid, at every tolerance


GRID = Grid(-0.9, 0.9, 90, 8)
SHIFTED, PME = Barenblatt(shift=0.1), Energy(PorousMedium(2.0))


@pytest.mark.parametrize("tau", [1e-8, 1e-10, 1e-12])
def test_a_small_step_moves_as_little(tau):
    flow = evolve(SHIFTED(GRID.x), PME, GRID, tau, 3)
    assert (flow.status == Status.CONVERGED).all()
    assert np.abs(flow.density[-1] - flow.density[0]).max() < 1.2e4 * tau


def test_more_steps_to_the_same_time_are_never_worse():
    exact = SHIFTED(GRID.x, 1e-3)
    errors = [
        float(GRID.wx @ np.abs(evolve(SHIFTED(GRID.x), PME, GRID, 1e-3 / n, n).density.values[-1] - exact))
        for n in (100, 1000, 10_000)
    ]
    assert errors[0] > errors[1] > errors[2] * (1.0 - 1e-3)


def test_a_step_without_end_is_flat_on_even_and_on_odd_nodes():
    """Centred differences keep the masses of both classes: each of them is flat, at its own height."""
    flow = evolve(SHIFTED(GRID.x), PME, GRID, 1e6, 2)
    assert (flow.status == Status.CONVERGED).all()
    for i in (0, 1):
        wx = GRID.wx[i::2]
        flat = wx @ SHIFTED(GRID.x)[i::2] / wx.sum()
        np.testing.assert_allclose(flow.density.values[-1][i::2], flat, rtol=1e-6)
