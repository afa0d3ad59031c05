r"""Newton steps for the ends of mass elements: the kernels of ``quantile``.

*Objective.* In one dimension ``W2^2 = int_0^1 |X - X0|^2`` for the quantile functions of densities of mass 1, so that a JKO
step is, with the element ``h = x_{i+1} - x_i``, the displacement ``d = x - old`` and ``M_i`` half the masses beside an end,

    min   sum_i m_i (d_i^2 + d_i d_{i+1} + d_{i+1}^2) / 6  +  tau sum_i h U(m_i / h)  +  tau sum_i M_i V(x_i)
          + tau |B - v|^2 / (2 theta),        x_0 and x_N on the walls,  h >= 0,

exact for what is constant in each element but for the trapezoidal rule for V. ``-d/dh (h U(m / h)) = P(m / h)`` is the
pressure, ``P = rho^m`` for the power family, ``rho`` for the entropy.

*Second order in time.* The variational BDF2 scheme minimises, from the second step on, with ``old = X + (X - X_before) / 3``
and ``2 tau / 3`` (Matthes and Plazotta 2019): the same with 3 / 2 times the transport.

*Newton steps.* ``h >= 0`` has the multiplier ``contact``, ``h contact = mu``, with a ``mu`` that is next to nothing and does
not change: vacuum is a gas of no mass, whose pressure is felt where bumps meet, where mass is at a wall, and where there is
no internal energy. ``y = (B - v) / theta`` is an unknown, which keeps the equations well scaled for every theta. Linearised,
they are tridiagonal and positive definite in the ends, with a column for each observation:

    S d + sum_o g_o t_o + q M s M = -R,     g_o . d + r_o = theta_o t_o,     s = M . d,

``S = c (mass matrix) + springs + M (tau V'' + y K'')``; the second moment adds ``2 sum y_o quadratic_o`` to ``c``, the
square of the first ``q = -2 sum y_o square_o``. Negative curvature counts as far as S stays positive.
"""

from __future__ import annotations

from typing import Any

from dajko._numba import inline_kernel
from dajko.grid import Array
from dajko.lanes import as_number, lane_count, load, maximum, minimum, store
from dajko.lanes.dense import solve_dense
from dajko.solvers.mass_elements.layout import Flows, State, Work

# The largest part of its width that an element may lose in a Newton step; by how much the logarithm of a power may grow.
_SHRINK, _STEEPER = 0.9, 2.0
# The part of its width by which an element may differ from what the last Newton step left, where that is the end.
_STRETCH = 1e-3
# Negative curvature of potentials and data, as a part of that of the transport: the mass matrix has a third of its sums.
_HOLLOW = -0.3
_LEAST_FACTOR = 0.1
# The pressure of vacuum times its width, as a part of the largest force; elements of less mass than this are not waited for.
_GAS, _PRESENT = 1e-13, 1e12


@inline_kernel
def iterate(n: int, numbers: int, columns: int, flows: Flows, state: State, work: Work, limit: int, number: Any) -> None:
    """Newton steps until every active problem has converged, or so many."""
    lanes = lane_count(number)
    for iteration in range(limit):
        widths(n, flows, state, work, number)
        if flows.attracted or flows.fitted:
            fields(n, numbers, flows, state, work, number)
        measure(n, numbers, columns, flows, state, work, number)
        eliminate(n, numbers, columns, state, work, number)
        substitute(n, columns, work, number)
        if columns > 0:
            border(n, numbers, columns, flows, state, work, number)
        advance(n, numbers, columns, flows, state, work, number)
        moving = 0
        for lane in range(lanes):
            if work.active[lane] > 0.0:
                work.iterations[lane] = iteration + 1.0
                if work.change[lane] <= flows.tol[lane]:
                    work.active[lane] = 0.0
                else:
                    moving += 1
        if moving == 0:
            break


