"""Workers as Slurm jobs: one process each, over TLS, replaced when they end.

Built on dask-jobqueue, an optional package. The scheduler lives in this process. Jobs that do not find it for a minute end
by themselves, so nothing is left of a driver that was killed.
"""

from __future__ import annotations

import asyncio
import getpass
import logging
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
from distributed import Client
from distributed.deploy.adaptive import Adaptive

from dajko.errors import InputError
from dajko.study.config.cluster import SlurmCluster, seconds_of
from dajko.study.execution import walltime as drain
from dajko.study.execution.dask_settings import JOBS, NO_PAGES, ONE_THREAD, SCHEDULER, WORKER, environment
from dajko.study.execution.private_folder import private_folder
from dajko.study.execution.tls import make_certificates, security

# Seconds between two lines that say what the first worker waits for, and between two looks for jobs that have ended.
_INTERVAL, _LOOK = 30.0, 10.0
# Jobs that end before a first worker has come are submitted so many times.
_ATTEMPTS = 3


class Demand(Adaptive):
    """As many jobs as there are blocks to compute, between the bounds; jobs that end are replaced.

    Dask notices that a worker has gone, and its job is replaced. A job that ends before its worker has come is found here.
    """

    stillborn = 0
    _looked = 0.0

    async def target(self) -> int:
        """Number of tasks that are not done."""
        cluster: Any = self.cluster
        if time.monotonic() - self._looked > _LOOK:
            self._looked = time.monotonic()
            await self._bury(cluster)
        unfinished = ("waiting", "no-worker", "queued", "processing")
        return sum(task.state in unfinished for task in cluster.scheduler.tasks.values())

    @property
    def hopeless(self) -> bool:
        """Whether so many jobs have ended before a first worker has come that others would, too."""
        return self.stillborn >= _ATTEMPTS * self.minimum

    async def _bury(self, cluster: Any) -> None:
        """Forget jobs that are in the queue no more and have no worker, so that others are submitted."""
        there = {worker.name for worker in cluster.scheduler.workers.values()}
        absent = {name: job for name, job in cluster.workers.items() if name not in there and job.job_id}
        if not absent or self.hopeless:
            return
        code, said = await asyncio.to_thread(_call, "squeue", "--noheader", "--user", getpass.getuser(), "--format=%A")
        for name, job in absent.items():
            if code == 0 and job.job_id not in said.split() and cluster.workers.get(name) is job:
                del cluster.workers[name]
                self.stillborn = 0 if there else self.stillborn + 1


@contextmanager
def slurm_client(config: SlurmCluster, blocks: int, directory: Path, logger: logging.Logger) -> Iterator[Client]:
    """A client of a scheduler in this process whose workers are Slurm jobs; all end with it.

    Parameters
    ----------
    config : SlurmCluster
    blocks : int
        Number of tasks to come; no more jobs than that are submitted.
    directory : Path
        Directory of the study, which the nodes see, too.
    logger : logging.Logger

    Raises
    ------
    InputError
        If dask-jobqueue or Slurm is not there, Slurm refuses the job, or no worker comes in time.
    """
    try:
        from dask_jobqueue.slurm import SLURMCluster
    except ImportError:
        raise InputError(
            "cluster: kind slurm needs the package dask-jobqueue; install it with `pip install 'dajko[slurm]'`"
        ) from None
    if shutil.which("sbatch") is None:
        raise InputError("cluster: there is no sbatch here; run dajko on a host of the Slurm cluster, or use another kind")
    if config.interface is not None:
        _check_interface(config.interface)
    logs = Path(config.logs).absolute() if config.logs else directory / "logs" / "slurm"
    logs.mkdir(parents=True, exist_ok=True)
    settings = {**SCHEDULER, **JOBS, **({} if config.dashboard else NO_PAGES)}
    with (
        private_folder() as folder,  # the scheduler has files, too
        _certificates(config, directory) as safe,
        dask.config.set({**settings, "temporary-directory": str(folder)}),
    ):
        cluster: Any = SLURMCluster(
            queue=config.partition,
            account=config.account,
            cores=1,
            processes=1,
            memory=config.memory,
            walltime=config.walltime,
            interface=config.interface,
            python=shlex.quote(config.python or sys.executable),
            local_directory='"$DAJKO_SCRATCH"',
            log_directory=str(logs),
            job_name="dajko",
            job_extra_directives=config.directives,
            job_script_prologue=_prologue(config),
            worker_extra_args=[
                "--preload",
                "dajko.study.execution.walltime",
                "--no-dashboard",
                "--dashboard-address",
                "127.0.0.1:0",
            ],
            protocol="tls://",
            security=safe,
            scheduler_options={"dashboard": config.dashboard, "dashboard_address": "127.0.0.1:0"},
        )
        with cluster, Client(cluster, security=safe) as client:
            _try(cluster.job_script())
            least, most = min(config.least, max(blocks, 1)), min(config.most, max(blocks, 1))
            demand = cluster.adapt(Adaptive=Demand, minimum=least, maximum=most, interval="1s")
            _wait(client, cluster, demand, config.wait, logger, logs)
            yield client


