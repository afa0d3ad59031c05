"""cells.zarr: its layout, how blocks are written, and what happens to a store when its study is edited."""

import importlib.metadata
import json
import math
import re

import numpy as np
import pytest
import xarray as xr
import zarr

from dajko.errors import InputError
from dajko.report.figures import plot_study
from dajko.status import Status
from dajko.study.config.study import SCHEMA_VERSION, StudyConfig, study_hash
from dajko.study.design.cost import block_size, estimated_seconds
from dajko.study.design.identity import words_of
from dajko.study.design.sources import sources
from dajko.study.execution.task import Task, run_block
from dajko.study.store.cells import Block, CellStore, cells_path
from dajko.study.store.labelled import open_study
from dajko.study.store.prepare import prepare
from dajko.study.store.variables import VARIABLES

SWEEP = {"sweep": {"theta": [1e-3, math.inf], "noise.relative": [True, False]}, "block": 5}


@pytest.fixture(scope="module")
def store(computed, tmp_path_factory):
    """A store of 12 cells in blocks of 5, only read by the tests."""
    return computed(tmp_path_factory.mktemp("store") / "one", SWEEP)


def arrays(store):
    """Every array of a store by its path."""
    return {path: node for path, node in store.root.members(max_depth=None) if isinstance(node, zarr.Array)}


def nonzero(counts):
    return {name: count for name, count in counts.items() if count}


# --- layout ---------------------------------------------------------------------------------------------------------------


def test_plain_xarray_opens_it(store):
    opened = xr.open_zarr(store.path, consolidated=False)
    assert dict(opened.sizes) == {"cell": 12, "time": 4, "x": 11, "observation": 2, "seed_word": 2, "variable": 18}
    for name, variable in VARIABLES.items():
        assert opened[name].dims == ("cell", *variable.dims)
        assert opened[name].dtype == np.dtype(variable.dtype)
    assert opened.x.values == pytest.approx(np.linspace(-0.7, 0.7, 11))
    assert opened.time.values == pytest.approx(5e-4 * np.arange(4))
    assert opened.theta.values.tolist() == [1e-3] * 6 + [math.inf] * 6
    assert opened.member.values.tolist() == [0, 1, 2] * 4
    assert opened.seed_key.values.tolist() == [[0, m] for m in (0, 1, 2)] * 4


def test_a_block_is_a_chunk_of_every_variable(store):
    for name in VARIABLES:
        array = store.array(0, name)
        assert array.chunks == (5, *array.shape[1:])
    assert store.blocks(0) == [Block(0, 0, 5), Block(0, 5, 10), Block(0, 10, 12)]


def test_every_variable_says_what_it_is(store):
    for path, array in arrays(store).items():
        assert array.attrs["long_name"], path
        assert array.attrs["units"] == ("s" if path == "solve_time" else "1"), path
        assert array.metadata.dimension_names, path
        assert None not in array.metadata.dimension_names, path
    assert store.root["member"].attrs["standard_name"] == "realization"


def test_statuses_and_words_are_cf_flags(store):
    for name in ("status", "step_status"):
        attributes = store.array(0, name).attrs
        assert attributes["flag_values"] == [s.value for s in Status]
        assert attributes["flag_meanings"].split() == [s.name.lower() for s in Status]
    words = store.root["noise_relative"]
    assert (words.attrs["flag_values"], words.attrs["flag_meanings"]) == ([0, 1], "true false")
    assert words[:].tolist() == ([0] * 3 + [1] * 3) * 2
    assert store.root["observation"].attrs["flag_meanings"] == "mean spread"


def test_nothing_needs_pickle_or_text_types(store):
    for path, array in arrays(store).items():
        assert array.dtype.kind in "iuf", path
        codecs = {codec["name"] for codec in array.metadata.to_dict()["codecs"]}
        assert codecs == {"bytes", "zstd", "crc32c"}, path
    for content in store.path.rglob("zarr.json"):
        text = content.read_text()
        assert "pickle" not in text
        assert json.loads(text)["zarr_format"] == 3


