"""Densities between mass elements and the cells of a grid; mass is kept in each direction.

Cells are elements as they are. Elements become cells by the mass below a position, in each element a cubic polynomial
(Hermite) whose slopes at both ends are weighted harmonic means of the densities beside them (Fritsch and Butland 1984): it
never decreases, so no density is negative, and it is of third order where the density is smooth. Beside vacuum a density
goes to 0.
"""

from __future__ import annotations

from typing import Any

from dajko._numba import inline_kernel, kernel
from dajko.grid import Array
from dajko.lanes import as_number, load, store

# Vacuum that is narrower than this part of the elements beside it has closed: walls, and bumps that have met.
_CLOSED = 1e-2
_TINY = 1e-300


@kernel
def slopes(n: int, m: Array, x: Array, inverse: Array, out: Array, number: Any) -> None:
    """Densities at the ends of elements, weighted harmonic means of those beside; 0 beside vacuum. And ``1 / h``."""
    one, tiny = as_number(1.0, number), as_number(_TINY, number)
    left, right = load(x, 0, number), load(x, 1, number)
    h = right - left
    mean_inverse = one / h
    store(inverse, 0, mean_inverse, number)
    store(out, 0, h * 0.0, number)
    before = load(m, 0, number) * mean_inverse
    for i in range(1, n):
        left = right
        right = load(x, i + 1, number)
        k = right - left
        mean_inverse = one / k
        store(inverse, i, mean_inverse, number)
        after = load(m, i, number) * mean_inverse
        store(out, i, 3.0 * (h + k) * before * after / ((k + k + h) * after + (h + h + k) * before + tiny), number)
        h, before = k, after
    store(out, n, h * 0.0, number)


@kernel
def to_cells(
    n: int, m: Array, x: Array, inverse: Array, slope: Array, cells: int, lane: int, lanes: int, out: Array
) -> None:
    """Masses of cells of equal width between -1/2 and 1/2, ``out`` of shape ``(cells, lanes)``, after :func:`slopes`."""
    width, j = 1.0 / cells, 0
    for i in range(cells):
        out[i, lane] = 0.0
    edge = -0.5 + width
    for i in range(n):
        mass, left, right = m[i * lanes + lane], x[i * lanes + lane], x[(i + 1) * lanes + lane]
        if mass == 0.0:
            continue
        while j < cells - 1 and left >= edge:
            j += 1
            edge = -0.5 + (j + 1) * width
        below = 0.0
        if j < cells - 1 and right > edge:
            per = inverse[i * lanes + lane]
            h, density = right - left, mass * per
            a, b = slope[i * lanes + lane], slope[(i + 1) * lanes + lane]
            # Beside vacuum that has closed, the density is that of the element.
            if a == 0.0 and _closed(x, i - 1, lane, lanes, h):
                a = density
            if b == 0.0 and _closed(x, i + 1, lane, lanes, h):
                b = density
            while j < cells - 1 and right > edge:
                t = min(max((edge - left) * per, 0.0), 1.0)
                here = mass * t * t * (3.0 - 2.0 * t) + h * t * (1.0 - t) * (a * (1.0 - t) - b * t)
                here = min(max(here, below), mass)
                out[j, lane] += here - below
                below = here
                j += 1
                edge = -0.5 + (j + 1) * width
        out[j, lane] += mass - below


@inline_kernel
def _closed(x: Array, i: int, lane: int, lanes: int, h: float) -> bool:
    """Whether an element without mass is narrow beside one of width h."""
    return bool(x[(i + 1) * lanes + lane] - x[i * lanes + lane] < _CLOSED * h)