@contextmanager
def _certificates(config: SlurmCluster, directory: Path) -> Iterator[Any]:
    """The configured certificates, or a set that lasts as long as the cluster, in a folder for its owner only."""
    if config.tls is not None:
        yield security(config.tls)
        return
    try:
        folder = Path(tempfile.mkdtemp(prefix=".tls-", dir=directory))
    except OSError as error:
        raise InputError(f"{directory}: cannot be written: {error.strerror}") from None
    try:
        yield security(make_certificates(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _prologue(config: SlurmCluster) -> list[str]:
    """Shell commands at the start of a job: when it ends, the settings of workers, the user's own, and a private folder."""
    variables = {**ONE_THREAD, **environment({**WORKER, **NO_PAGES})}
    if config.margin is not None:
        variables[drain.MARGIN] = f"{config.margin:g}"
    exports = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    # From the job's own clock and start. Slurm says SLURM_JOB_END_TIME only from version 23 on.
    end = f"export {drain.END}=$(( $(date +%s) + {seconds_of(config.walltime)} ))"
    # Dask's own folder would have a name that everybody knows, in a directory where everybody may make it first.
    parent = _expanded_there(config.scratch) if config.scratch else '"${TMPDIR:-/tmp}"'
    scratch = [
        f"DAJKO_SCRATCH=$(mktemp -d {parent}/dajko-job-XXXXXXXX) || exit 1",
        """trap 'rm -rf "$DAJKO_SCRATCH"' EXIT""",
    ]
    return [end, *exports, *config.prologue, *scratch]


def _expanded_there(path: str) -> str:
    """A path for a shell, in which variables, and nothing else, are what they are on the node."""
    return '"' + re.sub(r'(["\\`]|\$(?=\())', r"\\\1", path) + '"'


def _check_interface(name: str) -> None:
    found = sorted(interface for _, interface in socket.if_nameindex())
    if name not in found:
        raise InputError(f"cluster.interface: this host has no interface {name!r}; it has {', '.join(found)}")


def _try(script: str) -> None:
    """Ask Slurm whether it would take the job, and submit nothing."""
    with tempfile.NamedTemporaryFile("w", suffix=".sh") as file:
        file.write(script)
        file.flush()
        code, said = _call("sbatch", "--test-only", file.name)
    if code:
        lines = [line.removeprefix("sbatch: ") for line in said.splitlines() if not line.startswith('Try "sbatch')]
        raise InputError(f"cluster: Slurm refuses the job: {'; '.join(lines)}")


def _wait(client: Client, cluster: Any, demand: Demand, limit: float, logger: logging.Logger, logs: Path) -> None:
    """Wait for the first worker, and say now and then what it waits for."""
    started = spoken = time.monotonic()
    while not client.scheduler_info(n_workers=-1)["workers"]:
        now = time.monotonic()
        if demand.hopeless:
            raise InputError(
                f"cluster: {demand.stillborn} jobs have ended before their worker has come; {logs} says why: often there "
                "is no such Python on the nodes (cluster.python, cluster.prologue), or they do not reach this host "
                "(cluster.interface)"
            )
        if now - started > limit:
            raise InputError(
                f"cluster: no worker has come within {limit:g} s: {queue_says(cluster)}; raise cluster.wait, ask for less "
                f"memory and walltime or for another partition, and see what the jobs say in {logs}"
            )
        if now - spoken > _INTERVAL:
            spoken = now
            logger.info("waiting for a first worker: %s", queue_says(cluster))
        time.sleep(0.2)


def queue_says(cluster: Any) -> str:
    """What Slurm says of the jobs of a cluster: how many are in which state, and why they wait."""
    jobs = [job.job_id for job in list(cluster.workers.values()) if getattr(job, "job_id", None)]
    if not jobs:
        return "no job is submitted"
    code, said = _call("squeue", "--noheader", "--jobs", ",".join(jobs), "--format", "%T %r")
    if code or not said:
        return f"none of its {len(jobs)} jobs is in the queue any more"
    lines = said.splitlines()
    return "squeue says " + ", ".join(f"{lines.count(line)} {_state(line)}" for line in sorted(set(lines)))


def _state(line: str) -> str:
    state, _, reason = line.partition(" ")
    return state if reason in ("", "None") else f"{state} ({reason})"


def _call(*command: str) -> tuple[int, str]:
    """Run a command of Slurm; its exit code, and what it says."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, str(error)
    return done.returncode, (done.stdout if done.returncode == 0 else done.stderr).strip()
