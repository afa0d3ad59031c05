"""Operations on tiles against NumPy, for one matrix and for eight."""

import numpy as np

from dajko._numba import kernel
from dajko.lanes import LANES, PLAIN, WIDTH, step
from dajko.lanes.tiles import factor_square, load_tile, minus_earlier_columns, minus_products, store_tile


@kernel
def in_tiles(matrix, factors, pivots, leading, shape, number):
    """Eliminate a matrix of three columns, which is a tile wide: entry (r, c) stands at ``c leading + r``."""
    factor_square(matrix, 0, leading, pivots, 0, factors, 0, 4, shape, number)
    for row in range(0, 2 * WIDTH, len(shape[0]) * step(number)):
        tile = minus_earlier_columns(load_tile(matrix, row, leading, shape, number), factors, 0, 4, shape, number)
        store_tile(matrix, row, leading, tile, shape, number)


@kernel
def minus_outer(matrix, factors, column, leading, shape, number):
    for row in range(0, 2 * WIDTH, len(shape[0]) * step(number)):
        tile = load_tile(matrix, row, leading, shape, number)
        store_tile(matrix, row, leading, minus_products(tile, factors, 1, column, row, shape, number), shape, number)


def test_tiles():
    rng = np.random.default_rng(2)
    rows, columns = 2 * WIDTH, 3
    full = rng.uniform(-1, 1, (columns, rows, WIDTH))
    for c in range(columns):
        full[c, c] += 5.0
        full[:c, c] = full[c, :c]  # symmetric above
    factors, column = rng.standard_normal((columns + 1, WIDTH)), rng.standard_normal((rows, WIDTH))
    for number, lanes, shape in ((PLAIN, 1, ((0,) * 2, (0,) * 3)), (LANES, WIDTH, ((0,) * 4, (0,) * 3))):
        for lane in range(0, WIDTH, lanes):
            pick = slice(lane, lane + lanes)
            matrix, found, pivots = full[..., pick].copy().reshape(-1), np.zeros(16 * lanes), np.zeros(3 * lanes)
            in_tiles(matrix, found, pivots, rows, shape, number)
            updated = full[..., pick].copy().reshape(-1)
            pieces = factors[:, pick].copy().reshape(-1), column[:, pick].copy().reshape(-1)
            minus_outer(updated, *pieces, rows, shape, number)
            for which in range(lanes):
                lower = matrix.reshape(columns, rows, lanes)[..., which]
                given = full[..., lane + which]
                # U = L D with L the elimination factors: U D^-1 U^T is the matrix again.
                u = np.array([np.where(np.arange(rows) >= c, lower[c], 0.0) for c in range(columns)])
                again = np.einsum("pr,p,pc->cr", u, pivots.reshape(3, lanes)[:, which], u[:, :columns])
                for c in range(columns):
                    np.testing.assert_allclose(again[c, c:], given[c, c:], rtol=1e-12, atol=1e-12)
                expected = given - np.outer(factors[1:, lane + which], column[:, lane + which])
                np.testing.assert_allclose(updated.reshape(columns, rows, lanes)[..., which], expected, rtol=1e-12)
