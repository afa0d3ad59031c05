"""The measurement operator B_h of several observations on a grid, and the kernels that evaluate it.

Pietschmann and Schlottbom, sections 4.2 and 5.1.1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dajko._numba import kernel, sum_kernel
from dajko.grid import Array, Grid
from dajko.observation import LINEAR, MEAN, QUADRATIC, SPREAD, VARIANCE, Observation, as_observation
from dajko.observation.expectation import Expectation
from dajko.observation.mass import Mass
from dajko.observation.mean import Mean
from dajko.observation.spread import Spread
from dajko.observation.variance import Variance
from dajko.quadrature import weighted_product


@dataclass(frozen=True, eq=False)
class Row(Observation):
    """One number ``sum_j wx_j f_j u_j - square (int x u)^2``: what any observation here is for densities of one mass.

    Parameters
    ----------
    footprint : array of shape (points,)
        f at the nodes of the only grid that it is for.
    square : float
    """

    footprint: Array
    square: float = 0.0

    @property
    def labels(self) -> list[str]:
        return ["row"]

    @property
    def formula(self) -> int:  # type: ignore[override]
        return LINEAR if self.square == 0.0 else QUADRATIC

    def footprints(self, grid: Grid) -> Array:
        return self.footprint[None, :]


class Operator(NamedTuple):
    """Measurement operator B_h on a grid, as kernels read it."""

    kind: NDArray[np.int64]  # (numbers,)
    footprint: Array  # (numbers, points)
    x: Array  # (points,)
    wx: Array  # (points,)
    square: Array  # (numbers,), of the kind QUADRATIC


def operator(observations: Iterable[str | Observation], grid: Grid) -> Operator:
    """The measurement operator B_h of several observations on a grid."""
    objects = [as_observation(o) for o in observations]
    kinds = [o.formula for o in objects for _ in o.labels]
    footprints = [o.footprints(grid) for o in objects] or [np.zeros((0, grid.points))]
    squares = [o.square if isinstance(o, Row) else 0.0 for o in objects for _ in o.labels]
    return Operator(np.array(kinds, dtype=np.int64), np.concatenate(footprints), grid.x, grid.wx, np.array(squares))


class FixedMass(NamedTuple):
    """Observations of densities of one mass: ``B_i(u) = rows_i . u - squares_i b^2 + offsets_i``, ``b = int (x - c) u``.

    The centre c is that of the grid, so that nothing cancels however far the grid is from the origin.
    """

    rows: Array  # (numbers, points)
    squares: Array  # (numbers,)
    offsets: Array  # (numbers,)
    moments: Array  # (numbers, 3), coefficients of 1, x - c and its square in rows that are such polynomials, else NaN


def at_fixed_mass(observations: Iterable[str | Observation], grid: Grid, mass: float) -> FixedMass:
    """What observations are for densities of one mass."""
    center = 0.5 * (grid.left + grid.right)
    x, rows, squares, offsets = grid.x - center, [np.zeros((0, grid.points))], [], []
    moments = np.full((0, 3), math.nan)
    for observation in map(as_observation, observations):
        row, square, offset = observation.footprints(grid), 0.0, 0.0
        polynomial = np.full((len(row), 3), math.nan)
        if isinstance(observation, Mass):
            polynomial[0] = 1.0, 0.0, 0.0
        elif isinstance(observation, Expectation):
            row, offset = x[None], center * mass
            polynomial[0] = 0.0, 1.0, 0.0
        elif isinstance(observation, Mean):
            row, offset = x[None] / mass, center
            polynomial[0] = 0.0, 1.0 / mass, 0.0
        elif isinstance(observation, Spread):
            row, square = x[None] ** 2 / mass, 1.0 / mass**2
            polynomial[0] = 0.0, 0.0, 1.0 / mass
        elif isinstance(observation, Variance):
            # (5.7) is int x^2 u - (2 - M) B1^2, with B1 = b + c M.
            far = center * (1.0 - mass) ** 2
            row, square, offset = x[None] * (x + 2.0 * far), 2.0 - mass, center * far * mass
            polynomial[0] = 0.0, 2.0 * far, 1.0
        elif isinstance(observation, Row) and observation.square != 0.0:
            shift = center * mass
            square = observation.square
            row, offset = row - 2.0 * square * shift * x, -square * shift**2
        rows.append(row)
        moments = np.concatenate([moments, polynomial])
        squares += [square] * len(row)
        offsets += [offset] * len(row)
    return FixedMass(np.concatenate(rows), np.array(squares), np.array(offsets), moments)


@sum_kernel
def moments(x: Array, wx: Array, u: Array) -> tuple[float, float, float]:
    """Mass ``M``, first moment ``B1`` and ``int (x - c)^2 u`` about the centre ``c = B1 / M`` of a density."""
    mass = 0.0
    first = 0.0
    for j in range(u.size):
        mass += wx[j] * u[j]
        first += wx[j] * x[j] * u[j]
    center = first / mass
    second = 0.0
    for j in range(u.size):
        second += wx[j] * (x[j] - center) ** 2 * u[j]
    return mass, first, second


@kernel
def observe(op: Operator, u: Array, out: Array) -> None:
    """Write ``B_h(u)`` into ``out``, shape ``(numbers,)``."""
    mass, first, central = 1.0, 0.0, 0.0
    for i in range(op.kind.size):
        if op.kind[i] != LINEAR:
            mass, first, central = moments(op.x, op.wx, u)
            break
    for i in range(op.kind.size):
        if op.kind[i] == LINEAR:
            out[i] = weighted_product(op.wx, op.footprint[i], u)
        elif op.kind[i] == VARIANCE:
            # int (x - B1)^2 u, written about the centre of mass c: int (x - c)^2 u + M (c - B1)^2
            out[i] = central + mass * (first / mass - first) ** 2
        elif op.kind[i] == MEAN:
            out[i] = first / mass
        elif op.kind[i] == QUADRATIC:
            out[i] = weighted_product(op.wx, op.footprint[i], u) - op.square[i] * first * first
        else:
            out[i] = central / mass


@kernel
def add_gradient(op: Operator, u: Array, factor: Array, out: Array) -> None:
    """Add ``sum_i factor_i dB_i/du`` at ``u``, in the weighted inner product of space, to ``out`` of shape ``(points,)``."""
    constant, linear, quadratic = 0.0, 0.0, 0.0
    mass, first, central = 1.0, 0.0, 0.0
    for i in range(op.kind.size):
        if op.kind[i] != LINEAR:
            mass, first, central = moments(op.x, op.wx, u)
            break
    mean = first / mass
    for i in range(op.kind.size):
        f = factor[i]
        if op.kind[i] == LINEAR:
            footprint = op.footprint[i]
            for j in range(u.size):
                out[j] += f * footprint[j]
        elif op.kind[i] == VARIANCE:
            # (x - B1)^2 - 2 x (B1 - M B1), below (5.7)
            constant += f * first * first
            linear -= f * (2.0 * first + 2.0 * first * (1.0 - mass))
            quadratic += f
        elif op.kind[i] == MEAN:
            # (x - mean) / M
            constant -= f * mean / mass
            linear += f / mass
        elif op.kind[i] == QUADRATIC:
            footprint = op.footprint[i]
            for j in range(u.size):
                out[j] += f * footprint[j]
            linear -= 2.0 * f * op.square[i] * first
        else:
            # ((x - mean)^2 - spread) / M
            constant += f * (mean * mean - central / mass) / mass
            linear -= 2.0 * f * mean / mass
            quadratic += f / mass
    for j in range(u.size):
        out[j] += constant + op.x[j] * (linear + op.x[j] * quadratic)


@kernel
def add_hessian_product(op: Operator, u: Array, factor: Array, h: Array, out: Array) -> None:
    """Add ``sum_i factor_i B_i''(u) h``, in the weighted inner product of space, to ``out`` of shape ``(points,)``."""
    constant, linear, quadratic = 0.0, 0.0, 0.0
    mass, first, central = moments(op.x, op.wx, u)
    mean, spread = first / mass, central / mass
    d_mass, d_first, d_central = 0.0, 0.0, 0.0
    for j in range(u.size):
        d_mass += op.wx[j] * h[j]
        d_first += op.wx[j] * op.x[j] * h[j]
        d_central += op.wx[j] * (op.x[j] - mean) ** 2 * h[j]
    d_mean = (d_first - mean * d_mass) / mass
    d_spread = (d_central - spread * d_mass) / mass
    for i in range(op.kind.size):
        f = factor[i]
        if op.kind[i] == VARIANCE:
            constant += 2.0 * f * first * d_first
            linear += f * (-2.0 * d_first * (2.0 - mass) + 2.0 * first * d_mass)
        elif op.kind[i] == MEAN:
            constant += f * (-d_mean + mean * d_mass / mass) / mass
            linear -= f * d_mass / mass**2
        elif op.kind[i] == SPREAD:
            constant += f * (2.0 * mean * d_mean - d_spread - (mean * mean - spread) * d_mass / mass) / mass
            linear += f * (-2.0 * d_mean + 2.0 * mean * d_mass / mass) / mass
            quadratic -= f * d_mass / mass**2
        elif op.kind[i] == QUADRATIC:
            linear -= 2.0 * f * op.square[i] * d_first
    for j in range(u.size):
        out[j] += constant + op.x[j] * (linear + op.x[j] * quadratic)
