"""Every operation on eight lanes against the same operation on one double."""

import numpy as np

from dajko._numba import exact_kernel
from dajko.solvers.lanes import LANES, PLAIN, WIDTH, add, as_number, load, maximum, minimum, minus_product, store


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
    add(out, 11, x, number)


def test_operations():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(WIDTH), rng.standard_normal(WIDTH)
    out = np.zeros(12 * WIDTH)
    everything(a, b, out, LANES)
    for lane in range(WIDTH):
        single = np.zeros(12)
        everything(a[lane : lane + 1].copy(), b[lane : lane + 1].copy(), single, PLAIN)
        np.testing.assert_array_equal(out.reshape(12, WIDTH)[:, lane], single)
    x, y = a, b
    np.testing.assert_array_equal(
        out.reshape(12, WIDTH)[:8], [x + y, x - y, x * y, x / y, -x, np.abs(x), np.minimum(x, y), np.maximum(x, y)]
    )
    np.testing.assert_allclose(out.reshape(12, WIDTH)[8], x - x * y, rtol=1e-12)
    np.testing.assert_allclose(out.reshape(12, WIDTH)[11], (x + y - 0.3) * y / x + x, rtol=1e-12)
