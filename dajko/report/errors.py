"""Statistics of the errors over the ensemble.

Only cells that converged are used; the others are counted beside every number. The L1 error is divided by the mass of the
model's own initial density, which the scheme keeps and every summary holds, so that 2 means nothing in common.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dajko.grid import Array
from dajko.report.reading import StudyResults, usable

# The norms that errors are measured in.
NORMS = ("l1", "l2", "w2")
# Time mean over the steps (the initial density is no result of the scheme), and the value at the last time.
STATISTICS = {"mean": "time mean", "final": "final time"}
QUANTILES = (0.05, 0.95)


@dataclass(frozen=True, eq=False)
class Band:
    """Median and 5 % and 95 % quantiles over the members of a point, each of shape ``(times,)``; NaN without members."""

    time: Array
    median: Array
    lower: Array
    upper: Array
    used: int
    left_out: int


def cell_errors(results: StudyResults) -> pd.DataFrame:
    """Errors of every cell.

    Parameters
    ----------
    results : StudyResults

    Returns
    -------
    pandas.DataFrame
        A row for each cell with its ``point``, ``member`` and ``status``, and for each norm the columns ``<norm>_mean`` and
        ``<norm>_final``, NaN for cells that did not converge.
    """
    tables = []
    for node in results.nodes:
        status = node["status"].values
        used = usable(status)
        points, members = np.meshgrid(node["point"].values, node["member"].values, indexing="ij")
        columns = {"point": points.ravel(), "member": members.ravel(), "status": status.ravel()}
        for norm in NORMS:
            values = np.where(used[..., None], relative_error(results, node["point"].values, norm), np.nan)
            columns[f"{norm}_mean"] = values[..., 1:].mean(axis=-1).ravel()
            columns[f"{norm}_final"] = values[..., -1].ravel()
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def relative_error(results: StudyResults, points: NDArray[np.int64], norm: str) -> Array:
    """Errors over time of points of one node, shape ``(points, members, times)``; L1 relative to the mass."""
    node = results.nodes[int(results.points["node"][points[0]])].sel(point=points)
    values = np.asarray(node[f"error_{norm}"].values, dtype=float)
    if norm == "l1":
        mass = np.asarray(node["mass"].values[..., :1], dtype=float)
        # A cell that is not computed has no mass.
        values = values / np.where(mass > 0.0, mass, np.nan)
    return values


def error_table(results: StudyResults) -> pd.DataFrame:
    """Median and quantiles over the members at every point of the sweep.

    Parameters
    ----------
    results : StudyResults

    Returns
    -------
    pandas.DataFrame
        Tidy: ``point``, a column for each swept key, ``norm`` (``l1`` relative to the mass, ``l2``, ``w2``), ``statistic``
        (``mean`` over the steps, or ``final``), ``median``, ``q05``, ``q95``, and the numbers of members ``used`` and
        ``left_out``. Without a converged member the statistics are NaN.
    """
    cells = cell_errors(results)
    tables = []
    for norm in NORMS:
        for statistic in STATISTICS:
            table = summarise(cells, f"{norm}_{statistic}")
            table.insert(0, "norm", norm)
            table.insert(1, "statistic", statistic)
            tables.append(results.points[results.parameters].join(table).reset_index())
    return pd.concat(tables, ignore_index=True)


def summarise(cells: pd.DataFrame, column: str) -> pd.DataFrame:
    """Median, quantiles and numbers of members of a column with NaN for what is left out, by ``point``."""
    groups = cells.groupby("point")[column]
    used = groups.count()
    return pd.DataFrame(
        {
            "median": groups.median(),
            "q05": groups.quantile(QUANTILES[0]),
            "q95": groups.quantile(QUANTILES[1]),
            "used": used,
            "left_out": groups.size() - used,
        }
    )


def smallest(values: pd.Series[float]) -> int:
    """Where (point or member) the smallest value is."""
    return int(values.index.to_numpy()[values.to_numpy().argmin()])


def over_time(results: StudyResults, point: int, variable: str) -> Band:
    """A variable of a point over time.

    Parameters
    ----------
    results : StudyResults
    point : int
    variable : str
        A norm (``l1`` relative to the mass), ``energy`` or ``mass``.
    """
    node = results.along(point)
    used = np.flatnonzero(usable(node["status"].values))
    if variable in NORMS:
        values = relative_error(results, np.array([point]), variable)[0, used]
    else:
        values = np.asarray(node[variable].values[used], dtype=float)
    time = np.asarray(node["time"].values, dtype=float)
    nothing = np.full((3, time.size), np.nan)
    lower, median, upper = np.quantile(values, (QUANTILES[0], 0.5, QUANTILES[1]), axis=0) if used.size else nothing
    return Band(time, median, lower, upper, used.size, node.sizes["member"] - used.size)


def status_table(results: StudyResults) -> pd.DataFrame:
    """Number of cells with each status: columns ``status``, ``cells`` and ``meaning``."""
    rows = [{"status": s.name.lower(), "cells": n, "meaning": s.message} for s, n in results.counts.items()]
    return pd.DataFrame(rows)
