"""The hash of the numerical code: it changes with what decides numbers, and with nothing else."""

import ast
import shutil
from pathlib import Path

import pytest

import dajko
from dajko.study.code import code_hash, numerical_sources

PACKAGE = Path(dajko.__file__).parent
plain_hash = code_hash.__wrapped__  # not the one that a process remembers


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of its own for each test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def package(tmp_path):
    """A copy of the package, to be edited."""
    return Path(shutil.copytree(PACKAGE, tmp_path / "dajko", ignore=shutil.ignore_patterns("__pycache__")))


NUMERICAL = [
    *("_numba", "grid", "energy", "observation", "profiles", "distance", "flow"),
    *("solvers/__init__", "solvers/pd3o", "solvers/interior_point", "solvers/newton", "solvers/problem"),
    *("study/experiment", "study/seeds"),
]
OTHERS = ["__init__", "cli", "errors", "study/store", "study/run", "study/cluster", "study/config", "report/page"]


def test_it_does_not_depend_on_where_the_package_is(package):
    assert plain_hash(package) == plain_hash(PACKAGE) == code_hash()


@pytest.mark.parametrize("name", NUMERICAL)
def test_it_changes_with_a_source_that_decides_numbers(package, name):
    path = package / f"{name}.py"
    path.write_text(path.read_text() + "\n\nSOMETHING = 1.0\n")
    assert plain_hash(package) != plain_hash(PACKAGE)


@pytest.mark.parametrize("name", OTHERS)
def test_it_does_not_change_with_other_sources(package, name):
    path = package / f"{name}.py"
    path.write_text(path.read_text() + "\n\nSOMETHING = 1.0\n")
    assert plain_hash(package) == plain_hash(PACKAGE)


def test_new_modules_decide_numbers_until_somebody_says_otherwise(package):
    (package / "kernels.py").write_text("X = 1\n")
    assert plain_hash(package) != plain_hash(PACKAGE)
    (package / "kernels.py").rename(package / "study" / "tables.py")
    assert plain_hash(package) == plain_hash(PACKAGE)


def test_a_file_that_moves_is_other_code(package):
    (package / "distance.py").rename(package / "distances.py")
    assert plain_hash(package) != plain_hash(PACKAGE)


def test_comments_docstrings_and_layout_decide_nothing(package):
    path = package / "grid.py"
    path.write_text(ast.unparse(ast.parse(path.read_text())))  # loses comments and line breaks
    assert plain_hash(package) == plain_hash(PACKAGE)
    path.write_text(path.read_text().replace('"""', '"""Another word. ', 1))
    assert plain_hash(package) == plain_hash(PACKAGE)


@pytest.mark.parametrize(
    "line", ["X = 1.0 - 2.0", "X = 1.0 + 2.5", "Y = 1.0 + 2.0", "X = (1.0 + 2.0) * 1", "X = -1.0 + 2.0"]
)
def test_a_number_or_an_operator_is_other_code(package, line):
    path = package / "kernels.py"
    path.write_text("X = 1.0 + 2.0\n")
    before = plain_hash(package)
    path.write_text("# words\nX = (1.0 +\n    2.0)\n")
    assert plain_hash(package) == before
    path.write_text(line)
    assert plain_hash(package) != before


def imported(path):
    """The modules of dajko that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dajko"):
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    files = [PACKAGE.parent / f"{name.replace('.', '/')}{end}" for name in names for end in (".py", "/__init__.py")]
    return {file for file in files if file.is_file()} - {PACKAGE / "__init__.py"}  # which names everything


def test_nothing_that_a_cell_is_computed_with_is_forgotten():
    """Everything that the experiment imports, directly or not, is numerical, or is known to describe only."""
    todo, seen = {PACKAGE / "study" / "experiment.py"}, set()
    while todo:
        path = todo.pop()
        seen.add(path)
        todo |= imported(path) - seen
    describing = {"errors.py", "study/__init__.py", "study/clusters.py", "study/config.py", "study/ingredients.py"}
    describing |= {"study/sweep.py", "study/variation.py"}
    assert {p.relative_to(PACKAGE).as_posix() for p in seen - set(numerical_sources())} <= describing


def test_a_hash_that_is_known_is_read_and_one_that_is_damaged_is_not(cache):
    found = plain_hash(PACKAGE)
    (known,) = [path for path in cache.rglob("*") if path.is_file()]
    assert known.read_text() == found
    known.write_text("f" * 64)
    assert plain_hash(PACKAGE) == "f" * 64
    for damage in (b"", b"f" * 63, b"\xff" * 64):
        known.write_bytes(damage)
        assert plain_hash(PACKAGE) == found


def test_a_cache_that_cannot_be_written_is_none(cache):
    cache.write_text("a file in its place")
    assert plain_hash(PACKAGE) == code_hash()
