"""Every operation on eight lanes against the same operation on one double."""

import sys
from typing import NamedTuple

import numpy as np

from dajko._numba import kernel
from dajko.lanes import (
    LANES,
    PLAIN,
    WIDTH,
    as_group,
    as_number,
    lane_count,
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
    where_above,
)
from dajko.lanes.pointers import bare
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
    store(out, 13, where_above(x, y, 2.0 * x, -y), number)
    store(out, 14, where_above(y, x, 2.0 * x, -y), number)


def test_operations():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(WIDTH), rng.standard_normal(WIDTH)
    out = np.zeros(15 * WIDTH)
    everything(a, b, out, LANES)
    for lane in range(WIDTH):
        single = np.zeros(15)
        everything(a[lane : lane + 1].copy(), b[lane : lane + 1].copy(), single, PLAIN)
        np.testing.assert_array_equal(out.reshape(15, WIDTH)[:, lane], single)
    x, y = a, b
    np.testing.assert_array_equal(
        out.reshape(15, WIDTH)[:8], [x + y, x - y, x * y, x / y, -x, np.abs(x), np.minimum(x, y), np.maximum(x, y)]
    )
    np.testing.assert_allclose(out.reshape(15, WIDTH)[8], x - x * y, rtol=1e-12)
    np.testing.assert_allclose(out.reshape(15, WIDTH)[11], (x + y - 0.3) * y / x, rtol=1e-12)
    np.testing.assert_allclose(out.reshape(15, WIDTH)[12], x + x * y, rtol=1e-12)


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


class Pair(NamedTuple):
    first: np.ndarray
    second: np.ndarray


class Nested(NamedTuple):
    size: int
    pair: Pair
    square: np.ndarray


@kernel
def _swap(nested):
    for i in range(nested.size):
        nested.pair.first[i], nested.pair.second[i] = nested.pair.second[i], nested.pair.first[i]
    nested.square[:] = nested.square + nested.square.sum()


@kernel
def swap(nested):
    _swap(bare(nested))


def test_bare_tuples_reach_the_same_memory_and_own_nothing():
    """Arrays of more axes stay arrays; after many calls everybody still has the references that it had."""
    a, b, square = np.arange(5.0), -np.arange(5.0), np.ones((2, 2))
    nested = Nested(5, Pair(a, b), square)
    before = [sys.getrefcount(array) for array in (a, b, square)]
    for _ in range(101):
        square[:] = 1.0
        swap(nested)
    assert [sys.getrefcount(array) for array in (a, b, square)] == before
    np.testing.assert_array_equal(a, -np.arange(5.0))
    np.testing.assert_array_equal(b, np.arange(5.0))
    np.testing.assert_array_equal(square, 5.0)


@kernel
def count(number):
    return lane_count(number)


def test_lanes_are_counted():
    assert (count(PLAIN), count(LANES)) == (1, WIDTH)
