"""Sums over many entries, for kernels of one problem or of eight (:mod:`dajko.lanes`).

They run over eight partial sums either way, which are added up in one order: the result is the same to the last bit.
"""

from __future__ import annotations

from typing import Any

from numba import extending

from dajko._numba import inline_kernel
from dajko.grid import Array
from dajko.lanes import (
    WIDTH,
    as_group,
    as_number,
    in_lanes,
    load,
    load_group,
    plus_product,
    store_group,
    sum_of,
)


@inline_kernel
def accumulate(sums: Array, which: int, entry: int, group: Any, number: Any) -> None:
    """Add the group that begins at ``entry``, counted from where the sum begins, to the partial sums number ``which``."""
    slot = which * WIDTH + entry % WIDTH
    store_group(sums, slot, load_group(sums, slot, number) + group, number)


@inline_kernel
def total(sums: Array, which: int, number: Any) -> Any:
    """The number that partial sums add up to."""
    p = which * WIDTH
    even = (load(sums, p, number) + load(sums, p + 4, number)) + (load(sums, p + 2, number) + load(sums, p + 6, number))
    odd = (load(sums, p + 1, number) + load(sums, p + 5, number)) + (load(sums, p + 3, number) + load(sums, p + 7, number))
    return even + odd


def dot(a: Array, i: int, b: Array, j: int, count: int, number: Any) -> Any:
    """``sum_r a[i + r] b[j + r]`` over ``count`` entries; both arrays must go on to the end of the last group.

    Where ``count`` is no multiple of eight, one of the arrays must hold zeros, the other finite numbers, behind.
    """
    raise TypeError("dot can only be called by compiled kernels")


# Numba compares the arguments of an overload with those of what it returns, annotations included: so there are none.


@extending.overload(dot)
def _dot(a, i, b, j, count, number):
    if in_lanes(number):

        def lanes(a, i, b, j, count, number):
            zero = as_number(0.0, number)
            s0, s1, s2, s3, s4, s5, s6, s7 = zero, zero, zero, zero, zero, zero, zero, zero
            r = 0
            while r < count:
                s0 = plus_product(s0, load(a, i + r, number), load(b, j + r, number))
                if r + 1 < count:
                    s1 = plus_product(s1, load(a, i + r + 1, number), load(b, j + r + 1, number))
                if r + 2 < count:
                    s2 = plus_product(s2, load(a, i + r + 2, number), load(b, j + r + 2, number))
                if r + 3 < count:
                    s3 = plus_product(s3, load(a, i + r + 3, number), load(b, j + r + 3, number))
                if r + 4 < count:
                    s4 = plus_product(s4, load(a, i + r + 4, number), load(b, j + r + 4, number))
                if r + 5 < count:
                    s5 = plus_product(s5, load(a, i + r + 5, number), load(b, j + r + 5, number))
                if r + 6 < count:
                    s6 = plus_product(s6, load(a, i + r + 6, number), load(b, j + r + 6, number))
                if r + 7 < count:
                    s7 = plus_product(s7, load(a, i + r + 7, number), load(b, j + r + 7, number))
                r += WIDTH
            return ((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7))

        return lanes

    def plain(a, i, b, j, count, number):
        sums = as_group(0.0, number)
        for r in range(0, count, WIDTH):
            sums = plus_product(sums, load_group(a, i + r, number), load_group(b, j + r, number))
        return sum_of(sums, number)

    return plain
