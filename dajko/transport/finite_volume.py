"""Finite volumes: densities in cells, fluxes at the faces between them.

The density at a face is the arithmetic mean of both cells, and that of an interval of artificial time the mean of both ends
with the rule ``half_level`` (Cancès, Gallouët and Todeschi 2020; of second order in ``dt``), or that of its end.
"""

from __future__ import annotations

import numpy as np

from dajko.grid import Array
from dajko.transport import Transport


class FiniteVolume(Transport):
    """Fluxes live at the ends of the cells, both walls included."""

    @property
    def places(self) -> Array:
        return self.grid.edges

    @property
    def widths(self) -> Array:
        found = np.full(self.places.size, self.grid.dx)
        found[[0, -1]] *= 0.5
        return found

    def velocity(self, potential: Array) -> Array:
        return np.pad(np.diff(potential, axis=-1) / self.grid.dx, ((0, 0), (1, 1)))

    def moving(self, density: Array) -> Array:
        share = self.grid.share_of_level
        cells = share * density[1:] + (1.0 - share) * density[:-1]
        beyond = np.pad(cells, ((0, 0), (1, 1)), mode="edge")
        return np.asarray(0.5 * (beyond[:, 1:] + beyond[:, :-1]))

    def kinetic(self, velocity: Array) -> Array:
        return self.grid.share_of_level * self._mean_energy(velocity)

    def kinetic_before(self, velocity: Array) -> Array:
        return (1.0 - self.grid.share_of_level) * self._mean_energy(velocity)

    def _mean_energy(self, velocity: Array) -> Array:
        """``dt v^2 / 2``, the mean of both faces of a cell."""
        square = 0.25 * self.grid.dt * velocity**2
        return np.asarray(square[:, 1:] + square[:, :-1])

    def outflow(self, flux: Array) -> Array:
        return np.asarray(self.grid.dt * np.diff(flux, axis=-1))

    def flux_between(self, density: Array) -> Array:
        grid = self.grid
        change = grid.wx * np.diff(density, axis=0) / grid.dt
        flux = np.zeros((grid.nt + 1, self.places.size))
        # Summed from the nearer end: rounding must not leave a flux in vacuum.
        left, right = -np.cumsum(change, axis=1), np.cumsum(change[:, ::-1], axis=1)[:, ::-1]
        mass = np.cumsum(density[1:], axis=1)
        flux[1:, 1:-1] = np.where(mass <= 0.5 * mass[:, -1:], left, np.roll(right, -1, axis=1))[:, :-1]
        return flux

    def action(self, density: Array, flux: Array) -> float:
        grid, moving = self.grid, self.moving(density)[:, 1:-1]
        m = flux[1:, 1:-1]
        with np.errstate(divide="ignore", invalid="ignore"):
            phi = np.where(moving > 0, 0.5 * m**2 / moving, np.where(m == 0, 0.0, np.inf))
        return float(grid.dt * grid.dx * phi.sum())
