"""The space-time grid of one JKO step: points, quadrature weights and weighted inner products.

A step lives on ``(left, right) x (0, 1)``, the second axis being the artificial time of the Benamou-Brenier formula:
``density[k, j]`` is ``rho(x_j, t_k)`` with ``k = 0 ... nt``; level 0 is the previous density, level ``nt`` the new one.
There are two schemes in space:

- ``"centred"``, of Pietschmann and Schlottbom, section 4.1: densities at the nodes ``j = 0 ... nx``, centred differences;
- ``"finite_volume"``: densities are means over the cells ``j = 0 ... nx - 1``, fluxes live at the faces between them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dajko.checks import array, instance, number, shown, whole_number
from dajko.errors import InputError

Array = NDArray[np.float64]
Scheme = Literal["centred", "finite_volume"]
TimeRule = Literal["right", "trapezoid", "half_level"]

# The rules in artificial time that a scheme has, the default first.
TIME_RULES: dict[Scheme, tuple[TimeRule, ...]] = {
    "centred": ("right", "trapezoid"),
    "finite_volume": ("half_level", "right"),
}
# Gauss-Legendre points for the mean over a cell.
_GAUSS = np.polynomial.legendre.leggauss(6)


@dataclass(frozen=True)
class Grid:
    """Uniform space-time grid of one JKO step.

    Parameters
    ----------
    left, right : float
        Ends of the interval.
    nx : int
        Number of cells in space, at least 4.
    nt : int
        Number of intervals in artificial time, at least 1; there are ``nt + 1`` levels.
    time_rule : {"right", "trapezoid", "half_level"}, optional
        Quadrature of the action in artificial time; by default ``"half_level"`` for finite volumes and ``"right"`` for
        centred differences. ``"right"`` gives every level ``k >= 1`` the weight ``dt``, with the density of that level.
        ``"half_level"``, of finite volumes, takes the mean of the densities of both ends of an interval: of second order in
        ``dt``. ``"trapezoid"``, of centred differences, is the paper's rule: together with the backward difference (4.3) it
        gives the last interval half its action, so that the flow runs ``1 + dt`` times too fast.
    scheme : {"centred", "finite_volume"}

    Raises
    ------
    InputError
        If an end is not finite, the interval is empty, or a count is too small.
    """

    left: float
    right: float
    nx: int
    nt: int
    time_rule: TimeRule | None = None
    scheme: Scheme = "centred"

    def __post_init__(self) -> None:
        for end in ("left", "right"):
            object.__setattr__(self, end, number(f"grid.{end}", getattr(self, end)))
        if not self.left < self.right:
            raise InputError(f"grid.left must be less than grid.right, got {self.left} and {self.right}")
        for name, value, least in (("nx", self.nx, 4), ("nt", self.nt, 1)):
            object.__setattr__(self, name, whole_number(f"grid.{name}", value, least))
        if not (isinstance(self.scheme, str) and self.scheme in TIME_RULES):
            raise InputError(f"grid.scheme must be 'centred' or 'finite_volume', got {shown(self.scheme)}")
        rules = TIME_RULES[self.scheme]
        if self.time_rule is None:
            object.__setattr__(self, "time_rule", rules[0])
        if not (isinstance(self.time_rule, str) and self.time_rule in rules):
            allowed = " or ".join(map(repr, sorted(rules, reverse=self.scheme == "finite_volume")))
            where = " for finite volumes" if self.scheme == "finite_volume" else ""
            raise InputError(f"grid.time_rule must be {allowed}{where}, got {shown(self.time_rule)}")
        if not (self.left + self.dx > self.left and self.right - self.dx < self.right and self.dx < np.inf):
            ends = f"{self.left} and {self.right}"
            raise InputError(f"grid.left and grid.right must be so far apart that {self.nx} cells fit between, got {ends}")

    @property
    def dx(self) -> float:
        """Mesh size in space."""
        return (self.right - self.left) / self.nx

    @property
    def dt(self) -> float:
        """Mesh size in artificial time."""
        return 1.0 / self.nt

    @property
    def points(self) -> int:
        """Number of points where a density lives: ``nx + 1`` nodes, or ``nx`` cells of finite volumes."""
        return self.nx + (self.scheme == "centred")

    @property
    def sublattices(self) -> int:
        """Number of classes of points, every so-many-th, whose masses a step keeps one by one.

        Centred differences carry mass from a node to the next but one.
        """
        return 2 if self.scheme == "centred" else 1

    @cached_property
    def x(self) -> Array:
        """Nodes, or centres of cells, shape ``(points,)``."""
        nodes = np.linspace(self.left, self.right, self.nx + 1)
        return nodes if self.scheme == "centred" else 0.5 * (nodes[1:] + nodes[:-1])

    @cached_property
    def edges(self) -> Array:
        """Ends of the intervals over which the values at the points are means, shape ``(points + 1,)``.

        Around a node, that is half way to its neighbours.
        """
        if self.scheme == "finite_volume":
            return np.linspace(self.left, self.right, self.nx + 1)
        return np.concatenate([[self.left], 0.5 * (self.x[1:] + self.x[:-1]), [self.right]])

    @cached_property
    def wx(self) -> Array:
        """Weights in space, shape ``(points,)``: the trapezoidal rule, below (4.1), or the width of a cell."""
        weights = np.full(self.points, self.dx)
        if self.scheme == "centred":
            weights[[0, -1]] *= 0.5
        return weights

    @cached_property
    def wt(self) -> Array:
        """Weights of the action in artificial time, shape ``(nt + 1,)``; they sum to 1."""
        weights = np.full(self.nt + 1, self.dt)
        if self.time_rule == "trapezoid":
            weights[[0, -1]] *= 0.5
        else:
            weights[0] = 0.0
        return weights

    @property
    def share_of_level(self) -> float:
        """How much of the density that moves in an interval of artificial time is that at its end, not at its start."""
        return 0.5 if self.time_rule == "half_level" else 1.0

    @cached_property
    def wt_metric(self) -> Array:
        """Weights in artificial time of the inner product (4.2), shape ``(nt + 1,)``, all positive.

        The same as :attr:`wt`, except that level 0 keeps a positive weight under the rule ``"right"``: the density
        is prescribed there, so its weight in the metric is free, but a zero would leave the inner product degenerate.
        """
        weights = self.wt.copy()
        if self.time_rule != "trapezoid":
            weights[0] = self.dt
        return weights

    def sample(self, function: Callable[[Array], ArrayLike]) -> Array:
        """What stands for a function on this grid, shape ``(points,)``: its values at the nodes, or its means over cells."""
        if self.scheme == "centred":
            return np.asarray(function(self.x), dtype=np.float64)
        places, weights = _GAUSS
        values = np.asarray(function((self.x[:, None] + 0.5 * self.dx * places).reshape(-1)), dtype=np.float64)
        return np.asarray(0.5 * values.reshape(self.points, places.size) @ weights)

    def restrict(self, density: ArrayLike, other: Grid) -> Array:
        """What densities on another grid of the same interval are on this one, shape ``(..., points)``.

        Values at nodes are interpolated; means over cells are taken of the mass in each cell, so that it is kept.
        """
        given = other.on_points("density", density)
        rows = given.reshape(-1, other.points)
        if self.scheme == "centred":
            found = [np.interp(self.x, other.x, row) for row in rows]
        else:
            below = np.cumsum(np.pad(rows * other.wx, ((0, 0), (1, 0))), axis=1)
            found = [np.diff(np.interp(self.edges, other.edges, row)) / self.dx for row in below]
        return np.array(found).reshape(*given.shape[:-1], self.points)

    def integrate(self, values: ArrayLike) -> Array:
        """Integral over space, along the last axis of ``values``, with the weights :attr:`wx`.

        Raises
        ------
        InputError
            If they are no numbers, or that axis has not the length ``points``.
        """
        return np.asarray(self.on_points("values", values) @ self.wx)

    def on_points(self, name: str, values: ArrayLike) -> Array:
        """Return ``values`` as a contiguous float array of shape ``(..., points)``, which may be NaN or infinite.

        Raises
        ------
        InputError
            If they are no numbers, or have another shape.
        """
        found = np.ascontiguousarray(array(name, values))
        if found.ndim == 0 or found.shape[-1] != self.points:
            raise InputError(f"{name} must have the shape (..., {self.points}) of the grid, got {np.shape(values)}")
        return found

    def check_density(self, density: ArrayLike, name: str = "density") -> Array:
        """Return ``density`` as a contiguous float array of shape ``(points,)``, or say what is wrong with it.

        Raises
        ------
        InputError
            If the shape is not ``(points,)``, a value is negative or not finite, or the mass is zero.
        """
        values = np.ascontiguousarray(array(name, density, f"an array of {self.points} numbers"))
        if values.shape != (self.points,):
            raise InputError(f"{name} must have the shape ({self.points},) of the grid, got {values.shape}")
        if not np.isfinite(values).all():
            raise InputError(f"{name} must be finite, got {values[~np.isfinite(values)][0]} somewhere")
        if (values < 0).any():
            raise InputError(f"{name} must not be negative, got {values.min():.6g} at x = {self.x[values.argmin()]:.6g}")
        if not self.integrate(values) > 0:
            raise InputError(f"{name} must have a positive mass, got 0")
        return values


def checked_grid(given: object) -> Grid:
    """Return a grid as it is.

    Raises
    ------
    InputError
        If it is none.
    """
    return instance("grid", given, Grid, "a dajko.Grid")
