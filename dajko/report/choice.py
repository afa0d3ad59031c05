"""Which theta: the one with the smallest median error, for each combination of the other swept keys."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from dajko.report.errors import NORMS, QUANTILES, STATISTICS, cell_errors, error_table, smallest
from dajko.report.reading import StudyResults

LOWER, UPPER, ONLY, INSIDE = "lower", "upper", "only", ""


def limit_theta(results: StudyResults) -> float | None:
    """The theta that stands for the data-only limit, if the study has one."""
    return float(results.points["theta"].min()) if results.study.limits and "theta" in results.points else None


def with_theta(points: pd.DataFrame, results: StudyResults) -> pd.DataFrame:
    """The points whose theta is a choice: neither the model-only nor the data-only limit."""
    theta = points["theta"].astype(float)
    return points[np.isfinite(theta) & (theta != limit_theta(results))]


def combinations(results: StudyResults, name: str = "theta") -> list[tuple[dict[str, Any], pd.DataFrame]]:
    """For each combination of the keys that do not vary together with one key: its values, and its points.

    Parameters
    ----------
    results : StudyResults
    name : str
        Coordinate of the key.

    Returns
    -------
    list of (dict, pandas.DataFrame)
        In the order of the sweep; one empty combination if nothing else is swept.
    """
    others = [n for axis in results.others(name) for n in axis.names]
    if not others:
        return [({}, results.points)]
    groups = results.points.groupby(others, sort=False, dropna=False)
    return [(dict(zip(others, values, strict=True)), points) for values, points in groups]


def best_theta(results: StudyResults, errors: pd.DataFrame | None = None) -> pd.DataFrame:
    """The theta with the smallest median error.

    Parameters
    ----------
    results : StudyResults
    errors : pandas.DataFrame, optional
        What :func:`dajko.report.errors.error_table` says of the study.

    Returns
    -------
    pandas.DataFrame
        A row for each combination of the other swept keys, norm and statistic: ``point``, ``theta``, ``median``, ``q05``,
        ``q95``, ``used``, ``left_out``; ``end``, which says whether this theta is at the ``lower`` or ``upper`` end of the
        swept range, or the ``only`` one; ``member_low`` and ``member_high``, between which lie the best thetas of 90 % of
        the single members; the medians ``model_only`` and ``data_only`` of the limits, NaN where there are none; and
        ``other_theta``, the median at the theta that is best for the other statistic. Empty if theta is not swept;
        combinations without a converged cell have no row.
    """
    if "theta" not in results.parameters:
        return pd.DataFrame()
    errors = error_table(results) if errors is None else errors
    cells = cell_errors(results)
    rows = []
    for values, points in combinations(results):
        swept = with_theta(points, results)
        for norm in NORMS:
            medians: dict[str, pd.Series[float]] = {}
            found: dict[str, dict[str, Any]] = {}
            for statistic in STATISTICS:
                table = errors[(errors["norm"] == norm) & (errors["statistic"] == statistic)].set_index("point")
                row = _best(results, table, points, swept)
                if row is not None:
                    low, high = _member_range(cells, f"{norm}_{statistic}", swept)
                    medians[statistic], found[statistic] = table["median"], {**row, "member_low": low, "member_high": high}
            for statistic, row in found.items():
                other = next((r["point"] for name, r in found.items() if name != statistic), row["point"])
                own = {"norm": norm, "statistic": statistic, **row, "other_theta": medians[statistic][other]}
                rows.append({**values, **own})
    return pd.DataFrame(rows)


def _best(results: StudyResults, table: pd.DataFrame, points: pd.DataFrame, swept: pd.DataFrame) -> dict[str, Any] | None:
    median = table["median"].reindex(swept.index).dropna()
    if median.empty:
        return None
    point = smallest(median)
    theta = swept["theta"].astype(float)
    limits = {"model_only": np.inf, "data_only": limit_theta(results)}
    found = {name: table["median"].reindex(points.index[points["theta"] == value]) for name, value in limits.items()}
    return {
        "point": point,
        "theta": theta[point],
        **{name: table[name][point] for name in ("median", "q05", "q95", "used", "left_out")},
        "end": _end(theta[point], theta.min(), theta.max()),
        **{name: float(value.iloc[0]) if len(value) else np.nan for name, value in found.items()},
    }


def _end(theta: float, low: float, high: float) -> str:
    if low == high:
        return ONLY
    return LOWER if theta == low else UPPER if theta == high else INSIDE


def _member_range(cells: pd.DataFrame, column: str, swept: pd.DataFrame) -> tuple[float, float]:
    """Range of the thetas that are best for single members; the members' noise is the same at every theta."""
    chosen = cells[cells["point"].isin(swept.index) & cells[column].notna()]
    rows = chosen.groupby("member")[column].idxmin()
    theta = swept["theta"].astype(float).reindex(chosen.loc[rows, "point"])
    low, high = np.quantile(theta.to_numpy(), QUANTILES, method="inverted_cdf")
    return float(low), float(high)
