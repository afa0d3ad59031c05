"""The arrays of the interior point method: what is in which, and how they lie.

Letters are those of :mod:`.newton`: n nodes, K levels after the first. There are three shapes:

- *cells*, for what lives at nodes and levels: entry ``(j + 1) K + k`` belongs to node j and level k + 1. The K entries in
  front and at least 2 K behind are ghost nodes, so that no loop has to ask whether a neighbour exists;
- *nodes*, for what lives at nodes: entry j, filled up to whole groups;
- numbers: what an observation has one of.

Problems that are solved together are lanes, the innermost axis: entry i of problem l of L stands at ``i L + l``. What all
problems share has no lanes. Where nothing else is said, entries that belong to no node are 0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dajko.grid import Array, Grid
from dajko.lanes import LANES, WIDTH
from dajko.solvers.primal_dual import panels


class Mesh(NamedTuple):
    """The grid, shared by all problems that are solved together."""

    n: int
    levels: int
    sublattices: int  # see dajko.grid.Grid
    share: float  # of the end of an interval of artificial time in the density that moves
    cells: int  # length of an array of cells
    nodes: int  # length of an array of nodes
    dx: float
    dt: float
    center: float
    x: Array  # nodes, from the centre of the grid
    wx: Array  # nodes
    inside: Array  # cells, 1 at the nodes of the grid
    space: Array  # cells, wx
    inverse_space: Array  # cells, 1 / wx
    time: Array  # cells, w_k; 1 at ghost nodes
    speed: Array  # cells, dt / (2 dx w_k), of finite volumes 1 / dx; 0 where nothing flows
    inertia: Array  # cells, dt^2 / (4 dx w_k), of finite volumes dt / dx; 0 where nothing flows
    after_first: Array  # cells, 1 at the levels 2 ... K
    before_last: Array  # cells, 1 at the levels 1 ... K - 1


class Flows(NamedTuple):
    """What stays the same along a flow."""

    tau: Array  # one a problem
    exponent: Array  # one a problem
    stiffness: Array  # one a problem, c of an internal energy c u^2 / 2 besides U
    potential: Array  # nodes
    kind: NDArray[np.int64]  # numbers, shared
    footprint: Array  # numbers of nodes
    theta: Array  # one a problem
    tol: Array  # one a problem


class Data(NamedTuple):
    """What one step is given, see :func:`dajko.solvers.primal_dual.march.begin`."""

    initial: Array  # cells, the old density at level 1
    row: Array  # numbers of nodes
    weighted_row: Array  # numbers of nodes, wx row
    moment: Array  # nodes, wx x
    square: Array  # numbers, q
    value: Array  # numbers, v
    theta: Array  # numbers
    mu: Array  # one a problem, where mu ends
    centring: Array  # one a problem, least share of mu that a Newton step aims at
    careful: Array  # one a problem, 1 where densities and multipliers take the same step, and mu waits for R1; else 0
    level: Array  # one a problem and sublattice, what tau dE/drho is taken off: only differences move anything
    mass: Array  # one a problem
    size: Array  # one a problem, of what is measured
    tol: Array  # one a problem, the tolerance; smaller where the objective would rise
    tightened: Array  # one a problem, how often it has become smaller
    objective: Array  # one a problem, E_h of the old density
    objective_size: Array  # one a problem, of its terms
    rounding: Array  # one a problem, of the stationarity
    ceiling: Array  # one a problem, an upper bound on the new density for stiff powers
    pressed: Array  # one a problem, the density above which that bound is felt
    pairs: Array  # one a problem, the number of bounds


class State(NamedTuple):
    """The unknowns; densities and multipliers are 1 at ghost nodes."""

    rho: Array  # cells
    s: Array  # cells
    phi: Array  # cells
    y: Array  # numbers
    slope: Array  # nodes, U' of stiff powers as the last Newton step has it; infinite where it is that of the density
    t: Array  # nodes, multiplier of rho <= ceiling at the last level, for stiff powers


class Each(NamedTuple):
    """Scratch space: numbers, one a problem."""

    start_mu: Array  # rho s of a start
    warm: Array  # 1 where a start is warm, else 0
    present: Array  # 1 where there is a measured number, else 0
    top: Array  # largest old density
    floor: Array  # least density of a start
    mean: Array  # mean of the old density
    strength: Array  # range of what potential and data add to tau dE/drho
    drive: Array  # range of tau dE/drho where the old density is
    range: Array  # range of tau dE/drho at the end of a start
    steepest: Array  # its largest absolute value
    reach: Array  # share of it that the first potential has
    reached: Array  # E_h at `end`
    reached_size: Array  # of its terms
    least: Array  # smallest density of the fluxes
    cost: Array  # what ending with the density of the fluxes costs
    wrong: Array  # what the prediction leaves out of the stationarity
    bounded: Array  # sum of (ceiling - rho) t
    aim: Array  # the mu that a step aims at
    fall_rho: Array  # largest relative decrease of ceiling - rho in a step
    fall_t: Array  # largest relative decrease of t
    step_rho: Array  # how far a step goes in the densities
    step_t: Array  # how far it goes in the multipliers


class Work(NamedTuple):
    """Scratch space. The columns are the observations, and one for their curvature where there can be one."""

    v: Array  # cells
    flux: Array  # cells, rho v
    force: Array  # cells, tau dE/drho at the last level
    bend: Array  # cells, tau U'' at the last level
    r: Array  # cells, R1, then its right-hand side
    q: Array  # cells, R2, then d_rho
    inverse: Array  # cells, 1 / rho
    a: Array  # cells, wx / d, then d_s
    b: Array  # cells, a c^2 + dt^2 rho / (4 dx w_k); of finite volumes dt M / dx
    e: Array  # cells, a c
    ar: Array  # cells
    car: Array  # cells
    pull: Array  # cells, sum_i g_i t_i at the last level
    sides: Array  # right-hand side and columns, cells each; then what solves them
    numbers: int  # of observations
    columns: int
    each: Each
    first: Array  # nodes, the density from which the path of a start leads
    last: Array  # nodes, the density to which it leads
    u: Array  # nodes, the density at the last level
    end: Array  # nodes, the density that the step ends with
    slope: Array  # nodes, U'
    curvature: Array  # nodes, U''
    lag: Array  # nodes, logarithm of U' over its prediction, for stiff powers
    d_t: Array  # nodes
    g: Array  # columns of nodes, gradients of the observations
    weighted: Array  # columns of nodes, wx g / d
    along: Array  # columns + 1 of nodes, g - l . column, and r - l . d_phi
    r3: Array  # columns
    dense: Array  # columns x columns
    t: Array  # columns
    sums: Array  # partial sums
    level_mass: Array  # levels, filled up to whole groups
    matrix: Array  # n panels
    pivots: Array  # levels of all nodes
    panel: Array  # one panel and one right-hand side
    factors: Array  # three sets


class Stencil(NamedTuple):
    """What the row of a cell has at its neighbours, of finite volumes only; see :mod:`.finite_volume`."""

    mean: Array  # cells, the density that moves in an interval of artificial time
    own: Array  # cells, l at the cell itself
    right: Array  # cells, at the cell to the right
    left: Array  # cells, to the left
    own_after: Array  # cells, the same at the next level
    right_after: Array  # cells
    left_after: Array  # cells


# The partial sums of the stopping rule, in `Work.sums`.
SUMS = 3
MU, STATIONARITY, CONTINUITY = range(SUMS)
# What a solve looks at before it stops, in the order of `Progress.relative`.
RESIDUALS = ("complementarity", "stationarity", "continuity", "mass", "data")


class Progress(NamedTuple):
    """How far each problem is, shape ``(lanes,)`` where nothing else is said."""

    active: Array  # 1, or 0 once it has converged
    iterations: Array
    mu: Array  # mean of rho s
    stationarity: Array  # sum of wx rho |R1|
    continuity: Array  # sum of |R2|
    mass: Array  # sum over the levels of |sum of R2|
    data: Array  # largest |R3|
    relative: Array  # (lanes, 5), RESIDUALS relative to their bounds
    largest: Array  # of these


def whole(entries: int) -> int:
    """So many entries, filled up to whole groups."""
    return -(-entries // WIDTH) * WIDTH


def mesh(grid: Grid) -> Mesh:
    """A grid, spread out over cells and nodes."""
    n, levels = grid.points, grid.nt
    # Substitution looks two nodes ahead, beyond the last one too.
    cells, nodes = whole(n * levels) + 3 * levels + 2 * WIDTH, whole(n)
    w = grid.wt[1:]
    centred = grid.scheme == "centred"
    # Where something flows: at the inner nodes, or through the right faces of all cells but the last.
    flows = np.ones(n)
    flows[-1] = 0.0
    if centred:
        flows[0] = 0.0
    speed, inertia = grid.dt / (2.0 * grid.dx * w), grid.dt**2 / (4.0 * grid.dx * w)
    if not centred:
        speed, inertia = np.full(levels, 1.0 / grid.dx), np.full(levels, grid.dt / grid.dx)
    level = np.arange(levels)

    def spread(at_nodes: Any, at_levels: Any, ghost: float = 0.0) -> Array:
        values = np.full(cells, ghost)
        values[levels : levels + n * levels] = np.outer(at_nodes, at_levels).reshape(-1)
        return values

    def fill(at_nodes: Array) -> Array:
        return np.concatenate([at_nodes, np.zeros(nodes - n)])

    center = 0.5 * (grid.left + grid.right)
    ones = np.ones(n)
    return Mesh(
        n=n,
        levels=levels,
        sublattices=grid.sublattices,
        share=grid.share_of_level,
        cells=cells,
        nodes=nodes,
        dx=grid.dx,
        dt=grid.dt,
        center=center,
        x=fill(grid.x - center),
        wx=fill(grid.wx),
        inside=spread(ones, np.ones(levels)),
        space=spread(grid.wx, np.ones(levels)),
        inverse_space=spread(1.0 / grid.wx, np.ones(levels)),
        time=spread(ones, w, 1.0),
        speed=spread(flows, speed),
        inertia=spread(flows, inertia),
        after_first=spread(ones, level > 0),
        before_last=spread(ones, level < levels - 1),
    )


def empty_data(m: Mesh, numbers: int, lanes: int) -> Data:
    """Room for what a step is given."""
    return Data(
        initial=np.zeros(m.cells * lanes),
        row=np.zeros(numbers * m.nodes * lanes),
        weighted_row=np.zeros(numbers * m.nodes * lanes),
        moment=np.repeat(m.wx * m.x, lanes),
        square=np.zeros(numbers * lanes),
        value=np.zeros(numbers * lanes),
        theta=np.ones(numbers * lanes),
        mu=np.zeros(lanes),
        centring=np.zeros(lanes),
        careful=np.zeros(lanes),
        level=np.zeros(2 * lanes),
        mass=np.zeros(lanes),
        size=np.zeros(lanes),
        tol=np.zeros(lanes),
        tightened=np.zeros(lanes),
        objective=np.zeros(lanes),
        objective_size=np.zeros(lanes),
        rounding=np.zeros(lanes),
        ceiling=np.full(lanes, np.inf),
        pressed=np.full(lanes, np.inf),
        pairs=np.zeros(lanes),
    )


def empty_state(m: Mesh, numbers: int, lanes: int) -> State:
    """Room for the unknowns."""
    cells = m.cells * lanes
    nodes = m.nodes * lanes
    return State(
        rho=np.ones(cells),
        s=np.ones(cells),
        phi=np.zeros(cells),
        y=np.zeros(numbers * lanes),
        slope=np.full(nodes, np.inf),
        t=np.zeros(nodes),
    )


def work_space(m: Mesh, numbers: int, columns: int, number: Any) -> Work:
    """Scratch space for problems on one grid."""
    lanes = WIDTH if number is LANES else 1
    place = panels.layout(m.levels)
    cells, nodes, panel = m.cells * lanes, m.nodes * lanes, place.columns * place.leading * lanes
    beyond = WIDTH * 2 * lanes
    names = ("v", "flux", "force", "bend", "r", "q", "inverse", "a", "b", "e", "ar", "car", "pull")
    return Work(
        **{name: np.zeros(cells) for name in names},
        numbers=numbers,
        columns=columns,
        each=Each(*(np.zeros(lanes) for _ in Each._fields)),
        sides=np.zeros((1 + columns) * cells),
        first=np.zeros(nodes),
        last=np.zeros(nodes),
        u=np.zeros(nodes),
        end=np.zeros(nodes),
        slope=np.zeros(nodes),
        curvature=np.zeros(nodes),
        lag=np.zeros(nodes),
        d_t=np.zeros(nodes),
        g=np.zeros(columns * nodes),
        weighted=np.zeros(columns * nodes),
        along=np.zeros((1 + columns) * nodes),
        r3=np.zeros(columns * lanes),
        dense=np.zeros(columns * columns * lanes),
        t=np.zeros(columns * lanes),
        sums=np.zeros(SUMS * WIDTH * lanes),
        level_mass=np.zeros(whole(m.levels) * lanes),
        matrix=np.zeros(m.n * panel + beyond),
        pivots=np.zeros(m.n * m.levels * lanes + beyond),
        panel=np.zeros(panel + (whole(m.levels) + WIDTH) * lanes),
        factors=np.zeros(3 * place.columns * place.stride * lanes + beyond),
    )


def stencil(grid: Grid, m: Mesh, number: Any) -> Stencil | None:
    """Room for the rows of finite volumes; None for centred differences."""
    if grid.scheme == "centred":
        return None
    cells = m.cells * (WIDTH if number is LANES else 1)
    return Stencil(*(np.zeros(cells) for _ in Stencil._fields))


def progress(lanes: int) -> Progress:
    """All problems at their beginning."""
    names = ("iterations", "mu", "stationarity", "continuity", "mass", "data", "largest")
    return Progress(
        active=np.ones(lanes), relative=np.zeros((lanes, len(RESIDUALS))), **{name: np.zeros(lanes) for name in names}
    )
