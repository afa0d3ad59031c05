"""Dask's settings for studies, each set on purpose."""

from __future__ import annotations

from typing import Any

# One thread for each numerical library: a worker is one process on one core. Set before a worker starts, because the
# libraries read them when they are loaded.
LIBRARIES = ("OMP", "MKL", "OPENBLAS", "NUMBA", "VECLIB")
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in LIBRARIES}

# Of schedulers that dajko starts.
SCHEDULER: dict[str, Any] = {
    # A task may lose this many workers and is tried again; with the next one it is taken apart (dispatch.py).
    "distributed.scheduler.allowed-failures": 3,
    # A host that is cut off is noticed by TCP in 30 s. A worker that says nothing for so long is given up, and its block
    # computed elsewhere. Workers are silent while kernels are compiled, which takes minutes on a busy host.
    "distributed.scheduler.worker-ttl": "5 minutes",
    # The client watches that there are workers, and says why it gives up (attend.py); the scheduler would for each task.
    "distributed.scheduler.no-workers-timeout": None,
    # Dask looks for a stalled event loop 50 times a second in each of its servers, three of them in this process. Cores are
    # for solves.
    "distributed.admin.tick.interval": "500ms",
}

# Of workers. Their memory is the solver's, not Dask's: nothing can be spilled to disk, and a pause would last for ever.
# Above this share of its memory the nanny ends a worker, and its block is taken apart.
WORKER: dict[str, Any] = {
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    "distributed.admin.tick.interval": "500ms",
}

# What Dask serves by HTTP beside its protocol, to everybody who reaches the port: figures of tasks, logs, stacks.
NO_PAGES: dict[str, Any] = {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}

# Dask gives a worker of a cluster that it has started up for good if it is not there so long after it has died, also when it
# has been there meanwhile and its nanny is starting it once more. On this machine none would be left in the end; a job of a
# batch system is submitted again, and its nanny gets the time for one restart.
LOCAL = {"distributed.deploy.lost-worker-timeout": "1 day"}
JOBS = {"distributed.deploy.lost-worker-timeout": "20 s"}


def environment(settings: dict[str, Any]) -> dict[str, str]:
    """Settings as variables of the environment, for workers that start elsewhere."""
    names = {key: "DASK_" + key.replace("-", "_").replace(".", "__").upper() for key in settings}
    return {names[key]: str(value) for key, value in settings.items()}
