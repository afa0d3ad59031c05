"""Plans, stores that are computed in this process, and a cluster for the tests that need one."""

import pytest

from dajko.study.config.parse import parse
from dajko.study.config.study import LocalCluster, StudyConfig
from dajko.study.design.members import make_plan
from dajko.study.execution.cluster import open_cluster
from dajko.study.execution.task import Task, run_block
from dajko.study.store.prepare import prepare
from tests.clusters import scheduler_of


@pytest.fixture(scope="session")
def make(tiny):
    """Makes the plan of a changed tiny study."""
    return lambda changes=None, name="one": make_plan(name, parse(StudyConfig, tiny(changes)))


@pytest.fixture(scope="session")
def computed(make):
    """Computes the store of a changed tiny study in a directory, without a cluster."""

    def compute(directory, changes=None):
        store = prepare(directory, make(changes, directory.name))
        for block in store.pending():
            run_block(str(store.path), store.hash, Task(block))
        return store

    return compute


@pytest.fixture(scope="session")
def again():
    """Computes what is missing in a store, without a cluster; how many cells that were."""
    return lambda store: sum(run_block(str(store.path), store.hash, Task(block)).cells for block in store.pending())


@pytest.fixture(scope="session")
def cluster():
    """A client of a local cluster of two processes, started as dajko starts it."""
    with open_cluster(LocalCluster(workers=2), blocks=100) as client:
        yield client


@pytest.fixture(scope="session")
def address(cluster):
    """The scheduler of that cluster, as a configuration names it."""
    return scheduler_of(cluster)
