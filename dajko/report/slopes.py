"""The figure of convergence: error against step size, with fitted orders and a slope to compare with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from dajko.grid import Array
from dajko.report import style
from dajko.report.convergence import FINEST, RESOLUTIONS, TRUTH, orders
from dajko.report.errors import NORMS
from dajko.report.reading import StudyResults
from dajko.report.selection import matching, spread, text_of
from dajko.report.words import order_text

_STEPS = {
    "time.tau": r"time step $\tau$",
    "grid.nx": r"mesh size $\delta x$",
    "grid.nt": r"mesh size $\delta t = 1/N_t$",
    "solver.tol": "solver tolerance",
}
# How errors against the truth look beside those against the finest run.
_HOLLOW: dict[str, Any] = {"linewidth": 0.8, "markersize": 4, "markerfacecolor": "white"}
# Height in inches of a row of a legend.
_LINE = 0.22

# How a curve looks, the values of the other swept keys, and its rows of the table.
Series = tuple[dict[str, Any], dict[str, Any], pd.DataFrame]


@style.styled
def convergence(results: StudyResults, table: pd.DataFrame) -> Figure | None:
    """Final error against step size, a row for each resolution and a column for each norm, with the fitted orders.

    Parameters
    ----------
    results : StudyResults
    table : pandas.DataFrame
        From :func:`dajko.report.convergence.convergence_table`.

    Returns
    -------
    Figure or None
        None if no resolution is swept, or no error is above 0.
    """
    if table.empty or not (table["median"] > 0.0).any():
        return None
    parts = {r.key: _main(table[table["resolution"] == r.key]) for r in RESOLUTIONS.values()}
    parts = {key: part for key, part in parts.items() if _sizes(part) > 1}
    if not parts:
        return None
    truth = table[table["reference"] == TRUTH]
    series = {key: _series(results, part) for key, part in parts.items()}
    handles = {key: _handles(results, curves) for key, (curves, _) in series.items()}
    heights = [3.0 + 0.2 * len(h) + _LINE * _legend_rows(h) for h in handles.values()]
    figure = Figure(figsize=(style.WIDTH, sum(heights)), layout="constrained")
    rows = figure.subfigures(len(parts), 1, squeeze=False, height_ratios=heights)[:, 0]
    for row, (key, part) in zip(rows, parts.items(), strict=True):
        grid = row.subplots(1, len(NORMS))
        finest = part["reference"].iloc[0] == FINEST
        beside = truth[(truth["resolution"] == key) & finest]
        against = "the finest run" if finest else "the truth"
        grid[0].set_title(f"against {against}{'; hollow: the truth' if len(beside) else ''}", loc="left")
        for axes, norm in zip(grid, NORMS, strict=True):
            curves, note = series[key]
            hollow = [({**look, **_HOLLOW}, matching(beside, {**values, "norm": norm})) for look, values, _ in curves]
            _panel(axes, [(look, curve[curve["norm"] == norm]) for look, _, curve in curves], hollow)
            axes.set_xlabel(_STEPS[key])
            axes.set_ylabel(style.NORM_LABELS[norm])
        if _legend_rows(handles[key]):
            columns = style.legend_columns(style.WIDTH, handles[key])
            row.legend(handles=handles[key], loc="outside lower center", ncols=columns)
        if note:
            row.suptitle(note, fontsize=10, x=0.01, ha="left")
    return figure


def _series(results: StudyResults, part: pd.DataFrame) -> tuple[list[Series], str]:
    """The curves of a resolution: how they look, the values of the other keys, their rows; and what is left out."""
    others = [n for n in results.parameters if n in part.columns and part[n].notna().all()]
    groups: list[tuple[Any, pd.DataFrame]] = list(part.groupby(others, sort=False)) if others else [((), part)]
    shown = spread(groups, len(style.SERIES))
    note = f"Shown: {len(shown)} of {len(groups)} combinations of the other keys" if len(shown) < len(groups) else ""
    looks = zip(style.SERIES, shown, strict=False)
    return [(look, dict(zip(others, values, strict=True)), curve) for look, (values, curve) in looks], note


def _handles(results: StudyResults, curves: list[Series]) -> list[Line2D]:
    return [Line2D([], [], **look, label=text_of(results, values)) for look, values, _ in curves]


def _legend_rows(handles: list[Line2D]) -> int:
    """Rows of the legend that names the curves; a single curve needs no name."""
    return -(-len(handles) // style.legend_columns(style.WIDTH, handles)) if len(handles) > 1 else 0


def _main(part: pd.DataFrame) -> pd.DataFrame:
    """The errors that orders are fitted to: against the finest run where there are some, else against the truth."""
    finest = part[part["reference"] == FINEST]
    return finest if _sizes(finest) > 1 else part[part["reference"] == TRUTH]


def _sizes(part: pd.DataFrame) -> int:
    return part.loc[part["median"] > 0.0, "step"].nunique()


def _panel(
    axes: Axes, curves: list[tuple[dict[str, Any], pd.DataFrame]], hollow: list[tuple[dict[str, Any], pd.DataFrame]]
) -> None:
    seen: list[Array] = []
    fitted: list[float] = []
    handles = []
    for look, curve in curves:
        fit = orders(curve).iloc[0]
        h = curve["step"].to_numpy(dtype=float)
        median, low, high = (curve[n].where(curve[n] > 0.0).to_numpy(dtype=float) for n in ("median", "q05", "q95"))
        axes.fill_between(h, low, high, color=look["color"], alpha=0.2, linewidth=0)
        axes.plot(h, median, **look, zorder=4)
        handles.append(Line2D([], [], **look, label=order_text(float(fit["order"]), float(fit["stderr"]))))
        seen += [median, low, high]
        fitted.append(float(fit["order"]))
    for look, curve in hollow:
        median = curve["median"].where(curve["median"] > 0.0).to_numpy(dtype=float)
        axes.plot(curve["step"].to_numpy(dtype=float), median, **look, zorder=3)
        seen.append(median)
    both = pd.concat([curve for _, curve in curves])
    both = both[both["median"] > 0.0]
    if both.empty:
        style.say_empty(axes, "no error above 0")
    slope = _slope(axes, both, fitted)
    style.log_axis(axes.xaxis, pd.concat([both, *(curve for _, curve in hollow)])["step"], most=3)
    style.log_axis(axes.yaxis, np.concatenate([*seen, slope]), pad=(0.16, 0.06), most=4)
    assert axes.figure is not None
    below = axes.transAxes + ScaledTranslation(0.0, -36 / 72, axes.figure.dpi_scale_trans)
    axes.legend(handles=handles, title="fitted order", loc="upper center", bbox_to_anchor=(0.5, 0.0), bbox_transform=below)


def _slope(axes: Axes, part: pd.DataFrame, fitted: list[float]) -> Array:
    """A grey line below all curves, of the whole order (or 1/2) that is nearest to the fitted ones; its values."""
    h, errors = part["step"].to_numpy(dtype=float), part["median"].to_numpy(dtype=float)
    found = [p for p in fitted if np.isfinite(p) and p >= 0.25]
    if not found or np.unique(h).size < 2:
        return np.array([])
    middle = float(np.median(found))
    order = min((0.5, max(1.0, float(np.round(middle)))), key=lambda p: abs(p - middle))
    ends = np.array([h.min(), h.max()])
    values = 0.6 * float((errors / h**order).min()) * ends**order
    axes.plot(ends, values, color=style.GREY, linewidth=1.0, zorder=2)
    axes.annotate(
        f"slope {order:g}",
        (ends[0], values[0]),
        xytext=(4, -2),
        textcoords="offset points",
        ha="left",
        va="top",
        color=style.GREY,
        fontsize=9,
    )
    return values
