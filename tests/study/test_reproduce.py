"""One cell again: equal bit for bit to the stored one, or what differs."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest

from dajko.errors import InputError
from dajko.study.commands.reproduce import reproduce_cell
from dajko.study.commands.reproduction_text import described
from dajko.study.design.identity import id_text
from dajko.study.store.cells import CellStore
from dajko.study.store.prepare import prepare

STUDY = {"sweep": {"solver.max_iterations": [1, 100_000], "theta": [1e-3, math.inf]}, "block": 7}


@pytest.fixture(scope="module")
def directory(tmp_path_factory, computed):
    found = tmp_path_factory.mktemp("reproduce") / "one"
    computed(found, STUDY)
    return found


def test_a_converged_cell(directory):
    found = reproduce_cell(directory, "7")
    assert (found.equal, found.differences, found.status, found.message, found.same_code) == (
        True,
        {},
        "converged",
        "",
        True,
    )
    assert (found.cell, found.member, found.parameters) == (7, 1, {"solver.max_iterations": 100_000, "theta": 1e-3})
    assert (found.seed, found.seed_key) == (7, (0, 1))
    store = CellStore(directory / "cells.zarr")
    assert [step["iterations"] for step in found.steps] == store.array(0, "iterations")[7][1:].tolist()
    assert [step["residual"] for step in found.steps] == store.array(0, "residual")[7][1:].tolist()
    assert found.iterations == []
    assert described(found)[-1] == "converged; equal to the stored cell, bit for bit"


def test_a_cell_that_did_not_converge_by_its_id(directory):
    store = CellStore(directory / "cells.zarr")
    found = reproduce_cell(directory, id_text(int(store.array(0, "cell_id")[1])))
    assert (found.cell, found.equal, found.status) == (1, True, "not_converged")
    assert found.message.startswith("step 1: the iteration limit was reached")
    assert [row["iterations"] for row in found.iterations] == [1]
    assert found.iterations[0]["residual"] == found.steps[0]["residual"]
    assert any("after 1 iterations" in line for line in described(found))


def test_how_the_solver_goes_on_in_the_step_that_fails(tmp_path, computed):
    computed(tmp_path / "one", {"sweep": None, "ensemble.members": 1, "solver.tol": 1e-12, "solver.max_iterations": 3000})
    found = reproduce_cell(tmp_path / "one", "0")
    assert [row["iterations"] for row in found.iterations] == [2**i for i in range(12)]
    residuals = [row["residual"] for row in found.iterations]
    assert residuals[-1] < 0.1 * residuals[0]
    assert residuals[-1] > 1e-12


def test_a_stored_cell_that_is_not_what_comes_out(tmp_path, computed, rewrite):
    store = computed(tmp_path / "one", {"sweep": None})
    density, mass = np.asarray(store.array(0, "density")[:]), np.asarray(store.array(0, "mass")[:])
    density[1, 2, 5] = np.nextafter(density[1, 2, 5], 9.0)  # the last bit
    mass[1, 3] = np.nan
    rewrite(store, density=density, mass=mass)
    found = reproduce_cell(tmp_path / "one", "1")
    assert not found.equal
    assert found.differences == {"density": pytest.approx(0.0, abs=1e-15), "mass": math.inf}
    assert found.differences["density"] > 0
    assert described(found)[-3:-1][0] == "converged; different from the stored cell, which is converged:"
    assert reproduce_cell(tmp_path / "one", "2").equal


def test_a_cell_of_one_of_several_groups(tmp_path, computed):
    computed(tmp_path / "one", {"sweep": {"grid.nx": [8, 10]}})
    found = reproduce_cell(tmp_path / "one", "01-nx10-steps3/2")
    assert (found.group, found.cell, found.parameters, found.equal) == ("01-nx10-steps3", 2, {"grid.nx": 10}, True)
    with pytest.raises(InputError, match="has no cell '2'; name it by an id of 16 digits, or 00-nx8-steps3/NUMBER"):
        reproduce_cell(tmp_path / "one", "2")


def test_a_truth_that_cannot_be_computed(tmp_path, computed):
    truth = {
        "kind": "solve",
        "energy": {"internal": {"kind": "porous_medium"}},
        "initial": {"kind": "barenblatt"},
        "solver": {"kind": "pd3o", "max_iterations": 1},
    }
    computed(tmp_path / "one", {"truth": truth, "sweep": None})
    found = reproduce_cell(tmp_path / "one", "0")
    assert (found.equal, found.status, found.steps) == (True, "failed", [])
    assert found.message.startswith("TruthError: the truth could not be computed")


def test_a_pending_cell(tmp_path, make):
    prepare(tmp_path / "one", make())
    found = reproduce_cell(tmp_path / "one", "0")
    assert (found.equal, found.stored, found.status) == (False, "pending", "converged")
    assert described(found)[-1] == "converged; nothing is stored to compare it with"


@pytest.mark.parametrize("cell", ["12", "-1", "x", "", "f" * 16, "group/1", "1.0"])
def test_cells_that_are_none(directory, cell):
    with pytest.raises(InputError, match=r"has no cell .*; name it by an id of 16 digits, or a number"):
        reproduce_cell(directory, cell)


def test_a_cell_that_kills_its_process(tmp_path, directory):
    """It dies in a process of its own; what dajko says comes from the one that lives on."""
    (tmp_path / "sitecustomize.py").write_text(
        "import multiprocessing, os, signal\n"
        "if multiprocessing.parent_process() or '--multiprocessing-fork' in __import__('sys').orig_argv:\n"
        "    from dajko.study.execution import simulate as cells\n"
        "    cells.simulate_many = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    program = "from dajko.cli import main\nif __name__ == '__main__':\n    main()\n"
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "program.py"), "reproduce", str(directory), "7"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "the process that computed it died" in done.stdout
    assert "failed; different from the stored cell, which is converged:" in done.stdout
    assert "Traceback" not in done.stderr
