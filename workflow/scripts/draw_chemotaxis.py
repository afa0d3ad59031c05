"""Figures and tables of docs/chemotaxis.md from the stores of config/paper/chemotaxis.yaml.

``python workflow/scripts/draw_chemotaxis.py results/chemotaxis docs/figures`` writes the figures and prints the tables.
"""

from __future__ import annotations

import argparse
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from dajko import open_study
from dajko.report.style import BLACK, BLUE, DPI, GREEN, ORANGE, PURPLE, RC, SKY, VERMILION, WIDTH, log_axis

# A bump is at the grid's limit when two neighbouring nodes hold this share of its mass.
LIMIT = 0.9


@dataclass(frozen=True)
class Cell:
    """One flow of a study with what was swept, and what it says about concentration."""

    data: xr.Dataset = field(repr=False)
    dx: float
    nx: int
    theta: float
    chi: float
    core: float
    kind: str
    sensors: int
    width: float

    @property
    def density(self) -> np.ndarray:
        """Stored densities, shape ``(times, nx + 1)``."""
        return np.atleast_2d(self.data["density"].values)

    @property
    def time(self) -> np.ndarray:
        """Times of the stored densities."""
        return np.asarray(self.data["time"].values)[-len(self.density) :]

    @property
    def peak(self) -> np.ndarray:
        """Largest density at each time."""
        return np.asarray(np.nanmax(self.density, axis=-1))

    @property
    def weights(self) -> np.ndarray:
        """Trapezoidal weights of the nodes."""
        w = np.full(self.nx + 1, self.dx)
        w[[0, -1]] *= 0.5
        return w

    @property
    def pair(self) -> np.ndarray:
        """Largest mass in two neighbouring nodes at each time, as a share of half the mass."""
        w = self.density * self.weights
        return np.asarray((w[:, 1:] + w[:, :-1]).max(axis=-1) / (0.5 * w.sum(axis=-1)))

    @property
    def clusters(self) -> list[float]:
        """Masses of the runs of nodes, at the last time, whose density is above half of the largest density."""
        u, w = self.density[-1], self.density[-1] * self.weights
        runs = itertools.groupby(range(u.size), key=lambda j: bool(u[j] > 0.5 * u.max()))
        return [float(w[list(nodes)].sum()) for high, nodes in runs if high]

    @property
    def entropy(self) -> float:
        """``int u log u`` at the last time."""
        u = self.density[-1]
        return float(np.sum(self.weights * u * np.log(np.maximum(u, 1e-300))))

    @property
    def l2(self) -> float:
        """L2 norm at the last time."""
        return float(np.sqrt(np.sum(self.weights * self.density[-1] ** 2)))

    @property
    def time_to_limit(self) -> float:
        """First time at the grid's limit; NaN if there is none."""
        reached = np.flatnonzero(self.pair >= LIMIT)
        return float(self.time[reached[0]]) if reached.size else np.nan

    @property
    def truth(self) -> np.ndarray:
        """The truth at the stored times."""
        return np.atleast_2d(self.data["truth"].values)


def cells(directory: Path, study: str) -> list[Cell]:
    """All flows of a study."""
    opened = open_study(directory / study)
    nodes = list(opened.children.values()) if isinstance(opened, xr.DataTree) else [opened]
    return [cell for node in nodes for cell in _cells(node.to_dataset() if isinstance(node, xr.DataTree) else node)]


