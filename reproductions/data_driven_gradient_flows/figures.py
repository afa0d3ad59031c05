"""The figures of the paper, drawn from the stores, and those of its claims."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dajko.grid import Array
from dajko.report import style
from reproductions.data_driven_gradient_flows.stores import Flow, Stores
from reproductions.data_driven_gradient_flows.words import PANELS, STEPS

# As in the paper: the truth is red and solid, the scheme blue and dotted.
TRUTH = {"color": style.VERMILION, "linestyle": "-", "linewidth": 1.4}
SCHEME = {"color": style.BLUE, "linestyle": (0, (1, 1)), "linewidth": 2.0}
ALONE = {"color": style.GREY, "linestyle": "--", "linewidth": 1.2}


def _handles(*named: tuple[str, dict[str, object]]) -> list[Line2D]:
    return [Line2D([], [], label=label, **look) for label, look in named]  # type: ignore[arg-type]


@style.styled
def profiles_and_energy(stores: Stores) -> Figure:
    """Figure 5.1: profiles at k = 2^i, and energies."""
    paper, right = stores.flow("figure-5-1"), stores.flow("figure-5-1", "interior_point", "right")
    figure = Figure(figsize=(style.WIDTH, 3.4), layout="constrained")
    left_axes, right_axes = figure.subplots(1, 2)
    for step, k in zip(STEPS, PANELS, strict=True):
        left_axes.plot(paper.grid.x, paper.truth[step], **TRUTH)
        left_axes.plot(paper.grid.x, paper.density[step], **SCHEME)
        peak = paper.truth[step].argmax()
        left_axes.annotate(
            f"{k}", (paper.grid.x[peak], paper.truth[step, peak]), (0, 2), textcoords="offset points", ha="center"
        )
    left_axes.set(xlabel="position $x$", ylabel="density $u$", xlim=(paper.grid.left, paper.grid.right))
    left_axes.set_ylim(bottom=0.0, top=1.08 * paper.truth.max())
    exact = paper.experiment.energy.value(paper.truth, paper.grid)
    k = np.arange(exact.size) + 1
    right_axes.plot(k, exact, **TRUTH)
    right_axes.plot(k, paper["energy"], **SCHEME)
    right_axes.plot(k, right["energy"], color=style.GREEN, linestyle="--", linewidth=1.4)
    style.log_axis(right_axes.yaxis, exact)
    style.log_axis(right_axes.xaxis, k)
    right_axes.xaxis.set_major_locator(ticker.FixedLocator(PANELS.tolist()))
    right_axes.set(xlabel="$k$", ylabel="energy $F$")
    green = {"color": style.GREEN, "linestyle": "--", "linewidth": 1.4}
    style.bottom_legend(
        figure, _handles(("exact", TRUTH), ("Algorithm 1, trapezoid", SCHEME), ("interior_point, right", green))
    )
    return figure


@style.styled
def panels(flow: Flow, alone: Flow) -> Figure:
    """Figures 5.2 to 5.6: truth, flow with data and flow without at k = 2^i."""
    figure = Figure(figsize=(style.WIDTH, 4.6), layout="constrained")
    grid = figure.subplots(2, 3, sharex=True).ravel()
    for axes, step, k in zip(grid, STEPS, PANELS, strict=True):
        axes.plot(flow.grid.x, flow.truth[step], **TRUTH)
        if step > 0:
            axes.plot(alone.grid.x, alone.density[step], **ALONE)
        axes.plot(flow.grid.x, flow.density[step], **SCHEME)
        axes.set_title(f"$k$ = {k}", loc="left")
        axes.set_xlim(flow.grid.left, flow.grid.right)
        axes.set_ylim(bottom=0.0)
    style.outer_labels(list(grid), "position $x$", "density $u$")
    style.bottom_legend(figure, _handles(("truth", TRUTH), ("model with data", SCHEME), ("model without data", ALONE)))
    return figure


@style.styled
def supports(stores: Stores, support: Callable[[Array, Flow], Array]) -> Figure:
    """Ends of the support over time in figures 5.5 and 5.6."""
    figure = Figure(figsize=(style.WIDTH, 3.2), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2, sharey=True), ("figure-5-5", "figure-5-6"), strict=True):
        flow, alone = stores.wide(name), stores.wide(name, data=False)
        k = np.arange(flow.time.size) + 1
        for density, look in ((flow.truth, TRUTH), (alone.density, ALONE), (flow.density, SCHEME)):
            ends = support(density, flow)
            axes.plot(k, ends[:, 0], **look)
            axes.plot(k, ends[:, 1], **look)
        axes.set_title(f"figure {name[-3:].replace('-', '.')}", loc="left")
        axes.set_xlabel("$k$")
        axes.set_ylim(flow.grid.left, flow.grid.right)
        if name == "figure-5-5":
            axes.set_ylabel("ends of the support")
    style.bottom_legend(figure, _handles(("truth", TRUTH), ("model with data", SCHEME), ("model without data", ALONE)))
    return figure


@style.styled
def estimate(flow: Flow) -> Figure:
    """The terms of (3.5) along a flow."""
    f, d2 = flow["energy"], flow.squared_distance(flow.density[:-1], flow.density[1:])
    v, b = flow["data"][1:], flow["observed"]
    gain = (np.sum((b[:-1] - v) ** 2, axis=1) - np.sum((b[1:] - v) ** 2, axis=1)) / (2 * flow.theta)
    figure = Figure(figsize=(0.7 * style.WIDTH, 3.2), layout="constrained")
    axes = figure.subplots()
    step = np.arange(1, f.size)
    axes.plot(step, f[:-1] - f[1:] + gain, color=style.BLUE, marker="o", markersize=3)
    axes.plot(step, f[:-1] - f[1:], color=style.GREEN, linestyle="--")
    axes.plot(step, d2 / (2 * flow.tau), color=style.VERMILION, marker="s", markersize=3)
    style.log_axis(axes.yaxis, np.concatenate([d2 / (2 * flow.tau), f[:-1] - f[1:] + gain]))
    axes.set(xlabel="step", ylabel="terms of (3.5)")
    axes.legend(
        handles=_handles(
            (r"$F(u)-F(u')$ + data", {"color": style.BLUE, "marker": "o", "markersize": 3}),
            (r"$F(u)-F(u')$", {"color": style.GREEN, "linestyle": "--"}),
            (r"$d^2(u,u')/(2\tau)$", {"color": style.VERMILION, "marker": "s", "markersize": 3}),
        )
    )
    return figure


@style.styled
def theta_limits(theta: Array, misfit: Array, away: Array, paper: float) -> Figure:
    """Misfit and distance to the flow without data, against theta."""
    figure = Figure(figsize=(0.7 * style.WIDTH, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.plot(theta, misfit, color=style.BLUE, marker="o", label=r"misfit $|B(u)-v|$")
    axes.plot(theta, away, color=style.GREEN, linestyle="--", marker="s", label="$L^1$ distance to no data / mass")
    axes.plot(theta, misfit[0] * theta / theta[0], color="0.6", linewidth=0.8, label="slopes $\\pm1$")
    axes.plot(theta, away[-1] * theta[-1] / theta, color="0.6", linewidth=0.8)
    axes.axvline(paper, color="0.4", linestyle=":", linewidth=1.0, label="the paper's $\\theta$")
    style.log_axis(axes.xaxis, theta)
    style.log_axis(axes.yaxis, np.concatenate([misfit, away]))
    axes.set_xlabel(r"$\theta$")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@style.styled
def orders(
    smooth: tuple[Array, Array],
    barenblatt: tuple[Array, Array],
    mesh: tuple[Array, Array],
    effective: dict[tuple[float, str], dict[int, float]],
) -> Figure:
    """Errors against tau and dx, effective time step against Nt."""
    figure = Figure(figsize=(style.WIDTH, 3.0), layout="constrained")
    tau_axes, mesh_axes, nt_axes = figure.subplots(1, 3)
    tau_axes.plot(*smooth, color=style.BLUE, marker="o", label="Ornstein–Uhlenbeck")
    tau_axes.plot(*barenblatt, color=style.VERMILION, marker="s", linestyle="--", label="Barenblatt")
    _slope(tau_axes, *smooth, 1)
    style.log_axis(tau_axes.xaxis, np.concatenate([smooth[0], barenblatt[0]]), most=3)
    style.log_axis(tau_axes.yaxis, np.concatenate([smooth[1], barenblatt[1]]), pad=(0.3, 0.06))
    tau_axes.set(xlabel=r"$\tau$", ylabel="$L^1$ error / mass")
    tau_axes.legend(fontsize=8)
    mesh_axes.plot(*mesh, color=style.BLUE, marker="o")
    _slope(mesh_axes, *mesh, 2)
    style.log_axis(mesh_axes.xaxis, mesh[0], most=3)
    style.log_axis(mesh_axes.yaxis, mesh[1])
    mesh_axes.set(xlabel=r"$\delta x$", ylabel="$L^1$ distance to the finest / mass")
    shortest = min(tau for tau, _ in effective)
    for rule, look in (("right", style.BEST), ("trapezoid", style.MODEL_ONLY)):
        ratio = effective[shortest, rule]
        nt_axes.plot(sorted(ratio), [ratio[n] for n in sorted(ratio)], **look, label=rule)
    levels = np.geomspace(2, 32, 50)
    nt_axes.plot(levels, 1 + 1 / levels, color="0.6", linewidth=0.8, label=r"$1+\delta t$")
    style.log_axis(nt_axes.xaxis, levels)
    nt_axes.set(xlabel="$N_t$", ylabel=r"effective time step / $\tau$")
    nt_axes.legend(fontsize=8)
    return figure


def _slope(axes: Axes, x: Array, y: Array, order: int) -> None:
    """A line of the expected order below the points."""
    axes.plot(x[:-1], 0.6 * y[0] * (x[:-1] / x[0]) ** order, color="0.6", linewidth=0.8)
    axes.annotate(
        f"order {order}", (x[1], 0.6 * y[0] * (x[1] / x[0]) ** order), (4, -9), textcoords="offset points", fontsize=8
    )
