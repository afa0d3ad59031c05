"""What makes very large studies possible: nothing is held or checked for each cell that can be had for all at once."""

import hashlib
import itertools
import json
import math
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given
from hypothesis import strategies as st

from dajko.errors import InputError
from dajko.study.commands.run import run_study
from dajko.study.config.parse import parse
from dajko.study.config.study import NOT_SWEPT, LocalCluster, StudyConfig
from dajko.study.design.identity import cell_ids, words_of
from dajko.study.design.sources import sources
from dajko.study.design.sweep import Axis, Lazy, Sweep
from dajko.study.execution.batches import Batches
from dajko.study.execution.cluster import open_cluster
from dajko.study.execution.task import BlockReport, Task, run_block
from dajko.study.store.cells import Block, CellStore
from dajko.study.store.prepare import prepare
from dajko.study.store.variables import NOT_REPRODUCIBLE
from dajko.study.store.view import Labelled
from dajko.study.twin import checks as checked
from dajko.study.twin.checks import cells_to_check, check_plan
from tests.clusters import scheduler_of

# Sweeps of all kinds, some of which meet in one section.
SWEEPS = [
    {"sweep": {"theta": [1e-3, 1, math.inf], "noise.level": [0.0, 0.1]}},
    {
        "sweep": {
            "model.initial": [{"kind": "gaussian", "std": 0.2}, {"kind": "barenblatt"}],
            "model.mass": [1, 2.5, None],
        }
    },
    {"sweep": {"theta": [1e-3, 1e-2]}, "zip": {"grid.nx": [8, 10, 8], "time.steps": [2.0, 3, 3], "model.mass": [1, 1, 2]}},
    {
        "time": {"tau": 5e-4, "end": 1e-3},
        "sweep": {"time.end": [5e-4, 1e-3], "time.tau": [5e-4, 2.5e-4], "theta": [1e-3]},
        "limits": True,
    },
    {"sweep": {"noise.relative": [True, False], "solver.tol": [1e-3, 1e-2], "truth.solution.shift": [-0.1, 0.0, 0.1]}},
]
DRAWN = {
    "ensemble.perturbations": {
        "model.initial.shift": {"kind": "normal", "std": 0.1},
        "noise.level": {"kind": "uniform", "low": 0, "high": 1},
    }
}


# --- points ---------------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 4)), max_size=4))
def test_points_are_the_product_and_know_where_they_differ(axes):
    sweep = Sweep(tuple(Axis((f"{s}.k{i}",), tuple((j,) for j in range(n))) for i, (s, n) in enumerate(axes)))
    rows = list(itertools.product(*(range(n) for _, n in axes)))
    assert len(sweep) == len(rows)
    assert [tuple(sweep.values(i).values()) for i in range(len(sweep))] == rows
    first, codes = sweep.distinct("a", "c")
    keys = [tuple(value for value, (section, _) in zip(row, axes, strict=True) if section in "ac") for row in rows]
    assert first.tolist() == [keys.index(key) for key in dict.fromkeys(keys)]
    assert [keys[first[code]] for code in codes] == keys


def test_lazy_sequences_make_what_is_asked_for():
    made = []
    lazy = Lazy(10, lambda i: made.append(i) or i * i)
    assert (lazy[3], lazy[-1], list(lazy[2:4]), len(lazy)) == (9, 81, [4, 9], 10)
    assert made == [3, 9, 2]
    assert lazy == tuple(i * i for i in range(10))
    assert lazy != tuple(range(10))
    with pytest.raises(IndexError):
        lazy[10]


@pytest.mark.parametrize("changes", SWEEPS)
def test_points_are_what_the_whole_study_is_when_it_is_checked_at_once(make, tiny, changes):
    plan = make(changes)
    for point, values in enumerate(plan.points):
        content = {**plan.study.model_dump(), "sweep": {}, "zip": {}, "limits": False}
        for key, value in values.items():
            *path, last = key.split(".")
            node = content
            for part in path:
                node = node[part]
            node[last] = value
        expected = parse(StudyConfig, json.loads(json.dumps(content)), "one")
        assert plan.studies[point].model_dump_json() == expected.model_dump_json()
        assert plan.studies[point] == expected


