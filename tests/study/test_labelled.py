"""Labelled views: the flat cells turned into swept parameters and members."""

import itertools
import json
import math

import dask.array
import numpy as np
import pytest
import xarray as xr
import zarr

import dajko
from dajko.errors import InputError
from dajko.status import Status
from dajko.study.execution.task import Task, run_block
from dajko.study.store.cells import CellStore
from dajko.study.store.guard import SoundStore
from dajko.study.store.labelled import (
    clear_leftovers,
    decode,
    encode,
    is_current,
    open_cells,
    open_study,
    open_summary,
    write_summary,
)
from dajko.study.store.locks import lock
from dajko.study.store.prepare import prepare
from dajko.study.store.variables import SUMMARY, VARIABLES

PRODUCT = {"sweep": {"theta": [1e-2, 1e-3, math.inf], "noise.level": [0.0, 0.2]}, "block": 4}


@pytest.fixture(scope="module")
def product(computed, tmp_path_factory):
    """The directory of a study over theta and noise, with its plan; only read by the tests."""
    directory = tmp_path_factory.mktemp("labelled") / "product"
    computed(directory, PRODUCT)
    write_summary(directory)
    return directory


def flat(directory, group=None):
    """The cells as they are stored, without any labels."""
    return xr.open_zarr(directory / "cells.zarr", group=group, consolidated=False).load()


def assert_every_cell_is_found(view, cells, keys):
    """Brute force: each flat cell stands, with all its variables, where its coordinates say."""
    for i in range(cells.sizes["cell"]):
        cell = cells.isel(cell=i)
        here = view.sel({key: cell[key].item() for key in keys})
        for name in VARIABLES:
            if name in cells:
                assert np.array_equal(here[name].values, cell[name].values, equal_nan=True), (name, i)


# --- products -------------------------------------------------------------------------------------------------------------


def test_a_product_has_a_dimension_for_each_key(product):
    view = open_study(product)
    assert dict(view.sizes) == {"theta": 3, "noise_level": 2, "member": 3, "time": 4, "x": 11, "observation": 2}
    for name, variable in VARIABLES.items():
        assert view[name].dims == ("theta", "noise_level", "member", *variable.dims)
    assert sorted(view.theta.values.tolist()) == [1e-3, 1e-2, math.inf]
    assert view.observation.values.tolist() == ["mean", "spread"]
    assert view.attrs["title"] == "product"
    assert_every_cell_is_found(view.load(), flat(product), ("theta", "noise_level", "member"))


def test_it_is_opened_lazily(product):
    view = open_study(product)
    for name in VARIABLES:
        assert isinstance(view[name].data, dask.array.Array), name
    assert dajko.open_study(str(product)).identical(view.load())


def test_opening_does_not_read_the_densities(product, monkeypatch):
    plain, read = SoundStore.content, set()

    def spy(store, key):
        if "/c" in key:  # a chunk of an array
            read.add(key.split("/")[0])
        return plain(store, key)

    monkeypatch.setattr(SoundStore, "content", spy)
    view = open_study(product)
    assert "theta" in read
    assert read & set(VARIABLES) == {"status"}  # which says what has to be there
    read.clear()
    view.status.load(scheduler="synchronous")  # here, also where an earlier test has left a client
    assert read & set(VARIABLES) == {"status"}


def test_coordinates_keep_their_descriptions(product):
    for view in (open_study(product), open_summary(product)):
        assert view.theta.attrs == {"long_name": "theta", "units": "1"}
        assert view.noise_level.attrs == {"long_name": "noise.level", "units": "1"}
        assert view.member.attrs["standard_name"] == "realization"
        assert view.status.attrs["flag_meanings"].split() == [s.name.lower() for s in Status]
        assert all(view[name].attrs["long_name"] for name in (*view.coords, *view.data_vars))


def test_without_a_sweep_there_are_members_only(tmp_path, computed):
    computed(tmp_path / "one", {"sweep": None})
    view = open_study(tmp_path / "one").load()
    assert view.density.dims == ("member", "time", "x")
    assert view.member.values.tolist() == [0, 1, 2]
    assert_every_cell_is_found(view, flat(tmp_path / "one"), ("member",))


