"""Every operation on eight lanes against the same operation on one double."""

import numpy as np

from dajko._numba import kernel
from dajko.lanes import (
    LANES,
    PLAIN,
    WIDTH,
    as_group,
    as_number,
    largest_of,
    load,
    load_group,
    maximum,
    minimum,
    minus_product,
    plus_product,
    shared,
    spread,
    step,
    store,
    store_group,
)
from dajko.lanes.sums import accumulate, dot, total


@kernel
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


@kernel
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
