"""Figures and tables of every kind of study: which there are, what they say, and that they can be drawn at all."""

import base64
import hashlib
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from dajko.errors import InputError
from dajko.report import errors, panels, style
from dajko.report.captions import captions
from dajko.report.figures import make_figures, make_tables, plot_study
from dajko.report.reading import read_results
from dajko.status import Status
from dajko.study.config.parse import parse
from dajko.study.config.study import StudyConfig

FOUR = [0.1, 0.2, 0.3, 0.4]
TIME = {"error_time", "energy", "densities"}
OVER_THETA = {"error_theta", "error_theta_final"}
FAILED = {"status": Status.FAILED, "l1": np.nan, "l2": np.nan, "w2": np.nan}


def figures_of(results):
    """The figures of a study, drawn: warnings of the layout are errors."""
    found = make_figures(results, make_tables(results))
    for figure in found.values():
        figure.draw_without_rendering()
    return found


def texts(figure):
    return [t.get_text() for t in figure.findobj(Text) if t.get_visible() and t.get_text()]


def bowl(study, member):
    theta = study.theta
    error = 0.5 if theta == np.inf else 0.1 + 0.05 * abs(np.log10(theta / 1e-3))
    return {"l1": error * (1.0 + 0.1 * member + study.noise.level)}


@pytest.fixture(scope="module")
def theta_figures(theta_study):
    return figures_of(read_results(theta_study))


def test_a_study_over_theta(theta_figures):
    assert set(theta_figures) == {*OVER_THETA, *TIME}
    said = texts(theta_figures["error_theta"])
    assert r"weight $\theta$" in said
    assert "$L^1$ error / mass, time mean" in said
    assert said.count("model only") == said.count("data only") == 2
    for level in ("noise level 0", "noise level 0.1"):
        assert any(t.startswith(f"{level}\nbest") for t in said)
    for axes in theta_figures["error_theta"].axes:
        assert axes.get_xscale() == axes.get_yscale() == "log"
    said = texts(theta_figures["error_time"])
    assert {"time $t$", "$L^1$ error / mass", "$L^2$ error", "$W_2$ error", r"best $\theta$", "data only"} <= set(said)
    assert {"time $t$", "energy $F(u)$", "model only"} <= set(texts(theta_figures["energy"]))
    said = texts(theta_figures["densities"])
    assert {"position $x$", "density $u$", "truth", "$t$ = 0", "$t$ = 0.002"} <= set(said)
    assert any(t.startswith("noise level 0.1, ") for t in said)


def test_text_is_large_enough_and_inside(theta_figures):
    for figure in theta_figures.values():
        sizes = [t.get_fontsize() for t in figure.findobj(Text) if t.get_visible() and t.get_text()]
        assert min(sizes) >= 9
        box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= width
        assert box.y1 <= height


def test_a_convergence_study(tree_study):
    found = figures_of(read_results(tree_study))
    assert set(found) == {"convergence", *TIME}
    said = texts(found["convergence"])
    assert {r"mesh size $\delta x$", "against the finest run; hollow: the truth", "fitted order", "time rule right"} <= set(
        said
    )
    assert any(t.startswith("slope ") for t in said)


TAU = {"time.tau": [4e-3, 2e-3, 1e-3]}
END = {"tau": 1e-3, "end": 4e-3}
THETA = {"theta": [1e-4, 1e-3, 1e-2]}