@inline_kernel
def widths(n: int, flows: Flows, state: State, work: Work, number: Any) -> None:
    """What elements push with, and how stiff they are."""
    x_, m_, contact_, inverse_, push_, stiffness_ = state.x, state.m, state.contact, work.inverse, work.push, work.stiffness
    b, mu, one = load(flows.pressure, 0, number), load(work.gas, 0, number), as_number(1.0, number)
    left = load(x_, 0, number)
    if flows.law >= 0:
        e = float(flows.law)
        for i in range(n):
            right = load(x_, i + 1, number)
            inverse = one / (right - left)
            density = b * load(m_, i, number) * inverse
            pressure = density * 0.0
            if flows.law == 1:
                pressure = density
            elif flows.law == 2:
                pressure = density * density
            elif flows.law == 3:
                pressure = density * density * density
            store(inverse_, i, inverse, number)
            store(push_, i, pressure + mu * inverse, number)
            store(stiffness_, i, (pressure * e + load(contact_, i, number)) * inverse, number)
            left = right
        return
    lanes = lane_count(number)
    for i in range(n):
        right = load(x_, i + 1, number)
        inverse = one / (right - left)
        store(inverse_, i, inverse, number)
        store(push_, i, b * load(m_, i, number) * inverse, number)
        left = right
        for lane in range(lanes):
            at = i * lanes + lane
            e = flows.exponent[lane]
            pressure_ = _power(push_[at], e)
            push_[at] = pressure_ + work.gas[lane] * inverse_[at]
            stiffness_[at] = (pressure_ * e + contact_[at]) * inverse_[at]


@inline_kernel
def fields(n: int, numbers: int, flows: Flows, state: State, work: Work, number: Any) -> None:
    """Forces of the potential at the ends, and what footprints are there."""
    lanes = lane_count(number)
    whole = flows.intervals
    for i in range(n + 1):
        for lane in range(lanes):
            at = i * lanes + lane
            x = state.x[at]
            k = min(max(int((x - flows.start) / flows.spacing), 0), whole - 1)
            s = x - flows.start - k * flows.spacing
            force, bend = 0.0, 0.0
            if flows.attracted:
                _, force, bend = _cubic(flows.potential, k * lanes + lane, whole * lanes, s)
            if flows.fitted:
                for o in range(numbers):
                    value, slope, curve = _cubic(flows.footprint, (4 * o * whole + k) * lanes + lane, whole * lanes, s)
                    bend += state.y[o * lanes + lane] * curve
                    work.footprint[(o * (n + 1) + i) * lanes + lane] = value
                    work.gradient[(o * (n + 1) + i) * lanes + lane] = slope
            work.force[at], work.bend[at] = force, bend


@inline_kernel
def _cubic(table: Array, first: int, apart: int, s: float) -> tuple[float, float, float]:
    """Value, slope and curvature of one of a table's polynomials, whose coefficients are so far apart, the highest first."""
    a, b, c, d = table[first], table[first + apart], table[first + 2 * apart], table[first + 3 * apart]
    return d + s * (c + s * (b + s * a)), c + s * (2.0 * b + 3.0 * s * a), 2.0 * b + 6.0 * s * a


@inline_kernel
def moments(n: int, state: State, ends: Array, out: Array, number: Any) -> None:
    """Mass, first and second moment of elements between ``ends``."""
    m_, zero = state.m, as_number(0.0, number)
    mass, first, second, left = zero, zero, zero, load(ends, 0, number)
    for i in range(n):
        right, m = load(ends, i + 1, number), load(m_, i, number)
        mass += m
        first += m * (left + right)
        second += m * (left * left + left * right + right * right)
        left = right
    store(out, 0, mass, number)
    store(out, 1, first * 0.5, number)
    store(out, 2, second * (1.0 / 3.0), number)


