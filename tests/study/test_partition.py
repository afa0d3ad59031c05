"""A network that breaks: scheduler and workers in namespaces of their own, one of which is cut off in a study."""

import os
import shutil
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest
import xarray as xr
import yaml

from dajko.study.execution.tls import make_certificates
from dajko.study.execution.warm_up import parts, warm_up
from dajko.study.store.variables import CELLS, NOT_REPRODUCIBLE, VARIABLES

ROOT = Path(__file__).parents[2]

STUDY = {"sweep": {"theta": [1e-3, 1e-2]}, "ensemble.members": 40, "block": 1, "grid.nx": 60, "solver.tol": 1e-5}

DAJKO = ["-c", "from dajko.cli import main; main()"]

# Dask's patience, short for the test: a worker that is silent is given up.
PATIENCE = {"SCHEDULER__WORKER_TTL": "30s", "COMM__TIMEOUTS__TCP": "12s", "COMM__TIMEOUTS__CONNECT": "5s"}


def why_not():
    """Why there can be no namespaces on this machine; an empty text if there can."""
    if shutil.which("ip") is None:
        return "ip is not installed (Debian: apt-get install iproute2)"
    name = f"dj{uuid.uuid4().hex[:8]}"
    done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        subprocess.run(["ip", "netns", "del", name], check=True)
        return ""
    return f"ip netns is not permitted: {done.stderr.strip()}"


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


class Network:
    """Hosts joined by a bridge, which has a namespace of its own."""

    def __init__(self, hosts):
        self.tag = uuid.uuid4().hex[:6]
        self.hosts = {host: f"10.213.0.{number}" for number, host in enumerate(hosts, 1)}

    def space(self, host):
        return f"dj{self.tag}-{host}"

    def __enter__(self):
        middle = self.space("m")
        ip("netns", "add", middle)
        ip("-n", middle, "link", "add", "bridge", "type", "bridge")
        ip("-n", middle, "link", "set", "bridge", "up")
        for host, address in self.hosts.items():
            space = self.space(host)
            ip("netns", "add", space)
            ip("-n", space, "link", "set", "lo", "up")
            ip("-n", space, "link", "add", "net0", "type", "veth", "peer", "name", host, "netns", middle)
            ip("-n", space, "addr", "add", f"{address}/24", "dev", "net0")
            ip("-n", space, "link", "set", "net0", "up")
            ip("-n", middle, "link", "set", host, "master", "bridge")
            ip("-n", middle, "link", "set", host, "up")
        return self

    def __exit__(self, *_):
        for host in (*self.hosts, "m"):
            subprocess.run(["ip", "netns", "del", self.space(host)], check=False)

    def cut(self, host):
        ip("-n", self.space("m"), "link", "set", host, "down")

    def start(self, host, log, *command):
        variables = {"PYTHONPATH": str(ROOT), **{f"DASK_DISTRIBUTED__{name}": value for name, value in PATIENCE.items()}}
        with log.open("w") as file:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.space(host), sys.executable, *map(str, command)],
                env={**os.environ, **variables},
                stdout=file,
                stderr=file,
                cwd=log.parent,
            )


@contextmanager
def ended(processes):
    try:
        yield
    finally:
        for process in processes:
            process.kill() if process.poll() is None else None
        for process in processes:
            process.wait()


@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_a_worker_that_is_cut_off_is_given_up_and_the_study_is_complete(tmp_path, tiny, make, computed):
    for part in parts(make(STUDY)):
        warm_up(part)  # into the cache: workers are silent while they compile
    tls = make_certificates(tmp_path / "tls")
    cluster = {"kind": "scheduler", "file": str(tmp_path / "scheduler.json"), "tls": tls.model_dump()}
    (tmp_path / "studies.yaml").write_text(yaml.safe_dump({"studies": {"one": tiny(STUDY)}, "cluster": cluster}))
    options = ["--tls-ca-file", tls.ca, "--tls-cert", tls.cert, "--tls-key", tls.key, "--scheduler-file", cluster["file"]]
    options += ["--dashboard-address", "127.0.0.1:0"]
    with Network(["s", "w1", "w2"]) as network:
        address = network.hosts["s"]
        started = [
            network.start(
                "s", tmp_path / "s.log", "-m", "dask", "scheduler", "--protocol", "tls", "--host", address, *options
            )
        ]
        with ended(started):
            until(Path(cluster["file"]).exists, started)
            started.extend(
                network.start(host, tmp_path / f"{host}.log", "-m", "dask", "worker", "--nthreads", 1, *options)
                for host in ("w1", "w2")
            )
            logs = [tmp_path / "w1.log", tmp_path / "w2.log"]
            until(lambda: all("Registered to" in log.read_text() for log in logs), started)
            run = network.start("s", tmp_path / "run.out", *DAJKO, "run", tmp_path / "studies.yaml", "--results", tmp_path)
            started.append(run)
            statuses = tmp_path / "one" / CELLS / "status" / "c"
            until(lambda: statuses.is_dir() and len(list(statuses.iterdir())) >= 8, started[:3])
            network.cut("w1")
            cut = len(list(statuses.iterdir()))
            assert run.wait(240) == 0, (tmp_path / "run.out").read_text()
            assert cut < 80  # it was in the middle
    computed(tmp_path / "quiet" / "one", STUDY)
    found, expected = (xr.open_zarr(d / "one" / CELLS, consolidated=False).load() for d in (tmp_path, tmp_path / "quiet"))
    for name in set(VARIABLES) - set(NOT_REPRODUCIBLE):
        assert found[name].equals(expected[name]), name
    log = (tmp_path / "s.log").read_text()
    assert network.hosts["w1"] in log
    assert "failed to heartbeat" in log or "Removing worker" in log or "Remove worker" in log, log


def until(done, processes, limit=120):
    started = time.monotonic()
    while not done():
        assert all(process.poll() is None for process in processes)
        assert time.monotonic() - started < limit
        time.sleep(0.05)
