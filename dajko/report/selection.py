"""What a figure shows of a sweep that has more than a page can hold: which panels, which curves, and a word on the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from dajko.report import style
from dajko.report.choice import limit_theta
from dajko.report.convergence import RESOLUTIONS
from dajko.report.errors import STATISTICS
from dajko.report.reading import StudyResults, SweptAxis
from dajko.report.words import mathematics, values_label

Item = TypeVar("Item")
Values = dict[str, Any]

NOISE = "noise_level"


@dataclass(frozen=True)
class Curve:
    """A point of the sweep, what it is called, and how it is drawn."""

    point: int
    label: str
    style: dict[str, Any]


@dataclass(frozen=True)
class Facets:
    """How the axes of a sweep are shown: one as panels, one as curves, of the rest one value each.

    Attributes
    ----------
    panels, curves : list of dict
        The values along these axes; one empty dictionary where there is no such axis.
    fixed : dict
        The values of the axes that are not shown.
    note : str
        What is left out, in words, or nothing.
    """

    panels: list[Values]
    curves: list[Values]
    fixed: Values
    note: str


def text_of(results: StudyResults, values: Values) -> str:
    """Swept values as a label for figures."""
    return label_of(results.axes, results.points, values)


def label_of(axes: Sequence[SweptAxis], table: pd.DataFrame, values: Values, unicode: bool = False) -> str:
    """Swept values as a label; of keys that vary together only the first whose values tell the positions apart."""
    shown = dict(values)
    for axis in axes:
        if len(axis.names) > 1 and all(name in values for name in axis.names):
            rows = table[list(axis.names)].drop_duplicates()
            telling = next((name for name in axis.names if rows[name].is_unique), None)
            shown = {n: v for n, v in shown.items() if telling is None or n == telling or n not in axis.names}
    return values_label(shown, {n: k for axis in axes for n, k in zip(axis.names, axis.keys, strict=True)}, unicode)


def values_along(results: StudyResults, axis: SweptAxis) -> list[Values]:
    """The values along an axis: numbers in ascending order, words and keys that vary together as the sweep has them."""
    table = results.points[list(axis.names)].drop_duplicates()
    if len(axis.names) == 1 and pd.api.types.is_numeric_dtype(table[axis.names[0]]):
        table = table.sort_values(axis.names[0])
    return [dict(zip(axis.names, row, strict=True)) for row in table.itertuples(index=False, name=None)]


def spread(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many items, evenly spread, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[i] for i in np.unique(np.linspace(0, len(items) - 1, most).round().astype(int))]


def matching(table: pd.DataFrame, values: Values) -> pd.DataFrame:
    """Rows of a table that have these values."""
    chosen = np.ones(len(table), dtype=bool)
    for name, value in values.items():
        chosen &= (table[name] == value).to_numpy()
    return table[chosen]


def facets(
    results: StudyResults,
    panels: SweptAxis | None,
    curves: SweptAxis | None,
    rest: Sequence[SweptAxis],
    most: tuple[int, int],
) -> Facets:
    """Share axes out: one to panels, one to curves, at most so many of each; of the rest the usual value."""
    rows: list[list[Values]] = []
    notes = []
    for axis, count in zip((panels, curves), most, strict=True):
        values = [{}] if axis is None else values_along(results, axis)
        rows.append(spread(values, count))
        if axis is not None and len(rows[-1]) < len(values):
            notes.append(f"{len(rows[-1])} of {len(values)} values of {' and '.join(axis.keys)}")
    fixed: Values = {}
    for axis in rest:
        fixed |= usual_values(results, axis)[0]
    if fixed:
        notes.append(f"only {text_of(results, fixed)}")
    return Facets(rows[0], rows[1], fixed, f"Shown: {'; '.join(notes)}" if notes else "")


def noise_first(axes: Sequence[SweptAxis]) -> list[SweptAxis | None]:
    """Axes with the noise in front, and None where there are fewer than two."""
    ordered: list[SweptAxis | None] = [*sorted(axes, key=lambda axis: NOISE not in axis.names)]
    return ordered + [None] * (2 - len(ordered))


def theta_facets(results: StudyResults, most: tuple[int, int]) -> Facets:
    """How the axes beside theta are shown: the noise, or else the first, as panels, the next as curves if there is room."""
    panels, curves, *rest = noise_first(results.others("theta"))
    if most[1] == 1:
        curves, rest = None, [curves, *rest]
    return facets(results, panels, curves, [axis for axis in rest if axis is not None], most)


def sweep_facets(results: StudyResults, most: tuple[int, int]) -> Facets:
    """How the axes of a sweep without theta are shown: the longest as curves, the noise or the shortest as rows."""
    axes = sorted(results.axes, key=lambda axis: len(values_along(results, axis)))
    curves = axes.pop() if axes else None
    panels, _, *_ = noise_first(axes)
    return facets(results, panels, curves, [axis for axis in axes if axis is not panels], most)


def usual_values(results: StudyResults, axis: SweptAxis) -> list[Values]:
    """The values along an axis, the most telling first: the smallest noise above 0, the finest resolution, the first."""
    values = values_along(results, axis)
    if NOISE in axis.names:
        return sorted(values, key=lambda v: (v[NOISE] == 0, v[NOISE]))
    name = next((n for n in RESOLUTIONS if n in axis.names), None)
    if name is not None:
        return sorted(values, key=lambda v: v[name], reverse=name in ("grid_nx", "grid_nt"))
    return values


def used_at(errors: pd.DataFrame) -> pd.Series[int]:
    """Converged members by point."""
    table = errors[(errors["norm"] == "l1") & (errors["statistic"] == "mean")]
    return table.set_index("point")["used"]


def curves_of(results: StudyResults, best: pd.DataFrame, errors: pd.DataFrame, values: Values) -> list[Curve]:
    """The runs that stand for a combination of the keys beside theta: the best theta and the limits.

    The best theta of the time mean and that of the final time are two curves where they differ. Curves without a converged
    member are not among them.
    """
    used = used_at(errors)
    points = matching(results.points, values)
    found = best_curves(best, values)
    limits = (("model only", np.inf, style.MODEL_ONLY), ("data only", limit_theta(results), style.DATA_ONLY))
    for label, theta, look in limits:
        points_there = points.index[points["theta"] == theta]
        if len(points_there):
            found.append(Curve(int(points_there[0]), label, look))
    return [curve for curve in found if used[curve.point] > 0]


def best_curves(best: pd.DataFrame, values: Values) -> list[Curve]:
    """The best theta of a combination of the other keys: one curve, or two where the two statistics differ."""
    if not len(best):
        return []
    rows = matching(best[best["norm"] == "l1"], values)
    points = {str(row["statistic"]): int(row["point"]) for _, row in rows.iterrows()}
    if len(set(points.values())) < 2:
        return [Curve(point, r"best $\theta$", style.BEST) for point in set(points.values())]
    looks = {"mean": style.BEST, "final": style.BEST_FINAL}
    return [Curve(points[name], rf"best $\theta$, {STATISTICS[name]}", look) for name, look in looks.items()]


def representative(results: StudyResults, best: pd.DataFrame, errors: pd.DataFrame) -> tuple[list[Curve], str]:
    """The runs that stand for the study in figures of single cells, and what they are.

    With theta in the sweep, the best theta and the limits at the smallest noise above 0; else one point. Combinations
    without a converged cell are passed over.

    Returns
    -------
    curves : list of Curve
        The first is the one to look at; empty if no cell converged.
    description : str
    """
    swept = results.axis("theta")
    axes = [axis for axis in results.axes if axis is not swept]
    used = used_at(errors)
    alternatives: list[Values] = [{}]
    for axis in axes:
        alternatives = [{**a, **v} for v in usual_values(results, axis) for a in alternatives]
    for values in sorted(alternatives, key=lambda v: v.get(NOISE) == 0):
        if swept is not None:
            curves = curves_of(results, best, errors, values)
            if curves:
                return [_with_theta(results, curve) for curve in curves], text_of(results, values)
        else:
            points = matching(results.points, values).index
            if len(points) and used[points[0]] > 0:
                return [Curve(int(points[0]), _own_label(results), style.BEST)], text_of(results, values)
    return [], ""


def _with_theta(results: StudyResults, curve: Curve) -> Curve:
    """The curve of a best theta with its value in the label."""
    if curve.style not in (style.BEST, style.BEST_FINAL):
        return curve
    theta = mathematics(float(results.points["theta"][curve.point])).strip("$")
    return replace(curve, label=curve.label.replace(r"$\theta$", rf"$\theta = {theta}$"))


def _own_label(results: StudyResults) -> str:
    theta = results.study.theta
    return "model only" if np.isinf(theta) else rf"daJKO, $\theta$ = {mathematics(theta)}"


def sweep_curves(results: StudyResults, errors: pd.DataFrame, shown: Facets, panel: Values) -> list[Curve]:
    """The curves of a row of a sweep without theta; those without a converged member are not among them."""
    used = used_at(errors)
    curves = []
    for look, values in zip(style.SERIES, shown.curves, strict=False):
        points = matching(results.points, {**panel, **values, **shown.fixed}).index
        if len(points) and used[points[0]] > 0:
            curves.append(Curve(int(points[0]), text_of(results, values) if values else _own_label(results), look))
    return curves
