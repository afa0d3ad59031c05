"""The Dask cluster that a study runs on: processes on this machine, a scheduler that is there already, or Slurm jobs."""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker
from pathlib import Path

import dask
from distributed import Client, LocalCluster, Worker, WorkerPlugin
from distributed.system import MEMORY_LIMIT

from dajko.errors import InputError
from dajko.signals import held_up
from dajko.study.config import cluster as clusters
from dajko.study.config.cluster import ClusterConfig, SchedulerAddress, SlurmCluster
from dajko.study.execution.dask_settings import LOCAL, NO_PAGES, ONE_THREAD, SCHEDULER, WORKER
from dajko.study.execution.private_folder import private_folder
from dajko.study.execution.tls import make_certificates, security, security_for

_LOGGER = logging.getLogger("dajko.cluster")


@contextmanager
def open_cluster(
    config: ClusterConfig, blocks: int, *, directory: Path | None = None, logger: logging.Logger = _LOGGER
) -> Iterator[Client]:
    """A client of the configured cluster, closed at the end; a cluster that was started for it is closed with it.

    Parameters
    ----------
    config : ClusterConfig
    blocks : int
        Number of tasks to come; no more workers than that are started.
    directory : Path, optional
        Directory of the study, which all hosts see, for the logs and the certificates of a Slurm cluster.
    logger : logging.Logger
        Told what the cluster waits for.

    Raises
    ------
    InputError
        If there is no scheduler at the address, no worker comes in time, or jobs or certificates cannot be used.
    """
    if isinstance(config, SchedulerAddress):
        with _connect(config) as client:
            yield client
    elif isinstance(config, SlurmCluster):
        from dajko.study.execution.slurm import slurm_client

        with slurm_client(config, blocks, (directory or Path()).absolute(), logger) as client:
            yield client
    else:
        with _local(config, blocks, logger) as client:
            yield client


@contextmanager
def _local(config: clusters.LocalCluster, blocks: int, logger: logging.Logger) -> Iterator[Client]:
    workers = min(config.workers or cores(), max(blocks, 1))
    if config.memory is None and (fitting := max(1, MEMORY_LIMIT // clusters.LEAST_MEMORY)) < workers:
        words = (MEMORY_LIMIT / 1e9, fitting, workers)
        logger.warning("this machine's memory, %.3g GB, suffices for %d workers, not for %d", *words)
        workers = fitting
    settings = {"distributed.nanny.pre-spawn-environ": ONE_THREAD, **SCHEDULER, **WORKER, **LOCAL}
    settings |= {} if config.dashboard else NO_PAGES
    with private_folder() as folder, dask.config.set({**settings, "temporary-directory": str(folder)}):
        # Whoever reaches a scheduler or a worker can run code, and every user of this machine reaches what listens on
        # loopback. So all of them ask for a certificate that only this user can read.
        safe = security(make_certificates(folder / "tls"))
        with ExitStack() as stack:
            with held_up(), _terminal_stays_here():
                cluster = stack.enter_context(
                    LocalCluster(
                        n_workers=workers,
                        threads_per_worker=1,
                        processes=True,
                        host="127.0.0.1",
                        protocol="tls://",
                        security=safe,
                        dashboard_address="127.0.0.1:0",
                        worker_dashboard_address="127.0.0.1:0" if config.dashboard else None,
                        scheduler_kwargs={"dashboard": config.dashboard},
                        memory_limit=config.memory or "auto",
                    )
                )
            client = stack.enter_context(Client(cluster))
            client.register_plugin(_Silent())
            yield client


class _Silent(WorkerPlugin):
    """Workers share this terminal, and what they say when they are ended is noise: how a task fails is data."""

    name = "dajko-silent"

    def setup(self, worker: Worker) -> None:
        logging.getLogger("distributed").setLevel(logging.CRITICAL)


@contextmanager
def _terminal_stays_here() -> Iterator[None]:
    """Keep what a terminal sends to all processes from those that are started inside; this process ends the others."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    resource_tracker.ensure_running()  # unblocks SIGINT
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def check_address_space() -> None:
    """Refuse to begin where the system lets a process have too little address space.

    Raises
    ------
    InputError
        If it does: threads and kernels could not be had, each in a traceback of its own.
    """
    if sys.platform == "win32":
        return
    import resource

    least, (limit, _) = 4 * 2**30, resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < least:
        raise InputError(
            f"this shell allows a process {limit / 2**30:.3g} GiB of address space (ulimit -v), and dajko needs "
            f"{least / 2**30:.3g} GiB, most of it only in name; say `ulimit -v unlimited`, and limit cluster.memory instead"
        )


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _connect(config: SchedulerAddress) -> Client:
    deadline = time.monotonic() + config.wait
    key = "address" if config.address is not None else "file"
    address = config.address or _address_in(Path(str(config.file)), deadline)
    security = security_for(address, config.tls, config.allow_plain_text, f"cluster.{key}")
    try:
        client = Client(address, security=security, timeout=max(deadline - time.monotonic(), 1.0))
    except (OSError, TimeoutError, ValueError, TypeError, RuntimeError) as error:
        problem = str(error) if isinstance(error, ValueError) else type(error).__name__
        problem += f": {error.__cause__}" if error.__cause__ else ""
    else:
        try:
            # The scheduler may listen on the network although we reach it on loopback.
            security_for(str(client.scheduler_info()["address"]), config.tls, config.allow_plain_text, f"cluster.{key}")
            client.wait_for_workers(1, timeout=max(deadline - time.monotonic(), 1.0))
        except InputError:
            client.close()
            raise
        except TimeoutError:
            client.close()
            raise InputError(
                f"cluster: the scheduler at {address} has no workers after {config.wait:g} s; start some with `dask worker`"
            ) from None
        return client
    # What is left of the client would lock up the next one if it were collected in the middle of that one's start.
    gc.collect()
    hint = ", with certificates of the same authority" if security else ""
    raise InputError(
        f"cluster.{key}: no scheduler answers at {address} within {config.wait:g} s ({problem}); start one with "
        f"`dask scheduler`, and workers with `dask worker`{hint}"
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
