"""What kernels know of steps in mass elements; all of it without units, as :mod:`.method` makes it.

A density is N elements that follow one another, with given masses ``m_i``, spread evenly between their ends ``x_i`` and
``x_{i+1}``; the ends are samples of the quantile function. Lengths are those of the interval, about its centre, and the
mass is 1. Elements without mass are vacuum: the first and the last, between the density and the walls, and every empty cell
of the grid. Problems that are solved together are lanes, the innermost axis, as in :mod:`dajko.lanes`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dajko.grid import Array


class Flows(NamedTuple):
    """What stays the same along flows of N elements."""

    law: int  # exponent of all internal energies where that is 0, 1, 2 or 3; -1 where they differ, or it is another one
    exponent: Array  # one a problem
    pressure: Array  # one a problem, b in the pressure (b m / h)^exponent
    intervals: int  # of potential and footprints
    attracted: bool  # whether there is a potential
    fitted: bool  # whether there are footprints
    potential: Array  # (4, intervals) one a problem, cubic polynomials of tau V; empty without potential
    linear: Array  # numbers, of B = linear b + quadratic b2 - square b^2 + int K, b and b2 moments about the centre
    quadratic: Array  # numbers
    square: Array  # numbers
    footprint: Array  # numbers of (4, intervals), cubic polynomials of K; empty where all observations are moments
    theta: Array  # numbers
    drive: Array  # one a problem, the largest force of the potential on an element
    spacing: float  # of the intervals of potential and footprint, the first of which begins at
    start: float
    second: Array  # one a problem, 1 for variational BDF2, 0 for implicit Euler
    tol: Array  # one a problem


class State(NamedTuple):
    """The unknowns, and what a step starts from."""

    m: Array  # N
    x: Array  # N + 1
    contact: Array  # N, multipliers of x_{i+1} > x_i
    y: Array  # numbers, (B - v) / theta
    old: Array  # N + 1, the ends from which the transport is measured
    before: Array  # N + 1, the ends a step earlier, for the prediction
    value: Array  # numbers, v
    seen: Array  # numbers, 1, or 0 where there is no datum
    warm: Array  # one a problem, 1 where a step goes on as the one before, else 0


class Work(NamedTuple):
    """Scratch space. The columns are the observations, and one for the square of the first moment."""

    inverse: Array  # N, 1 / h
    push: Array  # N, pressure and what the multipliers are to become
    stiffness: Array  # N, minus its derivative by h
    force: Array  # N + 1, of potential and footprints on a unit of mass
    bend: Array  # N + 1, its derivative
    gradient: Array  # columns of N + 1
    footprint: Array  # numbers of N + 1, K at the ends
    pivot: Array  # N + 1, inverses of the pivots of the elimination
    ratio: Array  # N + 1, entries beside the diagonal over pivots
    products: Array  # columns x (columns + 1), of gradients with solutions
    sides: Array  # columns + 1 of N + 1, right-hand side and columns
    residual: Array  # columns
    dense: Array  # columns x columns
    t: Array  # columns
    active: Array  # one a problem, 1 or 0
    iterations: Array  # one a problem
    change: Array  # one a problem, of the last Newton step
    gas: Array  # one a problem, mu of h contact = mu
    moments: Array  # three a problem: mass, first, second
    inertia: Array  # one a problem, the factor of the transport
    curvature: Array  # two a problem: factor of the mass matrix, coefficient of the square of the first moment
    steps: Array  # two a problem, by how much a step shrinks and stretches elements; then how far it goes
    shrink: Array  # one a problem, largest part of its width that an element may lose in a step


def state(n: int, numbers: int, lanes: int) -> State:
    """Room for the unknowns."""
    return State(
        m=np.zeros(n * lanes),
        x=np.zeros((n + 1) * lanes),
        contact=np.zeros(n * lanes),
        y=np.zeros(numbers * lanes),
        old=np.zeros((n + 1) * lanes),
        before=np.zeros((n + 1) * lanes),
        value=np.zeros(numbers * lanes),
        seen=np.zeros(numbers * lanes),
        warm=np.zeros(lanes),
    )


def work(n: int, columns: int, lanes: int) -> Work:
    """Scratch space for N elements."""
    ends = (n + 1) * lanes
    return Work(
        **{name: np.zeros(n * lanes) for name in ("inverse", "push", "stiffness")},
        **{name: np.zeros(ends) for name in ("force", "bend", "pivot", "ratio")},
        gradient=np.zeros(columns * ends),
        footprint=np.zeros(columns * ends),
        products=np.zeros(columns * (columns + 1) * lanes),
        sides=np.zeros((columns + 1) * ends),
        residual=np.zeros(columns * lanes),
        dense=np.zeros(columns * columns * lanes),
        t=np.zeros(columns * lanes),
        **{name: np.zeros(lanes) for name in ("active", "iterations", "change", "gas", "shrink", "inertia")},
        moments=np.zeros(3 * lanes),
        curvature=np.zeros(2 * lanes),
        steps=np.zeros(2 * lanes),
    )
