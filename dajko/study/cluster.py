"""The Dask cluster that a study runs on: processes on this machine, or a scheduler that is there already."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import dask
from distributed import Client, LocalCluster

from dajko.errors import InputError
from dajko.study.config import ClusterConfig, SchedulerAddress

# One thread for each numerical library: a worker is one process on one core. Set before a worker starts, because the
# libraries read them when they are loaded.
_LIBRARIES = ("OMP", "MKL", "OPENBLAS", "NUMBA", "VECLIB")
_ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in _LIBRARIES}


@contextmanager
def open_cluster(config: ClusterConfig, blocks: int) -> Iterator[Client]:
    """A client of the configured cluster, closed at the end; a local cluster is closed with it.

    Parameters
    ----------
    config : ClusterConfig
    blocks : int
        Number of tasks to come; a local cluster starts no more workers than that.

    Raises
    ------
    InputError
        If there is no scheduler at the address, or no worker comes in time.
    """
    if isinstance(config, SchedulerAddress):
        with _connect(config) as client:
            yield client
        return
    workers = min(config.workers or cores(), max(blocks, 1))
    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ": _ONE_THREAD}),
        # Everything listens on loopback only: whoever reaches a scheduler can run code.
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _connect(config: SchedulerAddress) -> Client:
    where = config.address or config.file
    try:
        if config.address is not None:
            client = Client(config.address, timeout=config.wait)
        else:
            client = Client(scheduler_file=config.file, timeout=config.wait)
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        raise InputError(
            f"cluster.{'address' if config.address else 'file'}: no scheduler answers at {where} within {config.wait:g} s "
            f"({type(error).__name__}); start one with `dask scheduler`, and workers with `dask worker`"
        ) from None
    try:
        client.wait_for_workers(1, timeout=config.wait)
    except TimeoutError:
        client.close()
        raise InputError(
            f"cluster: the scheduler at {where} has no workers after {config.wait:g} s; start some with `dask worker`"
        ) from None
    return client
