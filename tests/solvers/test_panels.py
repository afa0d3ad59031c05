"""Elimination by panels against a dense solver, for one system and for eight."""

import numpy as np
import pytest

from dajko import Grid
from dajko.lanes import LANES, PLAIN, WIDTH
from dajko.solvers.primal_dual import layout, panels


def cells(values, levels):
    """Values at nodes and levels with ghost nodes around; shape (n, levels, lanes) to (cells, lanes)."""
    n, _, lanes = values.shape
    ghosts = np.zeros((levels, lanes))
    return np.concatenate([ghosts, values.reshape(n * levels, lanes), ghosts, ghosts, np.zeros((2 * WIDTH, lanes))])


def system(n, levels, lanes, sides, seed=0):
    """The numbers that S is made of, S itself assembled from its definition, and right-hand sides; lanes last."""
    rng = np.random.default_rng(seed)
    a, c = rng.uniform(0.1, 1.0, (n, levels, lanes)), rng.standard_normal((n, levels, lanes))
    c[[0, -1]] = 0.0
    kinetic = rng.uniform(0.1, 1.0, (n, levels, lanes)) * (c != 0)
    matrix = np.zeros((lanes, n * levels, n * levels))
    for j in range(n):
        for k in range(levels):
            for lane in range(lanes):
                ell, p, i = np.zeros(n * levels), np.zeros(n * levels), j * levels + k
                ell[i] = 1.0
                if k < levels - 1:
                    ell[i + 1] = -1.0
                if 0 < j < n - 1:
                    p[i + levels], p[i - levels] = 1.0, -1.0
                    ell -= c[j, k, lane] * p
                matrix[lane] += a[j, k, lane] * np.outer(ell, ell) + kinetic[j, k, lane] * np.outer(p, p)
    right = rng.standard_normal((sides, n, levels, lanes))
    return a, a * c**2 + kinetic, a * c, matrix, right


def solve(a, b, e, right, number, stencil=None):
    n, levels, lanes = a.shape
    place = panels.layout(levels)
    room = 4 * WIDTH * lanes
    matrix = np.zeros(n * place.columns * place.leading * lanes + room)
    pivots, factors = np.zeros(n * levels * lanes + room), np.zeros(3 * place.columns * place.stride * lanes + room)
    panel = np.zeros(place.columns * place.leading * lanes + (levels + WIDTH) * lanes + room)
    flat = [np.ascontiguousarray(cells(v, levels)).reshape(-1) for v in (a, b, e)]
    sides = np.concatenate([cells(side, levels).reshape(-1) for side in right])
    length = flat[0].size // lanes
    arguments = (matrix, pivots, panel, factors, sides, length, len(right))
    tile = panels.WIDE if place.wide else panels.NARROW
    panels.eliminate(n, levels, *flat, *arguments, place.leading, place.columns, place.stride, tile, stencil, number)
    beyond = 0 if stencil is None else 1
    panels.substitute(n, levels, matrix, pivots, sides, length, len(right), place.leading, place.columns, beyond, number)
    return sides.reshape(len(right), length, lanes)[:, levels : levels + n * levels]


@pytest.mark.parametrize(("n", "levels"), [(5, 1), (6, 2), (5, 3), (7, 4), (9, 5), (5, 7), (6, 8), (12, 10), (5, 17)])
def test_solution_and_agreement_to_the_last_bit(n, levels):
    a, b, e, matrix, right = system(n, levels, WIDTH, sides=3)
    together = solve(a, b, e, right, LANES)
    for lane in range(WIDTH):
        expected = np.linalg.solve(matrix[lane], right[..., lane].reshape(3, -1).T).T
        np.testing.assert_allclose(together[..., lane], expected, rtol=1e-8, atol=1e-10)
        one = slice(lane, lane + 1)
        alone = solve(a[..., one], b[..., one], e[..., one], right[..., one], PLAIN)
        np.testing.assert_array_equal(alone[..., 0], together[..., lane])


