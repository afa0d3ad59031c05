"""Stores of earlier schema versions, written out here as the dajko of their time wrote them."""

import json
from pathlib import Path

import numpy as np
import pytest
import zarr

from dajko.errors import InputError
from dajko.report.reading import read_results
from dajko.status import Status
from dajko.study.commands.status import study_state
from dajko.study.config.study import SCHEMA_VERSION
from dajko.study.store.cells import CellStore
from dajko.study.store.labelled import open_study
from dajko.study.store.migrate import MIGRATIONS, migrate_study
from dajko.study.store.outdated import outdated
from dajko.study.store.prepare import prepare
from dajko.study.store.records import write_spare
from dajko.study.store.variables import CELLS, SUMMARY

TIMES, NODES, NUMBERS = 4, 11, 2

VERSION_1 = {
    **dict.fromkeys(("density", "truth"), (("time", "x"), "f8")),
    **dict.fromkeys(("data", "data_exact", "observed"), (("time", "observation"), "f8")),
    **dict.fromkeys(("error_l1", "error_l2", "error_w2", "energy", "mass", "residual"), (("time",), "f8")),
    "iterations": (("time",), "i4"),
    "step_status": (("time",), "i1"),
    "solve_time": ((), "f8"),
    "status": ((), "i1"),
}


def put(group, name, dims, values, block=None, **attributes):
    values = np.asarray(values)
    chunks = values.shape if block is None else (block, *values.shape[1:])
    array = group.create_array(
        name, shape=values.shape, chunks=chunks, dtype=values.dtype, dimension_names=dims, attributes=attributes
    )
    array[...] = values


def write_version_1(path, plan):
    """A store of version 1 with made-up numbers, one cell of which is pending; its values by group and variable."""
    random, sizes = np.random.default_rng(1), {"time": TIMES, "observation": NUMBERS}
    root = zarr.create_group(path, zarr_format=3)
    root.attrs.update(
        {
            "Conventions": "CF-1.11",
            "title": plan.name,
            "configuration": plan.study.model_dump_json(),
            "study": plan.name,
            "study_hash": "0" * 64,
            "schema_version": 1,
            "axes": json.dumps([["theta", "theta"], ["grid_nx", "grid.nx"]][: len(plan.axes)]),
            "groups": json.dumps([group.name for group in plan.groups]),
            "created": "2026-01-01T00:00:00+00:00",
            "git_commit": "1" * 40,
        }
    )
    written = {}
    for planned in plan.groups:
        group = root.create_group(planned.name) if planned.name else root
        cells, nx = len(planned.points) * plan.members, plan.studies[planned.points[0]].grid.nx
        for name, (dims, dtype) in VERSION_1.items():
            values = random.random((cells, *({**sizes, "x": nx + 1}[d] for d in dims))).astype(dtype)
            if "status" in name:
                values[...] = Status.CONVERGED
                values[-1] = Status.PENDING
            put(group, name, ("cell", *dims), values, block=4, long_name=name, units="1")
            written[planned.name, name] = values
        put(group, "time", ("time",), 5e-4 * np.arange(TIMES), long_name="time", units="1")
        put(group, "x", ("x",), np.linspace(-0.7, 0.7, nx + 1), long_name="position", units="1")
        put(group, "observation", ("observation",), [0, 1], flag_values=[0, 1], flag_meanings="mean spread")
        member = np.tile(np.arange(plan.members), len(planned.points))
        put(group, "member", ("cell",), member, standard_name="realization")
        put(group, "seed_key", ("cell", "seed_word"), np.stack([0 * member, member], axis=1))
        for key in plan.points[0]:
            values = np.repeat([plan.points[p][key] for p in planned.points], plan.members)
            put(group, key.replace(".", "_"), ("cell",), values, long_name=key, units="1")
    return written


