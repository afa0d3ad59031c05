"""Numbers and names as readers see them, and axes that have labels that are true."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from dajko.report import style
from dajko.report.describe import describe
from dajko.report.words import aligned, mathematics, number, order_text, percent
from dajko.study.config.parse import parse
from dajko.study.config.study import StudyConfig

MINUS, TIMES, SPACE = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}", "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.02, "0.02"),
        (-0.7, f"{MINUS}0.7"),
        (12345.0, f"1.23{SPACE}{TIMES}{SPACE}10⁴"),
        (1e-3, "10⁻³"),
        (5e-4, f"5{SPACE}{TIMES}{SPACE}10⁻⁴"),
        (9.9999e-4, "10⁻³"),
        (np.inf, "∞"),
        (100, "100"),
        (123456, "123456"),
        ("right", "right"),
    ],
)
def test_numbers_on_pages(value, text):
    assert number(value) == text


def test_numbers_in_figures():
    assert mathematics(0.02) == "0.02"
    assert mathematics(1e-3) == "$10^{-3}$"
    assert mathematics(4.64e-5) == r"$4.6\times10^{-5}$"
    assert mathematics(5e-4, least=1e-4) == "0.0005"
    assert mathematics(np.inf) == r"$\infty$"


def test_shares_orders_and_statistics():
    assert [percent(v) for v in (0.381, 0.0364, 0.00012, 1.0)] == [f"{t}{SPACE}%" for t in ("38", "3.6", "0.012", "100")]
    assert order_text(0.984, 0.021) == "0.98 ± 0.02"
    assert order_text(-0.13, np.nan) == f"{MINUS}0.13"
    assert order_text(1.0, 1e-9) == "1.000 ± <0.001"
    assert order_text(np.nan, np.nan) == "\N{EN DASH}"
    assert [aligned(v) for v in (0.14, 0.00645, 2.0, 0.0)] == ["0.140", "0.00645", "2.00", "0.00"]


@pytest.mark.parametrize(
    "values", [(1e-5, 1e-1), (0.04, 0.4), (0.1, 0.12), (3e-4, 4e-3), (1e-12, 1.0), (0.2, 0.2), (20, 2e5)]
)
def test_logarithmic_axes_have_few_and_true_labels(values):
    axis = Figure().subplots().yaxis
    assert style.log_axis(axis, values)
    ticks = axis.get_major_locator()()
    assert 2 <= len(ticks) <= 5
    low, high = axis.axes.get_ylim()
    assert low <= min(values) <= max(values) <= high
    for tick in ticks:
        text = axis.get_major_formatter()(tick).strip("$").replace(r"\times10^", "e").replace("10^", "1e")
        assert float(text.replace("{", "").replace("}", "")) == pytest.approx(tick)


def test_without_positive_values_an_axis_stays_linear():
    axes = Figure().subplots()
    assert not style.log_axis(axes.yaxis, [0.0, np.nan])
    assert axes.get_yscale() == "linear"


@pytest.mark.parametrize("end", [3e-4, 5.5e-3, 6e-3, 1.0, 32.0])
def test_time_axes_have_few_labels_from_0(end):
    axes = Figure().subplots()
    style.plain_time(axes, end)
    ticks = axes.xaxis.get_major_locator()()
    assert 2 <= len(ticks) <= 4
    assert ticks[0] == 0
    assert ticks[-1] <= end * (1 + 1e-9)


def test_every_ingredient_can_be_described():
    study = {
        "truth": {
            "kind": "solve",
            "energy": {"internal": {"kind": "entropy"}, "potential": {"kind": "quadratic", "stiffness": 2.0}},
            "initial": {"kind": "gaussian", "std": 0.05},
        },
        "model": {
            "energy": {
                "internal": {"kind": "porous_medium", "m": 3.0},
                "potential": {"kind": "double_well", "distance": 0.5},
                "interaction": {"kind": "power_law", "attraction": 4.0, "strength": 0.5},
            },
            "initial": {"kind": "values", "values": [0.0, 1.0, 2.0, 1.0, 0.0]},
            "mass": 2.0,
        },
        "grid": {"left": 0.0, "right": 1.0, "nx": 4, "nt": 2},
        "time": {"tau": 1e-2, "end": 1e-1},
        "observations": {
            "operators": ["mass", {"kind": "sensors", "positions": [0.5], "width": 0.1}],
            "every": 2,
            "first": 3,
        },
        "theta": 1e-3,
        "zip": {"noise.level": [0.0, 0.1], "solver.tol": [1e-4, 1e-5]},
        "ensemble": {"members": 2, "perturbations": {"model.mass": {"kind": "uniform", "low": 1.9, "high": 2.1}}},
    }
    text = " ".join(describe(parse(StudyConfig, study, "study"))).replace(SPACE, " ").replace(TIMES, "x")
    assert "solved with the entropy and a quadratic potential (stiffness 2) from a Gaussian (std 0.05)" in text
    assert "on twice as many cells in space and with 2 substeps in each step" in text
    assert (
        "The model has the energy of porous medium (m = 3), a double well potential (distance 0.5) and interaction by a "
        "power law (attraction 4, strength 0.5) and starts from given values, rescaled to the mass 2" in text
    )
    assert "Measured: mass and 1 sensor of width 0.1, at every 2 steps from step 3 on, with noise as swept" in text
    assert "Swept: together noise.level (0, 0.1) and solver.tol (10⁻⁴, 10⁻⁵). 2 members at each point." in text
    assert "Members differ in model.mass (uniform, 1.9 to 2.1)." in text


@pytest.mark.parametrize("changes", [{"observations": None}, {"observations": None, "theta": None}, {"theta": np.inf}])
def test_a_study_without_data_is_described_as_one(tiny, changes):
    assert "There is no data term (θ = ∞)." in describe(parse(StudyConfig, tiny({"sweep": None, **changes})))