@inline_kernel
def measure(n: int, numbers: int, columns: int, flows: Flows, state: State, work: Work, number: Any) -> None:
    """``r``, the gradients of the observations, and the curvature that they have."""
    lanes, curvature = lane_count(number), work.curvature
    store(curvature, 0, load(work.inertia, 0, number), number)
    store(curvature, 1, as_number(0.0, number), number)
    if numbers == 0:
        return
    moments(n, state, state.x, work.moments, number)
    fitted = flows.fitted
    for o in range(numbers):
        for lane in range(lanes):
            at = o * lanes + lane
            first, second, y = work.moments[lanes + lane], work.moments[2 * lanes + lane], state.y[at]
            found = flows.linear[at] * first + flows.quadratic[at] * second - flows.square[at] * first * first
            work.residual[at] = state.seen[at] * (found - state.value[at]) - flows.theta[at] * y
            curvature[lane] += 2.0 * flows.quadratic[at] * y
            curvature[lanes + lane] -= 2.0 * flows.square[at] * y
    for lane in range(lanes):
        curvature[lane] = max(curvature[lane], _LEAST_FACTOR)
    x_, m_, gradient_, zero = state.x, state.m, work.gradient, as_number(0.0, number)
    for o in range(numbers):
        for lane in range(lanes):
            at = o * lanes + lane
            work.t[at] = flows.linear[at] - 2.0 * flows.square[at] * work.moments[lanes + lane]
        known = load(state.seen, o, number)
        along, across = load(work.t, o, number), known * load(flows.quadratic, o, number) * (1.0 / 3.0)
        before, left, here, seen = zero, zero, load(x_, 0, number), zero
        for i in range(n + 1):
            at = o * (n + 1) + i
            after, right = zero, zero
            if i < n:
                after, right = load(m_, i, number), load(x_, i + 1, number)
            half = (before + after) * 0.5
            slope = along
            if fitted:
                slope = slope + load(gradient_, at, number)
                seen = seen + half * load(work.footprint, at, number)
            pulled = before * (left + here * 2.0) + after * (here * 2.0 + right)
            store(gradient_, at, half * known * slope + across * pulled, number)
            before, left, here = after, here, right
        if fitted:
            store(work.residual, o, load(work.residual, o, number) + known * seen, number)
    if columns > numbers:
        before = zero
        for i in range(n + 1):
            after = zero
            if i < n:
                after = load(m_, i, number)
            store(gradient_, numbers * (n + 1) + i, (before + after) * 0.5, number)
            before = after


@inline_kernel
def eliminate(n: int, numbers: int, columns: int, state: State, work: Work, number: Any) -> None:
    """Residual, matrix, and elimination from left to right, in one pass; the ends on the walls stay where they are."""
    m_, x_, old_, y_ = state.m, state.x, state.old, state.y
    push_, stiffness_, force_, bend_, gradient_ = work.push, work.stiffness, work.force, work.bend, work.gradient
    ratio_, pivot_, sides_ = work.ratio, work.pivot, work.sides
    zero, one, c = as_number(0.0, number), as_number(1.0, number), load(work.curvature, 0, number)
    inertia = load(work.inertia, 0, number) * (1.0 / 6.0)
    third, sixth, hollow = c * (1.0 / 3.0), c * (1.0 / 6.0), c * _HOLLOW
    m_left, push_left, stiff_left = load(m_, 0, number), load(push_, 0, number), load(stiffness_, 0, number)
    d_left, d_here = zero, load(x_, 1, number) - load(old_, 1, number)
    ratio, off, before = zero, zero, zero
    for side in range(columns + 1):
        store(sides_, side * (n + 1), zero, number)
        store(sides_, side * (n + 1) + n, zero, number)
    for i in range(1, n):
        m, push, stiff = load(m_, i, number), load(push_, i, number), load(stiffness_, i, number)
        d_right = load(x_, i + 1, number) - load(old_, i + 1, number)
        both = m_left + m
        half = both * 0.5
        residual = (m_left * (d_left + d_here * 2.0) + m * (d_here * 2.0 + d_right)) * inertia
        residual = residual + push - push_left + half * load(force_, i, number)
        for o in range(numbers):
            residual = residual + load(y_, o, number) * load(gradient_, o * (n + 1) + i, number)
        diagonal = both * third + stiff + stiff_left + half * maximum(load(bend_, i, number), hollow)
        pivot = one / (diagonal - ratio * off)
        before = -residual - ratio * before
        store(sides_, i, before, number)
        for o in range(columns):
            at = (o + 1) * (n + 1) + i
            store(sides_, at, load(gradient_, o * (n + 1) + i, number) - ratio * load(sides_, at - 1, number), number)
        off = m * sixth - stiff
        ratio = off * pivot
        store(pivot_, i, pivot, number)
        store(ratio_, i, ratio, number)
        m_left, push_left, stiff_left, d_left, d_here = m, push, stiff, d_here, d_right