KINDS = {
    "one run": ({}, bowl, TIME),
    "noise alone": ({"sweep": {"noise.level": [0.0, 0.1, 0.2]}}, bowl, TIME),
    "no densities": ({"store": {"density": "none"}, "sweep": THETA}, bowl, {*OVER_THETA, "error_time", "energy"}),
    "final densities": ({"store": {"density": "final"}, "sweep": THETA}, bowl, {*OVER_THETA, *TIME}),
    "one theta": ({"sweep": {"theta": [1e-3]}}, bowl, TIME),
    "one theta with limits": ({"sweep": {"theta": [1e-3]}, "limits": True}, bowl, {*OVER_THETA, *TIME}),
    "infinite theta": ({"sweep": {"theta": [1e-3, 1e-2, np.inf]}}, bowl, {*OVER_THETA, *TIME}),
    "only infinite theta": ({"sweep": {"theta": [np.inf]}}, bowl, TIME),
    "asked times": ({"report": {"times": [0.0, 1e-3, 1e-3, 5.0]}}, bowl, TIME),
    "many noises": ({"sweep": {**THETA, "noise.level": [0.1 * i for i in range(9)]}}, bowl, {*OVER_THETA, *TIME}),
    "three more keys": (
        {
            "sweep": {
                **THETA,
                "grid.time_rule": ["right", "trapezoid"],
                "noise.level": [0.1, 0.2],
                "observations.every": [1, 2],
            },
            "limits": True,
        },
        bowl,
        {*OVER_THETA, *TIME},
    ),
    "two resolutions": (
        {"time": END, "sweep": {**TAU, "grid.nx": [8, 16]}},
        lambda study, member: {"l1": study.time.tau, "w2": study.time.tau / study.grid.nx},
        {"convergence", *TIME},
    ),
    "theta and resolution": (
        {"time": END, "sweep": {**TAU, **THETA}, "ensemble": {"members": 2}},
        lambda study, member: {"l1": study.time.tau * (1 + member) * bowl(study, 0)["l1"]},
        {*OVER_THETA, "convergence", *TIME},
    ),
    "zip with theta": ({"zip": {**THETA, "noise.level": [0.3, 0.2, 0.1]}}, bowl, {*OVER_THETA, *TIME}),
    "zip of words": (
        {"zip": {"solver.tol": [1e-2, 1e-3], "grid.time_rule": ["right", "trapezoid"]}, "sweep": {"grid.nt": [1, 2, 4]}},
        lambda study, member: {"density": 1.0 + study.solver.tol / study.grid.nt, "l2": 1 / study.grid.nt},
        {"convergence", *TIME},
    ),
    "errors of 0": (
        {"sweep": THETA, "limits": True},
        lambda study, member: {"l1": 0.0, "l2": 0.0, "w2": 0.0},
        {*OVER_THETA, *TIME},
    ),
    "some errors of 0": (
        {"sweep": THETA},
        lambda study, member: {"l1": 0.0 if study.theta == 1e-3 else 0.1},
        {*OVER_THETA, *TIME},
    ),
    "convergence to 0": (
        {"time": END, "sweep": TAU},
        lambda study, member: {"l1": 0.0, "l2": 0.0, "w2": study.time.tau},
        {"convergence", *TIME},
    ),
    "all failed": ({"sweep": {**THETA, "noise.level": [0.1, 0.2]}}, lambda study, member: FAILED, set()),
    "nothing computed": ({"sweep": {**THETA, "grid.nx": [8, 16]}}, lambda study, member: None, set()),
    "some failed and some pending": (
        {"sweep": {**THETA, "noise.level": [0.1, 0.2]}, "ensemble": {"members": 2}, "limits": True, "block": 1},
        lambda study, member: None if study.noise.level == 0.1 else FAILED if member == 1 else bowl(study, member),
        {*OVER_THETA, *TIME},
    ),
    "limits failed": (
        {"sweep": THETA, "limits": True},
        lambda study, member: bowl(study, member) if 1e-5 < study.theta < 1 else FAILED,
        {*OVER_THETA, *TIME},
    ),
    "all but the limits failed": (
        {"sweep": THETA, "limits": True},
        lambda study, member: FAILED if 1e-5 < study.theta < 1 else bowl(study, member),
        TIME,
    ),
    "long words": (
        {"sweep": {"observations.operators": [["mean"], [{"kind": "sensors", "positions": FOUR, "width": 0.1}]]}},
        bowl,
        TIME,
    ),
}  # fmt: skip


