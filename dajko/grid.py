"""The space-time grid of one JKO step: nodes, quadrature weights and weighted inner products.

Pietschmann and Schlottbom, section 4.1. A step lives on ``(left, right) x (0, 1)``, the second axis being the artificial
time of the Benamou-Brenier formula. Indices follow the paper, shifted to start at zero: ``density[k, j]`` is
``rho(x_j, t_k)`` with ``k = 0 ... nt`` and ``j = 0 ... nx``; level 0 is the previous density, level ``nt`` the new one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dajko.errors import InputError

Array = NDArray[np.float64]
TimeRule = Literal["right", "trapezoid"]


def whole_number(name: str, value: float, least: int) -> int:
    """Return ``value``, which may be a float such as 10.0, as an integer.

    Raises
    ------
    InputError
        If it is not a whole number, or less than ``least``.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or value % 1 != 0 or value < least:
        raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return int(value)


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
        if not (math.isfinite(self.left) and math.isfinite(self.right)):
            raise InputError(f"grid.left and grid.right must be finite, got {self.left} and {self.right}")
        if not self.left < self.right:
            raise InputError(f"grid.left must be less than grid.right, got {self.left} and {self.right}")
        for name, value, least in (("nx", self.nx, 4), ("nt", self.nt, 1)):
            object.__setattr__(self, name, whole_number(f"grid.{name}", value, least))
        if self.time_rule not in get_args(TimeRule):
            raise InputError(f"grid.time_rule must be 'right' or 'trapezoid', got {self.time_rule!r}")

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
        """Trapezoidal rule over space, along the last axis of ``values``."""
        return np.asarray(np.asarray(values, dtype=float) @ self.wx)

    def check_density(self, density: ArrayLike, name: str = "density") -> Array:
        """Return ``density`` as a contiguous float array of shape ``(nx + 1,)``, or say what is wrong with it.

        Raises
        ------
        InputError
            If the shape is not ``(nx + 1,)``, a value is negative or not finite, or the mass is zero.
        """
        try:
            values = np.ascontiguousarray(density, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(f"{name} must be an array of {self.nx + 1} numbers") from None
        if values.shape != (self.nx + 1,):
            raise InputError(f"{name} must have the shape ({self.nx + 1},) of the grid, got {values.shape}")
        if not np.isfinite(values).all():
            raise InputError(f"{name} must be finite, got {values[~np.isfinite(values)][0]} at a node")
        if (values < 0).any():
            raise InputError(f"{name} must not be negative, got {values.min():.6g} at x = {self.x[values.argmin()]:.6g}")
        if not self.integrate(values) > 0:
            raise InputError(f"{name} must have a positive mass, got 0")
        return values
