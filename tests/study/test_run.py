"""Whole runs on real clusters: the same results however they are computed, and nothing lost on the way."""

import json
import math
import os
import resource
import signal
import socket
import threading
import time

import numba
import numpy as np
import psutil
import pytest
import xarray as xr

import dajko
from dajko.errors import InputError
from dajko.problem.problem import Problem
from dajko.solvers.algorithm_1.dimensionless import dimensionless
from dajko.status import Status
from dajko.study.commands.run import finish, run_study
from dajko.study.config.cluster import LocalCluster, SchedulerAddress
from dajko.study.execution.cluster import open_cluster
from dajko.study.execution.warm_up import cold_sentence
from dajko.study.store.cells import CellStore
from dajko.study.store.checksums import repair
from dajko.study.store.labelled import open_summary
from dajko.study.store.locks import lock
from dajko.study.store.variables import FAILURES, MANIFEST, NOT_REPRODUCIBLE, PERFORMANCE, SUMMARY, VARIABLES
from tests.clusters import scheduler_of

# Eight cells at four points, of which one member has no data at every other step.
STUDY = {"sweep": {"theta": [1e-3, math.inf], "noise.level": [0.0, 0.1]}, "ensemble.members": 2, "observations.every": 2}

# Twenty cells, so that blocks hold less and more than the eight that are solved at once.
TOGETHER = {"sweep": {"theta": [1e-3, math.inf]}, "ensemble.members": 10, "solver": {"kind": "interior_point"}}


def cells(directory):
    """All variables of a store that two runs must have in common, in memory."""
    opened = xr.open_zarr(directory / "cells.zarr", consolidated=False).load()
    return opened.drop_vars(list(NOT_REPRODUCIBLE)).drop_attrs()


def nonzero(counts):
    return {name: count for name, count in counts.items() if count}


def assert_identical(a, b):
    """The same bits: no tolerance, NaN at the same places."""
    assert set(a.variables) == set(b.variables)
    for name in a.variables:
        left, right = a[name].values, b[name].values
        assert left.dtype == right.dtype, name
        assert np.array_equal(left, right, equal_nan=left.dtype.kind == "f"), name


@pytest.fixture(scope="module")
def reference(computed, tmp_path_factory):
    """The study computed in this process, cell by cell."""
    directory = tmp_path_factory.mktemp("reference") / "one"
    computed(directory, {**STUDY, "block": 1})
    return cells(directory)


@pytest.fixture(scope="module")
def reference_together(computed, tmp_path_factory):
    """The same with the solver that works on several members at once."""
    directory = tmp_path_factory.mktemp("together") / "one"
    computed(directory, {**TOGETHER, "block": 1})
    return cells(directory)


# --- the same results -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [1, 3, 7])
def test_results_do_not_depend_on_the_blocks(tmp_path, tiny, address, reference, block):
    report = run_study(tiny({**STUDY, "block": block}), tmp_path / "one", address, quiet=True)
    assert (report.cells, report.computed, report.missing, report.pending, report.failed) == (8, 8, 0, 0, 0)
    assert_identical(cells(tmp_path / "one"), reference)


@pytest.mark.parametrize("block", [3, 7, 20])
def test_results_do_not_depend_on_what_is_solved_together(tmp_path, tiny, address, reference_together, block):
    report = run_study(tiny({**TOGETHER, "block": block}), tmp_path / "one", address, quiet=True)
    assert (report.cells, report.computed, report.missing, report.failed) == (20, 20, 0, 0)
    assert_identical(cells(tmp_path / "one"), reference_together)


