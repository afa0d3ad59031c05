"""Cells that kill their workers: only they fail, whatever else is under way."""

import os
import signal

import numpy as np
import pytest
import xarray as xr
from distributed import Client, WorkerPlugin

from dajko.errors import InputError
from dajko.status import Status
from dajko.study.commands.run import run_study
from dajko.study.commands.status import study_state
from dajko.study.config.study import LocalCluster
from dajko.study.execution.cluster import open_cluster
from dajko.study.execution.dispatch import connected
from dajko.study.store.cells import CellStore
from dajko.study.store.journal import last_entries
from dajko.study.store.variables import CELLS, NOT_REPRODUCIBLE, SUMMARY, VARIABLES
from tests.clusters import scheduler_of

STUDY = {"sweep": {"theta": [1e-3, 1e-2]}, "ensemble.members": 8, "block": 4}


def poison(thetas):
    """A plugin with which workers kill themselves when they simulate a cell with one of these weights and a certain draw."""

    class Poison(WorkerPlugin):
        name = "poison"

        def setup(self, worker):
            from dajko.study.execution import simulate as cells

            plain = getattr(cells, "plain_simulate_many", cells.simulate_many)
            cells.plain_simulate_many = plain

            def simulate_many(experiments, generators):
                for experiment, generator in zip(experiments, generators, strict=True):
                    key = generator.bit_generator.seed_seq.spawn_key
                    if (experiment.theta, key[1]) in thetas:
                        os.kill(os.getpid(), signal.SIGKILL)
                return plain(experiments, generators)

            cells.simulate_many = simulate_many

    return Poison()


@pytest.fixture
def poisoned():
    """Runs a study on a cluster of its own whose workers die of some cells, named by theta and member."""

    def run(study, directory, cells):
        with open_cluster(LocalCluster(workers=2), blocks=100) as client:
            client.register_plugin(poison(cells))
            return run_study(study, directory, scheduler_of(client), quiet=True)

    return run


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pipes of the workers that were killed
def test_one_poisonous_cell_fails_and_all_others_are_there(tmp_path, tiny, computed, poisoned):
    directory = tmp_path / "one"
    computed(tmp_path / "quiet" / "one", STUDY)
    report = poisoned(tiny(STUDY), directory, {(1e-2, 5)})
    assert {k: n for k, n in report.counts.items() if n} == {"converged": 15, "failed": 1}
    assert (report.computed, report.missing) == (16, 0)
    store, bad = CellStore(directory / CELLS), 8 + 5
    assert np.flatnonzero(store.status(0) == Status.FAILED).tolist() == [bad]
    (entry,) = last_entries(directory).values()
    assert (entry["cell"], entry["member"], entry["parameters"], entry["kind"]) == (bad, 5, {"theta": 1e-2}, "worker died")
    assert entry["message"].startswith("its worker died 4 times, each time while it computed this cell alone")
    # The others are what they are without it, bit for bit; the poisonous one has no numbers.
    found, expected = (xr.open_zarr(d / CELLS, consolidated=False).load() for d in (directory, tmp_path / "quiet" / "one"))
    others = [i for i in range(16) if i != bad]
    for name in set(VARIABLES) - set(NOT_REPRODUCIBLE):
        left, right = found[name].values[others], expected[name].values[others]
        assert np.array_equal(left, right, equal_nan=left.dtype.kind == "f"), name
    assert np.isnan(found.density.values[bad]).all()
    assert (directory / SUMMARY).exists()
    assert "their workers died; computed one by one at the end" in (directory / "run.log").read_text()
    state = study_state(directory)
    assert (state.failures, state.incomplete, state.failed) == ({"worker died": 1}, False, 1)
    # It is not tried again, and does not stop the next run either.
    assert run_study(tiny(STUDY), directory, 1, quiet=True).computed == 0


def client_of(client):
    return Client(client.scheduler.address, security=client.security)


def test_a_client_that_has_given_its_scheduler_up(cluster):
    with client_of(cluster) as client, pytest.raises(InputError, match=r"the connection to the scheduler at .+ was lost"):
        ask_when_closed(client)


def ask_when_closed(client):
    with connected(client):
        client.close()
        client.ncores()


def test_other_errors_are_not_taken_for_a_lost_scheduler(cluster):
    with client_of(cluster) as client, pytest.raises(RuntimeError, match="something else"), connected(client):
        raise RuntimeError("something else")