@inline_kernel
def substitute(n: int, columns: int, work: Work, number: Any) -> None:
    """Solutions in place of right-hand sides, and their products with the gradients."""
    ratio_, pivot_, sides_, gradient_, products_ = work.ratio, work.pivot, work.sides, work.gradient, work.products
    zero = as_number(0.0, number)
    if columns == 0:
        x = zero
        for i in range(n - 1, 0, -1):
            x = load(sides_, i, number) * load(pivot_, i, number) - load(ratio_, i, number) * x
            store(sides_, i, x, number)
        return
    for i in range(columns * (columns + 1)):
        store(products_, i, zero, number)
    for i in range(n - 1, 0, -1):
        pivot, ratio = load(pivot_, i, number), load(ratio_, i, number)
        for side in range(columns + 1):
            at = side * (n + 1) + i
            x = load(sides_, at, number) * pivot - ratio * load(sides_, at + 1, number)
            store(sides_, at, x, number)
            for o in range(columns):
                to = o * (columns + 1) + side
                store(products_, to, load(products_, to, number) + load(gradient_, o * (n + 1) + i, number) * x, number)


@inline_kernel
def border(n: int, numbers: int, columns: int, flows: Flows, state: State, work: Work, number: Any) -> None:
    """The dense system for the changes of ``y``, and its effect on the ends."""
    products, dense, t, lanes = work.products, work.dense, work.t, lane_count(number)
    for lane in range(lanes):
        bent = work.curvature[lanes + lane]
        if columns > numbers:
            bent = max(bent, -_SHRINK / products[(numbers * (columns + 1) + columns) * lanes + lane])
            work.curvature[lanes + lane] = bent
        for o in range(columns):
            for p in range(columns):
                found = products[(o * (columns + 1) + p + 1) * lanes + lane]
                if p == numbers:
                    found *= bent
                if o == p:
                    found += flows.theta[o * lanes + lane] if o < numbers else 1.0
                dense[(o * columns + p) * lanes + lane] = found
            right = products[o * (columns + 1) * lanes + lane]
            t[o * lanes + lane] = right + (work.residual[o * lanes + lane] if o < numbers else 0.0)
    solve_dense(dense, t, columns, number)
    for lane in range(lanes):
        if columns > numbers:
            t[numbers * lanes + lane] *= work.curvature[lanes + lane]


