"""How figures look, and how they are saved: sizes, colours for all eyes, logarithmic axes, reproducible bytes."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from dajko.report.words import mathematics

# Inches: the text width of most journals.
WIDTH = 7.0
DPI = 200
# Bytes of a drawing; what has more points than that is an image.
_MOST_SVG = 600_000

RC: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelsize": 10,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9.5,
    "figure.constrained_layout.h_pad": 0.06,
    "figure.constrained_layout.w_pad": 0.06,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that figures are the same everywhere
    "font.size": 9.5,
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "legend.handlelength": 2.8,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "mathtext.fontset": "dejavusans",
    "svg.fonttype": "path",
    "svg.hashsalt": "dajko",  # with no date: the same figure has the same bytes
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
}

# Okabe and Ito's colours, without the yellow that paper swallows.
BLACK, BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = (
    "#000000",
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
)
GREY = "#6b6b6b"

_NO_ROOM = str.maketrans("", "", "${}^_")

# What a curve is, said by colour, line and marker at once.
BEST: dict[str, Any] = {"color": BLUE, "linestyle": "-", "marker": "o"}
MODEL_ONLY: dict[str, Any] = {"color": VERMILION, "linestyle": "--", "marker": "s"}
DATA_ONLY: dict[str, Any] = {"color": GREEN, "linestyle": "-.", "marker": "^"}
# The best theta at the final time, where that is not the one of the time mean.
BEST_FINAL: dict[str, Any] = {"color": PURPLE, "linestyle": (0, (1, 1)), "marker": "D"}
SERIES: tuple[dict[str, Any], ...] = (
    BEST,
    MODEL_ONLY,
    DATA_ONLY,
    BEST_FINAL,
    {"color": ORANGE, "linestyle": (0, (5, 1, 1, 1, 1, 1)), "marker": "v"},
    {"color": BLACK, "linestyle": (0, (7, 2)), "marker": "P"},
)

P = ParamSpec("P")
R = TypeVar("R")

NORM_LABELS = {"l1": r"$L^1$ error / mass", "l2": r"$L^2$ error", "w2": r"$W_2$ error"}


def styled(make: Callable[P, R]) -> Callable[P, R]:
    """Make a figure in the style of the reports: what is drawn takes its sizes when it is made."""

    @wraps(make)
    def made(*args: P.args, **kwargs: P.kwargs) -> R:
        with mpl.rc_context(RC):
            return make(*args, **kwargs)

    return made


def log_axis(axis: Axis, values: ArrayLike, pad: tuple[float, float] = (0.06, 0.06), most: int = 5) -> bool:
    """Make an axis logarithmic, with limits around the positive ``values`` and few, plain labels.

    Parameters
    ----------
    axis : matplotlib.axis.Axis
    values : array_like
        What has to be seen; zeros and NaN cannot be.
    pad : (float, float)
        Room below and above, as shares of the range.
    most : int
        Labels at most, about.

    Returns
    -------
    bool
        False, and a linear axis, where no value is positive.
    """
    given = np.asarray(values, dtype=float)
    given = given[np.isfinite(given) & (given > 0.0)]
    if given.size == 0:
        return False
    low, high = float(given.min()), float(given.max())
    if high / low < 1.5:
        low, high = low / 1.25, high * 1.25
    span = np.log10(high / low)
    low, high = low * 10.0 ** (-pad[0] * span), high * 10.0 ** (pad[1] * span)
    set_scale, set_limits = (
        (axis.axes.set_xscale, axis.axes.set_xlim) if axis is axis.axes.xaxis else (axis.axes.set_yscale, axis.axes.set_ylim)
    )
    set_scale("log")
    set_limits(low, high)
    ticks = _ticks(low, high, most)
    decades = all(np.isclose(np.log10(t) % 1.0, (0.0, 1.0), atol=1e-9).any() for t in ticks)
    least = 0.01 if decades else 1e-4
    powers = decades and min(ticks, default=1.0) < 0.01
    axis.set_major_locator(ticker.FixedLocator(ticks))
    axis.set_major_formatter(ticker.FuncFormatter(lambda v, _: power_text(v) if powers else mathematics(v, 6, least=least)))
    axis.set_minor_locator(ticker.LogLocator(subs=range(2, 10), numticks=50))
    axis.set_minor_formatter(ticker.NullFormatter())
    return True


def say_empty(axes: Axes, text: str) -> None:
    """Say in a panel without curves why it is empty."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY)


def power_text(value: float) -> str:
    """A power of ten."""
    return f"$10^{{{round(np.log10(value))}}}$"


