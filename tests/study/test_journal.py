"""failures.jsonl: nothing in it is lost, whatever is killed, and whoever writes at the same time."""

import json
import math
import threading

import pytest

from dajko.status import Status
from dajko.study.design.identity import id_text
from dajko.study.execution.task import Task, run_block
from dajko.study.store.cells import CellStore
from dajko.study.store.journal import entries, last_entries, record
from dajko.study.store.prepare import prepare
from dajko.study.store.variables import FAILURES

FAILING = {"sweep": {"solver.max_iterations": [1, 100_000]}, "block": 4}


def test_lines_are_appended(tmp_path):
    record(tmp_path, [{"id": "a", "message": "one"}])
    record(tmp_path, [{"id": "b"}, {"id": "a", "message": "two"}])
    record(tmp_path, [])
    assert [e["id"] for e in entries(tmp_path)] == ["a", "b", "a"]
    assert last_entries(tmp_path)["a"]["message"] == "two"
    assert all(e["time"].endswith("+00:00") for e in entries(tmp_path))


def test_a_line_that_was_not_finished_harms_no_other(tmp_path):
    record(tmp_path, [{"id": "a"}])
    with (tmp_path / FAILURES).open("a") as journal:
        journal.write('{"id": "b", "mess')
    record(tmp_path, [{"id": "c"}])
    assert [e["id"] for e in entries(tmp_path)] == ["a", "c"]


def test_every_line_is_json(tmp_path):
    record(tmp_path, [{"id": "a", "theta": math.inf, "residual": [1.0, math.nan], "low": -math.inf}])

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    (line,) = (tmp_path / FAILURES).read_text().splitlines()
    found = json.loads(line, parse_constant=refuse)
    assert (found["theta"], found["residual"], found["low"]) == ("Infinity", [1.0, None], "-Infinity")


def test_writers_at_the_same_time(tmp_path):
    threads = [
        threading.Thread(target=lambda i=i: [record(tmp_path, [{"id": f"{i}-{j}"}]) for j in range(20)]) for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(last_entries(tmp_path)) == 80


def test_a_failed_member_keeps_what_is_known(tmp_path, make, computed):
    """Message, parameters, setting, and the residual of each step."""
    directory, plan = tmp_path / "one", make(FAILING)
    store = computed(directory, FAILING)
    known = last_entries(directory)
    assert len(known) == 3
    for number in range(3):
        entry = known[id_text(int(store.array(0, "cell_id")[number]))]
        assert (entry["cell"], entry["member"], entry["group"]) == (number, number, "")
        assert (entry["status"], entry["kind"]) == ("not_converged", "iteration limit")
        assert entry["parameters"] == plan.points[0] == {"solver.max_iterations": 1}
        assert entry["setting"] == {}
        assert entry["message"].startswith("step 1: the iteration limit was reached")
        assert entry["history"]["status"] == [Status.NOT_CONVERGED] * 3
        assert entry["history"]["iterations"] == [1, 1, 1]
        assert entry["history"]["residual"] == store.array(0, "residual")[number][1:].tolist()


def test_the_journal_is_written_before_the_status(tmp_path, make, monkeypatch):
    """A worker that is killed between the two leaves a pending cell with an entry, not a failed cell without one."""
    store = prepare(tmp_path / "one", make(FAILING))

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(CellStore, "write", stop)
        with pytest.raises(KeyboardInterrupt):
            run_block(str(store.path), store.hash, Task(store.blocks(0)[0]))
    assert len(list(entries(tmp_path / "one"))) == 3
    assert store.counts()["pending"] == 6
    run_block(str(store.path), store.hash, Task(store.blocks(0)[0]))
    assert len(list(entries(tmp_path / "one"))) == 6
    assert len(last_entries(tmp_path / "one")) == 3