@pytest.mark.parametrize("sweep", [{"theta": [1e-2, 1e-3]}, {"theta": [1e-2, 1e-3], "grid.nx": [8, 10]}])
def test_version_1(tmp_path, make, sweep):
    directory, plan = tmp_path / "one", make({"sweep": sweep})
    written = write_version_1(directory / CELLS, plan)
    (directory / SUMMARY).mkdir()
    before = {p.name: p.read_bytes() for p in directory.rglob("*") if p.is_file()}
    with pytest.raises(InputError, match=r"has the schema version 1, .*; `dajko migrate "):
        open_study(directory)
    assert migrate_study(directory) == (1, SCHEMA_VERSION, False)
    store = CellStore(directory / CELLS)
    assert [group.path for group in store.groups] == [group.name for group in plan.groups]
    for i, group in enumerate(plan.groups):
        for name in VERSION_1:
            found = np.asarray(store.array(i, name)[:])
            assert found.tobytes() == written[group.name, name].tobytes(), name
        assert (store.array(i, "setting")[:] == 0).all()
        assert len(set(store.array(i, "cell_id")[:].tolist())) == 6
    assert store.counts()["pending"] == len(plan.groups)
    assert (store.root.attrs["created"], store.root.attrs["git_commit"]) == ("2026-01-01T00:00:00+00:00", "1" * 40)
    view = open_study(directory)
    node = view if len(plan.groups) == 1 else view["01-nx10-steps3"].to_dataset()
    place = node.mass.sel(theta=1e-3, member=1).values.ravel()
    assert place.tolist() == written[plan.groups[-1].name, "mass"][4].tolist()
    assert read_results(directory).counts[Status.PENDING] == len(plan.groups)
    # The old store is kept as it was.
    kept = directory / "previous" / "version-1" / CELLS
    assert {p.name: p.read_bytes() for p in kept.rglob("*") if p.is_file()} == before
    assert migrate_study(directory) == (SCHEMA_VERSION, SCHEMA_VERSION, False)


def test_a_store_that_does_not_name_its_code_is_read_and_computed_anew(tmp_path, make):
    write_version_1(tmp_path / "one" / CELLS, make())
    migrate_study(tmp_path / "one")
    found = outdated(CellStore(tmp_path / "one" / CELLS))
    assert found.sentence == "5 of 6 cells were computed by other code (of an older dajko)"
    assert prepare(tmp_path / "one", make()).counts()["pending"] == 6


def test_version_2(tmp_path, make, computed):
    """One hash of all code; its numbers, ids and checksums are those that it had."""
    directory = tmp_path / "one"
    store = computed(directory, {"sweep": {"theta": [1e-2, 1e-3]}})
    root = zarr.open_group(store.path, mode="r+", use_consolidated=False)
    shape = json.loads(root.attrs["shape"])
    root.attrs.update({"schema_version": 2, "code": "0" * 64, "shape": json.dumps([*shape[:3], *shape[4:7]])})
    del root.attrs["sources"]
    write_spare(store.path, [""])
    before = {p.relative_to(directory): p.read_bytes() for p in store.path.rglob("*") if p.is_file()}
    with pytest.raises(InputError, match=r"has the schema version 2, .*; `dajko migrate "):
        open_study(directory)
    assert migrate_study(directory) == (2, SCHEMA_VERSION, False)
    after = {p.relative_to(directory): p.read_bytes() for p in (directory / CELLS).rglob("*") if p.is_file()}
    changed = {path for path in before if before[path] != after[path]}
    assert changed == {Path(CELLS, "zarr.json"), Path(CELLS, "checksum", "spare.zip")}
    kept = directory / "previous" / "version-2"
    assert {p.relative_to(kept): p.read_bytes() for p in (kept / CELLS).rglob("*") if p.is_file()} == before
    assert open_study(directory).mass.notnull().all()
    assert study_state(directory, verify=True).damaged == 0
    # Ids tell which cells are to be computed again; these are of today's code.
    assert outdated(CellStore(directory / CELLS)) is None
    assert prepare(directory, make({"sweep": {"theta": [1e-2, 1e-3]}})).counts()["pending"] == 0