def test_members_of_one(tmp_path, computed):
    computed(tmp_path / "one", {"ensemble.members": 1})
    view = open_study(tmp_path / "one").load()
    assert view.error_l1.dims == ("theta", "member", "time")
    assert_every_cell_is_found(view, flat(tmp_path / "one"), ("theta", "member"))


def test_words_are_labels(tmp_path, computed):
    profiles = [{"kind": "gaussian", "std": 0.2}, {"kind": "barenblatt"}]
    computed(tmp_path / "one", {"sweep": {"model.initial": profiles, "noise.relative": [True, False]}, "block": 2})
    view = open_study(tmp_path / "one").load()
    assert set(view.model_initial.values) == {"{kind:gaussian,std:0.2}", "{kind:barenblatt}"}
    assert set(view.noise_relative.values) == {"true", "false"}
    x, std = view.x.values, 0.2
    start = view.density.sel(model_initial="{kind:gaussian,std:0.2}").isel(time=0)
    expected = np.exp(-0.5 * (x / std) ** 2) / (std * math.sqrt(2 * math.pi))
    assert start.values == pytest.approx(np.broadcast_to(expected, start.shape), rel=1e-12)
    absolute = view.data.sel(noise_relative="false") - view.data_exact.sel(noise_relative="false")
    relative = view.data.sel(noise_relative="true") - view.data_exact.sel(noise_relative="true")
    ratio = (relative / absolute).isel(time=slice(1, None))
    assert ratio.values == pytest.approx(np.broadcast_to(ratio.values[0, 0, 0], ratio.shape), rel=1e-6)


# --- zip, perturbations, groups -------------------------------------------------------------------------------------------


def test_zip_is_one_dimension_with_its_keys_along_it(tmp_path, computed):
    zipped = {
        "solver.tol": [1e-2, 1e-3, 1e-2],
        "noise.level": [0.3, 0.2, 0.1],
        "grid.time_rule": ["right", "trapezoid", "right"],
    }
    computed(tmp_path / "one", {"zip": zipped, "block": 3})
    view, cells = open_study(tmp_path / "one").load(), flat(tmp_path / "one")
    assert view.error_l1.dims == ("theta", "zip", "member", "time")
    assert view.solver_tol.dims == view.noise_level.dims == view.grid_time_rule.dims == ("zip",)
    rows = list(zip(view.solver_tol.values, view.noise_level.values, view.grid_time_rule.values, strict=True))
    assert rows == list(zip(*zipped.values(), strict=True))
    for i in range(cells.sizes["cell"]):
        cell = cells.isel(cell=i)
        position = rows.index((cell.solver_tol, cell.noise_level, ["right", "trapezoid"][cell.grid_time_rule.item()]))
        here = view.sel(theta=cell.theta.item(), member=cell.member.item(), zip=position)
        assert np.array_equal(here.density.values, cell.density.values)


def test_perturbed_keys_are_coordinates_over_all_cells(tmp_path, computed, make):
    changes = {"ensemble.perturbations": {"model.initial.shift": {"kind": "normal", "std": 0.02},
                                          "model.mass": {"kind": "uniform", "low": 1.0, "high": 3.0}}}  # fmt: skip
    computed(tmp_path / "one", changes)
    view, plan = open_study(tmp_path / "one").load(), make(changes)
    assert view.model_initial_shift.dims == view.model_mass.dims == ("theta", "member")
    for (i, theta), member in itertools.product(enumerate([1e-3, 1e-2]), range(3)):
        here, drawn = view.sel(theta=theta, member=member), plan.draws(i, member)
        assert here.model_initial_shift.item() == drawn["model.initial.shift"]
        assert here.model_mass.item() == drawn["model.mass"] == pytest.approx(here.mass.values[0], rel=1e-12)
    assert np.unique(view.model_mass.values).size == 3  # the same at all points, another for each member


