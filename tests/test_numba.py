"""Compiled kernels: sums whose bits do not depend on addresses, and the cache."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import dajko

PACKAGE = Path(dajko.__file__).parent


def functions(decorator):
    """The functions of the package that a decorator compiles, by name."""
    found = {}
    for source in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.FunctionDef) and decorator in [ast.unparse(d) for d in node.decorator_list]:
                found[node.name] = node
    return found


def test_functions_whose_sums_may_be_reordered_write_nothing():
    """LLVM would decide by the addresses of arrays whether a loop that also writes is reordered."""
    found = functions("sum_kernel")
    assert "squared_change" in found
    for name, function in found.items():
        assert not [n for n in ast.walk(function) if isinstance(n, ast.Subscript) and isinstance(n.ctx, ast.Store)], name
        called = {n.func.id for n in ast.walk(function) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
        assert called <= {"range", "internal"}, name  # nor do they call what writes


def test_nothing_else_is_compiled_with_fast_math():
    assert [source.name for source in PACKAGE.rglob("*.py") if "fastmath" in source.read_text()] == ["_numba.py"]
    assert (PACKAGE / "_numba.py").read_text().count("fastmath=") == 1


PROGRAM = """
import numpy as np
from dajko.energy.energy import Energy
from dajko.energy.internal.porous_medium import PorousMedium
from dajko.energy.kernels import internal_values
from dajko.grid import Grid
grid = Grid(0.0, 1.0, 4, 1)
value = Energy(PorousMedium(3.0)).value(np.full(5, 2.0), grid)
stats = internal_values.stats
print(float(value), sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


@pytest.fixture
def start(tmp_path):
    """Starts a process that computes an energy of 2^3 / 2 = 4 with an own, empty cache."""
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}

    def run(root):
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            cwd=root,
            env=environment | {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONPATH": str(root)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


def result(process):
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert errors == ""
    value, hits, misses = output.split()
    return float(value), int(hits), int(misses)


def test_processes_that_start_cold_together_leave_a_good_cache(start):
    root = Path(dajko.__file__).parent.parent
    found = [result(process) for process in [start(root) for _ in range(4)]]
    assert [value for value, _, _ in found] == [4.0] * 4
    assert result(start(root)) == (4.0, 1, 0)


def test_an_edit_in_a_kernel_that_another_calls_is_noticed(start, tmp_path):
    """Numba itself looks at the file of the outer kernel only, and at its name and place."""
    shutil.copytree(Path(dajko.__file__).parent, tmp_path / "dajko", ignore=shutil.ignore_patterns("__pycache__"))
    source = tmp_path / "dajko" / "energy" / "kernels.py"
    caller = tmp_path / "dajko" / "caller.py"
    caller.write_text(
        "from dajko._numba import kernel\nfrom dajko.energy.kernels import internal\n\n\n"
        "@kernel\ndef outer(u: float) -> float:\n    return internal(u, 3.0)\n"
    )
    program = "from dajko.caller import outer; print(outer(2.0))"
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    environment |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}

    def outer():
        return float(subprocess.check_output([sys.executable, "-c", program], cwd=tmp_path, env=environment, text=True))

    assert outer() == 4.0
    text = source.read_text()
    assert text.count("u**m / (m - 1.0)") == 1
    source.write_text(text.replace("u**m / (m - 1.0)", "u**m / (m - 2.0)"))
    assert outer() == 8.0
