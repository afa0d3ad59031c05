r"""The matrix ``S`` of :mod:`.newton`: elimination ``L D L^T`` node by node, and substitution, for kernels.

``S`` is a block matrix with one block row for each node; node j meets the nodes j + 1 and j + 2. Its columns that belong to
node j are a panel: K columns of 3 K rows, the rows of the nodes j, j + 1 and j + 2, of which column k needs the rows
k ... 2 K + k. From the numbers at the nodes that :mod:`.newton` computes, a panel is

    S[(j, k), (j, k)]         = a[j, k] + a[j, k - 1] + b[j - 1, k] + b[j + 1, k]
    S[(j, k + 1), (j, k)]     = -a[j, k]
    S[(j + 1, k), (j, k)]     = e[j + 1, k] - e[j, k]
    S[(j + 1, k + 1), (j, k)] = -e[j + 1, k]
    S[(j + 1, k - 1), (j, k)] = e[j, k - 1]
    S[(j + 2, k), (j, k)]     = -b[j + 1, k]

with ``e = a c`` and ``b = a c^2 + dt^2 rho / (4 dx w_k)``, both 0 at the ends of the interval. Finite volumes have entries
at the levels k - 1 and k + 1 of the node j + 2 too: one row more (:mod:`.finite_volume`).

A panel is eliminated when everything that panels before it take from it is known: column c of it becomes

    U[:, c] = S[:, c] - sum_p L[c, p] U[:, p],        L[c, p] = U[c, p] / D[p],        D[p] = U[p, p],

the sum running over the columns p of the panels j - 2, j - 1 and j before it. The sums are taken over all p at once for a
tile of entries (several columns of one group of rows), in registers, which is what makes this fast. Kept are ``U`` and
``1 / D``. Right-hand sides are eliminated together with the matrix.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dajko._numba import kernel
from dajko.grid import Array
from dajko.lanes import (
    WIDTH,
    load,
    load_group,
    minus_product,
    spread,
    step,
    store,
    store_group,
)
from dajko.lanes.sums import dot
from dajko.lanes.tiles import factor_square, load_tile, minus_earlier_columns, minus_products, store_tile

# The shapes of a tile, as two tuples of that length: rows, in groups, and columns. Ten sums at once keep the multipliers
# busy; two widths, because a panel that is no multiple of a tile is filled up.
NARROW, WIDE = ((0,) * 2, (0,) * 4), ((0,) * 2, (0,) * 5)


class Layout(NamedTuple):
    """Where things lie in the arrays of :func:`eliminate`, counted in numbers."""

    leading: int  # distance of two columns of a panel
    columns: int  # columns of a panel: K, filled up to whole tiles
    stride: int  # distance of two rows of the factors L[c, p], c the inner index
    wide: bool  # whether the tiles are


def layout(levels: int) -> Layout:
    """The layout of panels of so many levels."""
    width = min((5, 4), key=lambda columns: -levels % columns)
    # A tile may reach beyond the last row and a group of factors beyond the last column.
    leading = 3 * levels + 2 * WIDTH + width
    return Layout(
        # A multiple of 64 doubles would put the columns of a tile into the same lines of the cache.
        leading=leading + 8 if leading % 64 == 0 else leading,
        columns=-(-levels // width) * width,
        stride=-(-levels // WIDTH) * WIDTH + WIDTH,
        wide=width == 5,
    )


@kernel
def eliminate(
    n: int,
    levels: int,
    a: Array,
    b: Array,
    e: Array,
    matrix: Array,
    pivots: Array,
    panel: Array,
    factors: Array,
    sides: Array,
    side_length: int,
    sides_used: int,
    leading: int,
    columns: int,
    stride: int,
    tile: Any,
    stencil: Any,
    number: Any,
) -> None:
    """Assemble and eliminate ``S`` and ``sides_used`` right-hand sides.

    Parameters
    ----------
    n, levels : int
    a, b, e : arrays of nodes and levels
        As above; laid out as :mod:`.layout` says, 0 at the ghost nodes.
    matrix : array of n panels
        Receives U. Rows that a panel does not have must be 0.
    pivots : array of n levels
        Receives 1 / D.
    panel, factors : arrays
        Scratch: one panel, 0 where S is 0, and three sets of factors.
    sides : array
        Right-hand sides, ``side_length`` apart, laid out like ``a``.
    leading, columns, stride : int
        As :func:`layout` gives them.
    tile : NARROW or WIDE
    stencil : Stencil or None
        The rows of finite volumes, instead of ``e``.
    """
    entries = step(number)
    beyond = 0 if stencil is None else 1
    whole = columns * leading
    # Where the factors lie that belong to columns of the panels j, j - 1 and j - 2.
    own, near, far = 0, columns * stride, 2 * columns * stride
    height, width = entries * len(tile[0]), len(tile[1])
    for j in range(n):
        here, base = j * whole, (j + 1) * levels
        if stencil is None:
            for k in range(levels):
                i, column = base + k, k * leading
                diagonal = load(a, i, number) + load(b, i - levels, number) + load(b, i + levels, number)
                if k > 0:
                    diagonal = diagonal + load(a, i - 1, number)
                    store(panel, column + levels + k - 1, load(e, i - 1, number), number)
                if k < levels - 1:
                    store(panel, column + k + 1, -load(a, i, number), number)
                    store(panel, column + levels + k + 1, -load(e, i + levels, number), number)
                store(panel, column + k, diagonal, number)
                store(panel, column + levels + k, load(e, i + levels, number) - load(e, i, number), number)
                store(panel, column + 2 * levels + k, -load(b, i + levels, number), number)
        else:
            assemble(base, levels, a, b, stencil, panel, leading, number)
        one, two = here - whole, here - 2 * whole
        # Panels before the first do not exist: their sums are empty.
        first_near = 0 if j > 0 else levels
        first_far = 0 if j > 1 else levels
        for p in range(first_near, levels):
            inverse = spread(pivots, (j - 1) * levels + p, number)
            for c in range(0, levels, entries):
                u = load_group(matrix, one + p * leading + levels + c, number)
                store_group(factors, near + p * stride + c, u * inverse, number)
        for p in range(first_far, levels):
            inverse = spread(pivots, (j - 2) * levels + p, number)
            for c in range(0, min(p + 1 + beyond, levels), entries):
                u = load_group(matrix, two + p * leading + 2 * levels + c, number)
                store_group(factors, far + p * stride + c, u * inverse, number)

        for c in range(0, levels, width):
            column = here + c * leading
            row = first_row = c - c % entries
            last_row = min(3 * levels, 2 * levels + c + width + beyond)
            while row < last_row:
                t = load_tile(panel, c * leading + row, leading, tile, number)
                for p in range(max(first_far, row - beyond if row < levels else levels, c - beyond), levels):
                    t = minus_products(
                        t, factors, far + p * stride + c, matrix, two + p * leading + 2 * levels + row, tile, number
                    )
                for p in range(max(first_near, row - levels - beyond if row < 2 * levels else levels), levels):
                    t = minus_products(
                        t, factors, near + p * stride + c, matrix, one + p * leading + levels + row, tile, number
                    )
                for p in range(max(0, row - 2 * levels - beyond), c):
                    t = minus_products(t, factors, own + p * stride + c, matrix, here + p * leading + row, tile, number)
                if row < c + width:
                    # The square on the diagonal comes first, because it gives the factors for all rows of these columns.
                    store_tile(matrix, column + row, leading, t, tile, number)
                    if row + height >= c + width:
                        factor_square(
                            matrix,
                            column + c,
                            leading,
                            pivots,
                            j * levels + c,
                            factors,
                            own + c * stride + c,
                            stride,
                            tile,
                            number,
                        )
                        for r in range(first_row, c + width, height):
                            t = load_tile(matrix, column + r, leading, tile, number)
                            t = minus_earlier_columns(t, factors, own + c * stride + c, stride, tile, number)
                            store_tile(matrix, column + r, leading, t, tile, number)
                else:
                    t = minus_earlier_columns(t, factors, own + c * stride + c, stride, tile, number)
                    store_tile(matrix, column + row, leading, t, tile, number)
                row += height
            for p in range(c, min(c + width, levels)):
                inverse = spread(pivots, j * levels + p, number)
                start = c + width - (c + width) % entries
                for r in range(start, levels, entries):
                    u = load_group(matrix, here + p * leading + r, number)
                    store_group(factors, own + p * stride + r, u * inverse, number)

        for side in range(sides_used):
            at = side * side_length + base
            for c in range(0, levels, entries):
                y = load_group(sides, at + c, number)
                for p in range(max(first_far, c - beyond), levels):
                    y = minus_product(
                        y, spread(sides, at - 2 * levels + p, number), load_group(factors, far + p * stride + c, number)
                    )
                for p in range(first_near, levels):
                    y = minus_product(
                        y, spread(sides, at - levels + p, number), load_group(factors, near + p * stride + c, number)
                    )
                store_group(panel, whole + c, y, number)
            y_before = load(panel, whole, number)
            store(sides, at, y_before, number)
            for c in range(1, levels):
                y_here = load(panel, whole + c, number)
                for p in range(c - 1):
                    y_here = minus_product(y_here, load(factors, own + p * stride + c, number), load(sides, at + p, number))
                # The entry just found comes last, so that only this waits for it.
                y_before = minus_product(y_here, load(factors, own + (c - 1) * stride + c, number), y_before)
                store(sides, at + c, y_before, number)


@kernel
def assemble(base: int, levels: int, a: Array, q: Array, stencil: Any, panel: Array, leading: int, number: Any) -> None:
    """A panel of finite volumes: ``sum a l l^T``, and ``q`` of the faces; ``base`` is the first entry of its cell."""
    own, right, left = stencil.own, stencil.right, stencil.left
    own_after, right_after, left_after = stencil.own_after, stencil.right_after, stencil.left_after
    for k in range(levels):
        i, column = base + k, k * leading
        before, after = i - levels, i + levels
        o, r, w = load(own, i, number), load(right, i, number), load(a, i, number)
        # The row to the left meets this column on its right, the row to the right on its left.
        by_left, w_left = load(right, before, number), load(a, before, number)
        by_right, w_right = load(left, after, number), load(a, after, number)
        diagonal = w * o * o + w_left * by_left * by_left + w_right * by_right * by_right
        diagonal = diagonal + load(q, i, number) + load(q, before, number)
        near = w * o * r + w_right * by_right * load(own, after, number) - load(q, i, number)
        far = w_right * by_right * load(right, after, number)
        if k > 0:
            o, w = load(own_after, i - 1, number), load(a, i - 1, number)
            diagonal = diagonal + w * o * o
            near = near + w * o * load(right_after, i - 1, number)
            lower = w * o * load(right, i - 1, number)
            o, w = load(right_after, before - 1, number), load(a, before - 1, number)
            diagonal = diagonal + w * o * o
            o, w = load(left_after, after - 1, number), load(a, after - 1, number)
            diagonal = diagonal + w * o * o
            near = near + w * o * load(own_after, after - 1, number)
            far = far + w * o * load(right_after, after - 1, number)
            store(panel, column + levels + k - 1, lower + w * o * load(own, after - 1, number), number)
            store(panel, column + 2 * levels + k - 1, w * o * load(right, after - 1, number), number)
        if k < levels - 1:
            o, w = load(own, i, number), load(a, i, number)
            same = w * o * load(own_after, i, number) + w_left * by_left * load(right_after, before, number)
            same = same + w_right * by_right * load(left_after, after, number)
            store(panel, column + k + 1, same, number)
            upper = w * o * load(right_after, i, number) + w_right * by_right * load(own_after, after, number)
            store(panel, column + levels + k + 1, upper, number)
            store(panel, column + 2 * levels + k + 1, w_right * by_right * load(right_after, after, number), number)
        store(panel, column + k, diagonal, number)
        store(panel, column + levels + k, near, number)
        store(panel, column + 2 * levels + k, far, number)


@kernel
def substitute(
    n: int,
    levels: int,
    matrix: Array,
    pivots: Array,
    sides: Array,
    side_length: int,
    sides_used: int,
    leading: int,
    columns: int,
    beyond: int,
    number: Any,
) -> None:
    """Replace right-hand sides that :func:`eliminate` has left by the solutions; parameters as there.

    ``beyond`` is 1 for finite volumes, else 0.
    """
    for j in range(n - 1, -1, -1):
        here = j * columns * leading
        for side in range(sides_used):
            at = side * side_length + (j + 1) * levels
            x_after = load(sides, at, number)
            for c in range(levels - 1, -1, -1):
                column = here + c * leading
                behind = dot(matrix, column + levels, sides, at + levels, min(levels + c + 1 + beyond, 2 * levels), number)
                x = load(sides, at + c, number) - behind
                for r in range(levels - 1, c + 1, -1):
                    x = minus_product(x, load(matrix, column + r, number), load(sides, at + r, number))
                if c < levels - 1:
                    x = minus_product(x, load(matrix, column + c + 1, number), x_after)
                x_after = x * load(pivots, j * levels + c, number)
                store(sides, at + c, x_after, number)
