"""Ids of cells: the same for the same numbers, however the study is written; another one for anything else."""

import pytest

from dajko.study.design.identity import cell_ids, id_text
from dajko.study.design.sources import sources

HERE = sources()


@pytest.fixture
def ids(make):
    """Ids of the cells of a changed tiny study by point and member."""

    def found(changes=None, code=HERE, name="one"):
        plan = make(changes, name)
        result = {}
        for group in plan.groups:
            numbers = iter(cell_ids(plan, group, code).tolist())
            for point in group.points:
                for member in range(plan.members):
                    result[tuple(sorted(plan.points[point].items())), member] = next(numbers)
        return result

    return found


def test_every_cell_has_its_own(ids):
    found = ids({"sweep": {"theta": [1e-3, 1e-2, 0.1], "noise.level": [0.0, 0.1], "grid.nx": [8, 10]}})
    assert len(set(found.values())) == len(found) == 36


@pytest.mark.parametrize(
    "changes",
    [
        {"sweep": {"theta": [1e-2, 0.5, 1e-3]}},
        {"sweep": None, "zip": {"theta": [1e-3, 1e-2], "noise.level": [0.1, 0.1]}},
        {"sweep": {"theta": [1e-3, 1e-2]}, "limits": True},
        {"ensemble.members": 5},
        {"theta": 7.0},  # swept anyway
        {"title": "Another", "block": 1, "slabs": 3, "report.times": [0.0], "store.density": "none"},
        {"time": {"tau": 5e-4, "end": 1.5e-3}},
        {"noise.relative": True, "observations.first": 1},  # the defaults
    ],
)
def test_the_same_cells_in_another_study(ids, changes):
    """Every cell of the tiny study is among those of a study that says it otherwise or asks for more."""
    assert set(ids().values()) <= set(ids(changes).values())
    assert set(ids().values()) == set(ids(name="two").values())


@pytest.mark.parametrize(
    "changes",
    [
        {"grid.nx": 11},
        {"grid.time_rule": "trapezoid"},
        {"time.tau": 4e-4},
        {"time.steps": 4},
        {"model.energy.internal.m": 2.5},
        {"truth.solution.t0": 2e-3},
        {"noise.level": 0.2},
        {"observations.every": 2},
        {"solver.tol": 1e-4},
        {"ensemble.seed": 8},
        {"ensemble.perturbations": {"model.initial.shift": {"kind": "normal", "std": 0.01}}},
    ],
)
def test_other_cells(ids, changes):
    assert not set(ids().values()) & set(ids(changes).values())


def test_other_code_makes_other_cells(ids):
    assert not set(ids().values()) & set(ids(code=None).values())


def test_a_perturbed_cell_is_known_by_its_draws(ids):
    """What the study says of a key that is drawn does not matter, unless it is the mean of the draws."""

    def perturbed(shift, **distribution):
        return {"model.initial.shift": shift, "ensemble.perturbations": {"model.initial.shift": distribution}}

    uniform = {"kind": "uniform", "low": 0.0, "high": 0.1}
    assert ids(perturbed(0.1, **uniform)) == ids(perturbed(0.2, **uniform))
    normal = {"kind": "normal", "std": 0.1}
    assert not set(ids(perturbed(0.1, **normal)).values()) & set(ids(perturbed(0.2, **normal)).values())


def test_how_people_write_an_id():
    assert id_text(255) == "00000000000000ff"