@pytest.mark.parametrize("changes", [*SWEEPS, DRAWN])
def test_ids_are_hashes_of_whole_studies(make, changes):
    """The definition, cell by cell: parameters with the draws put in, the seed, the code."""
    plan = make(changes)
    for group in plan.groups:
        ids = iter(cell_ids(plan, group, sources()).tolist())
        for point in group.points:
            study = plan.studies[point]
            content = study.model_dump(mode="json", exclude=set(NOT_SWEPT))
            code = sources().code(words_of(plan.studies[point]))
            content["time"] = {"tau": study.time.tau, "count": study.time.count, "scheme": study.time.scheme}
            for key in plan.perturbed_keys:
                *path, last = key.split(".")
                node = content
                for part in path:
                    node = node[part]
                node[last] = None
            for member in range(plan.members):
                words = json.dumps([code, content], sort_keys=True)
                words += json.dumps([7, [0, member], plan.draws(point, member)], sort_keys=True)
                assert next(ids) == int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest(), "big")


def test_draws_of_all_members_are_those_of_each(make):
    changes = {"sweep": {"model.initial.std": [0.1, 0.2], "theta": [1.0, 2.0]}, "model.initial": {"kind": "gaussian"}}
    distributions = {
        "model.initial.mean": {"kind": "uniform", "low": 0, "high": 0.1},
        "noise.level": {"kind": "normal", "std": 0.01},
    }
    plan = make({**changes, "ensemble.perturbations": distributions})
    for key in plan.perturbed_keys:
        draws, rows = plan.drawn(key)
        for point, member in itertools.product(range(4), range(3)):
            assert draws[rows[point], member] == plan.draws(point, member)[key]


# --- checks ---------------------------------------------------------------------------------------------------------------


def test_weights_and_noises_are_not_checked_one_by_one(make):
    sweep = {"theta": {"logspace": {"start": 1e-6, "stop": 1.0, "num": 300}}, "noise.level": [0.0, 0.1], "grid.nx": [8, 10]}
    assert list(cells_to_check(make({"sweep": sweep}))) == [(0, 0), (1, 0)]


def test_step_sizes_that_are_given_are_checked_with_everything_that_they_depend_on(make):
    sweep = {"theta": [1e-3, 1e-2, 1e-1], "noise.level": [0.0, 0.1]}
    assert len(list(cells_to_check(make({"sweep": sweep, "solver.primal_step": 1e-3})))) == 3


def test_a_combination_that_does_not_fit_is_found(make):
    """Sensors at 0.6 fit the one interval and not the other, whatever else varies."""
    sensors = [[{"kind": "sensors", "positions": [at], "width": 0.2}] for at in (0.0, 0.6)]
    sweep = {"theta": [1e-3, 1e-2], "grid.right": [0.7, 0.55], "observations.operators": sensors}
    with pytest.raises(
        InputError, match=r"observations\.operators\.0.*\(at theta = 0\.001, grid\.right = 0\.55, observ.*0\.6"
    ):
        check_plan(make({"sweep": sweep, "model.initial": {"kind": "gaussian"}}))


def test_among_more_draws_than_are_checked_the_extremes_are(make, monkeypatch):
    monkeypatch.setattr(checked, "_MOST_CHECKED", 5)
    changes = {"model.initial": {"kind": "gaussian"}, "ensemble.members": 300}
    plan = make(
        {**changes, "ensemble.perturbations": {"model.initial.std": {"kind": "uniform", "low": -0.001, "high": 0.2}}}
    )
    assert (plan.drawn("model.initial.std")[0] < 0).sum() in range(1, 5)
    with pytest.raises(InputError, match=r"model\.initial\.std: must be greater than 0, got -.* \(member \d+, at theta"):
        check_plan(plan)
    assert len(list(cells_to_check(plan))) <= 7


