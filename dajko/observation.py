"""Measurements of a density, and the data term that pulls a JKO step towards them.

Pietschmann and Schlottbom, sections 4.2 and 5.1.1. A measurement operator B_h maps a density on the grid to numbers; with
data v the combined energy of a daJKO step is ``E_h = F_h + |B_h - v|^2 / (2 theta)``. ``theta`` has the meaning of section
4.2 (in (1.7) it stands for ``theta / tau``).

Every observation is either linear, ``B(u) = sum_j wx_j f(x_j) u_j``, or one of three smooth functions of the moments
``M = int u``, ``B1 = int x u`` and ``int x^2 u``. Its gradient in the weighted inner product of space is ``f``, or a
quadratic polynomial in x.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dajko._numba import kernel, sum_kernel
from dajko.checks import array, finite_array, number, shown
from dajko.errors import InputError
from dajko.grid import Array, Grid, checked_grid
from dajko.quadrature import weighted_product

LINEAR, VARIANCE, MEAN, SPREAD, QUADRATIC = range(5)


class Observation(ABC):
    """One measurement, giving one number or several.

    A new linear measurement is a subclass with :meth:`footprints`; a nonlinear one also needs a kind of its own in the
    kernels of this module.
    """

    kind: ClassVar[int] = LINEAR
    name: ClassVar[str]

    @property
    def labels(self) -> list[str]:
        """A name for each number that is measured."""
        return [self.name]

    def footprints(self, grid: Grid) -> Array:
        """Functions f of a linear observation at the nodes, shape ``(numbers, nx + 1)``; zeros for a nonlinear one."""
        return np.zeros((1, checked_grid(grid).nx + 1))

    @abstractmethod
    def scale(self, density: Array, exact: Array, grid: Grid) -> Array:
        """Size of the signal, which a relative noise level refers to.

        Parameters
        ----------
        density : array of shape (times, nx + 1)
            True densities.
        exact : array of shape (times, numbers)
            What this observation gives for them.

        Returns
        -------
        array of shape (times,)
            Size of the signal at each time.
        """


class _Magnitude(Observation):
    """An observation whose own magnitude is the size of its signal."""

    def scale(self, density: Array, exact: Array, grid: Grid) -> Array:
        return np.asarray(np.sqrt(np.mean(exact**2, axis=1)))


class _Location(Observation):
    """An observation that depends on where the origin lies: the width of the density is the size of its signal."""

    def scale(self, density: Array, exact: Array, grid: Grid) -> Array:
        mass = grid.integrate(density)
        mean = grid.integrate(grid.x * density) / mass
        width = np.sqrt(grid.integrate((grid.x - mean[:, None]) ** 2 * density) / mass)
        return np.asarray(width * (mass if isinstance(self, Expectation) else 1.0))


@dataclass(frozen=True)
class Mass(_Magnitude):
    """``M = int u``."""

    name: ClassVar[str] = "mass"

    def footprints(self, grid: Grid) -> Array:
        return np.ones((1, checked_grid(grid).nx + 1))


@dataclass(frozen=True)
class Expectation(_Location):
    """``B1 = int x u``, (5.6): not divided by the mass."""

    name: ClassVar[str] = "expectation"

    def footprints(self, grid: Grid) -> Array:
        return checked_grid(grid).x[None, :].copy()


@dataclass(frozen=True)
class Variance(_Magnitude):
    """``int (x - B1)^2 u`` with B1 of (5.6), as printed in (5.7): not divided by the mass."""

    kind: ClassVar[int] = VARIANCE
    name: ClassVar[str] = "variance"


@dataclass(frozen=True)
class Mean(_Location):
    """``int x u / M``: the centre of mass."""

    kind: ClassVar[int] = MEAN
    name: ClassVar[str] = "mean"


@dataclass(frozen=True)
class Spread(_Magnitude):
    """``int (x - mean)^2 u / M``: the variance of the normalised density."""

    kind: ClassVar[int] = SPREAD
    name: ClassVar[str] = "spread"


@dataclass(frozen=True)
class Sensors(_Magnitude):
    """Local averages ``int K(x - p) u`` with Gaussian footprints K of unit integral.

    Parameters
    ----------
    positions : sequence of float
        Centres p of the footprints, inside the grid.
    width : float
        Standard deviation of the footprints.
    """

    positions: Sequence[float]
    width: float
    name: ClassVar[str] = "sensors"

    def __post_init__(self) -> None:
        positions = finite_array("sensors.positions", self.positions, "a list of finite numbers", ndim=1)
        object.__setattr__(self, "positions", tuple(positions.tolist()))
        if not self.positions:
            raise InputError("sensors.positions must name at least one position")
        object.__setattr__(self, "width", number("sensors.width", self.width, above=0.0))

    @property
    def labels(self) -> list[str]:
        return [f"sensor_{i}" for i in range(len(self.positions))]

    def footprints(self, grid: Grid) -> Array:
        checked_grid(grid)
        for p in self.positions:
            if not grid.left <= p <= grid.right:
                raise InputError(f"sensors.positions must lie in [{grid.left}, {grid.right}], got {p}")
        if self.width < 0.5 * grid.dx:
            raise InputError(f"sensors.width must be at least half a cell, {0.5 * grid.dx:.6g}, got {self.width}")
        distance = (grid.x - np.array(self.positions)[:, None]) / self.width
        return np.asarray(np.exp(-0.5 * distance**2) / (self.width * math.sqrt(2.0 * math.pi)))


@dataclass(frozen=True)
class IntervalMasses(_Magnitude):
    """Mass between each position and the next, ``int_a^b u``.

    A node belongs to an interval with the share of its own cell that lies in there, so that the masses of adjacent intervals
    add up to that of their union.

    Parameters
    ----------
    edges : sequence of float
        Ends of the intervals, increasing, inside the grid; at least two.
    """

    edges: Sequence[float]
    name: ClassVar[str] = "interval_masses"

    def __post_init__(self) -> None:
        must_be = "at least two increasing positions"
        edges = finite_array("interval_masses.edges", self.edges, must_be, ndim=1)
        object.__setattr__(self, "edges", tuple(edges.tolist()))
        if len(self.edges) < 2 or not all(a < b for a, b in pairwise(self.edges)):
            raise InputError(f"interval_masses.edges must be {must_be}, got {list(self.edges)}")

    @property
    def labels(self) -> list[str]:
        return [f"interval_mass_{i}" for i in range(len(self.edges) - 1)]

    def footprints(self, grid: Grid) -> Array:
        checked_grid(grid)
        for edge in self.edges:
            if not grid.left <= edge <= grid.right:
                raise InputError(f"interval_masses.edges must lie in [{grid.left}, {grid.right}], got {edge}")
        ends = np.clip(grid.x[:, None] + 0.5 * grid.dx * np.array([-1.0, 1.0]), grid.left, grid.right)
        edges = np.array(self.edges)
        common = np.minimum(ends[:, 1], edges[1:, None]) - np.maximum(ends[:, 0], edges[:-1, None])
        return np.asarray(np.maximum(common, 0.0) / grid.wx)


@dataclass(frozen=True, eq=False)
class Row(_Magnitude):
    """One number ``sum_j wx_j f_j u_j - square (int x u)^2``: what any observation here is for densities of one mass.

    Parameters
    ----------
    footprint : array of shape (nx + 1,)
        f at the nodes of the only grid that it is for.
    square : float
    """

    footprint: Array
    square: float = 0.0
    name: ClassVar[str] = "row"

    @property
    def kind(self) -> int:  # type: ignore[override]
        return LINEAR if self.square == 0.0 else QUADRATIC

    def footprints(self, grid: Grid) -> Array:
        return self.footprint[None, :]


NAMED: dict[str, type[Observation]] = {cls.name: cls for cls in (Mass, Expectation, Variance, Mean, Spread)}


def as_observation(given: str | Observation) -> Observation:
    """An observation from its name, or itself.

    Raises
    ------
    InputError
        If there is no observation of that name.
    """
    if isinstance(given, Observation):
        return given
    if isinstance(given, str) and given in NAMED:
        return NAMED[given]()
    raise InputError(
        f"observations must be {', '.join(sorted(NAMED))} or an object such as Sensors(positions, width), got {shown(given)}"
    )


def as_observations(given: str | Observation | Iterable[str | Observation]) -> tuple[Observation, ...]:
    """Observations from their names or themselves; of one, a tuple with it alone.

    Raises
    ------
    InputError
        If one of them is none.
    """
    if isinstance(given, str | Observation):
        return (as_observation(given),)
    try:
        return tuple(as_observation(one) for one in given)
    except TypeError:  # it is nothing that has items
        raise InputError(f"observations must be a list of names or objects, got {shown(given)}") from None


class Operator(NamedTuple):
    """Measurement operator B_h on a grid, as kernels read it."""

    kind: NDArray[np.int64]  # (numbers,)
    footprint: Array  # (numbers, nx + 1)
    x: Array  # (nx + 1,)
    wx: Array  # (nx + 1,)
    square: Array  # (numbers,), of the kind QUADRATIC


def operator(observations: Iterable[str | Observation], grid: Grid) -> Operator:
    """The measurement operator B_h of several observations on a grid."""
    objects = [as_observation(o) for o in observations]
    kinds = [o.kind for o in objects for _ in o.labels]
    footprints = [o.footprints(grid) for o in objects] or [np.zeros((0, grid.nx + 1))]
    squares = [o.square if isinstance(o, Row) else 0.0 for o in objects for _ in o.labels]
    return Operator(np.array(kinds, dtype=np.int64), np.concatenate(footprints), grid.x, grid.wx, np.array(squares))


def labels(observations: Iterable[str | Observation]) -> list[str]:
    """The name of each measured number, in the order of the operator."""
    return [label for o in observations for label in as_observation(o).labels]


class FixedMass(NamedTuple):
    """Observations of densities of one mass: ``B_i(u) = rows_i . u - squares_i b^2 + offsets_i``, ``b = int (x - c) u``.

    The centre c is that of the grid, so that nothing cancels however far the grid is from the origin.
    """

    rows: Array  # (numbers, nx + 1)
    squares: Array  # (numbers,)
    offsets: Array  # (numbers,)


def at_fixed_mass(observations: Iterable[str | Observation], grid: Grid, mass: float) -> FixedMass:
    """What observations are for densities of one mass."""
    center = 0.5 * (grid.left + grid.right)
    x, rows, squares, offsets = grid.x - center, [np.zeros((0, grid.nx + 1))], [], []
    for observation in map(as_observation, observations):
        row, square, offset = observation.footprints(grid), 0.0, 0.0
        if isinstance(observation, Expectation):
            row, offset = x[None], center * mass
        elif isinstance(observation, Mean):
            row, offset = x[None] / mass, center
        elif isinstance(observation, Spread):
            row, square = x[None] ** 2 / mass, 1.0 / mass**2
        elif isinstance(observation, Variance):
            # (5.7) is int x^2 u - (2 - M) B1^2, with B1 = b + c M.
            far = center * (1.0 - mass) ** 2
            row, square, offset = x[None] * (x + 2.0 * far), 2.0 - mass, center * far * mass
        elif isinstance(observation, Row) and observation.square != 0.0:
            shift = center * mass
            square = observation.square
            row, offset = row - 2.0 * square * shift * x, -square * shift**2
        rows.append(row)
        squares += [square] * len(row)
        offsets += [offset] * len(row)
    return FixedMass(np.concatenate(rows), np.array(squares), np.array(offsets))


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
    """Add ``sum_i factor_i dB_i/du`` at ``u``, in the weighted inner product of space, to ``out`` of shape ``(nx + 1,)``."""
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
    """Add ``sum_i factor_i B_i''(u) h``, in the weighted inner product of space, to ``out`` of shape ``(nx + 1,)``."""
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


@dataclass(frozen=True, eq=False)
class DataTerm:
    """Data term ``|B_h(u) - v|^2 / (2 theta)`` of one daJKO step, section 4.2.

    Parameters
    ----------
    observations : sequence of str or Observation
        Names (``"expectation"``, ``"variance"``, ``"mean"``, ``"spread"``, ``"mass"``) or objects (``Sensors``,
        ``IntervalMasses``).
    values : array of shape (numbers,)
        Data v, one number for each number that the observations measure. :func:`dajko.evolve` also takes the shape
        ``(steps, numbers)``; a row of NaN there is a step without data. A masked value is a missing one, as NaN is.
    theta : float
        Weight, greater than 0: the smaller, the more the data is trusted. Infinity switches the data off.

    Raises
    ------
    InputError
        If there is no such observation, the number of values does not fit, or theta is not positive.
    """

    observations: Sequence[str | Observation]
    values: ArrayLike
    theta: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "observations", as_observations(self.observations))
        values = np.atleast_1d(array("data values", self.values, missing=True)).copy()
        object.__setattr__(self, "values", values)
        numbers = len(labels(self.observations))
        if values.ndim > 2 or values.shape[-1] != numbers:
            needed = f"{numbers} numbers, one for each that the observations measure"
            raise InputError(f"data values must be {needed}, got shape {values.shape}")
        missing = np.isnan(values)
        if np.isinf(values).any() or (missing.any(axis=-1) != missing.all(axis=-1)).any():
            raise InputError("data values must be finite; only a whole step may be missing (a row of NaN)")
        object.__setattr__(self, "theta", number("theta", self.theta, above=0.0, finite=False))

    def at_step(self, step: int) -> DataTerm | None:
        """The data term of one step (counted from 0); None where the step has no data."""
        values = np.asarray(self.values)
        row = values[step] if values.ndim == 2 else values
        if math.isinf(self.theta) or np.isnan(row).any():
            return None
        if values.ndim == 1:
            return self
        one = copy.copy(self)  # what has been checked need not be checked at every step
        object.__setattr__(one, "values", row)
        return one

    @property
    def row(self) -> Array:
        """The data v of one step, shape ``(numbers,)``.

        Raises
        ------
        InputError
            If there are several rows, of several steps.
        """
        values = np.asarray(self.values)
        if values.ndim != 1:
            raise InputError(f"the data of one step must be one row of values, got shape {values.shape}")
        return values

    def measure(self, density: ArrayLike, grid: Grid) -> Array:
        """``B_h`` of a density of shape ``(nx + 1,)``, shape ``(numbers,)``."""
        return measure(self.observations, density, grid)

    def value(self, density: ArrayLike, grid: Grid) -> float:
        """``|B_h(u) - v|^2 / (2 theta)``."""
        misfit = self.measure(density, grid) - self.row
        return float(misfit @ misfit / (2.0 * self.theta))

    def gradient(self, density: ArrayLike, grid: Grid) -> Array:
        """Gradient of :meth:`value` in the weighted inner product of space, shape ``(nx + 1,)``."""
        u = checked_grid(grid).on_nodes("density", density)
        factor = (self.measure(u, grid) - self.row) / self.theta
        result = np.zeros_like(u)
        add_gradient(operator(self.observations, grid), u, factor, result)
        return result

    def hessian_product(self, density: ArrayLike, direction: ArrayLike, grid: Grid) -> Array:
        """Derivative of :meth:`gradient` in a direction of shape ``(nx + 1,)``."""
        u, h = checked_grid(grid).on_nodes("density", density), grid.on_nodes("direction", direction)
        op = operator(self.observations, grid)
        result = np.zeros_like(u)
        add_hessian_product(op, u, (self.measure(u, grid) - self.row) / self.theta, h, result)
        for unit in np.eye(op.kind.size):
            gradient = np.zeros_like(u)
            add_gradient(op, u, unit, gradient)
            result += gradient * grid.integrate(gradient * h) / self.theta
        return result


def measure(observations: Iterable[str | Observation], density: ArrayLike, grid: Grid) -> Array:
    """``B_h`` of densities of shape ``(..., nx + 1)``, shape ``(..., numbers)``.

    Raises
    ------
    InputError
        If there is no such observation, it does not fit the grid, or the densities are no numbers at its nodes.
    """
    op = operator(as_observations(observations), checked_grid(grid))
    u = grid.on_nodes("density", density)
    flat = u.reshape(-1, grid.nx + 1)
    out = np.empty((flat.shape[0], op.kind.size))
    for row, values in zip(flat, out, strict=True):
        observe(op, row, values)
    return out.reshape(*u.shape[:-1], op.kind.size)
