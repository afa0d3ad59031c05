"""Failed members once more: better results are taken, and the store says which setting made them."""

import pytest
import xarray as xr

from dajko.errors import InputError
from dajko.status import Status
from dajko.study.commands.retry import parse_setting, retry_study
from dajko.study.commands.run import run_study
from dajko.study.commands.status import study_state
from dajko.study.store.cells import CellStore
from dajko.study.store.journal import entries
from dajko.study.store.labelled import open_study, open_summary
from dajko.study.store.variables import CELLS, MANIFEST, NOT_REPRODUCIBLE

# Three cells that converge and three that have one iteration; noise and data are the same.
FAILING = {"sweep": {"solver.max_iterations": [1, 100_000]}, "block": 4}


@pytest.fixture
def failed(tmp_path, computed):
    computed(tmp_path / "one", FAILING)
    return tmp_path / "one"


def values(directory):
    return xr.open_zarr(directory / CELLS, consolidated=False).load().drop_vars(list(NOT_REPRODUCIBLE))


def test_a_setting_that_helps(failed, tiny, address):
    """With as many iterations as the others, the failed cells come out as these do, and these stay as they are."""
    before = values(failed)
    (failed / MANIFEST).write_text("{}")
    report = retry_study(failed, {"solver.max_iterations": 100_000}, address, quiet=True)
    assert (report.computed, report.failed, report.counts["converged"]) == (3, 0, 6)
    after, store = values(failed), CellStore(failed / CELLS)
    assert after.setting.values.tolist() == [1, 1, 1, 0, 0, 0]
    assert store.settings == [{}, {"solver.max_iterations": 100_000}]
    assert after.cell_id.equals(before.cell_id)
    for name in ("density", "iterations", "residual", "observed", "data"):
        assert after[name].values[:3].tobytes() == after[name].values[3:].tobytes() == before[name].values[3:].tobytes()
    assert not (failed / MANIFEST).exists()  # Snakemake is to look again
    assert (open_summary(failed).status == Status.CONVERGED).all()
    assert study_state(failed).settings == [{"setting": {"solver.max_iterations": 100_000}, "cells": 3}]
    # Neither the run nor another retry has anything to do.
    assert run_study(tiny(FAILING), failed, address, quiet=True).computed == 0
    assert retry_study(failed, {"solver.max_iterations": 100_000}, address, quiet=True).computed == 0


def test_another_solver(failed, address, computed, tmp_path):
    report = retry_study(failed, {"solver": {"kind": "interior_point"}}, address, quiet=True)
    assert report.counts["converged"] == 6
    view = open_study(failed).load()
    assert view.setting.values.tolist() == [[1, 1, 1], [0, 0, 0]]
    # The same numbers as in a study of that solver.
    computed(tmp_path / "other", {"sweep": None, "solver": {"kind": "interior_point"}})
    expected = open_study(tmp_path / "other").load()
    assert view.density.sel(solver_max_iterations=1).values.tobytes() == expected.density.values.tobytes()


def test_a_setting_that_does_not_help_leaves_what_is_there(failed, address):
    before = values(failed)
    report = retry_study(failed, {"solver.max_iterations": 2}, address, quiet=True)
    assert (report.computed, report.failed) == (3, 3)
    assert values(failed).drop_attrs().identical(before.drop_attrs())
    found = list(entries(failed))
    assert [e["setting"] for e in found[3:]] == [{"solver.max_iterations": 2}] * 3
    assert found[-1]["history"]["iterations"] == [2, 2, 2]


def test_the_same_setting_again_finds_the_same_place(failed, address):
    for _ in range(2):
        retry_study(failed, {"solver.max_iterations": 2}, address, quiet=True)
    assert CellStore(failed / CELLS).settings == [{}, {"solver.max_iterations": 2}]
    retry_study(failed, None, address, quiet=True)
    assert CellStore(failed / CELLS).settings == [{}, {"solver.max_iterations": 2}]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"theta": 1.0}, "theta: a retry sets keys of solver or truth.solver only"),
        ({"solvers.tol": 1.0}, "solvers.tol: a retry sets keys of solver or truth.solver only"),
        ({"solver": {"kind": "newton"}}, "solver: kind must be one of interior_point, pd3o, quantile, or module:Class"),
        ({"solver.tol": -1.0}, "solver.tol: must be greater than 0, got -1.0"),
        ({"solver.toll": 1.0}, "solver.toll: unknown key"),
    ],
)
def test_settings_that_are_none(failed, setting, message):
    before = {p: p.read_bytes() for p in failed.rglob("*") if p.is_file() and ".locks" not in p.parts}
    with pytest.raises(InputError) as caught:
        retry_study(failed, setting, quiet=True)
    assert message in str(caught.value)
    assert {p: p.read_bytes() for p in failed.rglob("*") if p.is_file() and ".locks" not in p.parts} == before


def test_a_setting_from_the_command_line():
    found = parse_setting("pd3o", ["solver.tol=1e-4", "solver.max_iterations=50", "solver.data_step=dual"])
    assert found == {"solver": {"kind": "pd3o"}, "solver.tol": 1e-4, "solver.max_iterations": 50, "solver.data_step": "dual"}
    for text in ("solver.tol", "solver.tol=[1"):
        with pytest.raises(InputError, match=r"--set solver\.tol"):
            parse_setting(None, [text])


def test_a_store_of_other_code(failed, monkeypatch):
    monkeypatch.setattr("dajko.study.commands.retry.words_of", lambda _: {"logarithmic", "linear"})
    with pytest.raises(InputError, match="was computed by other code than this; `dajko run` computes again"):
        retry_study(failed)


def test_a_retry_that_is_killed_leaves_pending_cells(failed, monkeypatch, again):
    """While the data of a cell change, its status says pending: never a converged one with the numbers of another."""
    from dajko.study.execution.task import Task, run_block

    store = CellStore(failed / CELLS)
    store.root.attrs["settings"] = '[{}, {"solver.max_iterations": 100000}]'
    plain, seen = CellStore.array, []

    def array(self, group, name):
        seen.append((name, plain(self, group, "status")[:4].tolist()))
        return plain(self, group, name)

    with monkeypatch.context() as patch:
        patch.setattr(CellStore, "array", array)
        run_block(str(store.path), store.hash, Task(store.blocks(0)[0], (0, 1), 1))
    while_writing = [status for name, status in seen[-3:-1]]
    assert while_writing == [[Status.PENDING, Status.PENDING, Status.NOT_CONVERGED, Status.CONVERGED]] * 2
    assert store.status(0)[:4].tolist() == [Status.CONVERGED] * 2 + [Status.NOT_CONVERGED, Status.CONVERGED]