def test_different_grids_are_a_tree(tmp_path, computed):
    directory = tmp_path / "one"
    computed(directory, {"sweep": {"theta": [1e-2, 1e-3], "grid.nx": [8, 10]}, "block": 2})
    write_summary(directory)
    for tree in (open_study(directory), open_summary(directory)):
        assert isinstance(tree, xr.DataTree)
        assert list(tree.children) == ["00-nx8-steps3", "01-nx10-steps3"]
        for name, nx in (("00-nx8-steps3", 8), ("01-nx10-steps3", 10)):
            node = tree[name].to_dataset().load()
            assert node.grid_nx.values.tolist() == [nx]
            assert node.error_l1.dims == ("theta", "grid_nx", "member", "time")
            assert node.sizes.get("x", nx + 1) == nx + 1
            cells = flat(directory, name)
            small = cells.drop_vars(["density", "truth"]) if "density" not in node else cells
            assert_every_cell_is_found(node, small, ("theta", "grid_nx", "member"))
        assert tree.attrs["study"] == "one"


def test_zip_over_different_grids(tmp_path, computed):
    directory = tmp_path / "one"
    zipped = {"grid.nx": [8, 10, 10], "time.tau": [1e-3, 5e-4, 2.5e-4]}
    computed(directory, {"sweep": None, "zip": zipped, "ensemble.members": 2, "store.density": "none"})
    write_summary(directory)
    for tree in (open_study(directory), open_summary(directory)):
        found = [
            (int(node.grid_nx.item()), node.time_tau.item(), node.sizes["member"], node.time.values[-1])
            for node in (child.to_dataset() for child in tree.children.values())
        ]
        assert found == [
            (8, 1e-3, 2, pytest.approx(3e-3)),
            (10, 5e-4, 2, pytest.approx(1.5e-3)),
            (10, 2.5e-4, 2, pytest.approx(7.5e-4)),
        ]


# --- the summary ----------------------------------------------------------------------------------------------------------


def test_the_summary_is_the_cells_without_densities(product):
    summary, view = open_summary(product).load(), open_study(product).load()
    assert "density" not in summary
    assert "truth" not in summary
    assert "x" not in summary.dims
    assert list(summary.data_vars) == [name for name in VARIABLES if name not in ("density", "truth")]
    assert list(view.data_vars) == list(VARIABLES)
    for name in summary.data_vars:
        assert summary[name].equals(view[name]), name
        assert summary[name].identical(view[name]), name
    assert summary.attrs == view.attrs


def test_the_summary_opens_with_plain_xarray(product):
    opened = xr.open_zarr(product / SUMMARY, consolidated=False)
    assert opened.error_l1.dims == ("theta", "noise_level", "member", "time")
    assert opened.attrs["Conventions"] == "CF-1.11"
    for name, variable in opened.variables.items():
        assert variable.dtype.kind in "iuf", name
        assert variable.attrs["long_name"], name
        assert variable.attrs["units"] in ("1", "s"), name
    assert all(json.loads(p.read_text())["zarr_format"] == 3 for p in (product / SUMMARY).rglob("zarr.json"))


def test_the_summary_is_replaced_as_a_whole(tmp_path, computed, rewrite):
    directory = tmp_path / "one"
    store = computed(directory, {"sweep": None})
    write_summary(directory)
    (directory / SUMMARY / "left-over").write_text("x")
    rewrite(store, mass=5.0)
    assert write_summary(directory) == directory / SUMMARY
    assert (open_summary(directory).mass == 5.0).all()
    assert not (directory / SUMMARY / "left-over").exists()
    assert sorted(p.name for p in directory.iterdir()) == [".locks", "cells.zarr", SUMMARY]


def test_what_a_killed_writer_has_left_is_removed(tmp_path, computed):
    """But not what another one is writing."""
    directory = tmp_path / "one"
    computed(directory, {"sweep": None})
    left = directory / f".{SUMMARY}.4711"
    left.mkdir()
    with lock(directory, "summary"):
        clear_leftovers(directory)
        assert left.exists()
    clear_leftovers(directory)
    assert not left.exists()
    left.mkdir()
    write_summary(directory)
    assert not left.exists()