def test_version_3(tmp_path, make, computed):
    """Kinds were named by profile, form and name, observations with options and distributions by their only key."""
    directory = tmp_path / "one"
    sensors = {"kind": "sensors", "positions": [-0.1, 0.1], "width": 0.2}
    changes = {
        "sweep": {"solver": [{"kind": "pd3o", "tol": 1e-3}, {"kind": "interior_point"}]},
        "observations.operators": ["mean", sensors],
        "ensemble.perturbations": {"model.initial.shift": {"kind": "normal", "std": 0.01}},
        "model.energy.potential": {"kind": "quadratic"},
    }
    store = computed(directory, changes)
    values = {name: np.asarray(store.array(0, name)[:]) for name in ("density", "observed", "cell_id")}
    root = zarr.open_group(store.path, mode="r+", use_consolidated=False)
    content = json.loads(root.attrs["configuration"])
    for profile in (content["truth"]["solution"], content["model"]["initial"]):
        profile["profile"] = profile.pop("kind")
    potential = content["model"]["energy"]["potential"]
    potential["form"] = potential.pop("kind")
    for solver in (content["solver"], *content["sweep"]["solver"]):
        solver["name"] = solver.pop("kind")
    old = ["mean", {"sensors": {"positions": [-0.1, 0.1], "width": 0.2}}]
    content["observations"]["operators"] = old
    shift = {"normal": {"mean": None, "std": 0.01}, "uniform": None}
    content["ensemble"]["perturbations"] = {"model.initial.shift": shift}
    shape = json.loads(root.attrs["shape"])
    root.attrs.update(
        {
            "schema_version": 3,
            "configuration": json.dumps(content),
            "shape": json.dumps([*shape[:3], *shape[4:6], json.dumps(old)]),
            "settings": json.dumps([{}, {"solver": {"name": "pd3o"}}, {"solver.name": "pd3o"}]),
        }
    )
    write_spare(store.path, [""])
    with pytest.raises(InputError, match=r"has the schema version 3, .*; `dajko migrate "):
        open_study(directory)
    assert migrate_study(directory) == (3, SCHEMA_VERSION, False)
    new = CellStore(directory / CELLS)
    for name, expected in values.items():
        assert np.asarray(new.array(0, name)[:]).tobytes() == expected.tobytes()
    assert new.study == make(changes).study
    assert new.settings == [{}, {"solver": {"kind": "pd3o"}}, {"solver.kind": "pd3o"}]
    assert open_study(directory).observation.values.tolist() == ["mean", "sensor_0", "sensor_1"]
    assert study_state(directory, verify=True).damaged == 0
    assert prepare(directory, make(changes)).counts()["pending"] == 0


def test_version_4(tmp_path, make, computed):
    """Grids had no scheme."""
    directory, changes = tmp_path / "one", {"sweep": {"theta": [1e-2, 1e-3], "grid.nx": [8, 10]}}
    store = computed(directory, changes)
    root = zarr.open_group(store.path, mode="r+", use_consolidated=False)
    for name in store.names:
        shape = json.loads(root[name].attrs["shape"])
        root[name].attrs["shape"] = json.dumps([*shape[:3], *shape[4:]])
        root[name]["x"].attrs.put({"long_name": "position", "units": "1"})
    root.attrs["schema_version"] = 4
    write_spare(store.path, store.names)
    with pytest.raises(InputError, match=r"has the schema version 4, .*; `dajko migrate "):
        open_study(directory)
    assert migrate_study(directory) == (4, SCHEMA_VERSION, False)
    for node in open_study(directory).children.values():
        assert node.x.attrs["scheme"] == "centred"
        assert node.mass.notnull().all()
    assert study_state(directory, verify=True).damaged == 0
    assert prepare(directory, make(changes)).counts()["pending"] == 0


def test_an_interrupted_migration_leaves_the_old_store(tmp_path, make, monkeypatch):
    directory = tmp_path / "one"
    write_version_1(directory / CELLS, make())

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(CellStore, "write", stop)
        with pytest.raises(KeyboardInterrupt):
            migrate_study(directory)
    assert dict(zarr.open_group(directory / CELLS, mode="r").attrs)["schema_version"] == 1
    assert migrate_study(directory) == (1, SCHEMA_VERSION, False)
    assert CellStore(directory / CELLS).counts()["converged"] == 5


def test_there_is_a_step_from_every_version():
    assert sorted(MIGRATIONS) == list(range(1, SCHEMA_VERSION))


def test_versions_that_nobody_knows(tmp_path, make):
    write_version_1(tmp_path / "one" / CELLS, make())
    for version in (0, 99, "2"):
        zarr.open_group(tmp_path / "one" / CELLS, mode="r+").attrs["schema_version"] = version
        with pytest.raises(InputError, match="has the schema version"):
            migrate_study(tmp_path / "one")
    assert not (tmp_path / "one" / "previous").exists()