def test_one_worker_of_its_own_that_nobody_else_can_reach(tmp_path, tiny, reference):
    """A run with a local cluster; meanwhile every socket of all its processes that listens, listens on loopback."""
    listening, done = set(), threading.Event()

    def watch():
        while not done.is_set():
            for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
                try:
                    found = process.net_connections(kind="inet")
                except psutil.Error:  # it has ended
                    continue
                listening.update(c.laddr.ip for c in found if c.status == psutil.CONN_LISTEN or c.type == socket.SOCK_DGRAM)
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        report = run_study(tiny({**STUDY, "block": 1}), tmp_path / "one", 1, quiet=True)
    finally:
        done.set()
        watcher.join()
    assert report.computed == 8
    assert listening
    assert listening <= {"127.0.0.1", "::1"}
    assert_identical(cells(tmp_path / "one"), reference)


def test_a_cell_is_a_flow_of_the_public_functions(tmp_path, tiny, address):
    """One cell computed again with nothing but NumPy for the data and dajko.evolve for the flow."""
    run_study(tiny(STUDY), tmp_path / "one", address, quiet=True)
    view = dajko.open_study(tmp_path / "one").load()
    cell = view.sel(theta=1e-3, noise_level=0.1, member=1)

    grid = dajko.Grid(-0.7, 0.7, 10, 2)
    truth = np.array([dajko.Barenblatt(2.0)(grid.x, n * 5e-4) for n in range(4)])
    exact = dajko.measure(["mean", "spread"], truth, grid)
    mass = grid.integrate(truth)
    width = np.sqrt(grid.integrate((grid.x - exact[:, :1]) ** 2 * truth) / mass)
    rms = np.sqrt(np.mean(np.stack([width, exact[:, 1]])[:, [1, 3]] ** 2, axis=1))
    generator = np.random.default_rng(np.random.SeedSequence(7, spawn_key=(0, 1)))
    data = exact[1:] + 0.1 * rms * generator.standard_normal((3, 2))
    data[1] = np.nan  # data at every other step
    flow = dajko.evolve(
        dajko.Barenblatt(2.0, shift=0.1)(grid.x),
        dajko.Energy(dajko.PorousMedium(2.0)),
        grid,
        tau=5e-4,
        steps=3,
        data=dajko.DataTerm(["mean", "spread"], data, 1e-3),
        solver=dajko.PD3O(tol=1e-3, constraint_tolerance=1e-3),
    )
    assert cell.data.values[1:] == pytest.approx(data, rel=1e-12, nan_ok=True)
    assert cell.density.values == pytest.approx(flow.density.values, abs=1e-9)
    assert cell.truth.values == pytest.approx(truth, abs=1e-14)
    assert cell.error_l1.values == pytest.approx(grid.integrate(np.abs(flow.density.values - truth)), abs=1e-9)
    assert cell.iterations.values.tolist() == flow.iterations.values.tolist()


def test_numerical_libraries_have_one_thread_in_each_worker(cluster):
    for library in ("OMP", "MKL", "OPENBLAS", "NUMBA"):
        found = cluster.run(os.environ.get, f"{library}_NUM_THREADS")
        assert len(found) == 2
        assert set(found.values()) == {"1"}, library
    assert set(cluster.run(numba.get_num_threads).values()) == {1}
    assert {w["nthreads"] for w in cluster.scheduler_info()["workers"].values()} == {1}


# --- running again --------------------------------------------------------------------------------------------------------


def test_running_again_computes_nothing(tmp_path, tiny, address, monkeypatch):
    directory = tmp_path / "one"
    first = run_study(tiny(), directory, address, quiet=True)
    before = {p: p.stat().st_mtime_ns for p in directory.rglob("*") if p.is_file() and ".locks" not in p.parts}

    def never(*_, **__):
        raise AssertionError("a cluster is started for nothing")

    monkeypatch.setattr("dajko.study.commands.run.open_cluster", never)
    again = run_study(tiny(), directory, address, quiet=True)
    assert (again.computed, again.missing, again.counts) == (0, 0, first.counts)
    assert before == {p: p.stat().st_mtime_ns for p in directory.rglob("*") if p.is_file() and ".locks" not in p.parts}
    again = run_study(tiny({"title": "Another title", "block": 1, "slabs": 2}), directory, address, quiet=True)
    assert (again.computed, again.missing, again.counts) == (0, 0, first.counts)
    assert dajko.open_study(directory).attrs["title"] == "Another title"


