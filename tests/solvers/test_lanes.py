"""Every operation on eight lanes against the same operation on one double."""

import numpy as np

from dajko._numba import exact_kernel
from dajko.solvers.lanes import (
    LANES,
    PLAIN,
    WIDTH,
    accumulate,
    as_group,
    as_number,
    dot,
    factor_square,
    largest_of,
    load,
    load_group,
    load_tile,
    maximum,
    minimum,
    minus_earlier_columns,
    minus_product,
    minus_products,
    plus_product,
    shared,
    spread,
    step,
    store,
    store_group,
    store_tile,
    total,
)


@exact_kernel
def everything(a, b, out, number):
    x, y = load(a, 0, number), load(b, 0, number)
    store(out, 0, x + y, number)
    store(out, 1, x - y, number)
    store(out, 2, x * y, number)
    store(out, 3, x / y, number)
    store(out, 4, -x, number)
    store(out, 5, abs(x), number)
    store(out, 6, minimum(x, y), number)
    store(out, 7, maximum(x, y), number)
    store(out, 8, minus_product(x, x, y), number)
    store(out, 9, 2.0 * x + y * 3.0 - 1.0 / y, number)
    store(out, 10, as_number(0.1, number), number)
    total = x
    total += y
    total -= 0.3
    total *= y
    total /= x
    store(out, 11, total, number)
    store(out, 12, plus_product(x, x, y), number)


def test_operations():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(WIDTH), rng.standard_normal(WIDTH)
    out = np.zeros(13 * WIDTH)
    everything(a, b, out, LANES)
    for lane in range(WIDTH):
        single = np.zeros(13)
        everything(a[lane : lane + 1].copy(), b[lane : lane + 1].copy(), single, PLAIN)
        np.testing.assert_array_equal(out.reshape(13, WIDTH)[:, lane], single)
    x, y = a, b
    np.testing.assert_array_equal(
        out.reshape(13, WIDTH)[:8], [x + y, x - y, x * y, x / y, -x, np.abs(x), np.minimum(x, y), np.maximum(x, y)]
    )
    np.testing.assert_allclose(out.reshape(13, WIDTH)[8], x - x * y, rtol=1e-12)
    np.testing.assert_allclose(out.reshape(13, WIDTH)[11], (x + y - 0.3) * y / x, rtol=1e-12)
    np.testing.assert_allclose(out.reshape(13, WIDTH)[12], x + x * y, rtol=1e-12)


@exact_kernel
def in_groups(a, b, common, sums, out, number):
    """``out = a common - 2 a[3] + max(a)`` entry by entry, then the sums of ``a`` and of ``a b``, over 24 entries."""
    largest = as_group(-1e300, number)
    for i in range(0, 24, step(number)):
        largest = maximum(largest, load_group(a, i, number))
    top = as_group(largest_of(largest, number), number)
    for i in range(0, 24, step(number)):
        x = load_group(a, i, number)
        store_group(out, i, x * shared(common, i, number) - 2.0 * spread(a, 3, number) + top, number)
        accumulate(sums, 1, i, x, number)
    store(out, 24, total(sums, 1, number), number)
    store(out, 25, dot(a, 0, b, 0, 21, number), number)


def test_groups_hold_entries_of_one_problem_or_one_entry_of_eight():
    rng = np.random.default_rng(1)
    a, b, common = rng.standard_normal((24, WIDTH)), rng.standard_normal((24, WIDTH)), rng.standard_normal(24)
    b[21:] = 0.0
    out = np.zeros((26, WIDTH))
    in_groups(a.reshape(-1), b.reshape(-1), common, np.zeros(2 * WIDTH * WIDTH), out.reshape(-1), LANES)
    for lane in range(WIDTH):
        single, x, y = np.zeros(26), a[:, lane].copy(), b[:, lane].copy()
        in_groups(x, y, common, np.zeros(2 * WIDTH), single, PLAIN)
        np.testing.assert_array_equal(out[:, lane], single)
        np.testing.assert_allclose(single[:24], x * common - 2.0 * x[3] + x.max(), rtol=1e-13)
        np.testing.assert_allclose(single[24:], [x.sum(), x @ y], rtol=1e-12)


@exact_kernel
def in_tiles(matrix, factors, pivots, leading, shape, number):
    """Eliminate a matrix of three columns, which is a tile wide: entry (r, c) stands at ``c leading + r``."""
    factor_square(matrix, 0, leading, pivots, 0, factors, 0, 4, shape, number)
    for row in range(0, 2 * WIDTH, len(shape[0]) * step(number)):
        tile = minus_earlier_columns(load_tile(matrix, row, leading, shape, number), factors, 0, 4, shape, number)
        store_tile(matrix, row, leading, tile, shape, number)


@exact_kernel
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