def test_a_draw_that_no_check_has_seen_is_a_failed_member(tmp_path, computed):
    distributions = {"model.initial.std": {"kind": "uniform", "low": -0.2, "high": 0.2}}
    changes = {"model.initial": {"kind": "gaussian"}, "ensemble.members": 8, "ensemble.perturbations": distributions}
    store = computed(tmp_path / "one", changes)
    drawn = np.asarray(store.array(0, "model_initial_std")[:])
    assert 0 < (drawn < 0).sum() < 16
    assert np.array_equal(store.status(0) == 4, drawn < 0)
    lines = [json.loads(line) for line in (tmp_path / "one" / "failures.jsonl").read_text().splitlines()]
    assert all("model.initial.std: must be greater than 0" in line["message"] for line in lines)


# --- tasks of several blocks ----------------------------------------------------------------------------------------------


def tasks_of(number, cells=10):
    return [Task(Block(0, i * cells, (i + 1) * cells)) for i in range(number)]


def reports(tasks, seconds):
    return [BlockReport(task.block, task.size, (), 0.0, seconds) for task in tasks]


def test_batches_last_a_second_by_what_was_measured():
    tasks = tasks_of(1000)
    batches = Batches(tasks, workers=2)
    first = [next(batches) for _ in range(4)]
    assert [len(batch) for batch in first] == [1, 1, 1, 1]
    batches.learn(reports(first[0], 0.1))
    assert len(next(batches)) == 10
    batches.learn(reports(first[1], 0.3))  # dearer cells: 0.2 s a block now
    assert len(next(batches)) == 5
    batches.learn(reports(first[2], 100.0))
    assert len(next(batches)) == 1
    batches.learn([BlockReport(tasks[0].block, 0, (), 0.0, 5.0)])  # nothing was left to do, nothing is learnt
    assert len(next(batches)) == 1


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_batches_hold_every_task_once_and_end_small(workers):
    tasks = tasks_of(200)
    batches, found = Batches(tasks, workers), []
    for batch in batches:
        assert len(batch) <= max(1, (200 - sum(map(len, found))) // (2 * workers))
        found.append(batch)
        batches.learn(reports(batch, 1e-4))
    assert [task for batch in found for task in batch] == tasks
    assert len(found[-1]) == 1
    assert len(found) < 200


def test_the_scheduler_holds_a_bounded_number_of_tasks(tmp_path, tiny, monkeypatch):
    submitted, under_way, batches = [], [], []
    with open_cluster(LocalCluster(workers=1), blocks=100) as client:
        plain = type(client).submit

        def submit(self, function, *args, **kwargs):
            future = plain(self, function, *args, **kwargs)
            if function.__name__ == "run_tasks":
                submitted.append(future)
                batches.append(args[2])
                under_way.append(sum(not f.done() for f in submitted))
            return future

        monkeypatch.setattr(type(client), "submit", submit)
        report = run_study(tiny({"ensemble.members": 30, "block": 1}), tmp_path / "one", scheduler_of(client), quiet=True)
    assert (report.computed, report.missing) == (60, 0)
    assert sum(len(batch) for batch in batches) == 60
    assert max(under_way) <= 2


# --- stores ---------------------------------------------------------------------------------------------------------------


def test_the_files_of_a_new_store_do_not_grow_with_the_members(tmp_path, make):
    def files(members):
        store = prepare(tmp_path / str(members), make({"ensemble.members": members}, str(members)))
        return len([p for p in store.path.rglob("*") if p.is_file()])

    assert files(10) == files(50_000)


def test_a_process_that_knows_a_store_sees_that_another_has_taken_its_place(tmp_path, make, computed):
    """The same study at the same path with other blocks: what a process remembers of the old store must not be used."""
    directory = tmp_path / "one"
    before = xr.open_zarr(computed(directory, {"block": 4}).path, consolidated=False).load()
    store = prepare(directory, make({"block": 3}), recompute=True)
    assert [run_block(str(store.path), store.hash, Task(block)).cells for block in store.pending()] == [3, 3]
    after = xr.open_zarr(store.path, consolidated=False).load()
    assert after.drop_vars(list(NOT_REPRODUCIBLE)).equals(before.drop_vars(list(NOT_REPRODUCIBLE)))


class Plain:
    """A store of one variable that has no checksums."""

    rows, _wrong = CellStore.rows, CellStore._wrong

    def __init__(self, array):
        self.plain = array

    def array(self, group, name):
        return self.plain

    def checked(self, group):
        return []


@given(st.integers(0, 2**32 - 1))
def test_a_part_of_a_view_is_that_part_of_the_whole(seed):
    generator = np.random.default_rng(seed)
    shape = tuple(generator.integers(1, 5, size=generator.integers(1, 4)))
    cells = generator.standard_normal((math.prod(shape) + 2, 3))
    array = zarr.create_array({}, shape=cells.shape, chunks=(4, 3), dtype="f8")
    array[:] = cells
    place = np.arange(math.prod(shape)) if generator.random() < 0.5 else generator.permutation(cells.shape[0])
    place = place[: math.prod(shape)].reshape(shape).copy()
    place[generator.random(shape) < 0.2 * generator.integers(0, 2)] = -1
    whole = np.where(place[..., None] < 0, np.nan, cells[place])
    view = Labelled(Plain(array), 0, "mass", place)
    assert view.shape == whole.shape
    index = tuple(slice(*sorted(generator.integers(0, n + 1, size=2).tolist())) for n in whole.shape)
    assert np.array_equal(view[index], whole[index], equal_nan=True)


def test_cells_of_a_view_may_stand_in_another_order_than_in_the_store():
    """The first and the last are where they would be if all were in order."""
    array = zarr.create_array({}, shape=(4,), chunks=(2,), dtype="i4")
    array[:] = [10, 11, 12, 13]
    assert Labelled(Plain(array), 0, "mass", np.array([[0, 2], [1, 3]]))[:, :].tolist() == [[10, 12], [11, 13]]


SLAB = """
import json, sys
from dajko.study.commands.run import run_study
from dajko.study.design.sources import sources
if __name__ == "__main__":
    study, directory, slab = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    print(run_study(study, directory, 1, slab=slab, quiet=True).computed)
"""


def test_slabs_in_processes_of_their_own_write_one_store(tmp_path, tiny, computed):
    """Three jobs that start at the same moment, each with its own cluster; none of them has made the store before."""
    changes = {"ensemble.members": 24, "sweep": {"theta": [1e-3, 1e-2], "grid.nx": [8, 10]}, "block": 5}
    changes["solver"] = {"kind": "interior_point"}
    computed(tmp_path / "alone" / "one", changes)
    (tmp_path / "slab.py").write_text(SLAB)
    study, directory = json.dumps(tiny({**changes, "slabs": 3})), tmp_path / "together" / "one"
    jobs = [
        subprocess.Popen(
            [sys.executable, str(tmp_path / "slab.py"), study, str(directory), str(slab)], stdout=subprocess.PIPE, text=True
        )
        for slab in range(3)
    ]
    numbers = [int(job.communicate()[0]) for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0, 0]
    assert sum(numbers) == 96
    assert min(numbers) > 0
    found, expected = CellStore(directory / "cells.zarr"), CellStore(tmp_path / "alone" / "one" / "cells.zarr")
    for group in range(2):
        for name in (*set(found.variables(group)) - set(NOT_REPRODUCIBLE), "cell_id", "order", "theta"):
            left, right = (np.asarray(store.array(group, name)[:]) for store in (found, expected))
            assert np.array_equal(left, right, equal_nan=left.dtype.kind == "f"), name
