"""Figures and tables of every kind of study: which there are, what they say, and that they can be drawn at all."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from dajko.errors import InputError
from dajko.report import panels
from dajko.report.figures import CAPTIONS, make_figures, make_tables, plot_study
from dajko.report.reading import read_results
from dajko.solvers import Status

TIME = {"error_time", "energy", "densities"}
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
    assert set(theta_figures) == {"error_theta", *TIME}
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
    assert {r"mesh size $\delta x$", "against the finest run", "fitted order", "time rule right"} <= set(said)
    assert any(t.startswith("slope ") for t in said)


TAU = {"time.tau": [4e-3, 2e-3, 1e-3]}
END = {"tau": 1e-3, "end": 4e-3}
THETA = {"theta": [1e-4, 1e-3, 1e-2]}

KINDS = {
    "one run": ({}, bowl, TIME),
    "noise alone": ({"sweep": {"noise.level": [0.0, 0.1, 0.2]}}, bowl, TIME),
    "no densities": ({"store": {"density": "none"}, "sweep": THETA}, bowl, {"error_theta", "error_time", "energy"}),
    "final densities": ({"store": {"density": "final"}, "sweep": THETA}, bowl, {"error_theta", *TIME}),
    "one theta": ({"sweep": {"theta": [1e-3]}}, bowl, TIME),
    "one theta with limits": ({"sweep": {"theta": [1e-3]}, "limits": True}, bowl, {"error_theta", *TIME}),
    "infinite theta": ({"sweep": {"theta": [1e-3, 1e-2, np.inf]}}, bowl, {"error_theta", *TIME}),
    "only infinite theta": ({"sweep": {"theta": [np.inf]}}, bowl, TIME),
    "asked times": ({"report": {"times": [0.0, 1e-3, 1e-3, 5.0]}}, bowl, TIME),
    "many noises": ({"sweep": {**THETA, "noise.level": [0.1 * i for i in range(9)]}}, bowl, {"error_theta", *TIME}),
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
        {"error_theta", *TIME},
    ),
    "two resolutions": (
        {"time": END, "sweep": {**TAU, "grid.nx": [8, 16]}},
        lambda study, member: {"l1": study.time.tau, "w2": study.time.tau / study.grid.nx},
        {"convergence", *TIME},
    ),
    "theta and resolution": (
        {"time": END, "sweep": {**TAU, **THETA}, "ensemble": {"members": 2}},
        lambda study, member: {"l1": study.time.tau * (1 + member) * bowl(study, 0)["l1"]},
        {"error_theta", "convergence", *TIME},
    ),
    "zip with theta": ({"zip": {**THETA, "noise.level": [0.3, 0.2, 0.1]}}, bowl, {"error_theta", *TIME}),
    "zip of words": (
        {"zip": {"solver.tol": [1e-2, 1e-3], "grid.time_rule": ["right", "trapezoid"]}, "sweep": {"grid.nt": [1, 2, 4]}},
        lambda study, member: {"density": 1.0 + study.solver.tol / study.grid.nt, "l2": 1 / study.grid.nt},
        {"convergence", *TIME},
    ),
    "errors of 0": (
        {"sweep": THETA, "limits": True},
        lambda study, member: {"l1": 0.0, "l2": 0.0, "w2": 0.0},
        {"error_theta", *TIME},
    ),
    "some errors of 0": (
        {"sweep": THETA},
        lambda study, member: {"l1": 0.0 if study.theta == 1e-3 else 0.1},
        {"error_theta", *TIME},
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
        {"error_theta", *TIME},
    ),
    "limits failed": (
        {"sweep": THETA, "limits": True},
        lambda study, member: bowl(study, member) if 1e-5 < study.theta < 1 else FAILED,
        {"error_theta", *TIME},
    ),
    "all but the limits failed": (
        {"sweep": THETA, "limits": True},
        lambda study, member: FAILED if 1e-5 < study.theta < 1 else bowl(study, member),
        TIME,
    ),
    "long words": (
        {"sweep": {"observations.operators": [["mean"], [{"sensors": {"positions": [0.1, 0.2, 0.3, 0.4], "width": 0.1}}]]}},
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
        *(f"{n}.{s}" for n in ("error_theta", "error_time", "energy") for s in ("svg", "png")),
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
    assert [p.name for p in plot_study(directory)] == ["errors.csv", "status.csv"]
    assert (directory / "figures").is_dir()


def test_a_directory_without_a_study_is_an_error(tmp_path):
    with pytest.raises(InputError, match="run the study first"):
        plot_study(tmp_path)


def test_every_figure_has_a_caption():
    assert set(CAPTIONS) == {"error_theta", "convergence", "optimality", *TIME}
    assert all(caption.endswith(".") for caption in CAPTIONS.values())
