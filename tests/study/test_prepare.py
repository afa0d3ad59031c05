"""Which store a directory has: the same, a widened one, a refusal that names the differences, or one set aside."""

import json
import shutil
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

import dajko
from dajko.errors import InputError
from dajko.status import Status
from dajko.study.commands.reproduce import reproduce_cell
from dajko.study.commands.status import study_state
from dajko.study.config.study import SCHEMA_VERSION, study_hash
from dajko.study.design.sources import Sources
from dajko.study.execution.task import Task, run_block
from dajko.study.store.cells import Block, CellStore, cells_path
from dajko.study.store.labelled import open_study
from dajko.study.store.outdated import outdated
from dajko.study.store.prepare import inspect, prepare
from dajko.study.store.variables import CELLS, FAILURES, MANIFEST, NEW, NOT_REPRODUCIBLE, SUMMARY, VARIABLES

NARROW = {"sweep": {"theta": [1e-3, 1e-2], "noise.level": [0.1]}, "block": 4}
WIDE = {"sweep": {"theta": [1e-2, 1e-3, 0.1], "noise.level": [0.2, 0.1]}, "ensemble.members": 4, "block": 4}


def row(store, cells, status=Status.CONVERGED):
    """Values for so many cells, all 1."""
    values = {n: np.ones((cells, *store.array(0, n).shape[1:])) for n in store.variables(0)}
    return {**values, "status": np.full(cells, status)}


def flat(store, group=""):
    """The cells of a group of a store as they stand there, without what differs between two runs."""
    return xr.open_zarr(store.path, group=group or None, consolidated=False).load().drop_vars(list(NOT_REPRODUCIBLE))


def by_id(store):
    """The variables of each computed cell by its id."""
    found = {}
    for cells in (flat(store, str(group.path)) for group in store.groups):
        names = [n for n in VARIABLES if n in cells]
        done = np.flatnonzero(cells.status.values != Status.PENDING)
        found |= {int(cells.cell_id[i]): {n: cells[n].values[i].tobytes() for n in names} for i in done}
    return found


def complete(directory, plan):
    """Compute what is missing in this process; how many cells that were."""
    store = prepare(directory, plan)
    return sum(run_block(str(store.path), store.hash, Task(block)).cells for block in store.pending())


# --- widening -------------------------------------------------------------------------------------------------------------


def test_widening_computes_the_new_cells_only(tmp_path, make, computed):
    """New values of two keys and more members: old cells keep their places, their files and every bit."""
    directory = tmp_path / "one"
    before = computed(directory, NARROW)
    old, ids = by_id(before), flat(before).cell_id.values
    stamps = {p: p.stat().st_mtime_ns for p in (before.path / "mass" / "c").rglob("*") if p.is_file()}
    store = prepare(directory, make(WIDE))
    assert {p: p.stat().st_mtime_ns for p in stamps} == stamps
    assert store.counts()["pending"] == 24 - 6
    assert by_id(store) == old
    assert complete(directory, make(WIDE)) == 18
    store = CellStore(directory / CELLS)
    assert flat(store).cell_id.values[:6].tolist() == ids.tolist()
    assert len(set(flat(store).cell_id.values.tolist())) == 24
    found = by_id(store)
    assert {number: found[number] for number in old} == old
    assert not list(directory.glob(".cells*"))
    assert not (directory / "previous").exists()


def test_a_widened_store_is_the_one_that_is_computed_at_once(tmp_path, make, computed):
    directory = tmp_path / "steps" / "one"
    computed(directory, NARROW)
    complete(directory, make(WIDE))
    computed(tmp_path / "once" / "one", WIDE)
    widened, once = (open_study(tmp_path / way / "one").load() for way in ("steps", "once"))
    assert widened.drop_vars("solve_time").drop_attrs().identical(once.drop_vars("solve_time").drop_attrs())
    assert dict(widened.sizes) == {"theta": 3, "noise_level": 2, "member": 4, "time": 4, "x": 11, "observation": 2}


def test_a_key_that_was_not_swept_before(tmp_path, make, computed):
    """One more axis: the cells at the value that the study had belong to it."""
    directory = tmp_path / "one"
    old = by_id(computed(directory, {"noise.level": 0.1, "block": 4}))
    wider = make({"sweep": {"theta": [1e-3, 1e-2], "noise.level": [0.1, 0.3]}})
    assert complete(directory, wider) == 6
    found = by_id(CellStore(directory / CELLS))
    assert {number: found[number] for number in old} == old
    computed(tmp_path / "once" / "one", {"sweep": {"theta": [1e-3, 1e-2], "noise.level": [0.1, 0.3]}})
    for view, other in [(open_study(directory).load(), open_study(tmp_path / "once" / "one").load())]:
        assert view.density.identical(other.density)


