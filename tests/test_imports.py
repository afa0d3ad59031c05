"""What reads loads no compiler: a file of studies, a store, a report that is there."""

import os
import subprocess
import sys

import pytest

READING = [
    "dajko",
    "dajko.status",
    "dajko.study.config.parse",
    "dajko.study.design.members",
    "dajko.study.store.cells",
    "dajko.study.store.labelled",
    "dajko.study.commands.status",
    "dajko.study.store.migrate",
    "dajko.study.design.sources",
    "dajko.report.reading",
    "dajko.report.page",
    "dajko.report.overview",
]


def loaded(program, *arguments):
    """The libraries that take long to import and that a program has loaded."""
    heavy = "print('loaded', *(name for name in ('numba', 'llvmlite', 'dask', 'xarray', 'pandas') if name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{program}\n{heavy}", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()[1:]


@pytest.mark.parametrize("module", READING)
def test_reading_loads_no_compiler(module):
    found = loaded(f"import {module}")
    assert "numba" not in found
    assert "llvmlite" not in found


def test_the_package_itself_loads_nothing():
    assert loaded("import dajko") == []


@pytest.mark.parametrize("command", ["status", "open"])
def test_a_store_is_read_without_a_compiler(tmp_path, tiny, command):
    import dajko

    dajko.run_study(tiny(), tmp_path / "one", 1)
    programs = {
        "status": "from dajko.cli import main\ntry: main(['status', sys.argv[1]])\nexcept SystemExit: pass",
        "open": "import dajko\ndajko.open_study(sys.argv[1]).error_l1.values",
    }
    assert "numba" not in loaded(programs[command], str(tmp_path / "one"))