def _cells(node: xr.Dataset) -> Iterator[Cell]:
    configuration = re.sub(r"\s", "", str(node.attrs["configuration"]))
    swept = [d for d in node["error_l1"].dims if d not in ("time", "member")]
    for at in itertools.product(*(range(node.sizes[d]) for d in swept)):
        one = node.isel(member=0, **dict(zip(swept, at, strict=True))).load()
        names = [str(name) for name in one["observation"].values]
        sensors = sum(name.startswith("sensor_") for name in names)
        words = str(one.coords["observations_operators"].item()) if "observations_operators" in one.coords else ""
        width = re.search(r"width:([0-9.e-]+)", words)
        nx = one.sizes["x"] - 1
        kind = "sensors" if sensors else "halves" if "interval_mass_0" in names else " + ".join(names)

        def swept_or(key: str, pattern: str, here: xr.Dataset = one) -> float:
            if key in here.coords:
                return float(here.coords[key])
            found = re.search(pattern, configuration.split('"model":')[1])
            return float(found[1].strip('"').replace("Infinity", "inf")) if found else 0.0

        yield Cell(
            data=one,
            dx=float(one["x"][1] - one["x"][0]),
            nx=nx,
            theta=swept_or("theta", r'"theta":("?[^,]+)'),
            chi=swept_or("model_energy_interaction_chi", r'"chi":([^,}]+)'),
            core=swept_or("model_energy_interaction_core", r'"core":([^,}]+)'),
            kind=kind,
            sensors=sensors,
            width=float(width[1]) if width else 0.0,
        )


def table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Print a table in Markdown."""
    head = list(head)
    print("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row) + " |")


def growth(coarse: Cell, fine: Cell) -> float:
    """Exponent p of the largest density ``~ dx^-p`` at the last time: 0 resolved, 1 the grid's limit."""
    return float(np.log(fine.peak[-1] / coarse.peak[-1]) / np.log(coarse.dx / fine.dx))


def save(figure: Figure, target: Path) -> None:
    """Write a figure as PNG without a date."""
    figure.savefig(target, dpi=DPI, metadata={"Software": None})
    print(f"\n{target}")


# --- figures ------------------------------------------------------------------------------------------------------------


def figure_57(directory: Path, target: Path) -> None:
    """The panels of figure 5.7."""
    found = cells(directory, "figure-5-7")
    free = next(c for c in found if np.isinf(c.theta))
    tied = next(c for c in found if np.isfinite(c.theta))
    steps = [k for k in (0, 1, 10, 100, 1000, 10000) if k < len(free.time)]
    figure = Figure(figsize=(WIDTH, 4.4), layout="constrained")
    x = free.data["x"].values
    for axes, k in zip(figure.subplots(2, 3).flat, steps, strict=False):
        axes.plot(x, free.density[k], color=VERMILION, lw=1.3, label="χ = 10")
        axes.plot(x, tied.density[k], color=BLUE, ls=":", lw=1.8, label="χ = 10 with data")
        axes.plot(x, free.truth[k], color=BLACK, ls="--", lw=1.3, label="χ = 2, the truth")
        axes.set(title=f"k = {k}", xlim=(-1, 1), ylim=(0, None))
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    for axes in figure.axes[3:]:
        axes.set_xlabel("x")
    save(figure, target)
    table(
        ["k", "max, truth", "χ = 10", "with data", "two nodes / bump, χ = 10", "with data", "L1 error, with data"],
        [
            (k, float(free.truth[k].max()), *(float(v[k]) for v in (free.peak, tied.peak, free.pair, tied.pair)),
             float(tied.data["error_l1"][k])) for k in steps
        ],
    )  # fmt: skip
    print("all steps converged:", all(int(c.data["status"]) == 1 for c in found), "; masses of clusters at the end:")
    print([[round(m, 3) for m in c.clusters] for c in (free, tied)])


