"""Centred differences of Pietschmann and Schlottbom, (4.3)-(4.6): densities and fluxes at the nodes.

Mass goes from a node to the next but one, so that the masses of the even and of the odd nodes do not change.
"""

from __future__ import annotations

import numpy as np

from dajko.grid import Array
from dajko.transport import Transport


class Centred(Transport):
    """Fluxes live at the nodes."""

    @property
    def places(self) -> Array:
        return self.grid.x

    @property
    def widths(self) -> Array:
        return self.grid.wx

    def velocity(self, potential: Array) -> Array:
        grid, v = self.grid, np.zeros_like(potential)
        v[:, 1:-1] = (potential[:, 2:] - potential[:, :-2]) * (grid.dt / grid.wt[1:, None] / (2.0 * grid.dx))
        return v

    def moving(self, density: Array) -> Array:
        return density[1:]

    def kinetic(self, velocity: Array) -> Array:
        return np.asarray(0.5 * self.grid.wt[1:, None] * velocity**2)

    def kinetic_before(self, velocity: Array) -> Array:
        return np.zeros_like(velocity)

    def outflow(self, flux: Array) -> Array:
        found, half = np.empty_like(flux), 0.5 * self.grid.dt
        found[:, 1:-1] = half * (flux[:, 2:] - flux[:, :-2])
        found[:, 0] = half * (flux[:, 1] - flux[:, 0])
        found[:, -1] = half * (flux[:, -1] - flux[:, -2])
        return found

    def flux_between(self, density: Array) -> Array:
        grid = self.grid
        change = 2.0 * grid.wx * np.diff(density, axis=0) / grid.dt
        flux = np.zeros_like(density)
        for i in (0, 1):
            mass = np.cumsum(density[1:, i::2] * grid.wx[i::2], axis=1)
            # Summed from the nearer end: rounding must not leave a flux in vacuum.
            left = -np.cumsum(change[:, i::2], axis=1)
            right = np.cumsum(change[:, i::2][:, ::-1], axis=1)[:, ::-1]
            right = np.concatenate([right[:, 1:], np.zeros((grid.nt, 1))], axis=1)
            target = flux[1:, i + 1 :: 2]
            target[...] = np.where(mass <= 0.5 * mass[:, -1:], left, right)[:, : target.shape[1]]
        flux[:, -1] = 0.0
        return flux

    def action(self, density: Array, flux: Array) -> float:
        grid = self.grid
        with np.errstate(divide="ignore", invalid="ignore"):
            phi = np.where(density > 0, 0.5 * flux**2 / density, np.where(flux == 0, 0.0, np.inf))
        weighted = phi[grid.wt > 0].T @ grid.wt[grid.wt > 0]
        return float(grid.integrate(weighted))