def test_narrowing_hides_cells_and_widening_again_finds_them(tmp_path, make, computed):
    directory = tmp_path / "one"
    old = by_id(computed(directory, NARROW))
    (directory / MANIFEST).write_text("of the first")
    (directory / "slabs").mkdir()
    (directory / "slabs" / "0.done.json").write_text("of the first")
    (directory / FAILURES).write_text("kept")
    narrower = {"sweep": None, "theta": 1e-2, "ensemble.members": 2}
    assert complete(directory, make(narrower)) == 0
    store = CellStore(directory / CELLS)
    assert (store.size, store.unasked, store.counts()["converged"]) == (2, 4, 2)
    assert by_id(store) == old
    # Neither dajko nor Snakemake may take these for those of the new configuration.
    assert not any(
        path.exists() for path in (directory / MANIFEST, directory / SUMMARY, directory / "slabs" / "0.done.json")
    )
    assert (directory / FAILURES).read_text() == "kept"
    view = open_study(directory)
    assert view.status.dims == ("member",)
    assert (view.status.values == Status.CONVERGED).all()
    assert complete(directory, make(NARROW)) == 0
    assert CellStore(directory / CELLS).unasked == 0


def test_pending_cells_that_nobody_asks_for_are_not_computed(tmp_path, make):
    directory = tmp_path / "one"
    prepare(directory, make({"sweep": {"theta": [1e-3, 1e-2]}, "block": 1}))
    assert complete(directory, make({"sweep": {"theta": [1e-2]}, "block": 1})) == 3
    store = CellStore(directory / CELLS)
    assert store.status(0).tolist() == [Status.PENDING] * 3 + [Status.CONVERGED] * 3


def test_a_further_grid_is_a_further_group(tmp_path, make, computed):
    """From one grid, whose arrays stand in the root, to three."""
    directory = tmp_path / "one"
    old = by_id(computed(directory, {"sweep": {"grid.nx": [10]}, "block": 2}))
    assert complete(directory, make({"sweep": {"grid.nx": [8, 10]}, "block": 2})) == 3
    assert complete(directory, make({"sweep": {"grid.nx": [8, 10, 12]}, "block": 2})) == 3
    store = CellStore(directory / CELLS)
    assert [group.path for group in store.groups] == ["00-nx10-steps3", "01-nx8-steps3", "02-nx12-steps3"]
    cells = xr.open_zarr(store.path, group="00-nx10-steps3", consolidated=False).load()
    assert {int(i) for i in cells.cell_id} == set(old)
    for i, number in enumerate(cells.cell_id.values.tolist()):
        assert cells.density.values[i].tobytes() == old[number]["density"]
    assert sorted(open_study(directory).children) == ["00-nx10-steps3", "01-nx8-steps3", "02-nx12-steps3"]
    assert complete(directory, make({"sweep": {"grid.nx": [8]}, "block": 2})) == 0
    assert open_study(directory).density.dims == ("grid_nx", "member", "time", "x")


def test_blocks_that_are_much_too_small_are_made_anew(tmp_path, make, computed):
    directory = tmp_path / "one"
    old = by_id(computed(directory, {"sweep": None, "ensemble.members": 1}))
    store = prepare(directory, make({"sweep": None, "ensemble.members": 400}))
    assert store.array(0, "status").chunks == (48,)
    assert by_id(store) == old
    assert store.counts()["pending"] == 399


def test_the_store_remembers_its_history(tmp_path, make):
    first = dict(prepare(tmp_path / "one", make(NARROW)).root.attrs)
    second = dict(prepare(tmp_path / "one", make(WIDE)).root.attrs)
    assert [line.split(": ")[1] for line in second["history"].splitlines()] == ["created", "widened"]
    assert second["created"] == first["created"]
    assert json.loads(second["parameters"]) == ["theta", "noise.level"]


def test_words_and_numbers_of_a_swept_key(tmp_path, make, computed):
    directory = tmp_path / "one"
    computed(directory, {"sweep": {"model.mass": [1.0, 2.0]}})
    complete(directory, make({"sweep": {"model.mass": [None, 2.0, 1.0]}}))
    view = open_study(directory).load()
    assert sorted(view.model_mass.values.tolist()) == ["1.0", "2.0", "null"]
    assert view.mass.sel(model_mass="2.0").values[:, 0] == pytest.approx(2.0)
    assert (view.status == Status.CONVERGED).all()


