"""The figures of section 5.2: figure 5.7, and what decides whether the model concentrates."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dajko.report import style
from reproductions.data_driven_gradient_flows import concentration as c
from reproductions.data_driven_gradient_flows.stores import Flow, Stores

_FREE, _TIED = {"color": style.VERMILION}, {"color": style.PURPLE}
_PANELS = (0, 1, 10, 100, 1000, 10_000)


@style.styled
def figure_5_7(free: Flow, tied: Flow) -> Figure:
    """The panels of figure 5.7: truth, model without data, and with data."""
    figure = Figure(figsize=(style.WIDTH, 4.6), layout="constrained")
    steps = [k for k in _PANELS if k < len(free.time)]
    panels = list(figure.subplots(2, 3, sharex=True).ravel())
    for axes, k in zip(panels, steps, strict=False):
        axes.plot(free.grid.x, free.density[k], color=style.VERMILION, linewidth=1.4, label="model, χ = 10")
        axes.plot(free.grid.x, tied.density[k], color=style.BLUE, linestyle=(0, (1, 1)), linewidth=2.0, label="with data")
        axes.plot(free.grid.x, free.truth[k], color=style.BLACK, linestyle="--", linewidth=1.4, label="truth, χ = 2")
        axes.set_title(f"$k$ = {k}", loc="left")
        axes.set(xlim=(free.grid.left, free.grid.right), ylim=(0, None))
    for axes in panels[len(steps) :]:
        axes.set_visible(False)
    style.outer_labels(panels[: len(steps)], "position $x$", "density $u$")
    style.bottom_legend(figure, panels[0].get_lines())
    return figure


@style.styled
def grids(stores: Stores) -> Figure:
    """Largest density in time on several grids, and at the end against the mesh size for several data."""
    plain, data = stores.flows("blow-up-grid"), stores.flows("blow-up-data")
    figure = Figure(figsize=(style.WIDTH, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    strong = [f for f in plain if c.interaction(f).chi == 10.0]
    for flow, colour in zip(strong, (style.SKY, style.BLUE, style.PURPLE, style.VERMILION), strict=False):
        left.plot(flow.time, c.largest(flow), color=colour)
        end = (flow.time[-1], c.largest(flow)[-1])
        left.annotate(f"{flow.grid.nx} cells", end, (0, 3), textcoords="offset points", color=colour, ha="right", fontsize=8)
    for flow in (f for f in plain if c.interaction(f).chi == 2.0):
        left.plot(flow.time, c.largest(flow), color=style.BLACK, linestyle="--", linewidth=1.0)
    left.set(yscale="log", xlabel="time $t$", ylabel="largest density")
    left.set_title("without data", loc="left")
    curves = [
        ("no data", style.VERMILION, "o", strong),
        ("expectation, variance", style.PURPLE, "s", [f for f in data if c.measured(f) == "expectation, variance"]),
        ("mass in each half", style.ORANGE, "D", [f for f in data if c.measured(f) == "mass in each half"]),
        *(
            (f"{n} sensors", colour, "^", [f for f in data if c.sensors(f)[0] == n])
            for n, colour in ((4, style.SKY), (8, style.BLUE), (16, style.GREEN), (20, style.GREY))
        ),
        ("truth, χ = 2", style.BLACK, "P", [f for f in plain if c.interaction(f).chi == 2.0]),
    ]
    for label, colour, marker, group in curves:
        right.plot([f.grid.dx for f in group], [c.largest(f)[-1] for f in group], color=colour, marker=marker, label=label)
    style.log_axis(right.xaxis, [f.grid.dx for f in plain])
    right.set_xlabel(r"mesh size $\delta x$")
    right.set_title(f"$t$ = {plain[0].time[-1]:g}", loc="left")
    style.bottom_legend(figure, right.get_lines())
    return figure


@style.styled
def data(stores: Stores, critical: float) -> Figure:
    """The exponent of growth against spacing and width of the sensors, and against theta."""
    figure = Figure(figsize=(style.WIDTH, 3.4), layout="constrained")
    spacing, width, theta = figure.subplots(1, 3, sharey=True)
    arrays = c.by_grid((f for f in stores.flows("blow-up-data") if c.sensors(f)[0]), lambda f: c.sensors(f)[0])
    length = arrays[0][1][0].grid.right - arrays[0][1][0].grid.left
    spacings = [length / n for n, _ in arrays]
    for i, look in zip(range(len(arrays[0][1]) - 1), (style.MODEL_ONLY, style.BEST), strict=False):
        label = f"{arrays[0][1][i].grid.nx} to {arrays[0][1][i + 1].grid.nx} cells"
        spacing.plot(spacings, [c.growth(flows[i], flows[i + 1]) for _, flows in arrays], label=label, **look)
    spacing.axvline(critical, color=style.BLACK, linestyle="--", linewidth=1.0)
    place: dict[str, Any] = {
        "xytext": (-3, 0),
        "textcoords": "offset points",
        "rotation": 90,
        "ha": "right",
        "va": "top",
        "fontsize": 8,
    }
    spacing.annotate(r"$2\pi/(\chi\,\max u)$", (critical, 1.35), **place)
    style.log_axis(spacing.xaxis, spacings)
    spacing.set(xlabel="spacing of sensors", ylabel="exponent of growth $p$")
    spacing.legend(fontsize=7.5, loc="lower right", bbox_to_anchor=(1.0, 0.1))
    widths = c.by_grid(stores.flows("blow-up-width"), lambda f: c.sensors(f)[1])
    width.plot([w for w, _ in widths], [c.growth(g[0], g[1]) for _, g in widths], **style.DATA_ONLY)
    style.log_axis(width.xaxis, [w for w, _ in widths])
    width.set_xlabel("width, 20 sensors")
    for (kind, look), label in zip(_by_theta(stores), _KINDS, strict=True):
        theta.plot([f[0].theta for f in kind], [c.growth(f[0], f[1]) for f in kind], label=label, **look)
    theta.set_ylim(-0.2, 2.2)
    style.log_axis(theta.xaxis, [f[0].theta for f in _by_theta(stores)[0][0]])
    theta.set_xlabel(r"$\theta$")
    theta.legend(fontsize=7.5, loc="upper left")
    for axes in (spacing, width, theta):
        axes.axhline(0.0, color=style.GREY, linewidth=0.8)
        axes.axhline(1.0, color=style.GREY, linewidth=0.8)
    return figure


_KINDS = ("expectation, variance", "8 sensors, width 0.125", "20 sensors, width 0.05", "20 sensors, width 0.1")


def _by_theta(stores: Stores) -> list[tuple[list[list[Flow]], dict[str, object]]]:
    kinds = c.by_grid(stores.flows("blow-up-theta"), lambda f: (c.sensors(f), f.theta))
    found = [[flows for _, flows in group] for _, group in itertools.groupby(kinds, key=lambda item: item[0][0])]
    return list(zip(found, style.SERIES, strict=False))


@style.styled
def sensitivity_and_core(stores: Stores, thresholds: Sequence[tuple[str, float]]) -> Figure:
    """Thresholds in chi, and kernels with a core."""
    figure = Figure(figsize=(style.WIDTH, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for label, tied, look in (("no data", False, style.MODEL_ONLY), ("expectation, variance", True, style.BEST)):
        flows = (f for f in stores.flows("blow-up-chi") if c.has_data(f) == tied)
        group = c.by_grid(flows, lambda f: c.interaction(f).chi)
        left.plot([chi for chi, _ in group], [c.growth(g[0], g[1]) for _, g in group], label=label, **look)
    for (label, value), side in zip(thresholds, ("right", "left"), strict=True):
        left.axvline(value, color=style.BLACK, linestyle="--", linewidth=1.0)
        gap = (-2 if side == "right" else 2, 0)
        left.annotate(label, (value, 0.35), gap, textcoords="offset points", rotation=90, ha=side, va="bottom", fontsize=8)
    left.set(xlabel="sensitivity $\\chi$ of the model", ylabel="exponent of growth $p$")
    left.legend(fontsize=8, loc="lower right", bbox_to_anchor=(1.0, 0.3))
    _cores(right, stores)
    return figure


def _cores(axes: Axes, stores: Stores) -> None:
    flows = stores.flows("blow-up-core")
    lengths = sorted({c.interaction(f).core for f in flows})
    colours = dict(zip(lengths, (style.BLACK, style.VERMILION, style.PURPLE, style.BLUE, style.GREEN), strict=False))
    for (tied, core), group in c.by_grid(flows, lambda f: (c.has_data(f), c.interaction(f).core)):
        look: dict[str, Any] = {"linestyle": ":", "marker": "s"} if tied else {"linestyle": "-", "marker": "o"}
        label = None if tied else f"core {core:g}"
        axes.plot([f.grid.dx for f in group], [c.largest(f)[-1] for f in group], color=colours[core], label=label, **look)
    axes.set(yscale="log", xlabel=r"mesh size $\delta x$", ylabel="largest density")
    style.log_axis(axes.xaxis, [f.grid.dx for f in flows])
    axes.set_ylim(top=6 * max(c.largest(f)[-1] for f in flows))
    axes.legend(fontsize=8, loc="upper center", ncols=3, columnspacing=1.0)
    axes.set_title("solid: no data; dotted: with data", loc="left")
