"""Band elimination against SciPy, for one system and for eight."""

import numpy as np
import pytest
from scipy.linalg import solveh_banded

from dajko.solvers.band import eliminate, substitute_backward, substitute_forward
from dajko.solvers.lanes import LANES, PLAIN, WIDTH


def systems(size, b, lanes, seed):
    """Diagonally dominant band matrices and right-hand sides, lanes last; b empty columns at the end."""
    rng = np.random.default_rng(seed)
    a = np.zeros((size + b, b + 1, lanes))
    z = np.zeros((size + b, lanes))
    a[:size, 0] = 2.0 * b + rng.random((size, lanes))
    for d in range(1, b + 1):
        a[: size - d, d] = rng.uniform(-1, 1, (size - d, lanes))
    z[:size] = rng.standard_normal((size, lanes))
    return a, z


@pytest.mark.parametrize(("size", "b"), [(7, 2), (12, 4), (45, 10), (33, 6), (8, 8)])
@pytest.mark.parametrize(("number", "lanes"), [(PLAIN, 1), (LANES, WIDTH)])
@pytest.mark.parametrize("chunk", [1, 3, 10])
def test_solution(size, b, number, lanes, chunk):
    matrix, right = systems(size, b, lanes, seed=size)
    a, z = matrix.copy().reshape(-1), right.copy().reshape(-1)
    for first in range(0, size, chunk):
        eliminate(a, z, first, min(first + chunk, size), b, number)
    z.reshape(-1, lanes)[size:] = 0.0
    substitute_backward(a, z, size, b, number)
    again = right.copy().reshape(-1)
    substitute_forward(a, again, size, b, number)
    again.reshape(-1, lanes)[size:] = 0.0
    substitute_backward(a, again, size, b, number)
    for lane in range(lanes):
        expected = solveh_banded(matrix[:size, :, lane].T, right[:size, lane], lower=True)
        np.testing.assert_allclose(z.reshape(-1, lanes)[:size, lane], expected, rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(again.reshape(-1, lanes)[:size, lane], expected, rtol=1e-10, atol=1e-13)


def test_a_lane_is_the_plain_number_to_the_last_bit():
    size, b = 50, 12
    matrix, right = systems(size, b, WIDTH, seed=1)
    a, z = matrix.copy().reshape(-1), right.copy().reshape(-1)
    eliminate(a, z, 0, size, b, LANES)
    for lane in range(WIDTH):
        alone, single = np.ascontiguousarray(matrix[..., lane]).reshape(-1), np.ascontiguousarray(right[:, lane])
        eliminate(alone, single, 0, size, b, PLAIN)
        np.testing.assert_array_equal(a.reshape(-1, WIDTH)[:, lane], alone)
        np.testing.assert_array_equal(z.reshape(-1, WIDTH)[:, lane], single)