@pytest.mark.parametrize("renames", range(5))
def test_a_widening_that_is_killed_loses_nothing(tmp_path, make, computed, monkeypatch, renames):
    """Killed before any of its renames, the old store or the new one is there, and the next run goes on."""
    directory = tmp_path / "one"
    old = by_id(computed(directory, NARROW))
    plain, left = Path.rename, [renames]

    def rename(self, target):
        if self.name.startswith((".cells", "cells")):
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
        return plain(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    killed = False
    try:
        prepare(directory, make(WIDE))
    except KeyboardInterrupt:
        killed = True
    monkeypatch.undo()
    assert killed == (renames < 3)
    assert by_id(CellStore(cells_path(directory))) == old
    assert by_id(prepare(directory, make(WIDE))) == old
    assert not list(directory.glob(".cells*"))


def test_between_the_two_renames_the_new_store_is_found(tmp_path, make):
    directory = tmp_path / "one"
    prepare(directory, make())
    (directory / CELLS).rename(directory / NEW)
    assert inspect(directory, make()) is not None
    assert open_study(directory).sizes["member"] == 3
    assert (directory / CELLS).exists()


# --- stores that do not fit -----------------------------------------------------------------------------------------------


def contents(directory):
    """Every file below a directory with its content."""
    return {p: p.read_bytes() for p in directory.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"grid.nx": 12}, "grid.nx: the store has 10, the study has 12"),
        ({"time.tau": 1e-3}, "time.tau: the store has 0.0005, the study has 0.001"),
        ({"time.steps": 4}, "time.steps: the store has 3, the study has 4"),
        ({"model.energy.internal.m": 2.5}, "model.energy.internal.m: the store has 2.0, the study has 2.5"),
        ({"ensemble.seed": 8}, "ensemble.seed: the store has 7, the study has 8"),
        ({"store.density": "final"}, 'store.density: the store has "all", the study has "final"'),
        ({"model.mass": 1.0}, "model.mass: the store has nothing, the study has 1.0"),
        (
            {"ensemble.perturbations": {"noise.level": {"kind": "uniform", "low": 0.1, "high": 0.2}}},
            'ensemble.perturbations.noise.level.kind: the store has nothing, the study has "uniform"',
        ),
    ],
)
def test_another_study_is_refused_with_its_differences(tmp_path, make, changes, difference):
    directory = tmp_path / "one"
    prepare(directory, make())
    before = contents(tmp_path)
    for look in (inspect, prepare):
        with pytest.raises(InputError) as caught:
            look(directory, make(changes))
        lines = str(caught.value).splitlines()
        assert f"{directory}: does not fit the study: {difference}" in lines
        assert "--recompute" in lines[-1]
        assert "another name" in lines[-1]
    assert contents(tmp_path) == before


def test_every_difference_is_named(tmp_path, make):
    prepare(tmp_path / "one", make())
    with pytest.raises(InputError) as caught:
        inspect(tmp_path / "one", make({"grid.nx": 12, "grid.nt": 3}))
    assert len(str(caught.value).splitlines()) == 3


def test_keys_within_keys_are_refused(tmp_path, make):
    prepare(tmp_path / "one", make({"sweep": {"model.initial": [{"kind": "gaussian"}, {"kind": "barenblatt"}]}}))
    with pytest.raises(InputError, match=r"sweep\.model\.initial\.shift: the store varies model\.initial, and"):
        inspect(tmp_path / "one", make({"sweep": {"model.initial.shift": [0.1, 0.2]}}))


@pytest.fixture
def edited(tmp_path, monkeypatch):
    """Makes the sources of a dajko whose quadratic potential has another formula those of this process."""

    def edit():
        package = Path(shutil.copytree(Path(dajko.__file__).parent, tmp_path / "edited", dirs_exist_ok=True))
        path = package / "energy" / "potential" / "quadratic.py"
        text = path.read_text()
        assert "0.5 * self.stiffness" in text
        path.write_text(text.replace("0.5 * self.stiffness", "0.25 * self.stiffness"))
        found = Sources(package)
        for name in (
            "store.prepare",
            "store.outdated",
            "store.coordinates",
            "execution.task",
            "commands.retry",
            "commands.reproduce",
        ):
            monkeypatch.setattr(f"dajko.study.{name}.sources", lambda: found)

    return edit


POTENTIALS = {"block": 2, "sweep": {"model.energy.potential": [None, {"kind": "quadratic"}], "theta": [0.1, 1.0]}}