def test_only_pending_blocks_are_computed(tmp_path, tiny, address, reference):
    directory = tmp_path / "one"
    run_study(tiny({**STUDY, "block": 3}), directory, address, quiet=True)
    store = CellStore(directory / "cells.zarr")
    status = store.status(0)
    status[4] = Status.PENDING
    (directory / MANIFEST).write_text("{}")
    store.array(0, "status")[:] = status
    stamps = {p: p.stat().st_mtime_ns for p in (store.path / "mass" / "c").iterdir() for p in p.iterdir()}
    report = run_study(tiny({**STUDY, "block": 3}), directory, address, quiet=True)
    assert report.computed == 1
    assert not (directory / MANIFEST).exists()
    assert (open_summary(directory).status == Status.CONVERGED).all()
    changed = {p.parent.name for p, stamp in stamps.items() if p.stat().st_mtime_ns != stamp}
    assert changed == {"1"}
    assert_identical(cells(directory), reference)


def test_a_changed_study_is_computed_and_comes_back(tmp_path, tiny, address):
    directory = tmp_path / "one"
    first = run_study(tiny(), directory, address, quiet=True)
    before = cells(directory)
    assert run_study(tiny({"theta": 5.0, "sweep": None}), directory, address, quiet=True).computed == 3
    back = run_study(tiny(), directory, address, quiet=True)
    assert (back.computed, back.counts) == (0, first.counts)
    assert cells(directory).sizes["cell"] == 9
    assert_identical(cells(directory).isel(cell=slice(6)), before)
    assert open_summary(directory).attrs["study_hash"] == first.study_hash


def test_a_complete_study_leaves_a_summary_and_a_log(tmp_path, tiny, address):
    directory = tmp_path / "one"
    report = run_study(tiny(), directory, address, quiet=True)
    assert (report.study, report.cells, nonzero(report.counts)) == ("one", 6, {"converged": 6})
    summary, view = open_summary(directory).load(), dajko.open_study(directory).load()
    for name in set(VARIABLES) - {"density", "truth"}:
        assert summary[name].equals(view[name])
    assert "6 of 6 members" in (directory / "run.log").read_text()
    assert sorted(p.name for p in directory.iterdir()) == sorted([".locks", "cells.zarr", SUMMARY, "run.log", PERFORMANCE])
    assert report.seconds > 0
    assert report.solver_seconds == pytest.approx(view.solve_time.sum().item())
    assert report.solver_seconds < report.busy_seconds


def test_a_summary_that_was_not_written_is_written_by_the_next_run(tmp_path, tiny, computed):
    """A run that is killed after its last block."""
    directory = tmp_path / "one"
    computed(directory)
    assert run_study(tiny(), directory, quiet=True).computed == 0
    assert open_summary(directory).status.equals(dajko.open_study(directory).status)


def test_the_manifest_is_that_of_a_complete_study(tmp_path, make, computed):
    directory = tmp_path / "one"
    store = computed(directory, {"block": 2})
    assert finish(directory)["converged"] == 6
    manifest = json.loads((directory / MANIFEST).read_text())
    assert (manifest["study"], manifest["study_hash"], manifest["cells"]) == ("one", store.hash, 6)
    assert manifest["counts"] == store.counts()
    store.array(0, "status")[1] = Status.PENDING
    with pytest.raises(InputError, match=r"one: 1 of 6 cells are not computed; run the study again"):
        finish(directory)


def test_a_study_from_numpy_and_from_an_old_reader(tmp_path, tiny, address):
    """Numbers that NumPy made, and 1e-3 as text from a reader of YAML 1.1, are the same study as plain numbers."""
    first = run_study(tiny(), tmp_path / "one", address, quiet=True)
    given = tiny({"sweep": {"theta": np.array([1e-3, 1e-2])}, "grid.nx": np.int64(10), "solver.tol": "1e-3"})
    again = run_study(given, tmp_path / "one", address, quiet=True)
    assert (again.study_hash, again.computed) == (first.study_hash, 0)


