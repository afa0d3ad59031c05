"""The driving energy: value, first variation and Hessian.

Pietschmann and Schlottbom, (1.6), (4.1) and (4.16)::

    F(u) = sum_j wx_j (U(u_j) + V_j u_j) + 1/2 sum_ij wx_i wx_j W_ij u_i u_j

The first variation is the gradient in the weighted inner product of space, ``dF/du_j = U'(u_j) + V_j + (W * u)_j`` with
``(W * u)_j = sum_i wx_i W_ij u_i``. (The gradient (4.16) on the space-time grid is this divided by the weight of the last
level; that factor belongs to the solvers.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dajko.checks import array, called, shown
from dajko.energy.internal import NO_INTERNAL_ENERGY, InternalEnergy
from dajko.energy.kernels import internal_curvatures, internal_slopes, internal_values
from dajko.energy.on_grid import GridInteraction, InteractionLike, checked_interaction, interaction_on
from dajko.errors import InputError
from dajko.grid import Array, Grid, checked_grid

PotentialLike = Callable[[Array], ArrayLike] | ArrayLike


@dataclass(frozen=True, eq=False)
class Energy:
    """Driving energy ``F(u) = int U(u) + V u dx + 1/2 int int W(x, y) u(x) u(y) dx dy``, (1.6).

    Parameters
    ----------
    internal : InternalEnergy or None
        Internal energy U.
    potential : Potential, callable, array of shape (points,) or None
        Potential V, evaluated at the points of the grid.
    interaction : Interaction, matrix of shape (points, points), callable or None
        Interaction W: an ingredient, a symmetric matrix, an even function of an array of differences ``x - y``, or a
        symmetric function of ``x`` and ``y``.
    """

    internal: InternalEnergy | None = None
    potential: PotentialLike | None = None
    interaction: InteractionLike | None = None

    def __post_init__(self) -> None:
        if self.internal is not None and not isinstance(self.internal, InternalEnergy):
            raise InputError(f"internal must be PorousMedium(m), Entropy() or None, got {shown(self.internal)}")
        if self.potential is not None and not callable(self.potential):
            object.__setattr__(self, "potential", _values(self.potential))
        if self.interaction is not None:
            object.__setattr__(self, "interaction", checked_interaction(self.interaction))

    @property
    def exponent(self) -> float:
        """Exponent of the internal energy; 1 for the entropy, 0 without internal energy."""
        return NO_INTERNAL_ENERGY if self.internal is None else self.internal.exponent

    def potential_on(self, grid: Grid) -> Array:
        """Potential at the points of a grid, shape ``(points,)``.

        Raises
        ------
        InputError
            If the potential has the wrong shape or is not finite somewhere.
        """
        checked_grid(grid)
        if self.potential is None:
            return np.zeros(grid.points)
        given = called("potential", self.potential, grid.x) if callable(self.potential) else self.potential
        values = _values(given).copy()
        if values.ndim == 0:
            values = np.full(grid.points, float(values))
        if values.shape != (grid.points,):
            raise InputError(f"potential must have the shape ({grid.points},) of the grid, got {values.shape}")
        if not np.isfinite(values).all():
            raise InputError("potential must be finite at every point of the grid")
        return values

    def interaction_on(self, grid: Grid) -> GridInteraction | None:
        """The interaction between the points, None without one.

        Raises
        ------
        InputError
            If the interaction has the wrong shape, is not finite somewhere, or is not symmetric.
        """
        checked_grid(grid)
        return None if self.interaction is None else interaction_on(self.interaction, grid)

    def on(self, grid: Grid) -> Energy:
        """The same energy with its potential and its interaction evaluated on a grid, once for all."""
        return Energy(self.internal, self.potential_on(grid), self.interaction_on(grid))

    def value(self, density: ArrayLike, grid: Grid) -> Array:
        """Energy ``F_h`` of (4.1) of densities of shape ``(..., points)``, shape ``(...)``."""
        u = checked_grid(grid).on_points("density", density)
        internal_energy = internal_values(u.reshape(-1), self.exponent).reshape(u.shape)
        local, interaction = grid.integrate(internal_energy + self.potential_on(grid) * u), self.interaction_on(grid)
        return local if interaction is None else np.asarray(local + interaction.value(u))

    def first_variation(self, density: ArrayLike, grid: Grid) -> Array:
        """``U'(u) + V + W * u`` at the points, shape ``(points,)``."""
        u = checked_grid(grid).on_points("density", density)
        local, interaction = internal_slopes(u, self.exponent) + self.potential_on(grid), self.interaction_on(grid)
        return np.asarray(local if interaction is None else local + interaction.mean_field(u))

    def hessian_product(self, density: ArrayLike, direction: ArrayLike, grid: Grid) -> Array:
        """Derivative of :meth:`first_variation` in a direction, ``U''(u) h + W * h``, shape ``(points,)``."""
        checked_grid(grid)
        u, h = grid.on_points("density", density), grid.on_points("direction", direction)
        local, interaction = internal_curvatures(u, self.exponent) * h, self.interaction_on(grid)
        return np.asarray(local if interaction is None else local + interaction.mean_field(h))


def _values(given: object) -> Array:
    return array("potential", given, "a number at each point of the grid, or a function of x")