def figure_grid(directory: Path, target: Path) -> None:
    """Largest density in time on several grids, and at the end against dx for several data."""
    plain, data = cells(directory, "grid"), cells(directory, "data")
    figure = Figure(figsize=(WIDTH, 3.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    for cell, colour in zip([c for c in plain if c.chi == 10.0], (SKY, BLUE, PURPLE, VERMILION), strict=True):
        left.plot(cell.time, cell.peak, color=colour)
        left.annotate(f"{cell.nx} cells", (cell.time[-1], 1.08 * cell.peak[-1]), color=colour, ha="right", fontsize=8)
    for cell in (c for c in plain if c.chi == 2.0):
        left.plot(cell.time, cell.peak, color=BLACK, ls="--", lw=1.0)
    left.annotate("χ = 2", (plain[0].time[-1], 3.4), ha="right", fontsize=8)
    left.set(yscale="log", xlabel="time", ylabel="largest density", title="χ = 10 without data")
    curves = [
        ("no data", VERMILION, "o", [c for c in plain if c.chi == 10.0]),
        ("expectation, variance", PURPLE, "s", [c for c in data if "variance" in c.kind]),
        ("mass in each half", ORANGE, "D", [c for c in data if c.kind == "halves"]),
        *(
            (f"{n} sensors", colour, "^", [c for c in data if c.sensors == n])
            for n, colour in ((4, SKY), (8, BLUE), (16, GREEN), (20, "#006046"))
        ),
        ("χ = 2", BLACK, "+", [c for c in plain if c.chi == 2.0]),
    ]
    for label, colour, marker, group in curves:
        right.plot([c.dx for c in group], [c.peak[-1] for c in group], color=colour, marker=marker, label=label, lw=1.2)
    right.set(yscale="log", xlabel="dx", title=f"largest density at t = {plain[0].time[-1]:g}")
    log_axis(right.xaxis, [c.dx for c in plain])
    right.legend(fontsize=6.5, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    save(figure, target)
    table(
        ["χ", "cells", "max", "max · dx", "two nodes / bump", "L2", "entropy", "time to the limit"],
        [
            (c.chi, c.nx, float(c.peak[-1]), float(c.peak[-1] * c.dx), float(c.pair[-1]), c.l2, c.entropy, c.time_to_limit)
            for c in sorted(plain, key=lambda c: (c.chi, c.nx))
        ],
    )


def by_grid(found: Iterable[Cell], key: Any) -> list[tuple[Any, list[Cell]]]:
    """Flows that differ only by the grid, coarsest first."""
    ordered = sorted(found, key=lambda c: (key(c), c.nx))
    return [(k, list(group)) for k, group in itertools.groupby(ordered, key=key)]


def largest_theta(chi: float, density: float, width: float, spacing: float, length: float) -> float:
    """Weight up to which sensors damp all modes k < chi u of a constant density u on an interval (docs/chemotaxis.md)."""
    k = np.linspace(np.pi / length, 0.999 * chi * density, 2000)
    return float(np.min(np.exp(-((k * width) ** 2)) / (spacing * (chi / k - 1.0 / density))))


def figure_data(directory: Path, target: Path) -> None:
    """The exponent of the growth on finer grids against spacing, width and theta."""
    data, width, theta = (cells(directory, name) for name in ("data", "width", "theta"))
    truth = data[0].truth
    figure = Figure(figsize=(WIDTH, 2.7), layout="constrained")
    spacing, footprint, weight = figure.subplots(1, 3, sharey=True)
    length = 2.0
    rows = []
    for (kind, sensors), group in by_grid(data, lambda c: (c.kind, c.sensors)):
        powers = [growth(a, b) for a, b in itertools.pairwise(group)]
        rows.append((f"{sensors} {kind}, spacing {length / sensors:.3g}" if sensors else kind,
                     *(float(c.peak[-1]) for c in group), *powers, float(group[-1].pair[-1]),
                     float(group[-1].data["error_l1"][-1])))  # fmt: skip
    table(["data", "max, 100 cells", "200", "400", "exponent 100-200", "200-400", "two nodes / bump", "L1 error"], rows)
    sensors = by_grid((c for c in data if c.sensors), lambda c: c.sensors)
    for i, colour in ((0, SKY), (1, BLUE)):
        spacing.plot([length / n for n, _ in sensors], [growth(g[i], g[i + 1]) for _, g in sensors], "o-", color=colour,
                     label=f"{sensors[0][1][i].nx} to {sensors[0][1][i + 1].nx} cells")  # fmt: skip
    critical = 2.0 * np.pi / (data[0].chi * truth.max())
    spacing.axvline(critical, color=BLACK, ls="--", lw=1.0)
    spacing.annotate("2π / (χ max u)", (critical, 0.9), rotation=90, ha="right", va="top", fontsize=7)
    spacing.set(xlabel="spacing of the sensors", ylabel="growth exponent p")
    log_axis(spacing.xaxis, [length / n for n, _ in sensors])
    spacing.legend(fontsize=6.5, loc="lower right")
    print(f"\nlargest density of the truth {truth.max():.4g}, critical length {critical:.4g}")
    widths = by_grid(width, lambda c: c.width)
    footprint.plot([w for w, _ in widths], [growth(g[0], g[1]) for _, g in widths], "o-", color=GREEN)
    footprint.set(xlabel="width (spacing 0.1)")
    log_axis(footprint.xaxis, [w for w, _ in widths])
    table(["width", "max, 100 cells", "200", "exponent"], [
        (w, *(float(c.peak[-1]) for c in g), growth(g[0], g[1])) for w, g in widths])  # fmt: skip
    rows = []
    kinds = sorted({(c.sensors, c.width) for c in theta})
    for (n, w), colour in zip(kinds, (PURPLE, BLUE, GREEN, ORANGE), strict=True):
        group = by_grid((c for c in theta if (c.sensors, c.width) == (n, w)), lambda c: c.theta)
        label = f"{n} sensors, width {w:g}" if n else "expectation, variance"
        weight.plot([t for t, _ in group], [growth(g[0], g[1]) for _, g in group], "o-", color=colour, label=label)
        rows += [(label, t, *(float(c.peak[-1]) for c in g), growth(g[0], g[1])) for t, g in group]
    table(["data", "θ", "max, 100 cells", "200", "exponent"], rows)
    print("\nlargest θ by linear stability:", {
        f"{n} sensors, width {w:g}": float(f"{largest_theta(data[0].chi, truth[-1].max(), w, length / n, length):.2g}")
        for n, w in kinds if n and length / n < critical})  # fmt: skip
    weight.set(xscale="log", xlabel="θ")
    weight.legend(fontsize=6)
    for axes in (spacing, footprint, weight):
        axes.axhline(0.0, color="0.6", lw=0.8)
        axes.axhline(1.0, color="0.6", lw=0.8)
    save(figure, target)


def figure_chi_core(directory: Path, target: Path) -> None:
    """Thresholds in chi, and a kernel with a core."""
    figure = Figure(figsize=(WIDTH, 2.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    chi = cells(directory, "chi")
    mass = float(chi[0].data["mass"][0])
    rows = []
    for free, colour, label in ((True, VERMILION, "no data"), (False, PURPLE, "expectation, variance")):
        group = by_grid((c for c in chi if np.isinf(c.theta) == free), lambda c: c.chi)
        left.plot([x for x, _ in group], [growth(g[0], g[1]) for _, g in group], "o-", color=colour, label=label)
        for x, g in group:
            finest = g[-1]
            masses = [round(m, 2) for m in finest.clusters]
            rows.append((label, x, *(float(c.peak[-1]) for c in g), growth(g[0], g[1]), float(finest.pair[-1]), masses))
    variance = float(chi[0].data["data_exact"].sel(observation="variance").values[-1])
    half = 0.5 * chi[0].nx * chi[0].dx
    thresholds = {"2π / M": 2.0 * np.pi / mass, "with the variance": 2.0 * np.pi / mass * (1.0 + variance / mass / half**2)}
    print(f"\nmass {mass:.4g}, variance of the truth at the end {variance:.3g}, thresholds {thresholds}")
    for (text, value), side in zip(thresholds.items(), ("right", "left"), strict=True):
        left.axvline(value, color=BLACK, ls="--", lw=1.0)
        left.annotate(text, (value, 0.42), rotation=90, ha=side, va="bottom", fontsize=7)
    left.set(xlabel="χ", ylabel="growth exponent p")
    left.legend(fontsize=7, loc=(0.3, 0.08))
    table(["data", "χ", "max, coarse", "fine", "exponent", "two nodes / bump", "clusters"], rows)
    core, rows = cells(directory, "core"), []
    for (free, length), group in by_grid(core, lambda c: (bool(np.isinf(c.theta)), c.core)):
        colour = dict(zip((0.0, 0.02, 0.05, 0.1, 0.2), (BLACK, VERMILION, PURPLE, BLUE, GREEN), strict=True))[length]
        style: dict[str, Any] = {"ls": "-"} if free else {"ls": ":", "marker": "s", "ms": 3}
        right.plot([c.dx for c in group], [c.peak[-1] for c in group], color=colour, lw=1.3, **style,
                   label=f"core {length:g}" if free else None)  # fmt: skip
        rows.append(("no data" if free else "expectation, variance", length, *(float(c.peak[-1]) for c in group),
                     growth(group[-2], group[-1]), [round(m, 2) for m in group[-1].clusters]))  # fmt: skip
    right.set(yscale="log", xlabel="dx", ylabel="largest density")
    log_axis(right.xaxis, [c.dx for c in core])
    right.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    right.set_title("solid: no data; dotted: expectation, variance", fontsize=8)
    grids = sorted({c.nx for c in core})
    table(["data", "core", *(f"max, {nx} cells" for nx in grids), "exponent, last two", "clusters"], rows)
    save(figure, target)


def table_long(directory: Path) -> None:
    """Sensors in the long run."""
    found = cells(directory, "long")
    steps = [k for k in (20, 100, 300, 1000) if k < len(found[0].time)]
    rows: list[tuple[Any, ...]] = [
        (
            f"{n} sensors, width {w:g}",
            *(float(g[1].peak[k]) for k in steps),
            growth(g[0], g[1]),
            float(g[1].data["error_l1"][-1]),
        )
        for (n, w), g in by_grid(found, lambda c: (c.sensors, c.width))
    ]
    rows.append(("χ = 2", *(float(found[-1].truth[k].max()) for k in steps), "", ""))
    table(["data", *(f"k = {k}" for k in steps), "exponent 100-200", "L1 error"], rows)


def table_variations(directory: Path) -> None:
    """Other time steps, intervals and time rules."""
    rows = []
    for c in sorted(cells(directory, "variations"), key=lambda c: c.theta):
        named = {str(k): c.data.coords[k].item() for k in c.data.coords if not c.data.coords[k].dims}
        rows.append(("no data" if np.isinf(c.theta) else "expectation, variance", named["time_tau"], named["grid_right"],
                     f"{named['grid_time_rule']}, {named['grid_nt']}", float(c.peak[-1] * c.dx), float(c.pair[-1]),
                     c.time_to_limit))  # fmt: skip
    table(["data", "τ", "half width", "rule, nt", "max · dx", "two nodes / bump", "time to the limit"], rows)


def table_pd3o(directory: Path) -> None:
    """Iterations and concentration of Algorithm 1."""
    found = cells(directory, "pd3o")
    rows: list[tuple[Any, ...]] = []
    for c in sorted(found, key=lambda c: c.theta):
        counts = c.data["iterations"].values[1:]
        label = "no data" if np.isinf(c.theta) else "expectation, variance"
        rows.append((label, int(counts.mean()), int(counts.max()), int(c.data["status"]), float(c.peak[5]),
                     float(c.peak[-1]), float(c.pair[-1]), float(c.data["mass"][-1])))  # fmt: skip
    table(["data", "mean iterations", "most", "status", "max at k = 5", "k = 10", "two nodes / bump", "mass"], rows)


def main() -> None:
    """Draw all figures whose studies have been run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="directory of the studies")
    parser.add_argument("figures", type=Path, help="directory of the figures")
    given = parser.parse_args()
    given.figures.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(RC):
        for draw, name in ((figure_57, "5-7"), (figure_grid, "grid"), (figure_data, "data"), (figure_chi_core, "chi-core")):
            draw(given.results, given.figures / f"chemotaxis-{name}.png")
    table_long(given.results)
    table_variations(given.results)
    table_pd3o(given.results)


if __name__ == "__main__":
    main()
