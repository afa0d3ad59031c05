"""Certificates, and what a scheduler on a network takes from whom: real schedulers and workers, as their own programs."""

import gc
import os
import re
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import xarray as xr
import yaml
from click.testing import CliRunner
from distributed import Client, Security

from dajko.cli import main
from dajko.errors import InputError
from dajko.study.commands.run import run_study
from dajko.study.config.cluster import Certificates, SchedulerAddress
from dajko.study.execution.tls import in_directory, make_certificates, on_this_machine, security, security_for
from dajko.study.store.variables import CELLS, NOT_REPRODUCIBLE, VARIABLES

STUDY = {"sweep": {"theta": [1e-3, 1e-2]}, "ensemble.members": 4, "block": 2}


def own_address():
    """An address of this machine that is not loopback, if it has one."""
    for addresses in psutil.net_if_addrs().values():
        for found in addresses:
            if found.family == socket.AF_INET and not on_this_machine(f"tcp://{found.address}"):
                return found.address
    return "127.0.0.1"


def options(certificates):
    return ["--tls-ca-file", certificates.ca, "--tls-cert", certificates.cert, "--tls-key", certificates.key]


@contextmanager
def running(folder, *arguments, workers=1, host=None):
    """A scheduler and workers as programs; the scheduler file and their process ids."""
    file, started = folder / "scheduler.json", []

    def start(*command):
        with (folder / "dask.log").open("a") as log:
            line = [sys.executable, "-m", "dask", *command, "--dashboard-address", "127.0.0.1:0", *arguments]
            started.append(subprocess.Popen(line, stdout=log, stderr=log, cwd=folder))

    try:
        start("scheduler", "--port", "0", "--host", host or own_address(), "--scheduler-file", str(file))
        for _ in range(workers):
            start("worker", "--scheduler-file", str(file), "--nthreads", "1")
        while not file.exists():
            assert all(process.poll() is None for process in started), (folder / "dask.log").read_text()
            time.sleep(0.05)
        yield file, [process.pid for process in started]
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait(30)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("tls") / "set")


@pytest.fixture(scope="module")
def safe(tmp_path_factory, certificates):
    """A TLS cluster of one worker: its scheduler file, and its processes."""
    with running(tmp_path_factory.mktemp("cluster"), "--protocol", "tls", *options(certificates)) as found:
        yield found


@pytest.fixture(scope="module")
def safe_address(safe):
    return re.search(r'"address": "(tls://[^"]+)"', safe[0].read_text())[1]


def test_what_is_made(tmp_path):
    made = make_certificates(tmp_path / "deep" / "set")
    assert stat.S_IMODE((tmp_path / "deep" / "set").stat().st_mode) == 0o700
    assert sorted(p.name for p in (tmp_path / "deep" / "set").iterdir()) == ["ca.pem", "cert.pem", "key.pem"]
    for path in (tmp_path / "deep" / "set").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "PRIVATE" not in Path(made.ca).read_text() + Path(made.cert).read_text()
    with pytest.raises(InputError, match=r"set: holds ca\.pem already"):
        make_certificates(tmp_path / "deep" / "set")


def test_a_set_is_good_for_openssl_in_its_strictest_mode(certificates):
    context = ssl.create_default_context(cafile=certificates.ca)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", certificates.ca, certificates.cert], check=True)


def test_the_command_makes_a_set(tmp_path):
    result = CliRunner().invoke(main, ["cluster", "certificates", str(tmp_path / "set")])
    assert result.exit_code == 0, result.output
    assert f"--tls-ca-file {tmp_path}/set/ca.pem" in result.output
    assert security(in_directory(tmp_path / "set")).require_encryption
    again = CliRunner().invoke(main, ["cluster", "certificates", str(tmp_path / "set")])
    assert (again.exit_code, again.output) == (
        2, f"dajko: {tmp_path}/set: holds ca.pem already; give another directory, or remove it\n",
    )  # fmt: skip