def test_cells_are_computed_again_whose_formula_has_changed(tmp_path, make, computed, edited):
    """Of all others no bit changes, and the store keeps what it had."""
    directory = tmp_path / "one"
    old = by_id(computed(directory, POTENTIALS))
    assert outdated(CellStore(directory / CELLS)) is None
    edited()
    found = outdated(CellStore(directory / CELLS))
    assert (found.cells, found.size, found.changed) == (6, 12, ("energy.potential.quadratic.Quadratic",))
    assert found.sentence == "6 of 12 cells were computed by other code (changed: energy.potential.quadratic.Quadratic)"
    assert study_state(directory).incomplete
    assert complete(directory, make(POTENTIALS)) == 6
    assert outdated(CellStore(directory / CELLS)) is None
    store = CellStore(directory / CELLS)
    assert (store.size, store.unasked) == (12, 6)
    new = by_id(store)
    assert {number: new[number] for number in old} == old
    assert open_study(directory).status.shape == (2, 2, 3)


def test_a_cell_of_other_code_is_not_reproduced_without_a_word(tmp_path, computed, edited):
    store = computed(tmp_path / "one", POTENTIALS)
    edited()
    same = [reproduce_cell(tmp_path / "one", str(number)).same_code for number in range(store.size)]
    assert same == [True] * 6 + [False] * 6


def test_a_store_of_other_code_can_be_computed_anew(tmp_path, make, edited):
    directory = tmp_path / "one"
    before = prepare(directory, make(POTENTIALS)).code
    edited()
    assert prepare(directory, make(POTENTIALS), recompute=True).code != before
    assert len(list((directory / "previous").glob("*/cells.zarr"))) == 1


def test_a_worker_with_other_code_stops(tmp_path, make, edited):
    store = prepare(tmp_path / "one", make(POTENTIALS))
    edited()
    with pytest.raises(RuntimeError, match="the dajko of this worker has other numerical code"):
        run_block(str(store.path), store.hash, Task(store.blocks(0)[0]))


# --- recompute ------------------------------------------------------------------------------------------------------------


def other(nx):
    """Changes that make a study that no store of another grid fits."""
    return {"block": 4, "grid.nx": nx}


def test_recompute_sets_the_store_aside_and_an_earlier_one_comes_back(tmp_path, make):
    directory = tmp_path / "one"
    first = prepare(directory, make(other(10)))
    first.write(Block(0, 0, 4), row(first, 4))
    for name in (MANIFEST, FAILURES):
        (directory / name).write_text("of the first")
    (directory / SUMMARY).mkdir()
    (directory / SUMMARY / "zarr.json").write_text("of the first")
    (directory / "slabs").mkdir()
    (directory / "slabs" / "0.done.json").write_text("of the first")

    second = prepare(directory, make(other(12)), recompute=True)
    assert second.counts()["pending"] == 6
    assert not any((directory / name).exists() for name in (SUMMARY, MANIFEST, FAILURES))
    # Snakemake must not take it for the mark of the new store.
    assert not (directory / "slabs" / "0.done.json").exists()
    kept = directory / "previous" / f"{first.hash[:16]}-{first.code[:8]}"
    assert sorted(p.name for p in kept.iterdir()) == sorted([CELLS, SUMMARY, MANIFEST, FAILURES])

    back = prepare(directory, make({**other(10), "title": "Back"}), recompute=True)
    assert (back.hash, back.root.attrs["title"]) == (first.hash, "Back")
    assert back.counts()["converged"] == 4
    assert (directory / MANIFEST).read_text() == (directory / SUMMARY / "zarr.json").read_text() == "of the first"
    assert [p.name[:16] for p in (directory / "previous").iterdir()] == [second.hash[:16]]


def test_recompute_of_the_same_study_starts_anew_each_time(tmp_path, make):
    directory = tmp_path / "one"
    for number in range(3):
        store = prepare(directory, make(), recompute=number > 0)
        assert store.counts()["pending"] == 6
        store.write(store.blocks(0)[0], row(store, store.blocks(0)[0].stop))
    assert len(list((directory / "previous").glob("*/cells.zarr"))) == 2
    assert CellStore(directory / CELLS).counts()["converged"] > 0