def test_only_zarr_s_own_files_are_there(store):
    for file in (f for f in store.path.rglob("*") if f.is_file()):
        assert re.fullmatch(r"(\w+/)?zarr\.json|\w+/c(/\d+)*|checksum/spare\.zip", str(file.relative_to(store.path))), file


def test_missing_values(store):
    """What is not computed reads NaN, and for whole numbers 0: pending."""
    for name, variable in VARIABLES.items():
        fill = store.array(0, name).fill_value
        assert math.isnan(fill) if variable.dtype == "f8" else fill == 0


def test_the_root_says_where_the_store_comes_from(store, tiny):
    attributes = dict(store.root.attrs)
    assert attributes["Conventions"] == "CF-1.11"
    assert attributes["study"] == attributes["title"] == "one"
    assert attributes["schema_version"] == SCHEMA_VERSION
    assert attributes["code"] == sources().code(words_of(store.study))
    assert json.loads(attributes["sources"]) == sources().meanings(words_of(store.study))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", attributes["created"])
    assert re.fullmatch(r"[0-9a-f]{40}", attributes.get("git_commit", "0" * 40))
    versions = json.loads(attributes["package_versions"])
    assert versions["zarr"] == importlib.metadata.version("zarr")
    assert set(versions) >= {"dajko", "numpy", "numba", "xarray"}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        SWEEP,
        {"theta": math.inf, "sweep": None},
        {"zip": {"noise.level": [0.1, 0.2], "solver.tol": [1e-2, 1e-3]}},
        {"sweep": {"theta": {"logspace": {"start": 1e-3, "stop": 1.0, "num": 3}}}, "limits": True},
        {"ensemble.perturbations": {"model.initial.shift": {"kind": "normal", "std": 0.01}}},
    ],
)
def test_the_configuration_comes_back(tmp_path, make, changes):
    plan = make(changes)
    found = prepare(tmp_path / "one", plan)
    assert found.study == plan.study
    assert found.hash == study_hash(plan.study) == study_hash(found.study)
    assert found.study_name == "one"
    assert found.size == len(plan.points) * plan.members
    json.loads(str(found.root.attrs["configuration"]), parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


@pytest.mark.parametrize(("density", "dims"), [("all", ("cell", "time", "x")), ("final", ("cell", "x")), ("none", None)])
def test_which_fields_are_kept(tmp_path, computed, store, density, dims):
    found = computed(tmp_path / "one", {**SWEEP, "store.density": density})
    opened = xr.open_zarr(found.path, consolidated=False).load()
    everything = xr.open_zarr(store.path, consolidated=False).load()
    for name in ("density", "truth"):
        assert (opened[name].dims if name in opened else None) == dims
    if density == "final":
        assert opened.density.equals(everything.density.isel(time=-1, drop=True))
        assert opened.truth.equals(everything.truth.isel(time=-1, drop=True))
    for name in ("error_l1", "observed", "data", "status"):
        assert opened[name].equals(everything[name])


@pytest.mark.parametrize(
    ("changes", "block"),
    [
        ({"block": 4, "ensemble.members": 10}, 4),
        ({"block": 1000, "ensemble.members": 10}, 20),  # no more than there are
        ({"block": 50, "ensemble.members": 50, "grid.nx": 999, "time.steps": 999}, 4),  # 8 MB a cell
        ({"ensemble.members": 100_000, "time.steps": 1, "sweep": None}, 1752),  # a second by the estimate
        ({"ensemble.members": 400}, 96),  # eight tasks at least, of whole lanes of eight
        ({"ensemble.members": 20}, 5),
        ({"ensemble.members": 500, "grid.nx": 400}, 1),  # dear cells: one by one
    ],
)
def test_size_of_a_block(tmp_path, make, changes, block):
    found = prepare(tmp_path / "one", make(changes))
    assert found.array(0, "status").chunks == (block,)
    assert block * found.array(0, "density")[0].nbytes <= 32_000_000


@pytest.mark.parametrize(
    ("changes", "cells", "block"),
    [
        ({"time.steps": 1}, 2_000_000, 1952),  # about 1024 blocks
        ({"time.steps": 1}, 10_000_000, 4096),  # but not of any size,
        ({"grid.nx": 400}, 1_000_000, 6),  # and not of more than ten seconds
        ({"time.steps": 99, "grid.nx": 999, "solver": {"kind": "interior_point"}}, 10_000_000, 160),  # 128 MB of densities
    ],
)
def test_the_number_of_blocks_is_bounded(make, changes, cells, block):
    assert block_size(make({**changes, "sweep": None}).studies[0], cells, None, 8) == block


def test_estimated_seconds_grow_with_the_work(make):
    def seconds(**changes):
        return estimated_seconds(make({key.replace("_", ".", 1): value for key, value in changes.items()}).studies[0])

    base, around = seconds(grid_nx=100), 150e-6 + 3 * 50e-6  # what a cell costs around its solves
    assert seconds(grid_nx=100, time_steps=6) == pytest.approx(2 * base - 150e-6)
    assert seconds(grid_nx=201) - around > 4 * (base - around)
    assert seconds(grid_nx=100, grid_nt=5) - around == pytest.approx(2 * (base - around))


def test_every_group_has_its_own_grid(tmp_path, computed):
    found = computed(tmp_path / "one", {"sweep": {"grid.nx": [8, 10], "time.steps": [1, 2]}, "block": 2})
    names = ["00-nx8-steps1", "01-nx8-steps2", "02-nx10-steps1", "03-nx10-steps2"]
    assert [group.path for group in found.groups] == names
    assert found.size == 12
    for i, group in enumerate(found.groups):
        opened = xr.open_zarr(found.path, group=group.path, consolidated=False)
        assert opened.sizes["x"] == opened.grid_nx.values[0] + 1
        assert opened.sizes["time"] == opened.time_steps.values[0] + 1
        assert found.status(i).tolist() == [Status.CONVERGED] * 3
    assert nonzero(found.counts()) == {"converged": 12}


# --- writing --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def empty(tmp_path, make):
    """A store of six cells in blocks of 4 that nobody has written."""
    return prepare(tmp_path / "one", make({"block": 4}))


def row(store, cells, status=Status.CONVERGED):
    """Values for so many cells, all 1."""
    values = {n: np.ones((cells, *store.array(0, n).shape[1:])) for n in store.variables(0)}
    return {**values, "status": np.full(cells, status)}


def test_a_new_store_is_all_pending(empty):
    assert empty.pending() == [Block(0, 0, 4), Block(0, 4, 6)]
    assert empty.counts() == {s.name.lower(): 6 * (s == Status.PENDING) for s in Status}


@pytest.mark.parametrize(("start", "stop"), [(0, 3), (1, 5), (4, 5), (0, 6), (2, 4), (3, 6), (4, 8), (0, 0)])
def test_only_whole_chunks_are_written(empty, start, stop):
    with pytest.raises(ValueError, match=f"cells {start} to {stop} are not one chunk of "):
        empty.write(Block(0, start, stop), row(empty, max(stop - start, 1)))
    assert empty.counts()["pending"] == 6


def test_a_block_is_written_and_read_back(empty):
    for block in empty.pending():
        values = row(empty, block.stop - block.start)
        values["density"] = np.random.default_rng(block.start).random(values["density"].shape)
        empty.write(block, values)
        assert np.array_equal(empty.array(0, "density")[block.start : block.stop], values["density"])
    assert CellStore(empty.path).pending() == []


def test_the_status_is_written_last(empty, monkeypatch):
    """A worker that dies in a write leaves a pending block, not one that looks complete."""
    written = []
    plain = zarr.Array.__setitem__

    def spy(array, selection, value):
        written.append(array.name.strip("/"))
        plain(array, selection, value)

    monkeypatch.setattr(zarr.Array, "__setitem__", spy)
    empty.write(Block(0, 0, 4), row(empty, 4))
    assert sorted(written) == sorted([*VARIABLES, "checksum"])
    assert written[-2:] == ["checksum", "status"]


def test_a_write_that_is_interrupted_leaves_the_block_pending(empty):
    values = row(empty, 4)
    values["truth"] = np.ones((4, 2, 2))  # cannot be written: the shape is wrong
    with pytest.raises(ValueError, match="shape"):
        empty.write(Block(0, 0, 4), values)
    assert empty.pending() == [Block(0, 0, 4), Block(0, 4, 6)]


def test_a_partly_pending_store_is_resumed(tmp_path, computed, store):
    """Pending cells, and only they, are computed again, to the same values; the rest of their block keeps what it has."""
    found = computed(tmp_path / "one", SWEEP)
    before = xr.open_zarr(found.path, consolidated=False).load()
    stamps = {f: f.stat().st_mtime_ns for f in found.path.rglob("c/*")}
    status = found.status(0)
    status[7] = Status.PENDING
    found.array(0, "status")[:] = status
    found.array(0, "density")[7] = -1.0
    found.array(0, "solve_time")[5:10] = -1.0
    assert found.pending() == [Block(0, 5, 10)]
    assert [run_block(str(found.path), found.hash, Task(block)).cells for block in found.pending()] == [1]
    assert [i for i in range(5, 10) if found.array(0, "solve_time")[i] >= 0] == [7]
    after = xr.open_zarr(found.path, consolidated=False).load()
    assert after.drop_vars("solve_time").identical(before.drop_vars("solve_time"))
    untouched = [f for f in stamps if f.parent.name == "c" and f.name in "02" and f.parents[1].name == "mass"]
    assert len(untouched) == 2
    assert all(f.stat().st_mtime_ns == stamps[f] for f in untouched)


def test_failed_cells_are_not_pending(empty):
    empty.write(Block(0, 0, 4), row(empty, 4, Status.FAILED))
    empty.write(Block(0, 4, 6), row(empty, 2, Status.NOT_CONVERGED))
    assert empty.pending() == []
    assert nonzero(empty.counts()) == {"not_converged": 2, "failed": 4}


def test_a_worker_that_holds_the_plan_of_another_study_stops(empty):
    with pytest.raises(RuntimeError, match="belongs to another study now"):
        run_block(str(empty.path), "0" * 64, Task(Block(0, 0, 4)))
    assert empty.counts()["pending"] == 6


def test_no_cells(tmp_path):
    with pytest.raises(InputError, match=r"there is no cells\.zarr here; run the study first"):
        cells_path(tmp_path)


def test_a_study_in_a_store_is_checked_again(store):
    assert isinstance(store.study, StudyConfig)
    assert store.study.theta == 1e-3
    assert store.study.sweep["theta"] == [1e-3, math.inf]


def test_a_store_without_variables_that_came_later(tmp_path, make, again, monkeypatch):
    """It is completed, opened, drawn, and widened, where the cells that were there have none."""
    with monkeypatch.context() as before:
        fewer = {n: v for n, v in VARIABLES.items() if n not in ("odd_even", "resolution", "truth_outside")}
        before.setattr("dajko.study.store.variables.VARIABLES", fewer)
        store = prepare(tmp_path / "one", make({"block": 2}))
        run_block(str(store.path), store.hash, Task(store.pending()[0]))
    store = CellStore(tmp_path / "one" / "cells.zarr")
    assert "odd_even" not in store.variables(0)
    assert again(store) == store.size - 2
    view = open_study(tmp_path / "one")
    assert "odd_even" not in view
    assert view.mass.notnull().all()
    plot_study(tmp_path / "one")
    wide = prepare(tmp_path / "one", make({"block": 2, "ensemble.members": 4}))
    assert again(wide) > 0
    found = open_study(tmp_path / "one")
    assert found.odd_even.isel(member=-1).notnull().all()
    assert found.odd_even.isel(member=0).isnull().all()
    assert found.mass.notnull().all()
