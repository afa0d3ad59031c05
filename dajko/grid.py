"""The space-time grid of one JKO step: nodes, quadrature weights and weighted inner products.

Pietschmann and Schlottbom, section 4.1. A step lives on ``(left, right) x (0, 1)``, the second axis being the artificial
time of the Benamou-Brenier formula. Indices follow the paper, shifted to start at zero: ``density[k, j]`` is
``rho(x_j, t_k)`` with ``k = 0 ... nt`` and ``j = 0 ... nx``; level 0 is the previous density, level ``nt`` the new one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dajko.checks import array, instance, number, shown, whole_number
from dajko.errors import InputError

Array = NDArray[np.float64]
TimeRule = Literal["right", "trapezoid"]


@dataclass(frozen=True)
class Grid:
    """Uniform space-time grid of one JKO step.

    Parameters
    ----------
    left, right : float
        Ends of the interval.
    nx : int
        Number of cells in space, at least 4; there are ``nx + 1`` nodes.
    nt : int
        Number of intervals in artificial time, at least 1; there are ``nt + 1`` levels.
    time_rule : {"right", "trapezoid"}
        Quadrature of the action in artificial time. ``"trapezoid"`` is the paper's rule: together with the backward
        difference (4.3) it gives the last interval half its action, so that the flow runs ``1 + dt`` times too fast.
        ``"right"`` gives every level ``k >= 1`` the weight ``dt`` and is consistent.

    Raises
    ------
    InputError
        If an end is not finite, the interval is empty, or a count is too small.
    """

    left: float
    right: float
    nx: int
    nt: int
    time_rule: TimeRule = "right"

    def __post_init__(self) -> None:
        for end in ("left", "right"):
            object.__setattr__(self, end, number(f"grid.{end}", getattr(self, end)))
        if not self.left < self.right:
            raise InputError(f"grid.left must be less than grid.right, got {self.left} and {self.right}")
        for name, value, least in (("nx", self.nx, 4), ("nt", self.nt, 1)):
            object.__setattr__(self, name, whole_number(f"grid.{name}", value, least))
        if not (isinstance(self.time_rule, str) and self.time_rule in get_args(TimeRule)):
            raise InputError(f"grid.time_rule must be 'right' or 'trapezoid', got {shown(self.time_rule)}")
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

    @cached_property
    def x(self) -> Array:
        """Nodes, shape ``(nx + 1,)``."""
        return np.linspace(self.left, self.right, self.nx + 1)

    @cached_property
    def wx(self) -> Array:
        """Trapezoidal weights in space, shape ``(nx + 1,)``, below (4.1)."""
        weights = np.full(self.nx + 1, self.dx)
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

    @cached_property
    def wt_metric(self) -> Array:
        """Weights in artificial time of the inner product (4.2), shape ``(nt + 1,)``, all positive.

        The same as :attr:`wt`, except that level 0 keeps a positive weight under the rule ``"right"``: the density
        is prescribed there, so its weight in the metric is free, but a zero would leave the inner product degenerate.
        """
        weights = self.wt.copy()
        if self.time_rule == "right":
            weights[0] = self.dt
        return weights

    def integrate(self, values: ArrayLike) -> Array:
        """Trapezoidal rule over space, along the last axis of ``values``.

        Raises
        ------
        InputError
            If they are no numbers, or that axis has not the length ``nx + 1``.
        """
        return np.asarray(self.on_nodes("values", values) @ self.wx)

    def on_nodes(self, name: str, values: ArrayLike) -> Array:
        """Return ``values`` as a contiguous float array of shape ``(..., nx + 1)``, which may be NaN or infinite.

        Raises
        ------
        InputError
            If they are no numbers, or have another shape.
        """
        found = np.ascontiguousarray(array(name, values))
        if found.ndim == 0 or found.shape[-1] != self.nx + 1:
            raise InputError(f"{name} must have the shape (..., {self.nx + 1}) of the grid, got {np.shape(values)}")
        return found

    def check_density(self, density: ArrayLike, name: str = "density") -> Array:
        """Return ``density`` as a contiguous float array of shape ``(nx + 1,)``, or say what is wrong with it.

        Raises
        ------
        InputError
            If the shape is not ``(nx + 1,)``, a value is negative or not finite, or the mass is zero.
        """
        values = np.ascontiguousarray(array(name, density, f"an array of {self.nx + 1} numbers"))
        if values.shape != (self.nx + 1,):
            raise InputError(f"{name} must have the shape ({self.nx + 1},) of the grid, got {values.shape}")
        if not np.isfinite(values).all():
            raise InputError(f"{name} must be finite, got {values[~np.isfinite(values)][0]} at a node")
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
