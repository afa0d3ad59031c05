"""A short version of ``make soak``: one run of each kind, 300 damaged configurations; and that its judges can say no."""

import json
import os
import shutil
import tempfile
import warnings
from functools import partial
from pathlib import Path

import pytest
from filelock import FileLock

from dajko.errors import InputError
from dajko.study.store.cells import CellStore
from soak import counting, studies
from soak.attack import attacked, can_be_another_user, unprotected
from soak.damage import damaged
from soak.disks import can_mount, disk_full
from soak.fuzz import answer, fuzz
from soak.kills import Undisturbed, in_own_folder, scheduler_killed, undisturbed, workers_killed, workflow_killed
from soak.outcome import Outcome
from soak.stores import store_damaged

MEMBERS = 40

# --- studies --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def whole(tmp_path_factory, worker_id):
    """The undisturbed study, run once however many processes test, and its folder."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "soak"
    with FileLock(f"{folder}.lock"):
        known = folder / "whole.json"
        if not known.exists():
            found = undisturbed(folder, MEMBERS)
            known.write_text(json.dumps(vars(found)))
    return folder, Undisturbed(**json.loads(known.read_text()))


@pytest.mark.parametrize(
    "disturb",
    [
        pytest.param(workers_killed, id="workers"),
        pytest.param(partial(workflow_killed, runner="dajko"), id="dajko"),
        pytest.param(partial(workflow_killed, runner="snakemake"), id="snakemake"),
        pytest.param(scheduler_killed, id="scheduler"),
    ],
)
def test_a_study_that_is_killed(tmp_path, whole, disturb, request):
    outcome = in_own_folder(disturb, tmp_path, f"1-{request.node.callspec.id}-0", whole[1])
    assert outcome.problems == []
    assert outcome.computed == whole[1].cells


def test_a_disk_that_fills_up(tmp_path, whole):
    if not can_mount(tmp_path / "small"):
        pytest.skip("a small file system can only be mounted by root")
    outcome = in_own_folder(disk_full, tmp_path, "1-disk-0", whole[1])
    assert outcome.problems == []
    assert outcome.disturbances == 2


def test_a_store_that_is_damaged(tmp_path, whole):
    outcome = in_own_folder(store_damaged, tmp_path, "1-store-0", whole[1])
    assert outcome.problems == []
    assert outcome.disturbances == 5


def test_an_attack_that_succeeds_on_dasks_own_settings_brings_nothing_from_a_study():
    """As another user where this process may become one, else as somebody without certificates."""
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        Path(folder).chmod(0o755)  # pytest's own folders cannot be entered by others
        before, stopped = unprotected(Path(folder) / "before")
        outcome, loot = attacked(Path(folder) / "after", "dajko")
    assert {said.split(": ")[1] for said in before.ran} == {f"code was run as the user {os.getuid()}, with plain text"}
    assert len(before.ran) == 3  # the scheduler, a nanny and a worker
    assert before.pages
    assert before.spoilt
    assert stopped
    assert outcome.problems == []
    assert loot.everything == []
    assert loot.listening >= 3
    assert loot.uid != os.getuid() or not can_be_another_user()


@pytest.fixture
def copied(whole, tmp_path):
    """A copy of the undisturbed run, to be spoilt: its configuration and the log of its workers."""
    folder = tmp_path / "copy"
    shutil.copytree(whole[0], folder)
    return folder / "studies.yaml", folder / "cells.log"


def judged(copied, whole):
    outcome = Outcome("copy", "0")
    outcome.judge(*copied, whole[1].chunks, whole[1].cells, 0)
    return outcome.problems


def test_the_judge_has_nothing_against_the_undisturbed_run(copied, whole):
    assert judged(copied, whole) == []


def test_the_judge_sees_another_bit(copied, whole):
    store = CellStore(studies.store(copied[0]))
    values = store.array(0, "energy")[:16]
    values[3, 2] *= 1 + 1e-15
    store.array(0, "energy")[:16] = values
    assert judged(copied, whole) == ["1 chunks differ from the undisturbed store, the first energy/c/0/0"]


def test_the_judge_sees_a_chunk_that_is_missing(copied, whole):
    next(studies.store(copied[0]).glob("mass/c/2/*")).unlink()
    assert judged(copied, whole) == ["1 chunks differ from the undisturbed store, the first mass/c/2/0"]


def test_the_judge_sees_a_cell_that_is_computed_again(copied, whole):
    with copied[1].open("a") as log:
        log.write(json.dumps({"event": "start", "pid": 1, "cells": [5]}) + "\n")
    assert judged(copied, whole) == [
        "1 cells were computed again after they had been written: [5]",
        "1 computations were repeated, at most 0 were in flight",
    ]


def test_counting_reads_what_was_written_to_its_end(tmp_path):
    log = tmp_path / "log"
    lines = [{"event": "worker", "pid": 7, "cells": []}, {"event": "start", "pid": 7, "cells": [1, 2]}]
    log.write_text("".join(json.dumps(line) + "\n" for line in [*lines, lines[1]]) + '{"event": "wri')
    found = counting.count(log)
    assert (found.computed, found.again, found.repeated, found.wasted, counting.workers(log)) == (2, 2, 2, [], [7])


# --- configurations -------------------------------------------------------------------------------------------------------


def test_damaged_configurations_are_answered():
    """Those of ``python -m soak fuzz --count 300``."""
    answers = list(fuzz(1, list(range(300)), processes=1))
    assert sorted(a.number for a in answers) == list(range(300))
    assert [f"{a.number} ({a.damage}): {a.problem}" for a in answers if a.problem] == []
    assert 10 < sum(a.accepted for a in answers) < 150  # the damage is neither always fatal nor always harmless


def test_damage_is_decided_by_seed_and_number():
    assert damaged(3, 5) == damaged(3, 5)
    assert len({damaged(3, number)[1] for number in range(20)}) == 20
    assert damaged(3, 5) != damaged(4, 5)


@pytest.mark.parametrize(
    ("raised", "problem"),
    [
        (ValueError("oops"), "ValueError: oops"),
        (RecursionError("deep"), "RecursionError: deep"),
        (SystemExit(1), "exit code 1"),
    ],
)
def test_an_answer_that_is_none(monkeypatch, raised, problem):
    def broken(_):
        raise raised

    monkeypatch.setattr("dajko.study.config.parse.read_studies", broken)
    assert answer(0, "none", b"studies: {}").problem.startswith(problem)


def test_an_answer_that_warns_or_writes(monkeypatch):
    def warning(path):
        warnings.warn("loudly", RuntimeWarning, stacklevel=1)
        raise InputError(f"{path}: is bad")

    monkeypatch.setattr("dajko.study.config.parse.read_studies", warning)
    assert answer(0, "none", b"").problem.startswith("warning: RuntimeWarning: loudly")

    def writing(path):
        Path("left").touch()
        raise InputError(f"{path}: is bad")

    monkeypatch.setattr("dajko.study.config.parse.read_studies", writing)
    assert answer(0, "none", b"").problem == "something was written: ['left', 'studies.yaml']"