def test_an_interrupted_summary_leaves_the_old_one(tmp_path, computed, monkeypatch):
    directory = tmp_path / "one"
    computed(directory, {"sweep": None})
    write_summary(directory)
    before = open_summary(directory).load()

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(xr.Dataset, "to_zarr", stop)
    with pytest.raises(KeyboardInterrupt):
        write_summary(directory)
    assert open_summary(directory).load().identical(before)


def test_pending_cells_are_missing_values(tmp_path, make):
    """A store under way can be looked at: what is not there is NaN, and its status says so."""
    directory = tmp_path / "one"
    store = prepare(directory, make({"block": 3}))
    run_block(str(store.path), store.hash, Task(store.blocks(0)[1]))
    view = open_study(directory).load()
    here, there = view.sel(theta=1e-2), view.sel(theta=1e-3)
    assert (here.status == Status.CONVERGED).all()
    assert (there.status == Status.PENDING).all()
    assert here.error_l1.notnull().all()
    assert there.error_l1.isnull().all()
    assert there.density.isnull().all()
    assert (there.iterations == 0).all()


# --- members that are not good --------------------------------------------------------------------------------------------

GOOD, BAD = 1.0, 777.0


@pytest.fixture
def failing(tmp_path, computed, rewrite):
    """A study with statuses that its solves did not have: no good member at theta = 1e-3, two of three at 1e-2."""
    store = computed(tmp_path / "failing", {"block": 4})
    status = np.array([Status.CONVERGED, Status.FALLBACK, Status.FAILED, *[Status.NOT_CONVERGED] * 3], dtype="i1")
    at = np.argsort(np.argsort(-store.array(0, "theta")[:], kind="stable"), kind="stable")
    status, results = status[at], {}
    for name in ("density", "observed", "error_l1", "error_l2", "error_w2", "energy", "mass"):
        values = np.where(np.isin(status, [1, 2]), GOOD, BAD).reshape(-1, *[1] * (store.array(0, name).ndim - 1))
        results[name] = np.broadcast_to(values, store.array(0, name).shape)
    rewrite(store, status=status, **results)
    write_summary(store.path.parent)
    return store.path.parent


def test_what_is_not_good_is_no_number(failing):
    """A member whose status is not usable has no results, at any time; why not stays, and so does what it was given."""
    plain = xr.open_zarr(failing / SUMMARY).load()
    for view in (open_study(failing).load(), open_summary(failing).load(), plain):
        good = view.status.isin([Status.CONVERGED, Status.FALLBACK])
        assert int(good.sum()) == 2
        for name in ("density", "observed", "error_l1", "error_l2", "error_w2", "energy", "mass"):
            if name in view:
                assert (view[name] == GOOD).where(good, True).all(), name
                assert view[name].isnull().where(~good, True).all(), name
        for name in ("data_exact", "iterations", "residual", "step_status", "status", "solve_time"):
            assert view[name].notnull().isel(time=slice(1, None), missing_dims="ignore").all(), name
        final = view.error_l1.isel(time=-1).median("member")
        assert final.sel(theta=1e-2) == GOOD
        assert np.isnan(final.sel(theta=1e-3))


def test_members_that_are_not_good_can_be_seen(failing):
    view, cells = open_study(failing, failed=True).load(), flat(failing)
    assert_every_cell_is_found(view, cells, ("theta", "member"))
    assert (view.error_l1.sel(theta=1e-3) == BAD).all()


def test_a_summary_of_an_older_form_is_written_again(failing):
    assert is_current(failing)
    del zarr.open_group(failing / SUMMARY, mode="r+").attrs["failed_members"]
    assert not is_current(failing)


# --- other formats --------------------------------------------------------------------------------------------------------


