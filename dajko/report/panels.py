"""Figures of errors, energy and densities: Figure objects, or None where a study cannot have the figure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dajko.grid import Array
from dajko.report import style
from dajko.report.choice import LOWER, ONLY, UPPER, limit_theta, with_theta
from dajko.report.errors import NORMS, STATISTICS, Band, cell_errors, over_time, smallest
from dajko.report.reading import StudyResults
from dajko.report.selection import (
    Curve,
    Values,
    curves_of,
    matching,
    representative,
    spread,
    sweep_curves,
    sweep_facets,
    text_of,
    theta_facets,
)
from dajko.report.words import mathematics

# Conditions of optimality that are shown, and their titles.
_CONDITIONS = {
    "optimality_gap": r"duality gap / $\tau$",
    "optimality_spread": "first-order condition",
    "hamilton_jacobi": "Hamilton-Jacobi",
}

_HIDDEN = "Values of 0 are not shown on logarithmic axes"
_HALO = [patheffects.withStroke(linewidth=3, foreground="white")]


@style.styled
def error_theta(
    results: StudyResults, errors: pd.DataFrame, best: pd.DataFrame, norm: str = "l1", statistic: str = "mean"
) -> Figure | None:
    """Error against theta: median, 5-95 % band, best theta and the two limits, a panel for each noise level.

    Parameters
    ----------
    results : StudyResults
    errors, best : pandas.DataFrame
        From :func:`dajko.report.errors.error_table` and :func:`dajko.report.choice.best_theta`.
    norm : {"l1", "l2", "w2"}
    statistic : {"mean", "final"}
        Mean over the time steps, or value at the last.

    Returns
    -------
    Figure or None
        None if fewer than two values of theta are swept, or no cell converged.
    """
    axis = results.axis("theta")
    if axis is None or results.points["theta"].nunique() < 2 or best.empty:
        return None
    shown = theta_facets(results, most=(6, 4))
    table = errors[(errors["norm"] == norm) & (errors["statistic"] == statistic)].set_index("point")
    best = best[(best["norm"] == norm) & (best["statistic"] == statistic)]
    figure, grid = style.panels(len(shown.panels), most_columns=3, height=2.6)
    several = len(shown.curves) > 1
    looks = [{**style.SERIES[i]} for i in range(len(shown.curves))]
    seen: list[Array] = []
    for axes, panel in zip(grid, shown.panels, strict=True):
        titles = [text_of(results, panel)] if panel else []
        drawn = len(seen)
        for look, curve in zip(looks, shown.curves, strict=True):
            values = {**panel, **curve, **shown.fixed}
            points = matching(results.points, values)
            seen.append(_theta_curve(axes, results, table, points, look, direct=not several))
            row = matching(best, values)
            if len(row) and row["median"].iloc[0] > 0.0:
                theta, median = float(row["theta"].iloc[0]), float(row["median"].iloc[0])
                size = 11 if not several else 9
                axes.plot(theta, median, marker="*", color=look["color"], markersize=size, markeredgecolor="black", zorder=5)
                if not several:
                    titles.append(_best_text(theta, str(row["end"].iloc[0])))
        axes.set_title("\n".join(titles), loc="left", linespacing=1.3)
        if not (np.concatenate(seen[drawn:]) > 0.0).any():
            used = table.loc[matching(results.points, panel).index, "used"]
            style.say_empty(axes, "no error above 0" if (used > 0).any() else "no converged member")
    finite = with_theta(results.points, results)["theta"].to_numpy(dtype=float)
    style.log_axis(grid[0].xaxis, finite, most=4)
    style.log_axis(grid[0].yaxis, np.concatenate(seen), pad=(0.16, 0.16))
    style.outer_labels(grid, r"weight $\theta$", f"{style.NORM_LABELS[norm]}, {STATISTICS[statistic]}")
    if several:
        handles = [_handle(look, text_of(results, v)) for look, v in zip(looks, shown.curves, strict=True)]
        if (results.points["theta"] == np.inf).any():
            handles.append(_handle({"color": style.GREY, "linestyle": "--"}, "model only"))
        if results.study.limits:
            handles.append(_handle({"color": style.GREY, "linestyle": ":"}, "data only"))
        handles.append(
            _handle({"color": "white", "marker": "*", "linestyle": "", "markeredgecolor": "black"}, r"best $\theta$")
        )
        style.bottom_legend(figure, handles)
    zeros = "Errors of 0 are not shown" if (table.loc[table["used"] > 0, ["median", "q05"]] == 0.0).any(axis=None) else ""
    style.top_note(figure, "; ".join(filter(None, [shown.note, zeros])))
    return figure


def _theta_curve(
    axes: Axes, results: StudyResults, table: pd.DataFrame, points: pd.DataFrame, look: dict[str, Any], direct: bool
) -> Array:
    """Draw error against theta, and the limits as horizontal lines; the values that have to be seen."""
    swept = with_theta(points, results)
    rows = table.loc[swept.index].assign(theta=swept["theta"].astype(float)).sort_values("theta")
    theta = rows["theta"].to_numpy()
    median, low, high = (rows[n].where(rows[n] > 0.0).to_numpy() for n in ("median", "q05", "q95"))
    axes.fill_between(theta, low, high, color=look["color"], alpha=0.2, linewidth=0)
    axes.plot(theta, median, **look, zorder=4)
    limits = {}
    for label, value in (("model only", np.inf), ("data only", limit_theta(results))):
        there = table.loc[points.index[points["theta"] == value], "median"]
        if len(there) and there.iloc[0] > 0.0:
            limits[label] = float(there.iloc[0])
    own = {"model only": style.MODEL_ONLY, "data only": style.DATA_ONLY}
    for label, value in limits.items():
        line = own[label]["linestyle"] if direct else {"model only": "--", "data only": ":"}[label]
        axes.axhline(value, color=own[label]["color"] if direct else look["color"], linestyle=line, linewidth=1.2, zorder=3)
        if direct:
            # Where the curve is not: it meets the data-only limit on the left, the model-only limit on the right.
            left = label == "model only"
            above = value >= max(limits.values())
            axes.annotate(
                label,
                (0.02 if left else 0.98, value),
                xycoords=("axes fraction", "data"),
                xytext=(0, 3 if above else -3),
                textcoords="offset points",
                ha="left" if left else "right",
                va="bottom" if above else "top",
                color=own[label]["color"],
                path_effects=_HALO,
                zorder=6,
            )
    return np.concatenate([median, low, high, list(limits.values())])


def _best_text(theta: float, end: str) -> str:
    words = {LOWER: ", end of range", UPPER: ", end of range", ONLY: ", the only one"}
    relation = {LOWER: r"\leq", UPPER: r"\geq"}.get(end, "=")
    value = mathematics(theta).strip("$")
    return rf"best $\theta {relation} {value}${words.get(end, '')}"


@style.styled
def error_time(results: StudyResults, errors: pd.DataFrame, best: pd.DataFrame) -> Figure | None:
    """L1, L2 and W2 errors over time, median and 5-95 % band.

    With theta in the sweep: the best theta and the limits, a row for each noise level. Else the points of the sweep.

    Returns
    -------
    Figure or None
        None if no cell converged.
    """
    rows: list[tuple[str, list[Curve]]] = []
    with_theta = results.axis("theta") is not None
    shown = theta_facets(results, most=(3, 1)) if with_theta else sweep_facets(results, most=(3, len(style.SERIES)))
    for panel in shown.panels:
        values = {**panel, **shown.curves[0], **shown.fixed}
        curves = curves_of(results, best, errors, values) if with_theta else sweep_curves(results, errors, shown, panel)
        if curves:
            rows.append((_row_title(results, panel, curves, with_theta), curves))
    if not rows:
        return None
    figure = Figure(figsize=(style.WIDTH, 0.7 + 2.0 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), len(NORMS), squeeze=False, sharex=True, sharey="col")
    handles: dict[str, Line2D] = {}
    hidden = False
    for column, norm in enumerate(NORMS):
        bands = [[(curve, over_time(results, curve.point, norm)) for curve in curves] for _, curves in rows]
        seen = [_to_be_seen(part) for row in bands for _, band in row for part in (band.median, band.lower, band.upper)]
        # Before anything is drawn: what a logarithmic axis cannot show is left out of the curves.
        logarithmic = _wide(seen) and style.log_axis(grid[0, column].yaxis, np.concatenate(seen))
        for axes, row in zip(grid[:, column], bands, strict=True):
            axes.set_ylabel(style.NORM_LABELS[norm])
            for curve, band in row:
                hidden |= _band(axes, band, curve)
                handles.setdefault(curve.label, _handle(_thin(curve, band.time.size), curve.label))
        if not logarithmic:
            grid[0, column].set_ylim(bottom=0.0)
        grid[-1, column].set_xlabel("time $t$")
        style.plain_time(grid[-1, column], max(results.along(c.point)["time"].values[-1] for _, cs in rows for c in cs))
    for axes, (title, _) in zip(grid[:, 0], rows, strict=True):
        style.row_title(axes, title)
    style.bottom_legend(figure, list(handles.values()))
    style.top_note(figure, "; ".join(filter(None, [shown.note, _HIDDEN if hidden else ""])))
    return figure


def _row_title(results: StudyResults, panel: Values, curves: list[Curve], with_theta: bool) -> str:
    texts = [text_of(results, panel)] if panel else []
    best = [c for c in curves if with_theta and c.style in (style.BEST, style.BEST_FINAL)]
    values = [mathematics(float(results.points["theta"][c.point])) for c in best]
    if len(values) == 2:
        values = [f"{value} ({words})" for value, words in zip(values, STATISTICS.values(), strict=True)]
    return ", ".join([*texts, rf"best $\theta$ = {', '.join(values)}"] if values else texts)


def _to_be_seen(values: Array) -> Array:
    """Values over time without the first where that is smaller than all others: 0, or the rounding of 0."""
    return values[1:] if values.size > 1 and not values[0] >= np.nanmin(values[1:], initial=np.inf) else values


def _wide(errors: list[Array]) -> bool:
    """Whether errors spread over more than a decade."""
    values = np.concatenate(errors)
    positive = values[np.isfinite(values) & (values > 0.0)]
    return bool(positive.size and positive.max() > 10.0 * positive.min())


@style.styled
def energy(results: StudyResults, errors: pd.DataFrame, best: pd.DataFrame) -> Figure | None:
    """Energy of the model over time, of the runs that stand for the study.

    Returns
    -------
    Figure or None
        None if no cell converged.
    """
    curves, description = representative(results, best, errors)
    if not curves:
        return None
    figure = Figure(figsize=(0.65 * style.WIDTH, 3.0), layout="constrained")
    axes = figure.subplots()
    for curve in curves:
        _band(axes, over_time(results, curve.point, "energy"), curve)
    axes.set_xlabel("time $t$")
    style.plain_time(axes, max(results.along(c.point)["time"].values[-1] for c in curves), most=8)
    axes.set_ylabel("energy $F(u)$")
    axes.set_title(description, loc="left")
    axes.margins(y=0.08)
    style.bottom_legend(figure, [_handle(_thin(c, results.along(c.point).sizes["time"]), c.label) for c in curves])
    return figure


@style.styled
def optimality(results: StudyResults, errors: pd.DataFrame, best: pd.DataFrame) -> Figure | None:
    """Conditions of optimality over time, of the runs that stand for the study.

    Returns
    -------
    Figure or None
        None if the study does not store them, or no cell converged.
    """
    curves, description = representative(results, best, errors)
    if not curves or any("optimality_gap" not in results.along(curve.point) for curve in curves):
        return None
    figure = Figure(figsize=(style.WIDTH, 3.0), layout="constrained")
    row = figure.subplots(1, len(_CONDITIONS))
    hidden = False
    for axes, (name, title) in zip(row, _CONDITIONS.items(), strict=True):
        bands = [over_time(results, curve.point, name) for curve in curves]
        style.log_axis(axes.yaxis, np.concatenate([np.concatenate([b.lower, b.upper]) for b in bands]))
        for curve, band in zip(curves, bands, strict=True):
            hidden |= _band(axes, band, curve)
        end = max(band.time[-1] for band in bands)
        axes.set_xlim(0.0, 1.03 * end)
        style.plain_time(axes, end, most=3)
        axes.set_xlabel("time $t$")
        axes.set_title(title, loc="left")
    style.top_note(figure, "; ".join(filter(None, [description, _HIDDEN if hidden else ""])))
    style.bottom_legend(figure, [_handle(_thin(c, results.along(c.point).sizes["time"]), c.label) for c in curves])
    return figure


@style.styled
def densities(results: StudyResults, errors: pd.DataFrame, best: pd.DataFrame) -> Figure | None:
    """Density and truth at a few times, of the median member of the best theta (or of the first point) at small noise.

    Returns
    -------
    Figure or None
        None if densities are not stored, or no cell converged.
    """
    curves, description = representative(results, best, errors)
    if not curves or not results.has_fields:
        return None
    member, rivals = _median_member(results, curves)
    fields = [(curve, results.fields(curve.point, [member])) for curve in rivals]
    main = fields[0][1]
    chosen = _times(results, main.time)
    figure, grid = style.panels(len(chosen), most_columns=3, height=1.75)
    for axes, step in zip(grid, chosen, strict=True):
        axes.fill_between(main.grid.x, main.truth[0, step], color="0.88", linewidth=0, zorder=1)
        axes.plot(main.grid.x, main.truth[0, step], color=style.BLACK, linewidth=1.0, zorder=2)
        for curve, field in reversed(fields):
            look = {k: v for k, v in curve.style.items() if k != "marker"}
            axes.plot(field.grid.x, field.density[0, step], **look, zorder=4)
        axes.set_title(f"$t$ = {mathematics(float(main.time[step]), 3, least=1e-4)}", loc="left")
        axes.set_xlim(main.grid.x[0], main.grid.x[-1])
        axes.set_ylim(bottom=0.0)
    style.outer_labels(grid, "position $x$", "density $u$")
    truth = Line2D([], [], color=style.BLACK, linewidth=1.0, label="truth")
    style.bottom_legend(figure, [truth, *(_handle({**c.style, "marker": ""}, c.label) for c in rivals)])
    which = [f"member {member}"] if results.study.ensemble.members > 1 else []
    style.top_note(figure, ", ".join([description, *which] if description else which))
    return figure


def _median_member(results: StudyResults, curves: list[Curve]) -> tuple[int, list[Curve]]:
    """The member whose error is nearest to the median, and the curves that have it; data only would hide the others."""
    cells = cell_errors(results)
    converged = cells[cells["l1_mean"].notna()]
    own = converged[converged["point"] == curves[0].point].set_index("member")["l1_mean"]
    member = smallest((own - own.median()).abs())
    there = set(converged["point"][converged["member"] == member])
    shown = (style.BEST, style.BEST_FINAL, style.MODEL_ONLY)
    return member, [c for c in curves if c.point in there and (c is curves[0] or c.style in shown)]


def _times(results: StudyResults, time: Array) -> list[int]:
    """Steps of the panels: those nearest to the times that the report asks for, or about geometrically spaced ones."""
    wanted = results.study.report.times
    if wanted:
        return spread(sorted({int(np.abs(time - t).argmin()) for t in wanted}), 12)
    last = time.size - 1
    return sorted({0, last, *np.geomspace(1, last, 5).round().astype(int).tolist()}) if last > 0 else [0]


# --- shared by the figures ----------------------------------------------------------------------------------------------


def _band(axes: Axes, band: Band, curve: Curve) -> bool:
    """Draw a median and, of more than one member, the band around it; whether a logarithmic axis hides zeros of it.

    An error of 0, as at the initial time of a model that starts from the truth, would be a line to the lower end of a
    logarithmic axis, which looks like a jump of many orders.
    """
    median, lower, upper = band.median, band.lower, band.upper
    hidden = False
    if axes.get_yscale() == "log":
        low = axes.get_ylim()[0]
        hidden = bool((median < low).any())
        median, upper = (np.where(values >= low, values, np.nan) for values in (median, upper))
        lower = np.maximum(lower, low)
    if band.used > 1:
        axes.fill_between(band.time, lower, upper, color=curve.style["color"], alpha=0.2, linewidth=0)
    axes.plot(band.time, median, **_thin(curve, band.time.size))
    return hidden


def _thin(curve: Curve, size: int) -> dict[str, Any]:
    """A few markers on a curve of many points."""
    return {**curve.style, "markersize": 4, "markevery": max(1, size // 6)}


def _handle(look: dict[str, Any], label: str) -> Line2D:
    return Line2D([], [], **{k: v for k, v in look.items() if k != "markevery"}, label=label)