# --- members that fail ----------------------------------------------------------------------------------------------------


def failures(directory):
    return [json.loads(line) for line in (directory / FAILURES).read_text().splitlines()]


def test_members_that_do_not_converge(tmp_path, tiny, address):
    """One point of the sweep has too few iterations; the other is not touched by that."""
    directory = tmp_path / "one"
    changes = {"sweep": {"solver.max_iterations": [1, 100_000]}, "block": 4}
    report = run_study(tiny(changes), directory, address, quiet=True)
    assert nonzero(report.counts) == {"converged": 3, "not_converged": 3}
    assert (report.failed, report.pending, report.missing) == (3, 0, 0)
    view = dajko.open_study(directory).load()
    assert (view.status.sel(solver_max_iterations=1) == Status.NOT_CONVERGED).all()
    assert (view.status.sel(solver_max_iterations=100_000) == Status.CONVERGED).all()
    recorded = sorted(failures(directory), key=lambda f: f["cell"])
    assert [(f["cell"], f["member"], f["status"]) for f in recorded] == [(m, m, "not_converged") for m in range(3)]
    assert all(f["parameters"] == {"solver.max_iterations": 1} for f in recorded)
    assert all(
        "the iteration limit was reached" in f["message"] and "raise solver.max_iterations" in f["message"] for f in recorded
    )
    assert all(f["message"].startswith("step ") for f in recorded)
    again = run_study(tiny(changes), directory, address, quiet=True)
    assert (again.computed, again.counts) == (0, report.counts)
    assert len(failures(directory)) == 3


def test_a_truth_that_cannot_be_computed(tmp_path, tiny, address):
    directory = tmp_path / "one"
    truth = {
        "kind": "solve",
        "energy": {"internal": {"kind": "porous_medium"}},
        "initial": {"kind": "barenblatt"},
        "solver": {"kind": "pd3o", "max_iterations": 1},
    }
    report = run_study(tiny({"truth": truth, "sweep": None}), directory, address, quiet=True)
    assert nonzero(report.counts) == {"failed": 3}
    message = "TruthError: the truth could not be computed: step 1: the iteration limit was reached"
    assert all(f["status"] == "failed" and f["message"].startswith(message) for f in failures(directory))
    view = dajko.open_study(directory).load()
    assert view.error_l1.isnull().all()
    assert view.density.isnull().all()
    assert (view.iterations == 0).all()


def test_a_step_of_the_solver_that_is_right_at_first_and_too_large_later(tmp_path, tiny, address):
    """What no check before the run can see is a failed member with its reason, and the run goes on."""
    directory = tmp_path / "one"
    # The bound 2 / L of the primal step falls as an attracted density grows; it holds at the start.
    energy = {"internal": {"kind": "porous_medium", "m": 10.0}, "potential": {"kind": "quadratic", "stiffness": 8.0}}
    model = {"energy": energy, "initial": {"kind": "gaussian", "std": 3.0, "mass": 7.5}}
    grid = dajko.Grid(-0.7, 0.7, 10, 2)
    density = dajko.Gaussian(std=3.0, mass=7.5)(grid.x)
    believed = dajko.Energy(dajko.PorousMedium(10.0), dajko.Quadratic(8.0))
    first = dimensionless(Problem(density, believed, grid, 0.02)).problem
    bound = 2.0 / (first.tau * 10 * first.initial.max() ** 8 / grid.wt_metric[-1])  # U = u^10 / 9, so U'' = 10 u^8
    changes = {
        "model": model,
        "time.tau": 0.02,
        "theta": math.inf,
        "solver.primal_step": 0.8 * bound,
        "sweep": {"noise.level": [0.0, 0.1]},
    }
    report = run_study(tiny({**changes, "ensemble.members": 1}), directory, address, quiet=True)
    assert report.counts["failed"] == 2
    assert all("primal_step must be less than 2 / L" in f["message"] for f in failures(directory))


