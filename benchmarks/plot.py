"""The figure of the results: time a step by solver, and how it grows with the grid."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import patheffects, ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.results import Results
from benchmarks.scaling import Point, along, exponent
from benchmarks.solvers import Result
from benchmarks.timing import times_faster
from dajko.report.style import BLACK, BLUE, DPI, GREEN, GREY, ORANGE, RC, WIDTH

_BARS = {
    "pd3o": ("pd3o (Algorithm 1)", GREY),
    "clarabel": ("CVXPY with Clarabel", ORANGE),
    "interior_point": ("interior_point, alone", BLUE),
    "lanes": ("interior_point, lanes", GREEN),
}
_DEFAULT: dict[str, Any] = {"marker": "D", "color": "white", "markeredgecolor": BLACK, "markersize": 3.5}
_STYLES: dict[bool, dict[str, Any]] = {False: {"marker": "o", "color": BLUE}, True: {"marker": "s", "color": GREEN}}
_LINES = ("-", "--", ":")


def draw(results: Results, path: Path) -> None:
    """Draw the figure and save it as PNG, with bytes that depend on the results only."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
        grid = figure.add_gridspec(2, 2, width_ratios=(1.6, 1.0))
        # Each part can be measured alone.
        _bars(figure.add_subplot(grid[:, 0] if results.scaling else grid[:, :]), results.figures)
        if results.scaling:
            for row, axis in enumerate(("nx", "nt")):
                _lines(figure.add_subplot(grid[row, 1]), results.scaling, axis)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(buffer.getvalue())


def _bars(axes: Axes, figures: Sequence[Result]) -> None:
    names = list(dict.fromkeys(r.figure for r in figures))
    bottom = 0.4 * min(r.milliseconds for r in figures)
    for i, name in enumerate(names):
        chosen = {r.solver: r for r in figures if r.figure == name and (r.setting == "equal" or r.solver == "pd3o")}
        present = [solver for solver in _BARS if solver in chosen]
        for position, solver in enumerate(present):
            r, x = chosen[solver], i + 0.2 * (position - (len(present) - 1) / 2)
            high = 1e3 * max(r.seconds)
            axes.bar(x, r.milliseconds - bottom, 0.185, bottom=bottom, color=_BARS[solver][1])
            axes.vlines(x, r.milliseconds, high, color=BLACK, linewidth=0.8)
            default = [d for d in figures if (d.figure, d.solver, d.setting) == (name, solver, "default")]
            if default and r.setting == "equal":
                axes.plot(x, default[0].milliseconds, **_DEFAULT)
            if solver != "pd3o":
                ratio = times_faster(chosen["pd3o"].seconds, r.seconds)
                top = max(high, default[0].milliseconds if default else high)
                text = f"{ratio:.0f}" if ratio >= 9.5 else f"{ratio:.1f}"
                label = axes.annotate(text, (x, top), (0, 4), textcoords="offset points", ha="center", fontsize=8)
                label.set_path_effects([patheffects.withStroke(linewidth=2.0, foreground="white")])
    axes.set_yscale("log")
    axes.set_ylim(bottom, 6.0 * max(r.milliseconds for r in figures))
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda v, _: f"{v:g}"))
    axes.grid(visible=False, axis="x")
    axes.set_xticks(range(len(names)), [f"figure {name}" for name in names])
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("CPU time of a step, ms")
    axes.set_title("At equal accuracy; times faster than pd3o above the bars", loc="left")
    handles = [Line2D([], [], color=color, linewidth=6, label=label) for label, color in _BARS.values()]
    handles.append(Line2D([], [], linestyle="none", label="at the default tolerance", **_DEFAULT))
    axes.legend(handles=handles, loc="upper right", fontsize=8, ncols=2, handlelength=1.2, columnspacing=1.0)


def _lines(axes: Axes, points: Sequence[Point], axis: str) -> None:
    sizes: list[int] = []
    labels: list[tuple[float, str, str]] = []
    for name, linestyle in zip(dict.fromkeys(p.figure for p in points), _LINES, strict=False):
        for lanes, style in _STYLES.items():
            chosen = along(points, name, lanes, axis)
            sizes, times = [int(getattr(p, axis)) for p in chosen], [p.milliseconds for p in chosen]
            axes.plot(sizes, times, linestyle=linestyle, markersize=3.5, **style)
            labels.append((times[-1], f"{name}: {exponent(chosen, axis):.2f}", style["color"]))
    linear = 0.6 * min(p.milliseconds for p in points) * np.array(sizes) / sizes[0]
    axes.plot(sizes, linear, color=GREY, linewidth=1.0)
    labels.append((float(linear[-1]), "linear", GREY))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(0.85 * sizes[0], sizes[-1] * (sizes[-1] / sizes[0]) ** 0.4)
    axes.set_xticks(sizes, [str(s) for s in sizes])
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda v, _: f"{v:g}"))
    axes.yaxis.set_minor_formatter(ticker.NullFormatter())
    axes.set_xlabel({"nx": "$N_x$", "nt": "$N_t$"}[axis])
    axes.set_ylabel("ms a step")
    if axis == "nx":
        axes.set_title("Growth; figure: exponent", loc="left")
    _end_labels(axes, sizes[-1], sorted(labels))


def _end_labels(axes: Axes, x: float, labels: Sequence[tuple[float, str, str]]) -> None:
    """Texts at the ends of lines on a logarithmic axis, from below, moved up where they would overlap."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** 0.1)
    apart, last = (high / low) ** 0.075, 0.0
    for y, text, color in labels:
        last = max(y, last * apart)
        axes.annotate(text, (x, last), (6, 0), textcoords="offset points", va="center", fontsize=8, color=color)
