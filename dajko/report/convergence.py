"""Orders of convergence: the error at the final time against the time step, the mesh sizes and the solver's tolerance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from dajko.grid import Array
from dajko.report.choice import combinations
from dajko.report.errors import NORMS, cell_errors, smallest, summarise
from dajko.report.reading import StudyResults, usable
from dajko.report.words import number

TRUTH, FINEST = "truth", "finest"
# An error that is larger by a smaller factor at the next step size has not risen, and one that falls with a smaller slope
# between the two finest step sizes levels off.
_RISE, _LEVEL = 1.05, 0.1


@dataclass(frozen=True)
class Resolution:
    """A key that says how finely something is resolved, and the step size that belongs to its values."""

    key: str
    step: Callable[[StudyResults, pd.DataFrame], Array]
    always_finest: bool = False  # the truth says nothing about it


def _value(name: str) -> Callable[[StudyResults, pd.DataFrame], Array]:
    return lambda _, points: points[name].to_numpy(dtype=float)


def _mesh_size(results: StudyResults, points: pd.DataFrame) -> Array:
    grid = results.study.grid
    left, right = points.get("grid_left", grid.left), points.get("grid_right", grid.right)
    return np.asarray((right - left) / points["grid_nx"].to_numpy(dtype=float), dtype=float)


RESOLUTIONS: dict[str, Resolution] = {
    "time_tau": Resolution("time.tau", _value("time_tau")),
    "grid_nx": Resolution("grid.nx", _mesh_size),
    "grid_nt": Resolution("grid.nt", lambda _, points: 1.0 / points["grid_nt"].to_numpy(dtype=float)),
    "solver_tol": Resolution("solver.tol", _value("solver_tol"), always_finest=True),
}


def resolutions(results: StudyResults) -> list[str]:
    """Coordinates of the swept keys that are resolutions, one for each axis of the sweep, with at least two step sizes."""
    found = []
    for axis in results.axes:
        names = [name for name in RESOLUTIONS if name in axis.names]
        if names and len(np.unique(RESOLUTIONS[names[0]].step(results, results.points))) > 1:
            found.append(names[0])
    return found


def convergence_table(results: StudyResults) -> pd.DataFrame:
    """Error at the final time for each step size.

    Against the truth the error is the stored one. Against the finest run it is the distance of the final densities, the
    finest one interpolated to the nodes of the coarse grid, which for nested grids is injection; the finest run is the one
    with the smallest step in which a member converged, and has no row. Solver tolerances are always compared so. Where runs
    are compared with the finest one, the errors against the truth are in the table too, of all runs: what falls against the
    finest run may rise against the truth.

    Parameters
    ----------
    results : StudyResults

    Returns
    -------
    pandas.DataFrame
        A row for each resolution, combination of the other swept keys (NaN where a column is the resolution's own), norm
        (``l1`` relative to the mass, ``l2``, ``w2``) and step size: ``resolution`` (dotted key), ``step``, ``reference``
        (``truth`` or ``finest``), ``same_time`` (whether all runs end at one time), ``median``, ``q05``, ``q95``, ``used``,
        ``left_out``. Empty if no resolution is swept, or densities would be needed and are not stored.
    """
    tables = []
    for name in resolutions(results):
        resolution = RESOLUTIONS[name]
        finest = resolution.always_finest or results.study.report.reference == FINEST
        if finest and not results.has_fields:
            continue
        axis = results.axis(name)
        assert axis is not None
        for _, points in combinations(results, name):
            steps = pd.Series(resolution.step(results, points), index=points.index)
            end = [float(results.along(int(p))["time"].values[-1]) for p in points.index]
            same_time = bool(np.allclose(end, end[0], rtol=1e-6, atol=0.0))
            if finest and not same_time:
                continue  # densities at different times are not to be compared
            others = [n for n in results.parameters if n not in axis.names]
            against = {TRUTH: cell_errors(results)}
            if finest:
                against = {FINEST: _against_finest(results, steps), **against}
                if against[FINEST].empty:
                    continue
            for reference, cells in against.items():
                for norm in NORMS:
                    table = summarise(cells, f"{norm}_final").reindex(points.index).dropna(subset=["used"])
                    table = table.astype({"used": int, "left_out": int})
                    table.insert(0, "resolution", resolution.key)
                    table.insert(1, "step", steps.reindex(table.index))
                    table.insert(2, "norm", norm)
                    table.insert(3, "reference", reference)
                    table.insert(4, "same_time", same_time)
                    rows = points[others].join(table, how="right").reset_index()
                    tables.append(rows.sort_values("step", ascending=False))
    if not tables:
        return pd.DataFrame()
    # The columns of all tables, in the order of the sweep, also where a table lacks some.
    table = pd.concat(tables, ignore_index=True)
    first = [n for n in results.parameters if n in table.columns]
    return table[["point", *first, *(c for c in table.columns if c not in ("point", *first))]]


def _against_finest(results: StudyResults, steps: pd.Series[float]) -> pd.DataFrame:
    """Distances of the final densities to those of the finest run, in the shape of :func:`cell_errors`."""
    from dajko import distance  # loads a compiler, which who only reads does not need

    used = {p: np.flatnonzero(usable(results.along(p)["status"].values)).tolist() for p in steps.index}
    converged = steps[[bool(used[p]) for p in steps.index]]
    columns = ["point", *(f"{norm}_final" for norm in NORMS)]
    if converged.empty:
        return pd.DataFrame({c: np.array([], dtype=float) for c in columns})
    reference = smallest(converged)
    fine = results.fields(reference, used[reference], final=True)
    rows: list[dict[str, Any]] = []
    for point in steps.index[steps.index != reference]:
        members = [m for m in used[point] if m in used[reference]]
        rows += [{"point": point}] * (results.study.ensemble.members - len(members))
        if not members:
            continue
        coarse = results.fields(point, members, final=True)
        grid = coarse.grid
        rows_of = [used[reference].index(m) for m in members]
        target = grid.restrict(fine.density[rows_of, -1], fine.grid)
        own = coarse.density[:, -1]
        mass = results.along(point)["mass"].values[members, 0]
        found = {
            "l1": distance.l1(own, target, grid) / mass,
            "l2": distance.l2(own, target, grid),
            "w2": distance.w2(own, target, grid),
        }
        rows += [{"point": point, **{f"{n}_final": found[n][i] for n in NORMS}} for i in range(len(members))]
    return pd.DataFrame(rows, columns=columns)


def orders(table: pd.DataFrame) -> pd.DataFrame:
    """Orders of convergence, fitted by linear regression of the logarithms of the median errors.

    Parameters
    ----------
    table : pandas.DataFrame
        What :func:`convergence_table` gives.

    Returns
    -------
    pandas.DataFrame
        A row for each curve, with ``order``, its standard error ``stderr``, the number of step sizes in the fit ``fitted``,
        the members left out in all ``left_out``, and a ``note`` where a number is missing (NaN) or to be doubted.
    """
    if table.empty:
        return pd.DataFrame()
    own = {"point", "step", "same_time", "median", "q05", "q95", "used", "left_out"}
    keys = [c for c in table.columns if c not in own]
    rows = []
    for values, curve in table.groupby(keys, sort=False, dropna=False):
        order, stderr, fitted, note = fit_order(curve["step"].to_numpy(), curve["median"].to_numpy())
        if not curve["same_time"].all():
            order, stderr, note = np.nan, np.nan, "the runs end at different times: give time.end instead of time.steps"
        rows.append(
            {
                **dict(zip(keys, values, strict=True)),
                "order": order,
                "stderr": stderr,
                "fitted": fitted,
                "left_out": int(curve["left_out"].sum()),
                "note": note,
            }
        )
    return pd.DataFrame(rows)


def fit_order(step: Array, error: Array) -> tuple[float, float, int, str]:
    """Slope of ``log error`` against ``log step`` by least squares, over the errors that are positive.

    Parameters
    ----------
    step, error : array of shape (n,)

    Returns
    -------
    order, stderr : float
        NaN where there are too few step sizes: an order needs two, its standard error three. NaN also where the error
        rises or levels off as the step size falls: a slope through such errors is no order of convergence.
    fitted : int
        Number of points in the fit.
    note : str
        What is missing, and why; else empty.
    """
    good = np.isfinite(error) & (error > 0.0)
    h, e = np.log(step[good]), np.log(error[good])
    distinct = np.unique(h).size
    if distinct < 2:
        return np.nan, np.nan, h.size, "no order: it needs two step sizes with an error above 0"
    against = _against_an_order(step[good], error[good])
    if against:
        return np.nan, np.nan, h.size, f"no order: {against}"
    if distinct < 3:
        order = float(stats.linregress(h, e).slope)
        return order, np.nan, h.size, "no standard error: it needs three step sizes"
    fit = stats.linregress(h, e)
    return float(fit.slope), float(fit.stderr), h.size, ""


def _against_an_order(step: Array, error: Array) -> str:
    """In words, that the error rises or levels off as the step size falls; empty if it falls all the way."""
    order = np.argsort(-step, kind="stable")
    h, e = step[order], error[order]
    if np.unique(h).size < h.size:  # several runs of one step size: no sequence
        return ""
    if (e[1:] >= e[:-1]).all() and e[-1] > e[0]:
        return "the error rises as the step size falls"
    up = np.flatnonzero(e[1:] > _RISE * e[:-1])
    if up.size:
        return f"the error rises below the step size {number(float(h[up[0]]))}"
    if np.log(e[-2] / e[-1]) < _LEVEL * np.log(h[-2] / h[-1]):
        return f"the error levels off at {number(float(e[-1]))}"
    return ""