def test_a_draw_that_is_no_study_is_found_before_anything_runs(tmp_path, tiny):
    changes = {"ensemble.perturbations": {"theta": {"kind": "normal", "std": 1.0}}, "sweep": None}
    with pytest.raises(
        InputError, match=r"^studies\.one\.theta: must be greater than 0, got -[\d.]+ \(member \d, at theta = -"
    ):
        run_study(tiny(changes), tmp_path / "one")
    assert list(tmp_path.iterdir()) == []


def test_perturbed_members_record_their_draws(tmp_path, tiny, address, make):
    directory = tmp_path / "one"
    changes = {
        "ensemble.perturbations": {"model.initial.shift": {"kind": "normal", "std": 0.01}},
        "solver.max_iterations": 1,
    }
    run_study(tiny(changes), directory, address, quiet=True)
    plan = make(changes)
    for failure in failures(directory):
        point, member = divmod(failure["cell"], 3)
        assert failure["parameters"] == {**plan.points[point], **plan.draws(point, member)}


# --- schedulers -----------------------------------------------------------------------------------------------------------


def test_a_scheduler_by_its_file(tmp_path, tiny, cluster, address, reference):
    """The file holds what `dask scheduler --scheduler-file` writes; it may come a little later than the run."""
    identity = cluster.run_on_scheduler(lambda dask_scheduler: dask_scheduler.identity(n_workers=0))
    file = tmp_path / "scheduler.json"
    writer = threading.Timer(0.3, lambda: file.write_text(json.dumps(identity)))
    writer.start()
    given = SchedulerAddress(kind="scheduler", file=str(file), wait=30.0, tls=address.tls)
    assert run_study(tiny(STUDY), tmp_path / "one", given, quiet=True).computed == 8
    writer.join()
    assert_identical(cells(tmp_path / "one"), reference)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"address": "tcp://127.0.0.1:PORT"}, "cluster.address: no scheduler answers at tcp://127.0.0.1:PORT within 0.5 s"),
        ({"address": "nonsense"}, "cluster.address: nonsense has no port; an address is such as tcp://127.0.0.1:8786"),
        ({"file": "FILE"}, "cluster.file: FILE: there is no such file; `dask scheduler --scheduler-file` writes one"),
        ({"file": "FOLDER"}, "cluster.file: FOLDER: cannot be read: Is a directory"),
        ({"file": "TEXT"}, "cluster.file: TEXT: is not a scheduler file"),
        ({"file": "CLOSED"}, "cluster.file: no scheduler answers at tcp://127.0.0.1:PORT within 0.5 s"),
    ],
)
def test_no_scheduler(tmp_path, tiny, given, message):
    with socket.socket() as reserved:  # a port that nobody listens at
        reserved.bind(("127.0.0.1", 0))
        port = str(reserved.getsockname()[1])
        (tmp_path / "text").write_text("not json")
        (tmp_path / "closed").write_text(json.dumps({"address": f"tcp://127.0.0.1:{port}"}))
        names = {"FILE": tmp_path / "file", "FOLDER": tmp_path, "TEXT": tmp_path / "text", "CLOSED": tmp_path / "closed"}
        for word, value in {**names, "PORT": port}.items():
            given = {k: v.replace(word, str(value)) for k, v in given.items()}
            message = message.replace(word, str(value))
        started = time.monotonic()
        with pytest.raises(InputError) as caught:
            run_study(tiny(), tmp_path / "one", SchedulerAddress(kind="scheduler", wait=0.5, **given), quiet=True)
        assert time.monotonic() - started < 30.0  # it does not hang
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    # The study can be run elsewhere, at once: nothing is locked.
    assert CellStore(tmp_path / "one" / "cells.zarr").counts()["pending"] == 6