# What has to be said in a figure: what is not shown, and why a panel is empty.
SAID = {
    "many noises": {
        "error_theta": "Shown: 6 of 9 values of noise.level",
        "error_time": "Shown: 3 of 9 values of noise.level",
    },
    "three more keys": {
        "error_theta": "Shown: only data every 1",
        "error_time": "Shown: only time rule right, data every 1",
    },
    "infinite theta": {"error_theta": r"best $\theta \leq 10^{-3}$, end of range"},
    "some errors of 0": {"error_theta": "Errors of 0 are not shown"},
    "convergence to 0": {"convergence": "no error above 0"},
    "some failed and some pending": {"error_theta": "no converged member"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_study_has_its_figures(results_of, kind):
    changes, cell, expected = KINDS[kind]
    found = figures_of(results_of(changes, cell))
    assert set(found) == expected
    for name, text in SAID.get(kind, {}).items():
        assert text in texts(found[name])


def test_other_norms_can_be_drawn(theta_study):
    results = read_results(theta_study)
    tables = make_tables(results)
    figure = panels.error_theta(results, tables["errors"], tables["best_theta"], norm="w2")
    assert "$W_2$ error, time mean" in texts(figure)


def test_files_are_written_the_same_again_and_stale_ones_removed(make_study, tmp_path):
    directory = make_study(tmp_path / "study", {"sweep": THETA, "store": {"density": "none"}}, bowl)
    stale = [directory / "figures" / "convergence.svg", directory / "tables" / "orders.csv"]
    kept = directory / "figures" / "mine.svg"
    for path in (*stale, kept):
        path.parent.mkdir(exist_ok=True)
        path.write_text("old")
    paths = plot_study(directory)
    assert {p.name for p in paths} == {
        *(f"{n}.{s}" for n in (*OVER_THETA, "error_time", "energy") for s in ("svg", "png")),
        *(f"{n}.csv" for n in ("errors", "best_theta", "status")),
    }
    assert not any(path.exists() for path in stale)
    assert kept.read_text() == "old"
    first = {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}
    assert {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in plot_study(directory)} == first
    assert b"dc:date" not in (directory / "figures" / "error_theta.svg").read_bytes()
    table = pd.read_csv(directory / "tables" / "errors.csv")
    assert len(table) == 3 * 3 * 2
    assert "point" not in table


def test_a_study_without_any_figure_still_has_its_tables(make_study, tmp_path):
    directory = make_study(tmp_path / "failed", {}, lambda study, member: FAILED)
    assert [p.name for p in plot_study(directory)] == ["warnings.csv", "errors.csv", "status.csv"]
    assert (directory / "figures").is_dir()


def test_a_directory_without_a_study_is_an_error(tmp_path):
    with pytest.raises(InputError, match="run the study first"):
        plot_study(tmp_path)


@pytest.fixture
def captions_of(tiny):
    return lambda changes: captions(parse(StudyConfig, tiny(changes), "study"))


def test_every_figure_has_a_caption(captions_of):
    found = captions_of({})
    assert set(found) == {*OVER_THETA, "convergence", "optimality", *TIME}
    assert all(caption.endswith(".") for caption in found.values())


def test_captions_promise_only_what_is_drawn(captions_of):
    """One member has no band and no median, a study without limits no lines for them."""
    one = captions_of({"ensemble.members": 1})
    assert not any(word in text for text in one.values() for word in ("band", "median", "quantile", "limit", "finest"))
    assert "Star: the θ with the smallest error." in one["error_theta"]
    several = captions_of({"limits": True})
    for name in ("error_theta", "error_theta_final", "error_time", "energy", "optimality"):
        assert "Line: median over the members; band: 5 % to 95 % quantiles." in several[name]
    lines = "Horizontal lines: medians of the limits of the scheme, model only (θ = ∞, no data) and data only (θ → 0)."
    assert lines in several["error_theta"]
    infinite = captions_of({"sweep.theta": [1e-3, np.inf], "ensemble.members": 1})["error_theta"]
    assert "Horizontal line: the limit of the scheme, model only (θ = ∞, no data)." in infinite
    assert captions_of({"theta": np.inf, "sweep": None})["energy"].endswith("Without data it falls, as here.")
    assert "finest" in captions_of({"sweep": {"solver.tol": [1e-2, 1e-3]}})["convergence"]


def test_an_error_of_0_at_the_initial_time_is_no_line_to_the_bottom(results_of):
    """On a logarithmic axis it is left out, and the figure says so; on a linear one it is drawn."""
    steep = {"sweep": {"grid.nx": [8, 24]}}
    figure = figures_of(results_of(steep, lambda study, member: {"l1": 10.0 ** (-study.grid.nx / 8), "w2": 0.1}))[
        "error_time"
    ]
    first, _, last = figure.axes[:3]
    assert (first.get_yscale(), last.get_yscale()) == ("log", "linear")
    for line in first.get_lines():
        assert np.isnan(line.get_ydata()[0])
        assert (line.get_ydata()[1:] > 0.0).all()
    assert all(line.get_ydata()[0] == 0.0 for line in last.get_lines())
    assert "Values of 0 are not shown on logarithmic axes" in texts(figure)


def test_the_rounding_of_0_at_the_initial_time_is_no_line_either(results_of, monkeypatch):
    def over_time(results, point, norm):
        band = errors.over_time(results, point, norm)
        parts = [np.where(np.arange(5) == 0, 1e-17, v) for v in (band.median, band.lower, band.upper)]
        return errors.Band(band.time, *parts, band.used, band.left_out)

    monkeypatch.setattr(panels, "over_time", over_time)
    steep = {"sweep": {"grid.nx": [8, 24]}}
    figure = figures_of(results_of(steep, lambda study, member: {"l1": 10.0 ** (-study.grid.nx / 8)}))["error_time"]
    assert figure.axes[0].get_ylim()[0] > 1e-4
    assert all(np.isnan(line.get_ydata()[0]) for line in figure.axes[0].get_lines())


def two_minima(study, member):
    """The time mean is smallest at 1e-4, the error at the final time at 1e-2."""
    steps = np.arange(study.time.count + 1)
    size = {1e-4: (0.1, 0.2), 1e-3: (0.2, 0.1), 1e-2: (0.3, 0.05)}.get(study.theta, (0.4, 0.4))
    return {"l1": np.where(steps < study.time.count, *size)}


def test_both_best_thetas_are_drawn(results_of):
    found = figures_of(results_of({"sweep": THETA, "limits": True}, two_minima))
    assert r"best $\theta \leq 10^{-4}$, end of range" in texts(found["error_theta"])
    assert r"best $\theta \geq 0.01$, end of range" in texts(found["error_theta_final"])
    assert "$L^1$ error / mass, final time" in texts(found["error_theta_final"])
    said = texts(found["error_time"])
    assert r"best $\theta$ = $10^{-4}$ (time mean), 0.01 (final time)" in said
    assert {r"best $\theta$, time mean", r"best $\theta$, final time"} <= set(said)
    for name in ("energy", "densities"):
        labels = {r"best $\theta = 10^{-4}$, time mean", r"best $\theta = 0.01$, final time", "model only"}
        assert labels <= set(texts(found[name]))


def test_one_theta_that_is_best_twice_is_one_curve(results_of):
    said = texts(figures_of(results_of({"sweep": THETA}, bowl))["error_time"])
    assert r"best $\theta$" in said
    assert not any("final time" in text for text in said)


def test_errors_against_the_truth_stand_beside_those_against_the_finest_run(results_of):
    """The table says that they rise, and so does the figure."""
    changes = {"sweep": {"grid.nt": [2, 4, 8]}, "report": {"reference": "finest"}}
    results = results_of(
        changes, lambda study, member: {"density": 1.0 + 1.0 / study.grid.nt, "l1": 1.0 - 1.0 / study.grid.nt}
    )
    figure = figures_of(results)["convergence"]
    assert "against the finest run; hollow: the truth" in texts(figure)
    (hollow,) = [line for line in figure.axes[0].get_lines() if line.get_markerfacecolor() == "white"]
    np.testing.assert_allclose(hollow.get_xdata(), [0.5, 0.25, 0.125])
    np.testing.assert_allclose(hollow.get_ydata(), [0.5, 0.75, 0.875])


def test_a_figure_of_very_many_points_is_an_image(tmp_path):
    """An SVG of so many curves would be larger than what a browser opens in Snakemake's report."""
    figure = Figure()
    axes = figure.subplots()
    for i in range(30):
        axes.plot(np.random.default_rng(i).random(2000))
    svg, png = style.save_figure(figure, tmp_path / "large")
    text = svg.read_text()
    assert svg.stat().st_size < 1_400_000
    image = re.search(r'href="data:image/png;base64,([^"]*)"', text)[1]
    assert base64.b64decode(image) == png.read_bytes()
    width, height = (float(re.search(rf'{side}="([\d.]+)pt"', text)[1]) for side in ("width", "height"))
    np.testing.assert_allclose([width, height], figure.get_size_inches() * 72)
    small, _ = style.save_figure(Figure(), tmp_path / "small")
    assert "<image" not in small.read_text()
