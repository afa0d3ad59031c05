"""How well a mesh resolves a density: the mode that alternates from point to point, and the width of what is narrowest.

The centred differences of Pietschmann and Schlottbom, (4.4), carry mass from a node to the next but one: the masses of the
even and of the odd nodes stay what they are for ever. A density that the mesh resolves is the same on both; of one that it
does not resolve, a mode remains that alternates from node to node, and that nothing damps. Finite volumes have one class of
cells, and no such mode but in a density that is as narrow itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from dajko.errors import InputError
from dajko.grid import Array, Grid

# Beyond these, a density is to be doubted: at a width of 3, the variance in a steep well is 5 % too large.
MOST_ODD_EVEN, LEAST_RESOLUTION = 0.01, 4.0

# Cells that a window spans: as many differences of a density leave nothing of it where it is resolved.
_WINDOW = 12
# A window is judged if no density in it, averaged over neighbours, is less than this part of the largest anywhere.
_LEAST = 0.05


def odd_even(density: ArrayLike, grid: Grid) -> Array:
    """Largest relative amplitude of the mode that alternates from point to point.

    In each window of 13 points that lies within the density, ``|sum_k (-1)^k C(12, k) u_k| / sum_k C(12, k) u_k``. It is
    ``a`` for ``1 + a (-1)^j``. Of the values of a Gaussian of standard deviation ``std`` it is 2e-4 at ``std = 2 dx``,
    0.25 % at 1.5 dx and 4.6 % at dx; of a Barenblatt profile with more than five mesh widths on each side at most 6e-4.

    Parameters
    ----------
    density : array of shape (..., points)
    grid : Grid

    Returns
    -------
    array of shape (...)
        Between 0 and 1; NaN where a density is not finite or has no mass.

    Raises
    ------
    InputError
        If the density has not the shape of the grid.
    """
    u = grid.on_points("density", density)
    count = min(_WINDOW, grid.points - 1)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        scaled = u / u.max(axis=-1, keepdims=True)
        alternating = mean = scaled
        for _ in range(count):
            alternating, mean = alternating[..., 1:] - alternating[..., :-1], mean[..., 1:] + mean[..., :-1]
        smooth = _averaged(scaled, grid)
        inside = _least(smooth, count + 1) >= _LEAST * smooth.max(axis=-1, keepdims=True)
        # A density narrower than a window is judged where most of it is.
        inside |= ~inside.any(axis=-1, keepdims=True) & (mean == mean.max(axis=-1, keepdims=True))
        found = np.where(inside, np.abs(alternating) / mean, 0.0).max(axis=-1)
    return np.asarray(np.where(_known(u), found, np.nan))


def resolution(density: ArrayLike, grid: Grid) -> Array:
    """Width of the narrowest peak of a density in mesh widths, 13 at most.

    Of the windows of 13 points around those where the density is at least half of the largest, the least
    ``(sum_k u_k)^2 / sum_k u_k^2``: n for n equal values, ``2 sqrt(pi) std / dx`` for a Gaussian. Beyond the walls stands
    the mirror image of the density.

    Parameters
    ----------
    density : array of shape (..., points)
    grid : Grid

    Returns
    -------
    array of shape (...)
        At least 1; NaN where a density is not finite or has no mass.

    Raises
    ------
    InputError
        If the density has not the shape of the grid.
    """
    u = grid.on_points("density", density)
    half = min(_WINDOW, grid.points - 1) // 2
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        scaled = u / u.max(axis=-1, keepdims=True)
        padded = _mirrored(scaled, half, grid)
        width = _sums(padded, 2 * half + 1) ** 2 / _sums(padded**2, 2 * half + 1)
        found = np.where(scaled >= 0.5, width, np.inf).min(axis=-1)
    return np.asarray(np.where(_known(u), found, np.nan))


def imbalance(density: ArrayLike, grid: Grid) -> Array:
    """Difference of the masses of the even and the odd nodes, relative to the mass: what the odd-even mode will be.

    It is 0 for finite volumes, which carry mass from each cell to the next.

    Parameters
    ----------
    density : array of shape (..., points)
    grid : Grid

    Returns
    -------
    array of shape (...)
        Between 0 and 1.

    Raises
    ------
    InputError
        If the density has not the shape of the grid.
    """
    u = grid.on_points("density", density)
    if grid.sublattices == 1:
        return np.zeros(u.shape[:-1])
    signs = np.where(np.arange(grid.points) % 2 == 0, 1.0, -1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.abs(u @ (grid.wx * signs)) / (u @ grid.wx))


def check_spreads(density: Array, grid: Grid, name: str) -> None:
    """Refuse a density that stands on every other node only, where mass comes to every other node only.

    Parameters
    ----------
    density : array of shape (points,)
    grid : Grid
    name : str
        Of the density, for the message.

    Raises
    ------
    InputError
        If it does: no mass could ever come to the nodes between.
    """
    if grid.sublattices == 2 and not (density[::2].any() and density[1::2].any()):
        which = "even" if density[::2].any() else "odd"
        raise InputError(
            f"{name} must be wider than the mesh, got one on {which} nodes only; centred differences carry mass to every "
            "other node, so that it could never spread over the others"
        )


def _averaged(u: Array, grid: Grid) -> Array:
    """Averages with both neighbours."""
    padded = _mirrored(u, 1, grid)
    return np.asarray(0.25 * (padded[..., :-2] + padded[..., 2:]) + 0.5 * u)


def _mirrored(u: Array, count: int, grid: Grid) -> Array:
    """With so many further points at both ends, where the mirror image of the density stands: walls are nodes, or faces."""
    at = 1 if grid.scheme == "centred" else 0
    left, right = u[..., at : count + at], u[..., u.shape[-1] - count - at : u.shape[-1] - at]
    return np.concatenate([left[..., ::-1], u, right[..., ::-1]], axis=-1)


def _sums(u: Array, count: int) -> Array:
    """Sums over windows of so many points."""
    total = np.cumsum(u, axis=-1)
    found = total[..., count - 1 :].copy()
    found[..., 1:] -= total[..., :-count]
    return np.asarray(found)


def _least(u: Array, count: int) -> Array:
    """The least value in each window of so many points."""
    width = 1
    while 2 * width <= count:
        u, width = np.minimum(u[..., width:], u[..., :-width]), 2 * width
    rest = count - width
    return u if rest == 0 else np.minimum(u[..., rest:], u[..., :-rest])


def _known(u: Array) -> Array:
    return np.asarray(np.isfinite(u).all(axis=-1) & (u.max(axis=-1) > 0.0))
