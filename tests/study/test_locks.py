"""Who may write a study together."""

import os
import signal
import subprocess
import sys

import pytest

from dajko.errors import InputError
from dajko.study.locks import alone, entrance, holders, writing


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
    program = "import sys, time; from pathlib import Path; from dajko.study.locks import alone\n"
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
