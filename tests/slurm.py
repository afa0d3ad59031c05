"""A Slurm of its own on this machine: munged, slurmctld and slurmd in a scratch folder, as root, without systemd."""

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

_CONFIGURATION = """
ClusterName=dajko
SlurmctldHost={host}
SlurmctldPort={controller}
SlurmdPort={node}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/ctld
SlurmdSpoolDir={folder}/d
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
ReturnToService=2
MinJobAge=300
KillWait=2
OverTimeLimit=0
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""

_PROGRAMS = ("munged", "mungekey", "slurmctld", "slurmd", "sbatch", "squeue", "srun", "scancel", "sinfo")


def why_not():
    """Why there can be no Slurm on this machine; an empty text if there can."""
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"{missing[0]} is not installed (Debian: apt-get install slurm-wlm munge)"
    return "" if os.getuid() == 0 else "a Slurm of its own needs root"


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def running(folder: Path):
    """Start Slurm with all cores of this machine as its only node; the environment in which its commands reach it."""
    for part in ("ctld", "d"):
        (folder / part).mkdir(parents=True)
    host = socket.gethostname().split(".")[0]
    text = _CONFIGURATION.format(host=host, folder=folder, controller=free_port(), node=free_port(), cpus=os.cpu_count())
    configuration = folder / "slurm.conf"
    configuration.write_text(text)
    # Snakemake's plugin takes SLURM_CONF from its jobs; elsewhere the configuration is where srun looks for it.
    wrapper = folder / "bin" / "srun"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nSLURM_CONF={configuration} exec {shutil.which("srun")} "$@"\n')
    wrapper.chmod(0o755)
    path = f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "SLURM_CONF": str(configuration), "PATH": path}
    subprocess.run(["mungekey", "--create", f"--keyfile={folder}/munge.key"], check=True)
    started = []

    def start(*command):
        log = (folder / f"{command[0]}.out").open("w")
        started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT))

    files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    try:
        start("munged", "--foreground", "--force", *(f"--{option}={folder}/munge.{end}" for option, end in files.items()))
        _until(lambda: (folder / "munge.socket").exists(), folder)
        start("slurmctld", "-D", "-f", str(configuration))
        start("slurmd", "-D", "-f", str(configuration))
        _until(lambda: "idle" in _said(environment, "sinfo", "-h", "-o", "%T"), folder)
        yield environment
    finally:
        _said(environment, "scancel", "--user=root")
        for process in reversed(started):
            process.send_signal(signal.SIGTERM)
        for process in started:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _said(environment, *command):
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout


def _until(done, folder, limit=60):
    started = time.monotonic()
    while not done():
        if time.monotonic() - started > limit:
            logs = "\n".join(
                f"{path.name}: {path.read_text()[-2000:]}" for path in folder.glob("*.*") if path.suffix in (".out", ".log")
            )
            raise RuntimeError(f"Slurm has not started:\n{logs}")
        time.sleep(0.1)
