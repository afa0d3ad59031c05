"""The Dask cluster that a study runs on: processes on this machine, or a scheduler that is there already."""

from __future__ import annotations

import gc
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from pathlib import Path

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
    with dask.config.set({"distributed.nanny.pre-spawn-environ": _ONE_THREAD}):
        with _ctrl_c_stays_here():
            # Everything listens on loopback only: whoever reaches a scheduler can run code.
            local = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                worker_dashboard_address="127.0.0.1:0",
            )
        with local as cluster, Client(cluster) as client:
            yield client


@contextmanager
def _ctrl_c_stays_here() -> Iterator[None]:
    """Keep Ctrl-C, which a terminal sends to all processes, from what is started inside; this process ends the others."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # would unblock the signal if it were started inside
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _connect(config: SchedulerAddress) -> Client:
    deadline = time.monotonic() + config.wait
    key = "address" if config.address is not None else "file"
    address = config.address or _address_in(Path(str(config.file)), deadline)
    try:
        client = Client(address, timeout=max(deadline - time.monotonic(), 1.0))
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        problem = str(error) if isinstance(error, ValueError) else type(error).__name__
    else:
        try:
            client.wait_for_workers(1, timeout=max(deadline - time.monotonic(), 1.0))
        except TimeoutError:
            client.close()
            raise InputError(
                f"cluster: the scheduler at {address} has no workers after {config.wait:g} s; start some with `dask worker`"
            ) from None
        return client
    # What is left of the client would lock up the next one if it were collected in the middle of that one's start.
    gc.collect()
    raise InputError(
        f"cluster.{key}: no scheduler answers at {address} within {config.wait:g} s ({problem}); start one with "
        "`dask scheduler`, and workers with `dask worker`"
    )


def _address_in(file: Path, deadline: float) -> str:
    """The address in a scheduler file, which the scheduler may still have to write."""
    problem = "there is no such file"
    while True:
        try:
            return str(json.loads(file.read_text(encoding="utf-8"))["address"])
        except FileNotFoundError:
            pass
        except OSError as error:
            problem = f"cannot be read: {error.strerror}"
        except (ValueError, KeyError, TypeError):  # or it is being written
            problem = "is not a scheduler file"
        if time.monotonic() > deadline:
            raise InputError(f"cluster.file: {file}: {problem}; `dask scheduler --scheduler-file` writes one")
        time.sleep(0.05)