@inline_kernel
def advance(n: int, numbers: int, columns: int, flows: Flows, state: State, work: Work, number: Any) -> None:
    """Find how far the step may go, and take it."""
    sides_, inverse_, t_, x_, m_, contact_ = work.sides, work.inverse, work.t, state.x, state.m, state.contact
    zero, one, mu, lanes = as_number(0.0, number), as_number(1.0, number), load(work.gas, 0, number), lane_count(number)
    fall, stretch, largest, left = as_number(1e-30, number), zero, zero, zero
    for i in range(n):
        right = load(sides_, i + 1, number)
        for o in range(columns):
            right = right - load(t_, o, number) * load(sides_, (o + 1) * (n + 1) + i + 1, number)
        store(sides_, i + 1, right, number)
        relative = (right - left) * load(inverse_, i, number)
        fall = maximum(fall, -relative)
        stretch = maximum(stretch, abs(relative) * minimum(one, load(m_, i, number) * _PRESENT))
        largest = maximum(largest, abs(right))
        left = right
    store(work.steps, 0, fall, number)
    store(work.steps, 1, stretch, number)
    store(work.change, 0, largest, number)
    for lane in range(lanes):
        share = min(1.0, work.shrink[lane] / work.steps[lane])
        if share < 1.0 or work.steps[lanes + lane] > _STRETCH:
            work.change[lane] = max(work.change[lane], 1.0)
        work.steps[lane] = share * work.active[lane]
    share = load(work.steps, 0, number)
    for o in range(numbers):
        store(state.y, o, load(state.y, o, number) + share * load(t_, o, number), number)
    left = zero
    for i in range(n):
        right, contact, inverse = load(sides_, i + 1, number), load(contact_, i, number), load(inverse_, i, number)
        change = (mu - contact * (right - left)) * inverse - contact
        store(contact_, i, maximum(contact + share * change, contact * (1.0 - _SHRINK)), number)
        store(x_, i + 1, load(x_, i + 1, number) + share * right, number)
        left = right


@inline_kernel
def begin(n: int, numbers: int, flows: Flows, state: State, work: Work, number: Any) -> None:
    """Start a step where the one before has led, or where it goes on to; and how dense vacuum is."""
    x_, m_, old_, before_, contact_, inverse_ = state.x, state.m, state.old, state.before, state.contact, work.inverse
    zero, one, lanes = as_number(0.0, number), as_number(1.0, number), lane_count(number)
    for lane in range(lanes):
        work.inertia[lane] = 1.0 + 0.5 * flows.second[lane] * state.warm[lane]
        work.shrink[lane] = min(_SHRINK, _STEEPER / max(flows.exponent[lane], 1.0))
    for o in range(numbers):
        store(state.y, o, zero, number)
    if flows.fitted:
        fields(n, numbers, flows, state, work, number)
    measure(n, numbers, numbers, flows, state, work, number)
    # The prediction leaves every element half of its width.
    densest, worst, left, moved = zero, as_number(0.5, number), load(x_, 0, number), zero
    for i in range(n):
        right = load(x_, i + 1, number)
        inverse = one / (right - left)
        store(inverse_, i, inverse, number)
        densest = maximum(densest, load(m_, i, number) * inverse)
        moves = right - load(before_, i + 1, number)
        worst = maximum(worst, (moved - moves) * inverse)
        left, moved = right, moves
    store(work.gas, 0, densest * load(flows.pressure, 0, number), number)
    for lane in range(lanes):
        push = _power(work.gas[lane], flows.exponent[lane]) + flows.drive[lane]
        for o in range(numbers):
            push += abs(work.residual[o * lanes + lane]) / flows.theta[o * lanes + lane]
        work.gas[lane] = _GAS * min(1.0, push)
    mu, warm = load(work.gas, 0, number), load(state.warm, 0, number)
    reach, beyond = warm * 0.5 / worst, warm * load(flows.second, 0, number) * (1.0 / 3.0)
    store(old_, 0, load(x_, 0, number), number)
    for i in range(n):
        x = load(x_, i + 1, number)
        store(contact_, i, maximum(load(contact_, i, number), mu * load(inverse_, i, number)), number)
        moved = x - load(before_, i + 1, number)
        store(old_, i + 1, x + beyond * moved, number)
        store(x_, i + 1, x + reach * moved, number)
        store(before_, i + 1, x, number)


@inline_kernel
def _power(density: float, exponent: float) -> float:
    """The pressure of a density; 0 without internal energy."""
    if exponent == 0.0:
        return 0.0
    if exponent == 1.0:
        return density
    if exponent == 2.0:
        return density * density
    if exponent == 3.0:
        return density * density * density
    return float(density**exponent)