def test_files_that_cannot_be_used(tmp_path, certificates):
    with pytest.raises(InputError, match=r"cluster\.tls\.ca: .*nowhere: cannot be read: No such file"):
        security(certificates.model_copy(update={"ca": str(tmp_path / "nowhere")}))
    with pytest.raises(InputError, match=r"cluster\.tls: .* are not a certificate and its key"):
        security(certificates.model_copy(update={"cert": certificates.ca}))
    (tmp_path / "text").write_text("hello")
    with pytest.raises(InputError, match=r"cluster\.tls\.ca: .*text: is not a certificate in PEM format"):
        security(certificates.model_copy(update={"ca": str(tmp_path / "text")}))
    open_key = tmp_path / "key.pem"
    open_key.write_bytes(Path(certificates.key).read_bytes())
    open_key.chmod(0o640)
    with pytest.raises(InputError, match=r"can be read by others than its owner; chmod 600"):
        security(certificates.model_copy(update={"key": str(open_key)}))


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("tcp://127.0.0.1:8786", True),
        ("127.0.0.9:8786", True),
        ("tcp://localhost:1", True),
        ("tcp://[::1]:8786", True),
        ("tcp://10.0.0.1:8786", False),
        ("10.0.0.1:8786", False),
        ("ws://login01:8786", False),
        ("tcp://0.0.0.0:8786", False),
        ("tcp://[fd00::2]:8786", False),
    ],
)
def test_plain_text_stays_on_this_machine(address, local):
    assert on_this_machine(address) is local
    if local:
        assert security_for(address, None, False) is None
        return
    with pytest.raises(InputError, match=r"is plain text on a network.*dajko cluster certificates.*allow_plain_text: true"):
        security_for(address, None, False)
    assert security_for(address, None, True) is None


def test_tls_needs_certificates(certificates):
    with pytest.raises(InputError, match=r"cluster\.tls: is missing, but tls://10\.0\.0\.1:8786 needs certificates"):
        security_for("tls://10.0.0.1:8786", None, True)
    with pytest.raises(InputError, match=r"is plain text, but cluster\.tls is given"):
        security_for("tcp://127.0.0.1:8786", certificates, True)


# --- a scheduler on a network ---------------------------------------------------------------------------------------------


def test_a_study_over_tls_has_the_same_bits(tmp_path, tiny, computed, safe, certificates):
    computed(tmp_path / "quiet" / "one", STUDY)
    cluster = SchedulerAddress(kind="scheduler", file=str(safe[0]), tls=certificates)
    report = run_study(tiny(STUDY), tmp_path / "one", cluster, quiet=True)
    assert (report.computed, report.missing) == (8, 0)
    found, expected = (
        xr.open_zarr(d / CELLS, consolidated=False).load() for d in (tmp_path / "one", tmp_path / "quiet" / "one")
    )
    for name in set(VARIABLES) - set(NOT_REPRODUCIBLE):
        assert found[name].equals(expected[name]), name


def test_the_batch_script_of_the_documentation_starts_workers(tmp_path, tiny, certificates):
    page = Path(__file__).parents[2] / "docs" / "hpc.md"
    script = re.search(r"```bash\n(#!/bin/bash\n#PBS .*?)```", page.read_text(encoding="utf-8"), re.DOTALL)[1]
    assert "--nworkers 8 " in script
    shutil.copytree(Path(certificates.ca).parent, tmp_path / ".dajko" / "tls")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    kernels = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    with running(tmp_path, "--protocol", "tls", *options(certificates), workers=0) as (file, _):
        job = subprocess.Popen(
            ["bash", "-c", script.replace("--nworkers 8 ", "--nworkers 1 ")],
            env={
                **os.environ,
                "PATH": path,
                "HOME": str(tmp_path),
                "XDG_CACHE_HOME": kernels,
                "PBS_O_WORKDIR": str(tmp_path),
            },
            stderr=subprocess.DEVNULL,
        )
        try:
            cluster = SchedulerAddress(kind="scheduler", file=str(file), tls=certificates)
            assert run_study(tiny(STUDY), tmp_path / "one", cluster, quiet=True).computed == 8
        finally:
            job.terminate()
            job.wait(30)


