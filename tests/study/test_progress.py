"""What people see of a run: in a terminal, in ``screen``, in a file; and how the time of a run was spent."""

import json
import logging
import os
import pty
import re
import subprocess
import sys
from itertools import pairwise

import pytest

from dajko.study.commands.run import run_study
from dajko.study.execution.performance import Performance, runs
from dajko.study.execution.progress import StudyProgress, logged
from dajko.study.execution.task import BlockReport
from dajko.study.store.cells import Block
from dajko.study.store.variables import PERFORMANCE

# What a run does with its log and its progress.
_RUN = """
import sys
from pathlib import Path
from dajko.study.execution.progress import StudyProgress, logged
with logged(Path(sys.argv[1]), quiet=False) as (logger, bar):
    logger.info("one: dashboard: http://127.0.0.1:1234/status")
    progress = StudyProgress("one", 6, 0, logger, bar)
    progress.advance(3, 1)
    logger.warning("one: cell 2: failed: [red]no markup[/red]")
    progress.advance(3, 0)
"""


def shown(directory, terminal=None, **environment):
    """What a run writes to its standard error, which is a terminal of 80 columns of that kind, or a pipe."""
    command = [sys.executable, "-c", _RUN, str(directory)]
    env = {**os.environ, "TERM": terminal or "xterm", "COLUMNS": "80", **environment}
    if terminal is None:
        return subprocess.run(command, env=env, stderr=subprocess.PIPE, check=True).stderr.decode()
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, env=env, stderr=theirs) as running:
        os.close(theirs)
        found = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            found += part
    os.close(ours)
    assert running.returncode == 0
    return found.decode()


@pytest.mark.parametrize("terminal", ["xterm-256color", "screen"])
def test_a_terminal_has_a_bar_and_single_lines_above_it(tmp_path, terminal):
    text = shown(tmp_path, terminal)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert "one: dashboard: http://127.0.0.1:1234/status" in plain.splitlines()
    assert "one: cell 2: failed: [red]no markup[/red]" in plain.splitlines()
    assert "6/6" in plain
    assert "1 without a result" in plain
    assert "members computed" not in plain
    assert text.rstrip().endswith("\x1b[?25h")  # the cursor is there again
    assert "6 of 6 members computed, 1 without a result" in (tmp_path / "run.log").read_text()


@pytest.mark.parametrize(
    ("terminal", "environment"),
    [(None, {}), (None, {"FORCE_COLOR": "1"}), ("dumb", {})],
    ids=["pipe", "pipe of a service that forces colours", "dumb terminal"],
)
def test_elsewhere_there_are_plain_lines(tmp_path, terminal, environment):
    lines = shown(tmp_path, terminal, **environment).splitlines()
    assert lines[0] == "one: dashboard: http://127.0.0.1:1234/status"
    assert lines[1] == "one: cell 2: failed: [red]no markup[/red]"
    assert lines[2].startswith("one: 6 of 6 members computed, 1 without a result, ")
    assert len(lines) == 3
    assert not any("\x1b" in line for line in lines)


def test_plain_lines_come_at_growing_intervals():
    """Ten hours of a block a second: dense at first, never more than ten minutes apart, and the last block is told."""
    now, lines = [0.0], []
    logger = logging.Logger("test")
    handler = logging.Handler()
    handler.emit = lambda record: lines.append((now[0], record.getMessage()))
    logger.addHandler(handler)
    progress = StudyProgress("one", 72_000, 0, logger, None, clock=lambda: now[0])
    for second in range(1, 36_001):
        now[0] = float(second)
        progress.advance(2, 0)
    times = [0.0, *(at for at, _ in lines)]
    gaps = [b - a for a, b in pairwise(times)]
    assert gaps[0] == 5.0
    assert all(a <= b for a, b in pairwise(gaps[:-1]))
    assert max(gaps) == 600.0
    assert len(lines) < 80
    assert lines[0][1] == "one: 10 of 72000 members computed, 0 without a result, 2/s, 9 h 59 min 55 s left".replace(
        " 55 s", ""
    )
    assert lines[-1] == (36_000.0, "one: 72000 of 72000 members computed, 0 without a result, 2/s, 0 s left")


def test_a_full_disk_silences_the_log_and_nothing_else(tmp_path, capsys):
    with logged(tmp_path, quiet=True) as (logger, _):
        (file,) = logger.handlers
        file.setStream(open("/dev/full", "w")).close()  # noqa: PTH123, SIM115
        logger.info("lost")
    assert capsys.readouterr().err == ""


def test_the_sums_of_a_run():
    performance = Performance(2)
    for worker, seconds in (("a:1", 1.0), ("a:1", 3.0), ("a:2", 2.0)):
        performance.add(BlockReport(Block(0, 0, 4), 4, (), seconds / 2, seconds, worker))
    found = performance.as_dict()
    assert (found["tasks"], found["cells"], found["busy_seconds"], found["solver_seconds"]) == (3, 12, 6.0, 3.0)
    assert found["task_seconds"] == {"least": 1.0, "10 %": 1.2, "median": 2.0, "90 %": 2.8, "most": 3.0}
    assert found["by_worker"]["a:1"] == {"tasks": 2, "cells": 8, "busy_seconds": 4.0, "solver_seconds": 2.0}


def test_a_study_keeps_how_its_runs_spent_their_time(tmp_path, tiny, address):
    directory = tmp_path / "one"
    report = run_study(tiny({"block": 2}), directory, address, quiet=True)
    run_study(tiny({"block": 2}), directory, address, quiet=True)  # computes nothing, and is no run
    run_study(tiny({"block": 2, "ensemble.members": 4}), directory, address, quiet=True)
    first, second = runs(directory)
    assert (first["cells"], first["tasks"], first["workers"], second["cells"]) == (6, 3, 2, 2)
    assert first["busy_seconds"] == pytest.approx(report.busy_seconds)
    assert first["solver_seconds"] == pytest.approx(report.solver_seconds)
    assert sum(share["cells"] for share in first["by_worker"].values()) == 6
    assert 0 < first["busy_share"] <= 1
    assert "dashboard" in (directory / "run.log").read_text()
    (directory / PERFORMANCE).write_text("{")  # what somebody else has damaged harms no run
    assert run_study(tiny({"block": 2, "ensemble.members": 5}), directory, address, quiet=True).computed == 2
    assert len(json.loads((directory / PERFORMANCE).read_text())["runs"]) == 1