def finite_volumes(n, levels, lanes, sides):
    """The same of finite volumes: rows ``l`` of a cell meet both neighbours at two levels, and p two neighbours."""
    rng = np.random.default_rng(1)
    a, q = rng.uniform(0.1, 1.0, (2, n, levels, lanes))
    q[-1] = 0.0
    rows = {name: rng.standard_normal((n, levels, lanes)) for name in layout.Stencil._fields}
    for name in rows:
        rows[name][-1 if "right" in name else 0] *= "own" in name
        if "after" in name:
            rows[name][:, -1] = 0.0
    matrix = np.zeros((lanes, n * levels, n * levels))
    for j in range(n):
        for k in range(levels):
            for lane in range(lanes):
                ell, p, i = np.zeros(n * levels), np.zeros(n * levels), j * levels + k
                for shift, name in ((0, "own"), (levels, "right"), (-levels, "left")):
                    for after, suffix in ((0, ""), (1, "_after")):
                        value = rows[name + suffix][j, k, lane]
                        if value != 0.0:
                            ell[i + shift + after] = value
                p[i] = -1.0
                if j < n - 1:
                    p[i + levels] = 1.0
                matrix[lane] += a[j, k, lane] * np.outer(ell, ell) + q[j, k, lane] * np.outer(p, p)
    return a, q, rows, matrix, rng.standard_normal((sides, n, levels, lanes))


@pytest.mark.parametrize(("n", "levels"), [(5, 1), (6, 2), (5, 3), (7, 4), (9, 5), (5, 7), (6, 8), (12, 10), (5, 17)])
def test_finite_volumes(n, levels):
    a, q, rows, matrix, right = finite_volumes(n, levels, WIDTH, sides=3)

    def stencil(lanes):
        spread = (np.ascontiguousarray(cells(rows[name][..., lanes], levels)).reshape(-1) for name in layout.Stencil._fields)
        return layout.Stencil(*spread)

    together = solve(a, q, np.zeros_like(a), right, LANES, stencil(slice(None)))
    for lane in range(WIDTH):
        expected = np.linalg.solve(matrix[lane], right[..., lane].reshape(3, -1).T).T
        np.testing.assert_allclose(together[..., lane], expected, rtol=1e-7, atol=1e-8)
        one = slice(lane, lane + 1)
        alone = solve(a[..., one], q[..., one], np.zeros_like(a[..., one]), right[..., one], PLAIN, stencil(one))
        np.testing.assert_array_equal(alone[..., 0], together[..., lane])


@pytest.mark.parametrize(("n", "levels"), [(5, 4), (6, 8), (5, 17), (5, 25), (6, 40)])
@pytest.mark.parametrize(("number", "lanes"), [(PLAIN, 1), (LANES, WIDTH)])
def test_arrays_are_as_long_as_what_is_read(n, levels, number, lanes):
    """Behind every array of the solver lies NaN, which even a factor 0 does not hide."""
    a, b, e, dense, right = system(n, levels, lanes, sides=1)
    mesh = layout.mesh(Grid(0.0, 1.0, n - 1, levels))
    work = layout.work_space(mesh, 0, 0, number)

    def guarded(array):
        return np.concatenate([array, np.full(1000 * lanes, np.nan)])[: array.size]

    def spread(values):
        found = np.zeros((mesh.cells, lanes))
        found[levels : levels + n * levels] = values.reshape(n * levels, lanes)
        return guarded(found.reshape(-1))

    matrix, pivots, panel, factors = (guarded(x) for x in (work.matrix, work.pivots, work.panel, work.factors))
    sides, place = spread(right[0]), panels.layout(levels)
    arguments = (matrix, pivots, panel, factors, sides, mesh.cells, 1, place.leading, place.columns, place.stride)
    tile = panels.WIDE if place.wide else panels.NARROW
    panels.eliminate(n, levels, spread(a), spread(b), spread(e), *arguments, tile, None, number)
    panels.substitute(n, levels, matrix, pivots, sides, mesh.cells, 1, place.leading, place.columns, 0, number)
    found = sides.reshape(mesh.cells, lanes)[levels : levels + n * levels]
    for lane in range(lanes):
        np.testing.assert_allclose(
            found[:, lane], np.linalg.solve(dense[lane], right[0, ..., lane].reshape(-1)), rtol=1e-7, atol=1e-9
        )
