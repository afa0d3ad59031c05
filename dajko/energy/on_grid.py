"""What an interaction W of (1.6) becomes on a grid.

Pietschmann and Schlottbom, (1.6), (4.1), (4.16). The interaction energy of a density and its first variation, the mean
field, are::

    F(u) = 1/2 sum_ij wx_i wx_j W_ij u_i u_j,        (W * u)_i = sum_j wx_j W_ij u_j,        W_ij = W(x_i, x_j)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dajko._numba import kernel
from dajko.checks import array, called
from dajko.energy.interaction import Interaction
from dajko.energy.interaction.values import InteractionValues
from dajko.errors import InputError
from dajko.grid import Array, Grid
from dajko.quadrature import product

# From this many nodes on, a convolution by FFT is faster than the sum (19 against 20 us at 401 nodes, 24 against 60 at 801).
FFT_NODES = 400

# Eigenvalues below this share of the largest are rounding.
ROUNDING = 1e-12
# An interaction that is less symmetric than this, relative to its largest value, is taken for a mistake.
_MOST_ASYMMETRY = 1e-9


@dataclass(frozen=True, eq=False)
class GridInteraction:
    """An interaction on one grid.

    Parameters
    ----------
    grid : Grid
    matrix : array of shape (points, points)
        ``W_ij``, finite and symmetric.
    differences : array of shape (2 points - 1,), optional
        Of a convolution kernel, its values at ``(1 - points) dx ... (points - 1) dx``.
    """

    grid: Grid
    matrix: Array
    differences: Array | None = None

    @cached_property
    def weighted(self) -> Array:
        """``W_ij wx_j``, which takes a density to its mean field, shape ``(points, points)``."""
        return np.ascontiguousarray(self.matrix * self.grid.wx)

    @cached_property
    def average(self) -> Array:
        """``W`` averaged over its second argument, shape ``(points,)``."""
        return np.asarray(self.grid.integrate(self.matrix) / self.grid.wx.sum())

    @cached_property
    def centred(self) -> Array:
        """``W`` less its averages over either argument, shape ``(points, points)``: it takes constants to 0.

        On densities of mass M, W has the same energy as ``centred`` with the potential ``M average`` and a constant. What W
        does to the mass, which a step keeps, is gone: ``centred`` is positive semidefinite if W is so on perturbations of
        mass zero.
        """
        mean = float(self.grid.integrate(self.average) / self.grid.wx.sum())
        return np.asarray(self.matrix - self.average[:, None] - self.average + mean)

    def potential(self, mass: float) -> Array:
        """What ``W`` has and ``centred`` lacks, as a potential for densities of one mass, shape ``(points,)``."""
        mean = float(self.grid.integrate(self.average) / self.grid.wx.sum())
        return np.asarray(mass * (self.average - 0.5 * mean))

    @cached_property
    def eigen(self) -> tuple[Array, Array]:
        """Eigenvalues of ``centred`` in the inner product of space, largest first, and eigenfunctions along the first axis.

        There are points - 1 of them, of mass zero; the constants are left out.
        """
        root = np.sqrt(self.grid.wx)
        scaled, constant = root[:, None] * self.centred * root, root / np.linalg.norm(root)
        # Constants become the last eigenvector, clear of all others.
        aside = 2.0 * np.linalg.norm(scaled) + np.finfo(float).tiny
        values, vectors = np.linalg.eigh(scaled - aside * np.outer(constant, constant))
        return values[:0:-1].copy(), np.ascontiguousarray((vectors[:, :0:-1] / root[:, None]).T)

    @property
    def norm(self) -> float:
        """Lipschitz constant of ``u -> centred * u`` in the inner product of space."""
        values, _ = self.eigen
        return float(max(abs(values[0]), abs(values[-1])))

    @property
    def is_convex(self) -> bool:
        """Whether the interaction energy is convex on densities of one mass, up to rounding."""
        values, _ = self.eigen
        return bool(values[-1] >= -ROUNDING * self.norm)

    def mean_field(self, density: ArrayLike) -> Array:
        """``W * u`` of densities of shape ``(..., points)``, the same shape; by FFT where that is faster."""
        u = np.asarray(density, dtype=np.float64)
        if self.differences is not None and u.shape[-1] >= FFT_NODES:
            return self._by_fft(u)
        rows = np.ascontiguousarray(u).reshape(-1, u.shape[-1])
        return _mean_fields(self.weighted, rows).reshape(u.shape)

    def _by_fft(self, u: Array) -> Array:
        """The Toeplitz matrix as a block of a circulant one, which Fourier modes diagonalise."""
        import scipy.fft  # takes long to import, and coarse grids do without

        nodes = u.shape[-1]
        length = 2 * (self._spectrum.size - 1)
        spectrum = self._spectrum * scipy.fft.rfft(u * self.grid.wx, length)
        return np.asarray(scipy.fft.irfft(spectrum, length)[..., :nodes])

    @cached_property
    def _spectrum(self) -> Array:
        import scipy.fft

        assert self.differences is not None
        nodes = self.grid.points
        length = 2 * scipy.fft.next_fast_len(nodes)
        column = np.zeros(length)
        column[:nodes] = self.differences[nodes - 1 :]
        column[length - nodes + 1 :] = self.differences[: nodes - 1]
        return np.asarray(scipy.fft.rfft(column))

    def value(self, density: ArrayLike) -> Array:
        """Interaction energy of densities of shape ``(..., points)``, shape ``(...)``."""
        u = np.asarray(density, dtype=np.float64)
        return self.grid.integrate(0.5 * u * self.mean_field(u))


InteractionLike = Interaction | GridInteraction | Callable[..., ArrayLike] | ArrayLike


def checked_interaction(given: InteractionLike) -> InteractionLike:
    """An interaction as it was given, with a matrix as an array of floats.

    Raises
    ------
    InputError
        If it is none on any grid.
    """
    if isinstance(given, GridInteraction) or callable(given):
        return given
    return _real_numbers(given)


def interaction_on(given: InteractionLike, grid: Grid) -> GridInteraction:
    """An interaction on a grid.

    Parameters
    ----------
    given : Interaction, matrix of shape (points, points), or function
        A function of one argument is an even convolution kernel, called with an array of differences ``x - y``; a function
        of two is symmetric, called with arrays ``x`` and ``y`` that broadcast against each other.
    grid : Grid

    Raises
    ------
    InputError
        If it has the wrong shape, is not finite at the nodes, or is not symmetric.
    """
    if isinstance(given, GridInteraction):
        if given.grid.x.shape != grid.x.shape or not np.array_equal(given.grid.x, grid.x):
            raise InputError("interaction has been evaluated on another grid")
        return given
    if isinstance(given, InteractionValues):
        return interaction_on(given.values, grid)
    if isinstance(given, Interaction):
        return _of_kernel(given, grid)
    nodes = grid.points
    if not callable(given):
        matrix = _numbers(given, (nodes, nodes), grid)
        return GridInteraction(grid, _symmetric(matrix, matrix.T, "a symmetric matrix"))
    if _takes_two(given):
        matrix = _numbers(called("interaction", given, grid.x[:, None], grid.x[None, :]), (nodes, nodes), grid)
        return GridInteraction(grid, _symmetric(matrix, matrix.T, "symmetric in x and y"))
    values = _numbers(called("interaction", given, _differences(grid)), (2 * nodes - 1,), grid)
    return _convolution(_symmetric(values, values[::-1], "an even function of x - y"), grid)


@lru_cache(maxsize=16)
def _of_kernel(given: Interaction, grid: Grid) -> GridInteraction:
    r = _differences(grid)
    values = np.empty_like(r)
    away = r != 0.0
    with np.errstate(over="ignore", under="ignore"):
        values[away] = given(r[away])
        values[~away] = given.at_zero(grid.dx)
    return _convolution(_numbers(values, r.shape, grid), grid)


def _differences(grid: Grid) -> Array:
    return np.asarray(grid.dx * np.arange(1 - grid.points, grid.points, dtype=np.float64))


def _convolution(values: Array, grid: Grid) -> GridInteraction:
    node = np.arange(grid.points)
    return GridInteraction(grid, values[node[:, None] - node + grid.points - 1], values)


def _numbers(given: Any, shape: tuple[int, ...], grid: Grid) -> Array:
    values = _real_numbers(given).copy()
    if values.ndim == 0:
        values = np.full(shape, float(values))
    if values.shape != shape:
        raise InputError(f"interaction must have the shape {shape} on this grid, got {values.shape}")
    if not np.isfinite(values).all():
        raise InputError("interaction must be finite at every pair of points of the grid, also at the distance 0")
    return values


def _real_numbers(given: Any) -> Array:
    must_be = "a named kernel, a matrix with a number for each pair of nodes, a function of x - y, or a function of x and y"
    return array("interaction", given, must_be)


def _symmetric(values: Array, mirrored: Array, must_be: str) -> Array:
    if np.abs(values - mirrored).max() > _MOST_ASYMMETRY * np.abs(values).max():
        raise InputError(f"interaction must be {must_be}")
    return np.asarray(0.5 * (values + mirrored))


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some functions of compiled libraries do not say
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in positional and p.default is p.empty for p in parameters) == 2


@kernel
def add_mean_field(weighted: Array, u: Array, out: Array) -> None:
    """Add ``W * u`` to ``out``; ``weighted`` is :attr:`GridInteraction.weighted`, or of shape (0, 0) without interaction."""
    for i in range(weighted.shape[0]):
        out[i] += product(weighted[i], u)


@kernel
def _mean_fields(weighted: Array, u: Array) -> Array:
    result = np.zeros_like(u)
    for i in range(u.shape[0]):
        add_mean_field(weighted, u[i], result[i])
    return result
