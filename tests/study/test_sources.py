"""Which code a cell is known by: all that it is computed with, and nothing else."""

import ast
import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import dajko
from dajko.study.design.identity import cell_ids, words_of
from dajko.study.design.sources import Sources, sources

ENVIRONMENT = dict(os.environ)  # with the cache of kernels
PACKAGE = Path(dajko.__file__).parent


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of its own for each test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def package(tmp_path):
    """A copy of the package, to be edited."""
    return Path(shutil.copytree(PACKAGE, tmp_path / "copy", ignore=shutil.ignore_patterns("__pycache__")))


def edit(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1, (path, text.count(old))
    path.write_text(text.replace(old, new))


@pytest.fixture
def small(tmp_path):
    """A package of a few lines: ``code(**files)`` is the hash of what ``run`` in main.py does."""
    number = itertools.count()

    def code(*words, **files):
        folder = tmp_path / f"small-{next(number)}"
        for name, text in files.items():
            path = folder / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Sources(folder, ["main:run"]).code(words)

    return code


# --- what decides numbers -------------------------------------------------------------------------------------------------


def test_it_does_not_depend_on_where_the_package_is(package):
    assert Sources(package).code() == Sources(PACKAGE).code() == sources().code()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("grid.py", "def integrate(self", "SOMETHING = 1\n\n    def integrate(self"),
        ("solvers/primal_dual/newton.py", "0.99", "0.995"),
        ("_numba.py", '{"reassoc", "contract"}', '{"reassoc", "contract", "nnan"}'),
        ("distance.py", "def w2(", "def w2(unused=None, *, "),
        ("study/design/seeds.py", "NOISE, PERTURBATION = 0, 1", "NOISE, PERTURBATION = 1, 0"),
    ],
)
def test_an_edit_of_what_every_cell_is_computed_with(package, file, old, new):
    path = package / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    assert Sources(package).code({"interior_point"}) != sources().code({"interior_point"})


@pytest.mark.parametrize(
    "file",
    [
        "__init__",
        "cli",
        "study/store/cells",
        "study/commands/run",
        "study/execution/cluster",
        "study/config/study",
        "report/page",
    ],
)
def test_what_schedules_stores_and_shows_decides_nothing(package, file):
    path = package / f"{file}.py"
    path.write_text(path.read_text() + "\n\nSOMETHING = 1.0\nprint(SOMETHING)\n")
    assert Sources(package).code() == sources().code()


def test_only_the_cells_that_say_the_word_of_a_formula(package, make):
    """An edited potential is other code to the cells that have it, and a new one to none."""
    plan = make({"sweep": {"model.energy.potential": [None, {"kind": "quadratic"}, {"kind": "linear"}]}})
    (group,) = plan.groups

    def ids(found):
        return cell_ids(plan, group, found).reshape(3, plan.members)

    before = ids(sources())
    quadratic = package / "energy" / "potential" / "quadratic.py"
    edit(quadratic, "0.5 * self.stiffness", "0.50000001 * self.stiffness")
    after = ids(Sources(package))
    assert (before[[0, 2]] == after[[0, 2]]).all()
    assert (before[1] != after[1]).all()
    # Another potential, and other words for this one.
    text = quadratic.read_text().replace("class Quadratic", "class Cosine").replace('kind="quadratic"', 'kind="cosine"')
    quadratic.with_name("cosine.py").write_text(text)
    edit(quadratic, '"a quadratic potential"', '"a bowl"')
    assert (ids(Sources(package)) == after).all()


def test_comments_docstrings_annotations_and_layout_decide_nothing(package):
    for path in package.rglob("*.py"):
        path.write_text(ast.unparse(ast.parse(path.read_text())))  # loses comments and line breaks
    edit(package / "grid.py", "def integrate(self, values: ArrayLike)", "def integrate(self, values)")
    path = package / "flow.py"
    path.write_text(path.read_text().replace('"""', '"""Another word. ', 1))
    assert Sources(package).code() == sources().code()


def test_a_file_that_moves_decides_nothing(package):
    """Neither its place nor the words by which others import it."""
    (package / "metric").mkdir()
    (package / "metric" / "__init__.py").write_text("from dajko.metric.between import l1, l2, w2\n")
    (package / "distance.py").rename(package / "metric" / "between.py")
    edit(
        package / "study" / "twin" / "experiment.py",
        "from dajko import distance\n",
        "from dajko import metric as distance\n",
    )
    assert Sources(package).code() == sources().code()


@pytest.mark.parametrize(
    "line", ["X = 1.0 - 2.0", "X = 1.0 + 2.5", "X = (1.0 + 2.0) * 1", "X = -1.0 + 2.0", "Y = 1.0 + 2.0; X = Y"]
)
def test_a_number_or_an_operator_is_other_code(small, line):
    run = "from dajko.kernels import X\ndef run(): return X\n"
    before = small(main=run, kernels="X = 1.0 + 2.0\n")
    assert small(main=run, kernels="# words\nX = (1.0 +\n    2.0)\n") == before
    assert small(main=run, kernels=line) != before


def test_what_is_not_reached_decides_nothing(small):
    run = "from dajko.kernels import f\ndef run(): return f()\n"
    before = small(main=run, kernels="def f(): return 1\n")
    assert small(main=run, kernels="def f(): return 1\ndef g(): return 2\nH = 3\n", other="X = 1") == before