def test_plain_xarray_opens_stores_without_a_word(product, tmp_path, computed):
    """Warnings are errors here."""
    for directory in (product, tmp_path / "tree"):
        if directory != product:
            computed(directory, {"sweep": {"grid.nx": [8, 10]}, "ensemble.members": 1})
            write_summary(directory)
            assert xr.open_datatree(directory / SUMMARY, engine="zarr")["00-nx8-steps3"].error_l1.notnull().all()
            xr.open_zarr(directory / SUMMARY, group="00-nx8-steps3")
        xr.open_zarr(directory / SUMMARY)


def test_netcdf_and_zarr_hold_what_is_opened(tmp_path, computed):
    """Numbers, words, 64 bits of an id, and the attributes come back; in zarr's two formats, too."""
    computed(tmp_path / "one", {"sweep": {"theta": [1e-2, math.inf], "noise.relative": [True, False]}})
    write_summary(tmp_path / "one")
    for number, view in enumerate((open_study(tmp_path / "one").load(), open_summary(tmp_path / "one").load())):
        view.to_netcdf(tmp_path / f"{number}.nc")
        found = [xr.open_dataset(tmp_path / f"{number}.nc").load()]
        for version in (2, 3):
            path = tmp_path / f"{number}-{version}.zarr"
            view.drop_encoding().to_zarr(path, zarr_format=version, consolidated=False)
            found.append(xr.open_zarr(path, consolidated=False).load())
        for back in found:
            assert set(back.variables) == set(view.variables)
            for name in view.variables:
                assert back[name].equals(view[name]), name
                assert back[name].attrs.keys() == view[name].attrs.keys(), name
            assert back.cell_id.dtype == np.uint64
            assert back.attrs == view.attrs
            assert np.array_equal(back.status.attrs["flag_values"], np.arange(5))
            assert back.noise_relative.values.tolist() == view.noise_relative.values.tolist()
        assert found[0].status.attrs["flag_values"].dtype == found[0].status.dtype  # as CF has it
        table = view.error_l1.to_dataframe()
        assert len(table) == view.error_l1.size
        assert table.loc[(math.inf, "true", 2, 0), "error_l1"] == view.error_l1.sel(
            theta=math.inf, noise_relative="true", member=2
        ).isel(time=0)


def test_netcdf_holds_a_tree(tmp_path, computed):
    computed(tmp_path / "one", {"sweep": {"grid.nx": [8, 10]}, "ensemble.members": 2})
    tree = open_study(tmp_path / "one").load()
    tree.to_netcdf(tmp_path / "a.nc")
    back = xr.open_datatree(tmp_path / "a.nc").load()
    assert back.attrs == tree.attrs
    for name, node in tree.children.items():
        for variable in node.variables:
            assert back[name][variable].equals(node[variable]), variable


# --- words and codes ------------------------------------------------------------------------------------------------------


def test_encode_and_decode_are_inverse():
    dataset = xr.Dataset(
        {"v": (("a", "b"), np.arange(6.0).reshape(2, 3))},
        coords={"a": ("a", ["right", "left"], {"long_name": "side"}), "b": [1.0, 2.0, 3.0], "c": ("b", ["x", "y", "x"])},
    )
    coded = encode(dataset)
    assert coded.a.dtype == coded.c.dtype == np.dtype("i2")
    assert coded.a.attrs == {"long_name": "side", "flag_values": [0, 1], "flag_meanings": "left right"}
    assert coded.a.values.tolist() == [1, 0]
    assert decode(coded).identical(dataset)


def test_flat_cells_have_words(product):
    (cells,) = open_cells(CellStore(product / "cells.zarr")).values()
    assert cells.observation.values.tolist() == ["mean", "spread"]
    assert set(cells.coords) == {
        *("cell_id", "order", "member", "seed_key", "theta", "noise_level", "time", "x", "observation")
    }


def test_nothing_to_open(tmp_path):
    with pytest.raises(InputError, match=r"there is no cells\.zarr here; run the study first"):
        open_study(tmp_path)
    with pytest.raises(InputError, match=r"there is no summary\.zarr here; run the study first"):
        open_summary(tmp_path)
    with pytest.raises(InputError, match=r"there is no cells\.zarr here; run the study first"):
        write_summary(tmp_path)
