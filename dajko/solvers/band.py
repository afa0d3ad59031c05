"""Symmetric positive definite band matrices: elimination ``L D L^T`` and substitution, for kernels.

The lower half is stored by columns: entry ``i (b + 1) + d`` of the array is ``S[i + d, i]``, ``d = 0 ... b``, with ``b``
more columns behind the last, so that no loop has to stop early. After elimination it holds ``1 / D[i]`` and ``L[i + d, i]``.
"""

from __future__ import annotations

from typing import Any

from dajko._numba import exact_kernel
from dajko.grid import Array
from dajko.solvers.lanes import as_number, load, minus_product, store


@exact_kernel
def eliminate(a: Array, z: Array, first: int, last: int, b: int, number: Any) -> None:
    """Eliminate columns ``first`` to ``last - 1`` from the matrix ``a`` and the right-hand side ``z``.

    Columns go two at a time, which halves how often the columns behind them are read and written.
    """
    width = b + 1
    one = as_number(1.0, number)
    i = first
    while i + 1 < last:
        p, q = i * width, (i + 1) * width
        d_p = one / load(a, p, number)
        ratio = load(a, p + 1, number) * d_p
        for c in range(b):
            store(a, q + c, minus_product(load(a, q + c, number), ratio, load(a, p + 1 + c, number)), number)
        d_q = one / load(a, q, number)
        z_p = load(z, i, number)
        z_q = minus_product(load(z, i + 1, number), ratio, z_p)
        store(z, i + 1, z_q, number)
        for r in range(2, b + 1):
            l_p, l_q = load(a, p + r, number) * d_p, load(a, q + r - 1, number) * d_q
            target = p + r * width
            for c in range(b + 1 - r):
                once = minus_product(load(a, target + c, number), l_p, load(a, p + r + c, number))
                store(a, target + c, minus_product(once, l_q, load(a, q + r - 1 + c, number)), number)
            c = b + 1 - r
            store(a, target + c, minus_product(load(a, target + c, number), l_q, load(a, q + b, number)), number)
            store(z, i + r, minus_product(minus_product(load(z, i + r, number), l_p, z_p), l_q, z_q), number)
        l_q = load(a, q + b, number) * d_q
        target = p + (b + 1) * width
        store(a, target, minus_product(load(a, target, number), l_q, load(a, q + b, number)), number)
        store(z, i + b + 1, minus_product(load(z, i + b + 1, number), l_q, z_q), number)
        for r in range(1, b + 1):
            store(a, p + r, load(a, p + r, number) * d_p, number)
            store(a, q + r, load(a, q + r, number) * d_q, number)
        store(a, p, d_p, number)
        store(a, q, d_q, number)
        i += 2
    if i < last:
        p = i * width
        d_p, z_p = one / load(a, p, number), load(z, i, number)
        for r in range(1, b + 1):
            l_p = load(a, p + r, number) * d_p
            target = p + r * width
            for c in range(b + 1 - r):
                store(a, target + c, minus_product(load(a, target + c, number), l_p, load(a, p + r + c, number)), number)
            store(z, i + r, minus_product(load(z, i + r, number), l_p, z_p), number)
        for r in range(1, b + 1):
            store(a, p + r, load(a, p + r, number) * d_p, number)
        store(a, p, d_p, number)


@exact_kernel
def substitute_forward(a: Array, z: Array, size: int, b: int, number: Any) -> None:
    """Replace the right-hand side ``z``, ``size + b`` long, by ``L^-1 z``."""
    for i in range(size):
        z_i, p = load(z, i, number), i * (b + 1)
        for r in range(1, b + 1):
            store(z, i + r, minus_product(load(z, i + r, number), load(a, p + r, number), z_i), number)


@exact_kernel
def substitute_backward(a: Array, z: Array, size: int, b: int, number: Any) -> None:
    """Replace ``z`` by ``L^-T D^-1 z``; its last ``b`` entries must be 0."""
    for i in range(size - 1, -1, -1):
        p = i * (b + 1)
        even, odd = load(z, i, number) * load(a, p, number), as_number(0.0, number)
        # Two sums, because each waits for its last term; b is even.
        for r in range(2, b + 1, 2):
            even = minus_product(even, load(a, p + r, number), load(z, i + r, number))
            odd = minus_product(odd, load(a, p + r - 1, number), load(z, i + r - 1, number))
        store(z, i, even + odd, number)