@pytest.mark.parametrize(
    "more",
    [
        "@register('f')\ndef better(): return 2\n",  # a decorator that is called may hand on what it decorates
        "@extending.overload(f)\nclass Better: pass\n",
        "f.fast = True\n",
        "register(f)\n",
        "for name in ('a',): print(name)\n",
        "if f: f = None\n",
        "try:\n    f = None\nexcept ImportError: pass\n",
    ],
)
def test_in_doubt_a_definition_counts_as_used(small, more):
    run = "from dajko.kernels import f\ndef run(): return f()\n"
    assert small(main=run, kernels=f"def f(): return 1\n{more}") != small(main=run, kernels="def f(): return 1\n")


@pytest.mark.parametrize(
    "imports",
    [
        "from dajko.a.b import f\ndef run(): return f()\n",
        "from dajko.a import f\ndef run(): return f()\n",
        "from dajko.a import f as g\ndef run(): return g()\n",
        "from dajko.a import b\ndef run(): return b.f()\n",
        "from dajko import a\ndef run(): return a.b.f()\n",
        "import dajko\ndef run(): return dajko.a.b.f()\n",
        "import dajko.a.b as x\ndef run(): return x.f()\n",
        "from .a.b import f\ndef run(): return f()\n",
        "def run():\n    from dajko.a.b import f\n    return f()\n",
        "from dajko.a import b\ndef run(): return (lambda m: m.f())(b)\n",
        "from dajko.a.b import *\ndef run(): return f()\n",
    ],
)
def test_all_ways_to_name_a_definition(small, imports):
    package = "from dajko.a.b import f\n"
    found = {small(main=imports, __init__="", **{"a/__init__": package, "a/b": f"def f(): return {i}\n"}) for i in (1, 2)}
    assert len(found) == 2


def test_definitions_that_change_places_are_other_code(small):
    """Each says what it said, but to others."""
    run = "from dajko.a import f\nfrom dajko.b import g\ndef run(): return f() - g()\n"
    one, two = "def h(): return 1\n", "def h(): return 2\n"
    f, g = "def f(): return h()\n", "def g(): return h()\n"
    assert small(main=run, a=one + f, b=two + g) != small(main=run, a=two + f, b=one + g)


EXECUTED = """
import json, sys
from pathlib import Path
import numpy as np
from dajko.study.design.members import make_plan
from dajko.study.config.study import StudyConfig
from dajko.study.config.parse import parse
plan = make_plan("one", parse(StudyConfig, json.loads(sys.argv[1]), "one"))
from dajko.study.execution.simulate import run_cells
import dajko.solvers.algorithm_1.method, dajko.solvers.primal_dual.method  # what is imported is not called
seen = set()
def watch(frame, event, _):
    if event == "call" and "dajko" in frame.f_code.co_filename:
        seen.add((frame.f_code.co_filename, frame.f_code.co_qualname.split(".")[0]))
sys.setprofile(watch)
result, = run_cells(plan, [(0, 0)])
sys.setprofile(None)
assert result.status.usable, result.message
print(json.dumps(sorted(seen)))
"""


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "solver": {"kind": "pd3o"},
            "model.energy": {"internal": {"kind": "entropy"}, "interaction": {"kind": "logarithmic", "chi": 1.0}},
            "model.initial": {"kind": "gaussian_mixture", "means": [-0.2, 0.2]},
            "observations.operators": ["mean", {"kind": "sensors", "positions": [0.0, 0.1], "width": 0.2}],
        },
        {
            "truth": {"kind": "solve", "energy": {"potential": {"kind": "double_well"}}, "initial": {"kind": "gaussian"}},
            "observations.operators": [{"kind": "interval_masses", "edges": [-0.5, 0.0, 0.5]}],
            "store.diagnostics": ["optimality"],
        },
    ],
)
def test_nothing_that_a_cell_is_computed_with_is_forgotten(make, changes):
    """Whatever Python calls of this package while it computes a cell is among the definitions, or reads the study."""
    plan = make({"sweep": None, "ensemble.members": 1, **changes})
    done = subprocess.run(
        [sys.executable, "-c", EXECUTED, plan.study.model_dump_json()],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    known = sources().meanings(words_of(plan.study))
    reading = {
        *("ingredient", "validation", "study.config.ingredients", "study.config.study"),
        *("study.design.plan", "study.design.sweep", "study.execution.simulate"),
    }
    missing = set()
    for file, name in ast.literal_eval(done.stdout):
        module = Path(file).relative_to(PACKAGE).as_posix().removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        if module not in reading and not name.startswith("<") and f"{module}:{name}" not in known:
            missing.add((module, name))
    assert not missing


# --- the cache ------------------------------------------------------------------------------------------------------------


def test_what_is_known_is_read_and_what_is_damaged_is_not(cache):
    found = Sources(PACKAGE).code()
    (known,) = [path for path in cache.rglob("*") if path.is_file()]
    content = known.read_text()
    for damage in (b"", b"{}", b"[]", b"\xff" * 64, content.replace("meaning", "meanimg").encode(), content[:-9].encode()):
        known.write_bytes(damage)
        assert Sources(PACKAGE).code() == found
    known.write_text(content.replace(Sources(PACKAGE).meanings()["grid:Grid"], "0" * 16))
    assert Sources(PACKAGE).code() == found


def test_a_cache_that_cannot_be_written_is_none(cache):
    cache.write_text("a file in its place")
    assert Sources(PACKAGE).code() == sources().code()