def _ticks(low: float, high: float, most: int) -> list[float]:
    """The finest regular ticks that are not more than ``most``."""
    decades = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    regular = [((1, 2, 5), 1, 0), ((1, 3), 1, 0)] + [((1,), s, i) for s in (1, 2, 3, 4, 6, 10) for i in range(s)]
    candidates = []
    for factors, stride, offset in regular:
        ticks = [f * 10.0**d for d in decades[decades % stride == offset] for f in factors]
        candidates.append([t for t in ticks if low <= t <= high])
    if low < 1e-3 and len(candidates[2]) >= 2:  # powers of ten are short; 0.0003 is not
        candidates = candidates[2:]
    found = max(candidates, key=lambda ticks: len(ticks) if len(ticks) <= most else 0)
    if len(found) >= 2:
        return found
    return [float(v) for v in ticker.MaxNLocator(most - 1, steps=[1, 2, 5, 10]).tick_values(low, high) if low <= v <= high]


def plain_time(axes: Axes, end: float, most: int = 4) -> None:
    """A few round labels on a time axis from 0 to ``end``, without trailing zeros."""
    steps = (f * 10.0**d for d in range(int(np.floor(np.log10(end))) - 2, 400) for f in (1, 2, 5))
    step = next(s for s in steps if end / s < most - 1e-9)
    axes.xaxis.set_major_locator(ticker.FixedLocator([i * step for i in range(most) if i * step <= end * (1 + 1e-9)]))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda v, _: mathematics(v, 3, least=1e-4)))


def panels(count: int, most_columns: int, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels of the same scales, row by row; surplus ones are removed."""
    columns = min(count, most_columns if count != 4 else 2)
    rows = -(-count // columns)
    width, tall = (WIDTH, height) if columns > 1 else (0.65 * WIDTH, 1.2 * height)
    figure = Figure(figsize=(width, 0.8 + tall * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True, sharex=True).ravel()
    for axes in grid[count - columns : count]:  # those with nothing below
        axes.tick_params(labelbottom=True)
    for axes in grid[count:]:
        axes.remove()
    return figure, list(grid[:count])


def outer_labels(grid: list[Axes], x: str, y: str) -> None:
    """Label the panels at the left and those with nothing below."""
    specs = [axes.get_subplotspec() for axes in grid]
    columns = max(spec.colspan.stop for spec in specs if spec is not None)
    for i, (axes, spec) in enumerate(zip(grid, specs, strict=True)):
        if spec is not None and spec.is_first_col():
            axes.set_ylabel(y)
        if i + columns >= len(grid):
            axes.set_xlabel(x)


def row_title(axes: Axes, text: str) -> None:
    """A title at the left of a row of panels, which may be longer than the first of them."""
    if text:
        axes.set_title(" ", loc="left")  # takes the height, and leaves the panels their width
        title = axes.annotate(
            text,
            (0.0, 1.0),
            xycoords="axes fraction",
            xytext=(0.0, mpl.rcParams["axes.titlepad"]),
            textcoords="offset points",
            ha="left",
            va="baseline",
            fontsize=mpl.rcParams["axes.titlesize"],
        )
        title.set_in_layout(False)


def legend_columns(width: float, handles: list[Line2D]) -> int:
    """Columns of a legend for which there is room in so many inches."""
    # Commands and braces of mathematical text take no room.
    longest = max(len(re.sub(r"\\[a-z]+", "x", str(h.get_label())).translate(_NO_ROOM)) for h in handles)
    return int(min(len(handles), max(1, width * 13 // (longest + 7))))


def bottom_legend(figure: Figure, handles: list[Line2D]) -> None:
    """A legend below all panels, in as many columns as there is room for; the figure grows by its rows."""
    columns = legend_columns(figure.get_figwidth(), handles)
    figure.set_figheight(figure.get_figheight() + 0.22 * (-(-len(handles) // columns) - 1))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)


def top_note(figure: Figure, text: str) -> None:
    """What a figure shows and what it leaves out, above all panels."""
    if text:
        figure.suptitle(text, fontsize=10, x=0.01, ha="left")


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Save a figure as ``<stem>.svg`` and ``<stem>.png``, with bytes that depend on nothing but the figure.

    Where curves have so many points that the drawing would be large, the SVG holds the image of the PNG.

    Returns
    -------
    list of Path
        The two files.
    """
    drawn = {}
    with mpl.rc_context(RC):
        for suffix, metadata in ((".svg", {"Date": None, "Creator": None}), (".png", {"Software": None})):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=suffix[1:], dpi=DPI, metadata=metadata)
            drawn[suffix] = buffer.getvalue()
    if len(drawn[".svg"]) > _MOST_SVG:
        drawn[".svg"] = _as_svg(figure, drawn[".png"])
    paths = []
    for suffix, content in drawn.items():
        paths.append(stem.with_suffix(suffix))
        paths[-1].write_bytes(content)
    return paths


def _as_svg(figure: Figure, png: bytes) -> bytes:
    """An SVG of the same size that holds an image."""
    width, height = figure.get_size_inches() * 72
    image = base64.b64encode(png).decode("ascii")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}pt" height="{height:g}pt" '
        f'viewBox="0 0 {width:g} {height:g}">'
        f'<image width="{width:g}" height="{height:g}" href="data:image/png;base64,{image}"/></svg>\n'
    ).encode()
