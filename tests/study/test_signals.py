"""Signals end a run with a sentence and an exit code, and the same command computes the rest."""

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest
import yaml

from dajko.signals import Ended, answered, held_up
from dajko.study.commands.run import run_study
from dajko.study.store.cells import CellStore

DAJKO = [sys.executable, "-m", "dajko"]
SIGNALS = {signal.SIGINT: "interrupted", signal.SIGTERM: "ended by SIGTERM", signal.SIGHUP: "ended by SIGHUP"}
MANY = {"sweep": {"theta": [1e-3, 1e-2]}, "ensemble.members": 80, "block": 1}
KEPT = "what is computed is kept, and the same command computes the rest"


@pytest.fixture
def started(tmp_path, tiny):
    """Starts a run of a few hundred members in a group of its own, with a temporary directory of its own."""
    study = tiny(MANY)
    (tmp_path / "studies.yaml").write_text(yaml.safe_dump({"studies": {"one": study}}))
    (tmp_path / "tmp").mkdir(mode=0o700)
    running = []

    def start(*prefix):
        running.append(
            subprocess.Popen(
                [*prefix, *DAJKO, "run", "studies.yaml", "--workers", "2"],
                cwd=tmp_path,
                env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )
        return running[-1]

    yield start
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_for(condition, process):
    while not condition():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)


def gone(pid):
    """Whether all processes of a group are gone, a moment later."""
    deadline = time.monotonic() + 10.0
    while time.monotonic() < deadline:
        if not any(lives(process, pid) for process in psutil.process_iter()):
            return True
        time.sleep(0.05)
    return False


def lives(process, pid):
    try:
        return os.getpgid(process.pid) == pid and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("to_all", [False, True])
def test_a_run_that_is_ended(started, tmp_path, tiny, number, to_all):
    """In the middle of its work, alone or with all that it has started, and twice."""
    running = started()
    chunks = tmp_path / "results" / "one" / "cells.zarr" / "status" / "c"
    wait_for(lambda: chunks.is_dir() and any(chunks.iterdir()), running)
    for _ in range(2):
        (os.killpg if to_all else os.kill)(running.pid, number)
        time.sleep(0.1)
        if running.poll() is not None:
            break
    output, errors = running.communicate(timeout=60)
    assert running.returncode == 128 + number, errors
    assert errors.splitlines()[-1] == f"dajko: {SIGNALS[number]}; {KEPT}"
    assert all(line.startswith(("one: ", "dajko: ", "compiling kernels")) for line in errors.splitlines()), errors
    assert output == ""
    assert list((tmp_path / "tmp").glob("dajko-*")) == []
    assert gone(running.pid)
    store = CellStore(chunks.parents[1])
    before = store.counts()
    assert 0 < before["converged"] < store.size
    if number == signal.SIGTERM and to_all:
        assert run_study(tiny(MANY), chunks.parents[2], 1).computed == before["pending"]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_run_that_is_ended_while_its_cluster_starts(started, tmp_path, number):
    running = started()
    wait_for(lambda: any((tmp_path / "tmp").glob("dajko-run-*/tls")), running)
    os.killpg(running.pid, number)
    output, errors = running.communicate(timeout=60)
    assert running.returncode == 128 + number, errors
    assert errors.splitlines()[-1] == f"dajko: {SIGNALS[number]}; {KEPT}"
    assert "Traceback" not in errors
    assert "leaked" not in errors
    assert output == ""
    assert list((tmp_path / "tmp").glob("dajko-*")) == []
    assert gone(running.pid)


def test_a_signal_that_is_ignored_stays_ignored(started, tmp_path):
    """As under nohup."""
    running = started("nohup")
    chunks = tmp_path / "results" / "one" / "cells.zarr" / "status" / "c"
    wait_for(lambda: chunks.is_dir() and any(chunks.iterdir()), running)
    os.kill(running.pid, signal.SIGHUP)
    time.sleep(0.5)
    assert running.poll() is None
    os.kill(running.pid, signal.SIGTERM)
    assert running.wait(60) == 143


@pytest.fixture
def as_before():
    """Signals as they are by default, whatever a test has made of them."""
    yield
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    for timer in threading.enumerate():
        if isinstance(timer, threading.Timer):
            timer.cancel()


@pytest.mark.usefixtures("as_before")
def test_the_first_signal_counts():
    with pytest.raises(Ended) as ended, answered():
        signal.raise_signal(signal.SIGTERM)
    assert (ended.value.code, ended.value.sentence) == (143, f"ended by SIGTERM; {KEPT}")
    signal.raise_signal(signal.SIGTERM)  # while everything is closed
    assert all(signal.getsignal(number) == signal.SIG_IGN for number in SIGNALS)


@pytest.mark.usefixtures("as_before")
def test_signals_wait_for_what_must_not_be_left_half_done():
    done = []

    def work():
        with answered():
            with held_up():
                signal.raise_signal(signal.SIGHUP)
                done.append(1)
            done.append(2)

    with pytest.raises(Ended):
        work()
    assert done == [1]


def test_without_a_signal_everything_is_as_before():
    before = [signal.getsignal(number) for number in SIGNALS]
    with answered():
        assert all(signal.getsignal(number) not in (signal.SIG_DFL, signal.SIG_IGN) for number in SIGNALS)
    assert [signal.getsignal(number) for number in SIGNALS] == before