def test_a_scheduler_without_workers(tmp_path, tiny):
    from distributed import LocalCluster as Dask

    with Dask(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as empty:
        given = SchedulerAddress(kind="scheduler", address=empty.scheduler_address, wait=0.5)
        with pytest.raises(InputError, match=r"^cluster: the scheduler at .* has no workers after 0\.5 s; start some with"):
            run_study(tiny(), tmp_path / "one", given, quiet=True)


@pytest.mark.parametrize("workers", [0, -1])
def test_a_number_of_workers_that_is_none(tmp_path, tiny, workers):
    with pytest.raises(InputError, match=rf"^cluster\.workers: must be greater than 0, got {workers}$"):
        run_study(tiny(), tmp_path / "one", workers, quiet=True)


# --- slabs and locks ------------------------------------------------------------------------------------------------------


def test_two_slabs_complete_a_store(tmp_path, tiny, address, reference):
    directory, study = tmp_path / "one", {**STUDY, "block": 1, "slabs": 2}
    first = run_study(tiny(study), directory, address, slab=0, quiet=True)
    assert (first.computed, first.missing, first.pending) == (4, 0, 4)
    assert not (directory / SUMMARY).exists()
    second = run_study(tiny(study), directory, address, slab=1, quiet=True)
    assert (second.computed, second.missing, second.pending) == (4, 0, 0)
    assert run_study(tiny(study), directory, address, slab=0, quiet=True).computed == 0
    assert_identical(cells(directory), reference)
    assert not (directory / SUMMARY).exists()  # that is for the job that waits for all slabs
    finish(directory)
    assert json.loads((directory / MANIFEST).read_text())["counts"]["converged"] == 8


@pytest.mark.parametrize("slabs", [3, 8, 20])
def test_slabs_share_the_blocks(tmp_path, make, slabs):
    """Every block belongs to exactly one slab, also where there are more slabs than blocks."""
    from dajko.study.commands.run import _share
    from dajko.study.store.prepare import prepare

    store = prepare(tmp_path / "one", make({**STUDY, "block": 1, "sweep": {"grid.nx": [8, 10], "theta": [1.0, 2.0]}}))
    shares = [[block for block, _ in _share(store, slab, slabs)] for slab in range(slabs)]
    everything = [block for share in shares for block in share]
    assert everything == store.pending()
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("slab", [-1, 2])
def test_a_slab_that_is_none(tmp_path, tiny, slab):
    with pytest.raises(InputError, match=f"slab must be at least 0 and less than 2, got {slab}"):
        run_study(tiny({"slabs": 2}), tmp_path / "one", slab=slab, quiet=True)
    assert list(tmp_path.iterdir()) == []


def test_a_second_run_of_the_same_cells_is_refused(tmp_path, tiny, address):
    directory, study = tmp_path / "one", tiny({**STUDY, "block": 1, "slabs": 2})
    (directory / ".locks").mkdir(parents=True)
    with lock(directory, "slab-0-of-2"):
        for slab in (0, None):
            with pytest.raises(InputError, match="another run is writing this study; wait for it or stop it"):
                run_study(study, directory, address, slab=slab, quiet=True)
        # The other slab is free, but which cells there are cannot be changed now.
        assert run_study(study, directory, address, slab=1, quiet=True).computed == 4
        wider = {**study, "ensemble": {"members": 3, "seed": 7}}
        with pytest.raises(InputError, match="another run is writing this study as it was"):
            run_study(wider, directory, address, slab=1, quiet=True)
    assert run_study(study, directory, address, quiet=True).computed == 4


# --- accidents ------------------------------------------------------------------------------------------------------------


def test_a_killed_worker_loses_nothing(tmp_path, tiny, computed):
    """SIGKILL to a worker while tasks run: the store ends complete, with the same values."""
    changes = {"sweep": {"theta": [1e-3, 1e-2]}, "ensemble.members": 8, "block": 1}
    directory = tmp_path / "killed" / "one"
    computed(tmp_path / "quiet" / "one", changes)
    with open_cluster(LocalCluster(workers=2), blocks=16) as client:
        victim = next(iter(client.run(os.getpid).values()))
        killed = threading.Event()

        def kill():
            while not (directory / "cells.zarr" / "status" / "c").is_dir():
                time.sleep(0.005)
            os.kill(victim, signal.SIGKILL)
            killed.set()

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        report = run_study(tiny(changes), directory, scheduler_of(client), quiet=True)
        killer.join(timeout=10)
        assert killed.is_set()
        # A busy machine takes its time to bury the dead.
        until = time.monotonic() + 30.0
        while psutil.pid_exists(victim) and psutil.Process(victim).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < until
            time.sleep(0.05)
    assert nonzero(report.counts) == {"converged": 16}
    assert (report.computed, report.missing) == (16, 0)
    assert_identical(cells(directory), cells(tmp_path / "quiet" / "one"))


def test_a_lost_block_stays_pending_and_is_computed_next_time(tmp_path, tiny, address, monkeypatch):
    """A block that cannot even be written is not the end of the run, and not lost either."""
    directory, study = tmp_path / "one", tiny({**STUDY, "block": 2})
    run_study({**study, "slabs": 4}, directory, address, slab=3, quiet=True)
    chunks = directory / "cells.zarr" / "truth" / "c"

    def repaired(*arguments):
        """What lies in the way before a run is taken away; this comes afterwards."""
        found = repair(*arguments)
        for number in range(3):
            (chunks / str(number)).write_text("in the way")
        return found

    with monkeypatch.context() as patch:
        patch.setattr("dajko.study.commands.run.repair", repaired)
        report = run_study(study, directory, address, quiet=True)
    assert (report.computed, report.missing, report.pending) == (0, 6, 6)
    assert not (directory / SUMMARY).exists()
    assert (directory / "run.log").read_text().count("ERROR a block was lost: ") == 3
    report = run_study(study, directory, address, quiet=True)
    assert (report.computed, report.missing, report.pending) == (6, 0, 0)
    assert (directory / SUMMARY).exists()


def test_failures_are_told_by_kind(tmp_path, tiny, capsys):
    """One line for each kind, which names the first; the log names all of them."""
    failing = tiny({"sweep": {"solver.max_iterations": [1, 100_000]}, "ensemble.members": 9})
    run_study(failing, tmp_path / "one", 1)
    told = [line for line in capsys.readouterr().err.splitlines() if "without a result:" in line]
    assert told == [
        f"one: 9 without a result: iteration limit, such as cell 0: step 1: {Status.NOT_CONVERGED.message}; "
        "failures.jsonl names each"
    ]
    log = (tmp_path / "one" / "run.log").read_text()
    assert log.count("not_converged: step 1") == 9
    assert log.count("9 without a result: iteration limit") == 1


@pytest.mark.parametrize("limit", [1, 3 * 2**30])
def test_too_little_address_space_is_one_sentence(tmp_path, tiny, monkeypatch, limit):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, resource.RLIM_INFINITY))
    with pytest.raises(InputError, match=r"of address space \(ulimit -v\), and dajko needs 4 GiB"):
        run_study(tiny(), tmp_path / "one", 1)
    assert not (tmp_path / "one").exists()


def test_fewer_workers_where_the_memory_does_not_suffice(tmp_path, tiny, monkeypatch, capsys):
    monkeypatch.setattr("dajko.study.execution.cluster.MEMORY_LIMIT", 1_300_000_000)
    monkeypatch.setattr("dajko.study.execution.cluster.cores", lambda: 16)
    run_study(tiny({"block": 1}), tmp_path / "one")
    errors = capsys.readouterr().err
    assert "this machine's memory, 1.3 GB, suffices for 2 workers, not for 6" in errors
    assert "one: 2 workers of the scheduler" in errors


def test_it_is_said_that_kernels_are_compiled(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert cold_sentence() == (
        f"compiling kernels, which takes minutes, once on each host and for each version; they are kept in {tmp_path}"
    )
    (tmp_path / "dajko_1").mkdir()
    (tmp_path / "dajko_1" / "kernel.nbi").touch()
    assert cold_sentence() == ""
