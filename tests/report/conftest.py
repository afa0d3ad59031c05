"""Small studies for the tests of reports: computed in this process, or made up where the answer has to be known."""

import numpy as np
import pytest

from dajko.report.reading import read_results
from dajko.status import Status
from dajko.study.config.parse import parse
from dajko.study.config.study import StudyConfig
from dajko.study.design.members import make_plan, operator_labels
from dajko.study.store.labelled import write_summary
from dajko.study.store.prepare import prepare
from dajko.study.twin.experiment import build, simulate

# What the changes of a test leave as it is; cells cost milliseconds.
_BASE = {
    "truth": {"kind": "exact", "solution": {"kind": "barenblatt"}},
    "model": {
        "energy": {"internal": {"kind": "porous_medium", "m": 2.0}},
        "initial": {"kind": "barenblatt", "shift": 0.1},
    },
    "grid": {"left": -0.7, "right": 0.7, "nx": 12, "nt": 2},
    "time": {"tau": 5e-4, "steps": 4},
    "observations": {"operators": ["mean", "spread"]},
    "noise": {"level": 0.1},
    "theta": 1e-3,
    "solver": {"kind": "pd3o", "tol": 1e-3, "constraint_tolerance": 1e-3},
    "block": 1000,
}


def made_up(
    study, member, l1=0.1, l2=0.2, w2=0.05, mass=1.0, status=Status.CONVERGED, density=1.0, mode=0.0, width=9.0, outside=0.0
):
    """A cell whose errors are known: numbers hold from the first step on, arrays at all times; 0 at the initial time."""
    times, nodes = study.time.count + 1, study.grid.nx + 1
    numbers = len(operator_labels(study))

    def series(value):
        return np.where(np.arange(times) > 0, value, 0.0)

    x = np.linspace(study.grid.left, study.grid.right, nodes)
    return {
        "density": np.ones((times, nodes)) * (density(x) if callable(density) else density),
        "truth": np.ones((times, nodes)),
        "data": np.zeros((times, numbers)),
        "data_exact": np.zeros((times, numbers)),
        "observed": np.zeros((times, numbers)),
        "error_l1": series(l1) * mass,
        "error_l2": series(l2),
        "error_w2": series(w2),
        "energy": np.linspace(2.0, 1.0, times),
        "mass": np.full(times, mass),
        "odd_even": series(mode),
        "resolution": np.full(times, float(width)),
        "truth_outside": series(outside),
        "iterations": np.ones(times, dtype=int),
        "residual": np.zeros(times),
        "step_status": np.full(times, int(status)),
        "solve_time": 0.1,
        "setting": 0,
        "status": int(status),
    }


@pytest.fixture(scope="session")
def make_study():
    """Writes a study's store: ``make_study(directory, changes, cell)``.

    ``changes`` are sections of the configuration; ``cell(study, member)`` returns the numbers that :func:`made_up` takes,
    or None for a cell that is not computed, nor the rest of its block; without it cells are computed.
    """

    def make(directory, changes=None, cell=None, summary=True):
        study = parse(StudyConfig, {**_BASE, **(changes or {})}, f"studies.{directory.name}")
        plan = make_plan(directory.name, study)
        store = prepare(directory, plan)
        for block in store.pending():
            rows = []
            for number in range(block.start, block.stop):
                point, member = plan.groups[block.group].points[number // plan.members], number % plan.members
                at = plan.cell_study(point, member)
                if cell is None:
                    rows.append({**simulate(build(at, "study"), plan.noise_generator(member)), "setting": 0})
                elif (numbers := cell(at, member)) is not None:
                    rows.append(made_up(at, member, **numbers))
            if study.store.density == "final":
                rows = [{**row, "density": row["density"][-1], "truth": row["truth"][-1]} for row in rows]
            if len(rows) == block.stop - block.start:  # else the block is pending
                store.write(block, {name: np.array([row[name] for row in rows]) for name in rows[0]})
        if summary:
            write_summary(directory)
        return directory

    return make


@pytest.fixture
def results_of(make_study, tmp_path):
    """Makes a study in a directory of its own and reads it: ``results_of(changes, cell)``."""

    def make(changes=None, cell=None):
        return read_results(make_study(tmp_path / "study", changes, cell, summary=False))

    return make


@pytest.fixture(scope="session")
def theta_study(make_study, tmp_path_factory):
    """A computed study over theta and noise with both limits and three members, one of which differs in its shift."""
    changes = {
        "sweep": {"theta": [1e-4, 1e-3], "noise.level": [0.0, 0.1]},
        "limits": True,
        "ensemble": {"members": 3, "seed": 1, "perturbations": {"model.initial.shift": {"kind": "normal", "std": 0.01}}},
    }
    return make_study(tmp_path_factory.mktemp("results") / "theta", changes)


@pytest.fixture(scope="session")
def tree_study(make_study, tmp_path_factory):
    """A computed study over the mesh size, whose store is a tree."""
    changes = {
        "model": {**_BASE["model"], "initial": {"kind": "barenblatt"}},
        "theta": float("inf"),
        "time": {"tau": 5e-4, "steps": 2},
        "sweep": {"grid.nx": [8, 16, 32], "grid.time_rule": ["right", "trapezoid"]},
        "report": {"reference": "finest"},
    }
    return make_study(tmp_path_factory.mktemp("results") / "tree", changes)
