"""Small dense systems, for kernels of one problem or of eight (:mod:`dajko.lanes`)."""

from __future__ import annotations

from typing import Any

from dajko._numba import kernel
from dajko.grid import Array
from dajko.lanes import load, store


@kernel
def solve_dense(matrix: Array, t: Array, size: int, number: Any) -> None:
    """Gaussian elimination of a small positive definite system, in place."""
    for o in range(size):
        for p in range(o + 1, size):
            factor = load(matrix, p * size + o, number) / load(matrix, o * size + o, number)
            for c in range(o, size):
                entry = load(matrix, p * size + c, number) - factor * load(matrix, o * size + c, number)
                store(matrix, p * size + c, entry, number)
            store(t, p, load(t, p, number) - factor * load(t, o, number), number)
    for o in range(size - 1, -1, -1):
        left = load(t, o, number)
        for p in range(o + 1, size):
            left -= load(matrix, o * size + p, number) * load(t, p, number)
        store(t, o, left / load(matrix, o * size + o, number), number)
