"""What is said of studies that can be computed and will come out wrong."""

import copy
import math

import numpy as np
import pytest

from dajko.errors import InputError
from dajko.profile.barenblatt import Barenblatt
from dajko.study.twin.checks import check_plan
from dajko.study.twin.doubts import doubts

ENTROPY = {"internal": {"kind": "entropy"}}
RESOLVED = {
    "grid": {"left": -1.0, "right": 1.0, "nx": 80, "nt": 2},
    "model": {"energy": ENTROPY, "initial": {"kind": "gaussian", "std": 0.2}},
    "truth": {"kind": "exact", "solution": {"kind": "heat", "std": 0.2}},
}


def said(make, changes):
    plan = make({**copy.deepcopy(RESOLVED), **changes})
    check_plan(plan)
    return doubts(plan)


def test_nothing_is_said_of_what_is_resolved(make):
    assert said(make, {}) == []


@pytest.mark.parametrize(("std", "widths"), [(0.02, "2.8"), (0.025, "3.5")])
def test_an_initial_density_that_is_too_narrow(make, std, widths):
    """Its width in mesh widths of 0.025 is 2 sqrt(pi) std / dx, as far as the mesh knows it."""
    (sentence,) = said(make, {"model.initial": {"kind": "gaussian", "std": std}})
    assert sentence == (
        f"studies.one.model.initial: is {widths} mesh widths wide (grid.nx is 80), and will not spread as it should"
    )
    assert said(make, {"model.initial": {"kind": "gaussian", "std": 0.04}}) == []


def values(cells, nx=80):
    u = np.zeros(nx + 1)
    u[20 : 20 + cells] = 1.0
    return {"kind": "values", "values": u.tolist()}


@pytest.mark.parametrize(("cells", "percent"), [(5, "20"), (7, "14"), (41, "2.4")])
def test_an_initial_density_whose_even_and_odd_nodes_differ(make, cells, percent):
    (sentence,) = said(make, {"model.initial": values(cells)})
    assert f"model.initial: differs by {percent} % between even and odd nodes (grid.nx is 80), which will stay" in sentence
    assert said(make, {"model.initial": values(40)}) == []


def test_a_point_source_is_refused(make):
    for where in ("model.initial", "truth.initial"):
        truth = {"kind": "solve", "energy": ENTROPY, "initial": {"kind": "gaussian", "std": 0.2}, "nx": 80}
        with pytest.raises(
            InputError, match=rf"{where}: the density must be wider than the mesh, got one on even nodes only"
        ):
            said(make, {"truth": truth, where: values(1)})


def test_a_density_that_reaches_beyond_the_domain(make):
    """A normal density of deviation 0.2 around 0.8: what is above 1 is Phi(-1)."""
    (sentence,) = said(make, {"model.initial": {"kind": "gaussian", "mean": 0.8, "std": 0.2}})
    assert f"model.initial: {100 * 0.5 * math.erfc(1 / math.sqrt(2)):.2g} % of its mass are outside the domain" in sentence


@pytest.mark.parametrize(
    ("operator", "widths"), [({"width": 0.02}, "2.8"), ({"width": 0.0125}, "1.6"), ({"width": 0.04}, None)]
)
def test_sensors(make, operator, widths):
    found = said(make, {"observations.operators": ["mean", {"kind": "sensors", "positions": [-0.2, 0.1], **operator}]})
    assert [f"observations.operators.1: sees {widths} mesh widths" in s for s in found] == ([] if widths is None else [True])


@pytest.mark.parametrize(("edge", "found"), [(0.05, 1), (0.2, 0)])
def test_intervals(make, edge, found):
    operators = [{"kind": "interval_masses", "edges": [0.0, edge, 0.5]}]
    assert len(said(make, {"observations.operators": operators})) == found


@pytest.mark.parametrize(("stiffness", "found"), [(1e2, 0), (4e2, 0), (4e3, 1), (1e6, 1)])
@pytest.mark.parametrize("where", ["model", "truth"])
def test_steep_wells(make, stiffness, found, where):
    """The density 1 / sqrt(stiffness) wide, in the model or where the truth is solved for, on a mesh twice as fine."""
    energy = {**ENTROPY, "potential": {"kind": "quadratic", "stiffness": stiffness}}
    if where == "model":
        changes = {"model.energy": energy}
    else:
        initial = {"kind": "gaussian", "std": 0.2}
        changes = {"truth": {"kind": "solve", "energy": energy, "initial": initial, "nx": 80}}
    sentences = said(make, changes)
    assert len(sentences) == found
    assert all(f"{where}.energy.potential: leads to a density that is" in s for s in sentences)


def test_steep_wells_of_the_porous_medium_equation(make):
    """m = 2 in k x^2 / 2 and mass M: a parabola of radius (3 M / k)^(1/3), here 1.5 and 12 mesh widths."""
    for radius, found in ((1.5 / 40, 1), (12 / 40, 0)):
        potential = {"kind": "quadratic", "stiffness": 3.0 / radius**3}
        energy = {"internal": {"kind": "porous_medium", "m": 2.0}, "potential": potential}
        assert len(said(make, {"model.energy": energy})) == found


def test_a_truth_that_leaves_the_domain(make):
    """A Barenblatt profile whose radius passes the wall at a time that can be computed."""
    exact = Barenblatt(shift=0.3)
    passes = ((0.7 - 0.3) / exact.radius() * exact.t0 ** (1.0 / 3.0)) ** 3 - exact.t0
    changes = {
        "grid": {"left": -0.7, "right": 0.7, "nx": 60, "nt": 2},
        "time": {"tau": 5e-4, "steps": 30},
        "truth": {"kind": "exact", "solution": {"kind": "barenblatt", "shift": 0.3}},
    }
    (sentence,) = said(make, changes)
    told = float(sentence.split("t = ")[1].split(",")[0])
    outside = [n * 5e-4 for n in range(31) if exact.share_below(0.7, n * 5e-4) < 1.0 - 1e-3]
    assert told == pytest.approx(outside[0])
    assert passes < told < passes + 4e-3
    assert "truth.solution: leaves the domain" in sentence
    assert said(make, {**changes, "time": {"tau": 5e-4, "end": 0.002}}) == []


def test_a_sweep_is_one_sentence_for_each_key(make):
    changes = {"model.initial": {"kind": "gaussian", "std": 0.2}, "sweep": {"model.initial.std": [0.0125, 0.01, 0.2]}}
    (sentence,) = said(make, changes)
    assert sentence.endswith("(and so at 1 more points)")


def test_what_is_stored(make, computed, tmp_path):
    """The mode, the width and the share outside of each time stand in the store."""
    truth = {"kind": "exact", "solution": {"kind": "heat", "mean": 0.8, "std": 0.2}}
    changes = {**copy.deepcopy(RESOLVED), "truth": truth, "model.initial": values(5), "sweep": None}
    store = computed(tmp_path / "one", changes)
    odd_even, width, outside = (store.array(0, name)[0] for name in ("odd_even", "resolution", "truth_outside"))
    assert odd_even.shape == width.shape == outside.shape == store.array(0, "mass")[0].shape
    assert width[0] == pytest.approx(5.0)
    assert (odd_even > 0.05).all()
    assert outside[0] == pytest.approx(0.5 * math.erfc(1 / math.sqrt(2)), rel=1e-6)