@pytest.mark.parametrize("moves", range(10))
def test_a_recompute_that_is_killed_loses_nothing(tmp_path, make, monkeypatch, moves):
    """Killed after any number of renames, the next run finds the cells of both configurations again."""
    directory = tmp_path / "one"
    old, new = make({**other(10), "block": 3, "sweep": None}), make({**other(12), "block": 3, "sweep": None})
    for plan in (new, old):
        found = prepare(directory, plan, recompute=True)
        found.write(Block(0, 0, 3), row(found, 3))
        (directory / SUMMARY).mkdir()
        (directory / SUMMARY / "x").write_text("x")
        for name in (MANIFEST, FAILURES):
            (directory / name).write_text("x")
    plain, left = Path.rename, [moves]

    def rename(self, target):
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        return plain(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(KeyboardInterrupt) if moves < 8 else nullcontext():
        prepare(directory, new, recompute=True)
    monkeypatch.undo()
    for plan in (new, old, new):
        found = prepare(directory, plan, recompute=inspect_fails(directory, plan))
        assert found.hash == study_hash(plan.study)
        assert found.counts()["converged"] == 3


def inspect_fails(directory, plan):
    """Whether a store is there that does not fit: only then is it set aside."""
    try:
        inspect(directory, plan)
    except InputError:
        return True
    return False


# --- a new store, and other people's directories ---------------------------------------------------------------------------


def test_the_same_study_keeps_its_store(tmp_path, make):
    first = prepare(tmp_path / "one", make({"block": 4}))
    first.write(Block(0, 0, 4), row(first, 4))
    for changes in ({"block": 4}, {"title": "Another"}, {"block": 1}, {"slabs": 3}, {"report.times": [0.0]}):
        again = prepare(tmp_path / "one", make(changes))
        assert again.counts()["converged"] == 4
        assert again.array(0, "status").chunks == (4,)
        # What is shown is taken over.
        assert again.study.report == make(changes).study.report
        assert again.root.attrs["title"] == changes.get("title", "one")
    assert not (tmp_path / "one" / "previous").exists()


def test_a_store_is_made_whole_or_not_at_all(tmp_path, make, monkeypatch):
    from dajko.study.store import create as module

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "categories", stop)
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "one", make())
    assert not (tmp_path / "one" / CELLS).exists()
    monkeypatch.undo()
    assert prepare(tmp_path / "one", make()).counts()["pending"] == 6
    assert [p.name for p in (tmp_path / "one").iterdir()] == [CELLS]


def test_the_directory_of_another_study(tmp_path, make):
    prepare(tmp_path / "one", make())
    with pytest.raises(InputError, match=r"holds the study 'one', not 'two'; choose another results directory"):
        prepare(tmp_path / "one", make(name="two"))


def foreign(path, kind):
    """Something at the place of a store that is none."""
    attributes = {
        "study": "one",
        "study_hash": "0",
        "schema_version": SCHEMA_VERSION,
        "code": "",
        "sources": "{}",
        "parameters": "[]",
    }
    if kind == "file":
        path.write_text("x")
    elif kind == "array":
        zarr.create_array(path, shape=(3,), dtype="f8")
    elif kind == "version 2":
        zarr.create_group(path, zarr_format=2)
    elif kind.startswith("json "):
        path.mkdir()
        (path / "zarr.json").write_text(kind.removeprefix("json "))
    else:
        zarr.create_group(path, attributes={} if kind == "group" else {**attributes, "groups": kind})


@pytest.mark.parametrize(
    "kind", ["file", "array", "group", "version 2", "json", "json {}", "json [", "json []", '["x"]', '[""]', "5", "x"]
)
def test_what_is_no_store_of_dajko(tmp_path, make, kind):
    directory = tmp_path / "one"
    directory.mkdir()
    foreign(directory / CELLS, kind)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=r"cells\.zarr: is not a store of dajko; choose another results directory$"):
        prepare(directory, make())
    assert sorted(tmp_path.rglob("*")) == before


def test_a_store_of_another_version(tmp_path, make):
    found = prepare(tmp_path / "one", make())
    found.root.attrs["schema_version"] = 99
    with pytest.raises(InputError, match="has the schema version 99, this dajko reads and writes version 5; use"):
        inspect(tmp_path / "one", make())
    found.root.attrs["schema_version"] = 1
    with pytest.raises(InputError, match=r"has the schema version 1, .*; `dajko migrate .*one` brings it to that version"):
        inspect(tmp_path / "one", make())


def test_a_directory_below_a_file(tmp_path, make):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"file/deep/one: cannot be written, because .*file is not a directory"):
        prepare(tmp_path / "file" / "deep" / "one", make())


def test_inspect_writes_nothing(tmp_path, make):
    assert inspect(tmp_path / "deep" / "one", make()) is None
    assert list(tmp_path.iterdir()) == []
