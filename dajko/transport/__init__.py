r"""The discrete transport of a step: what the Benamou-Brenier formula becomes on a grid, one module a scheme.

A path has the densities ``rho_k`` at the points of a grid, k = 0 ... K, and fluxes ``m_k`` where the scheme has them,
k = 1 ... K. With the weights ``w_k`` of the action, ``dt = 1 / K``, the density ``M_k`` where a flux lives, and the velocity
``v_k`` of a potential ``phi_k``, the multiplier of the continuity equation, all schemes have

    action        sum_k w_k <m_k^2 / (2 M_k)>,                                half the squared distance,
    continuity    wx (rho_k - rho_{k-1}) + outflow(m_k) = 0,                  outflow(m) = dt div m, no flux at the walls,
    Hamilton-Jacobi    phi_k - phi_{k+1} >= kinetic(v_k) + kinetic_before(v_{k+1}),        equal where there is mass,

in which ``sum phi outflow(M v) = -w sum M v^2`` for the velocity of phi. The kinetic energy of an interval counts at its end
(``kinetic``), and at its start (``kinetic_before``) where the density there moves too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import lru_cache

import numpy as np

from dajko.grid import Array, Grid


class Transport(ABC):
    """The discrete operators of one scheme on a grid; arrays over levels have the levels 1 ... nt along the first axis."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid

    @property
    @abstractmethod
    def places(self) -> Array:
        """Where fluxes live, walls included, shape ``(fluxes,)``."""

    @property
    @abstractmethod
    def widths(self) -> Array:
        """Weights of the places in the action, shape ``(fluxes,)``."""

    @abstractmethod
    def velocity(self, potential: Array) -> Array:
        """Of a potential of shape ``(nt, points)``, shape ``(nt, fluxes)``; 0 at the walls."""

    @abstractmethod
    def moving(self, density: Array) -> Array:
        """The density where fluxes live, shape ``(nt, fluxes)``, of one of shape ``(nt + 1, points)``."""

    @abstractmethod
    def kinetic(self, velocity: Array) -> Array:
        """Kinetic energy of each interval of artificial time as it counts at its end, shape ``(nt, points)``."""

    @abstractmethod
    def kinetic_before(self, velocity: Array) -> Array:
        """The same as it counts at its start, shape ``(nt, points)``."""

    @abstractmethod
    def outflow(self, flux: Array) -> Array:
        """What leaves the points in each interval, shape ``(nt, points)``, by fluxes of shape ``(nt, fluxes)``."""

    @abstractmethod
    def flux_between(self, density: Array) -> Array:
        """The flux that the continuity equation gives to densities of shape ``(nt + 1, points)`` of the same masses."""

    @abstractmethod
    def action(self, density: Array, flux: Array) -> float:
        """Half the squared distance of a path; infinite where a flux leaves vacuum.

        Both arrays have nt + 1 levels.
        """

    def at_rest(self, density: Array) -> tuple[Array, Array]:
        """A density at all levels, and no flux."""
        levels = self.grid.nt + 1
        return np.repeat(density[None], levels, axis=0), np.zeros((levels, self.places.size))

    def residual(self, density: Array, flux: Array) -> Array:
        """Of the continuity equation, shape ``(nt, points)``; both arrays have nt + 1 levels."""
        return np.asarray(self.grid.wx * np.diff(density, axis=0) + self.outflow(flux[1:]))

    def slack(self, potential: Array) -> Array:
        """Of the Hamilton-Jacobi inequality at the levels 1 ... nt - 1: at least 0 for an admissible potential."""
        v = self.velocity(potential)
        return np.asarray(potential[:-1] - potential[1:] - self.kinetic(v)[:-1] - self.kinetic_before(v)[1:])

    def first_potential(self, potential: Array) -> Array:
        """The potential at the start of artificial time, ``phi_1 + kinetic_before(v_1)``, shape ``(points,)``."""
        return np.asarray(potential[0] + self.kinetic_before(self.velocity(potential))[0])

    def final_potential(self, potential: Array) -> Array:
        """The potential at the end of artificial time, ``phi_K - kinetic(v_K)``, shape ``(points,)``."""
        return np.asarray(potential[-1] - self.kinetic(self.velocity(potential))[-1])


@lru_cache(maxsize=64)
def transport(grid: Grid) -> Transport:
    """The operators of a grid."""
    from dajko.transport.centred import Centred
    from dajko.transport.finite_volume import FiniteVolume

    return Centred(grid) if grid.scheme == "centred" else FiniteVolume(grid)
