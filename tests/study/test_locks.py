"""Who may write a study together."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import dajko.study.store.lease as lease_module
from dajko.errors import InputError
from dajko.study.store.journal import record
from dajko.study.store.lease import LIFETIME, Lease, holder_of
from dajko.study.store.locks import alone, entrance, holders, writing


@pytest.mark.parametrize(
    ("held", "wanted", "together"),
    [
        ((0, 1), (0, 1), False),
        ((0, 2), (1, 2), True),
        ((0, 2), (0, 2), False),
        ((0, 1), (1, 2), False),  # a run of all cells, and a job of a slab
        ((1, 2), (0, 1), False),
        ((1, 2), (2, 3), False),  # two divisions
    ],
)
def test_two_writers(tmp_path, held, wanted, together):
    with entrance(tmp_path):
        first = writing(tmp_path, *held)
        first.__enter__()
    with entrance(tmp_path):
        if together:
            with writing(tmp_path, *wanted):
                assert len(holders(tmp_path)) == 2
        else:
            with pytest.raises(InputError, match="another run is writing this study; wait for it or stop it"):
                writing(tmp_path, *wanted).__enter__()
    first.__exit__(None, None, None)
    with entrance(tmp_path), writing(tmp_path, *wanted):
        assert len(holders(tmp_path)) == 1
    assert holders(tmp_path) == []


def test_alone(tmp_path):
    with alone(tmp_path), pytest.raises(InputError, match="another run"), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass


def test_the_lock_of_a_process_that_is_killed_is_free(tmp_path):
    program = "import sys, time; from pathlib import Path; from dajko.study.store.locks import alone\n"
    program += "with alone(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        assert holders(tmp_path) == ["slab-0-of-1"]
        os.kill(process.pid, signal.SIGKILL)
    assert holders(tmp_path) == []
    with alone(tmp_path):
        pass


def test_a_directory_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/one: cannot be written"), entrance(tmp_path / "file" / "one"):
        pass


# --- leases ---------------------------------------------------------------------------------------------------------------


def left(path, number=1, **changes):
    """The file of a holder on another host, last heard of long ago unless ``age`` says otherwise."""
    age = changes.pop("age", 10 * LIFETIME)
    file = path.with_name(f"{path.name}.{number}")
    file.write_text(json.dumps({"host": "another", "pid": 1, "started": 0.0, "place": "another/0", **changes}) + "\n")
    os.utime(file, (time.time() - age,) * 2)
    return file


def test_no_lock_of_the_system_is_asked_for(tmp_path, monkeypatch):
    """Some network file systems answer ENOLCK, EOPNOTSUPP or EIO, or lock on one host alone."""
    for name in ("flock", "lockf", "fcntl"):
        monkeypatch.setattr(fcntl, name, lambda *_: (_ for _ in ()).throw(OSError(errno.ENOLCK, "No locks available")))
    with alone(tmp_path):
        record(tmp_path, [{"id": "a"}])
        assert holders(tmp_path) == ["slab-0-of-1"]


def test_what_a_host_that_is_gone_has_left_is_free(tmp_path):
    (tmp_path / ".locks").mkdir()
    left(tmp_path / ".locks" / "entrance")
    left(tmp_path / ".locks" / "slab-0-of-1", 7)
    assert holders(tmp_path) == []
    with alone(tmp_path):
        assert holders(tmp_path) == ["slab-0-of-1"]
        assert (tmp_path / ".locks" / "slab-0-of-1.8").exists()


def test_a_run_on_another_host_is_named(tmp_path):
    (tmp_path / ".locks").mkdir()
    left(tmp_path / ".locks" / "slab-0-of-1", age=20.0, host="node7", pid=4711)
    says = r"stop it: process 4711 on node7, last heard of \d+ s ago; if it is gone, its lock is free after 60 s"
    with pytest.raises(InputError, match=says), alone(tmp_path):
        pass


def test_a_process_of_this_host_that_is_stopped_keeps_its_lock(tmp_path):
    lease = Lease(tmp_path / "a")
    assert lease.acquire(wait=False) is None
    os.utime(tmp_path / "a.1", (0, 0))
    assert holder_of(tmp_path / "a").pid == os.getpid()
    lease.release()
    assert holder_of(tmp_path / "a") is None


def test_one_that_waits_says_for_whom(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(lease_module, "_SAY", 0.0)
    monkeypatch.setattr(lease_module, "_POLL", 0.01)
    file = left(tmp_path / "a", age=0.0, host="node7", pid=4711)
    monkeypatch.setattr(lease_module.time, "sleep", lambda _: os.utime(file, (0, 0)))
    with Lease(tmp_path / "a"):
        pass
    assert [r.getMessage() for r in caplog.records] == [
        f"{tmp_path}/a: waiting for 0 s for process 4711 on node7, last heard of 0 s ago; if it is gone, its lock is free "
        "after 60 s"
    ]


def test_a_lease_that_is_lost_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(lease_module, "BEAT", 0.01)
    lost = threading.Event()
    lease = Lease(tmp_path / "a", lost.set)
    lease.acquire()
    left(tmp_path / "a", 2)
    assert lost.wait(30)


def test_of_those_that_take_a_lease_over_one_wins(tmp_path):
    """Processes that race for what a dead host has left, again and again; a file that only one may create tells of two."""
    program = """
import os, sys, time
from pathlib import Path
from dajko.study.store.lease import Lease
folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
for i in range(rounds):
    lease = Lease(folder / str(i) / "a")
    while lease.acquire(wait=False) is not None:
        pass
    inside = os.open(folder / str(i) / "inside", os.O_CREAT | os.O_EXCL)
    time.sleep(0.001)
    os.close(inside)
    os.unlink(folder / str(i) / "inside")
    lease.release()
"""
    rounds = 100
    for i in range(rounds):
        (tmp_path / str(i)).mkdir()
        left(tmp_path / str(i) / "a", 3)
    started = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path), str(rounds)], stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for process in started:
        _, says = process.communicate()
        assert (process.returncode, says) == (0, "")
    for i in range(rounds):
        assert [p.name for p in (tmp_path / str(i)).iterdir()] == ["a.6"]