def test_the_command_line_names_a_scheduler_and_certificates(tmp_path, tiny, safe, safe_address, certificates):
    """In place of the cluster of the file, by the scheduler's file or its address; what is there is not computed again."""
    path = tmp_path / "studies.yaml"
    path.write_text(yaml.safe_dump({"studies": {"one": tiny(STUDY)}, "cluster": {"kind": "local", "workers": 1}}))
    given = ["--results", str(tmp_path), "--certificates", str(Path(certificates.ca).parent)]
    for where, computed in ((str(safe[0]), 8), (safe_address, 0)):
        result = CliRunner().invoke(main, ["run", str(path), "--scheduler", where, *given])
        assert (result.exit_code, f"8 converged, {computed} computed now" in result.output) == (0, True), result.output
    assert f"workers of the scheduler {safe_address}" in (tmp_path / "one" / "run.log").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--scheduler", "tls://10.0.0.1:1", "--workers", "2"], "give either --workers or --scheduler"),
        (["--certificates", "set"], "--certificates goes with --scheduler"),
        (["--scheduler", ""], "--scheduler must not be empty"),
    ],
)
def test_options_that_do_not_go_together(tmp_path, tiny, options, message):
    (tmp_path / "studies.yaml").write_text(yaml.safe_dump({"studies": {"one": tiny(STUDY)}}))
    for command in (["run", str(tmp_path / "studies.yaml")], ["retry", str(tmp_path)]):
        result = CliRunner().invoke(main, [*command, *options])
        assert (result.exit_code, result.output) == (2, f"dajko: {message}\n")
    assert [file.name for file in tmp_path.iterdir()] == ["studies.yaml"]


def strangers(folder, certificates):
    """Who must not get in: with no certificate, or with one of another authority."""
    other = make_certificates(folder / "other")
    return {
        "no certificate": Security(tls_ca_file=certificates.ca, require_encryption=True),
        "another authority": security(other),
        "another authority, trusting ours": security(Certificates(ca=certificates.ca, cert=other.cert, key=other.key)),
    }


def submits(address, settings):
    """Whether a client can have a function called."""
    try:
        with Client(address, security=settings, timeout=2, set_as_default=False) as client:
            return client.submit(os.getpid, pure=False).result(timeout=20) > 0
    except (OSError, TimeoutError, TypeError, RuntimeError):
        return False
    finally:
        gc.collect()  # what is left of a refused client would lock up the next one


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # what distributed leaves of refused clients
def test_strangers_cannot_submit_work(tmp_path, safe_address, certificates):
    assert submits(safe_address, security(certificates))
    for who, settings in strangers(tmp_path, certificates).items():
        assert not submits(safe_address, settings), who
    assert not submits(safe_address.replace("tls://", "tcp://"), None)
    assert submits(safe_address, security(certificates))


def listening(pids):
    """Addresses at which processes and their children listen."""
    family = [p for pid in pids for p in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))]
    return {c.laddr for process in family for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN}


def speaks_without_certificate(host, port):
    """Whether a server answers, by TLS or in plain text, somebody who has no certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for wrap in (context.wrap_socket, lambda raw: raw):
        with socket.create_connection((host, port), timeout=5) as raw:
            try:
                with wrap(raw) as stream:
                    stream.settimeout(2)
                    stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    if stream.recv(1):
                        return True
            except (OSError, ssl.SSLError):
                continue
    return False


def test_nothing_beyond_loopback_speaks_to_strangers(safe, safe_address, certificates):
    with Client(safe_address, security=security(certificates), set_as_default=False) as client:
        client.wait_for_workers(1, timeout=60)
    found = listening(safe[1])
    assert len(found) >= 3  # scheduler, worker, nanny
    for host, port in found:
        if not on_this_machine(f"tcp://[{host}]" if ":" in host else f"tcp://{host}"):
            assert not speaks_without_certificate(own_address() if host in ("0.0.0.0", "::") else host, port), (host, port)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_study_with_the_wrong_certificates_says_so(tmp_path, tiny, safe_address):
    cluster = SchedulerAddress(kind="scheduler", address=safe_address, tls=make_certificates(tmp_path / "other"), wait=3)
    with pytest.raises(
        InputError, match=r"cluster\.address: no scheduler answers at tls://.* with certificates of the same authority"
    ):
        run_study(tiny(STUDY), tmp_path / "one", cluster, quiet=True)


@pytest.mark.skipif(own_address() == "127.0.0.1", reason="this machine has no address but loopback")
def test_a_plain_scheduler_on_the_network_is_refused_unless_allowed(tmp_path, tiny):
    with running(tmp_path) as (file, _):
        refused = SchedulerAddress(kind="scheduler", file=str(file))
        with pytest.raises(InputError, match=r"cluster\.file: tcp://.* is plain text on a network"):
            run_study(tiny(STUDY), tmp_path / "one", refused, quiet=True)
        allowed = refused.model_copy(update={"allow_plain_text": True})
        assert run_study(tiny(STUDY), tmp_path / "one", allowed, quiet=True).computed == 8
