"""Measure what the README claims about speed: ``make bench``."""

from __future__ import annotations

import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy_pd3o import NumpyPD3O
from rich.console import Console
from rich.table import Table

import dajko
from dajko.flow import steps_in_time
from dajko.solvers import Problem

ROOT = Path(__file__).resolve().parent.parent
GRID = dajko.Grid(left=-0.7, right=0.7, nx=100, nt=10, time_rule="trapezoid")
ENERGY = dajko.Energy(dajko.PorousMedium(2.0))
TAU = 5e-4

# 96 cells of about half a second: long enough that starting a cluster does not matter.
STUDY: dict[str, Any] = {
    "truth": {"kind": "exact", "solution": {"profile": "barenblatt"}},
    "model": {
        "energy": {"internal": {"kind": "porous_medium", "m": 2.0}},
        "initial": {"profile": "barenblatt", "shift": 0.1, "time_shift": 3e-3},
    },
    "grid": {"left": -0.7, "right": 0.7, "nx": 50, "nt": 5},
    "time": {"tau": TAU, "steps": 31},
    "observations": {"operators": ["mean", "spread"]},
    "noise": {"level": 0.05},
    "theta": 1e-3,
    "sweep": {"theta": [1e-3, 1e-2, 1e-1]},
    "ensemble": {"members": 32},
    "block": 2,
}


def seconds(function: Callable[[], Any], repeats: int) -> list[float]:
    """Wall times of several calls, after one that is not counted."""
    function()
    found = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        found.append(time.perf_counter() - started)
    return found


def iteration() -> dict[str, float]:
    """Microseconds of one iteration of Algorithm 1, kernel and NumPy."""
    problem = Problem(dajko.Barenblatt()(GRID.x), ENERGY, GRID, TAU)
    count = 5000
    kernel = dajko.PD3O(tol=1e-300, max_iterations=count)
    ours = statistics.median(seconds(lambda: kernel.solve(problem), 7)) / count
    plain_count = 50
    plain = statistics.median(seconds(lambda: NumpyPD3O(problem).run(plain_count), 3)) / plain_count
    return {"kernel_us": 1e6 * ours, "numpy_us": 1e6 * plain, "ratio": plain / ours}


def figure_5_1() -> dict[str, Any]:
    """Steps of figure 5.1: seconds, iterations, and the error of the first against the exact minimiser."""
    reference = np.load(ROOT / "tests" / "reference" / "pme_m2.npz")
    initial = dajko.Barenblatt()(GRID.x)
    times, iterations, error = [], [], float("nan")
    started = time.perf_counter()
    for step in steps_in_time(initial, ENERGY, GRID, TAU, 31):
        times.append(time.perf_counter() - started)
        iterations.append(step.iterations)
        if len(times) == 1:
            error = float(GRID.integrate(np.abs(step.density - reference["rho"])))
        started = time.perf_counter()
    return {
        "seconds_a_step": statistics.mean(times),
        "iterations_a_step": statistics.mean(iterations),
        "slowest_step": max(times),
        "first_step_l1_error": error,
    }


def study() -> dict[str, float]:
    """Wall time of one study on one worker and on two, the two in turn."""
    wall: dict[int, list[float]] = {1: [], 2: []}
    share = 0.0
    for _ in range(2):
        for workers in wall:
            with tempfile.TemporaryDirectory() as scratch:
                report = dajko.run_study(STUDY, Path(scratch) / "bench", workers, quiet=True)
                wall[workers].append(report.seconds)
                share = report.solver_seconds / (workers * report.seconds)
    one, two = (min(wall[n]) for n in (1, 2))
    return {"one_worker_s": one, "two_workers_s": two, "speedup": one / two, "solver_share": share}


def main() -> None:
    """Measure everything, print a table, write JSON."""
    console = Console()
    found: dict[str, Any] = {"machine": platform.processor() or platform.machine(), "python": platform.python_version()}
    table = Table("what", "figure", "value")
    for name, measure in (("iteration of pd3o", iteration), ("figure 5.1", figure_5_1), ("study", study)):
        found[name] = measure()
        for key, value in found[name].items():
            table.add_row(name, key.replace("_", " "), f"{value:.4g}")
    console.print(table)
    target = ROOT / "benchmarks" / "results"
    target.mkdir(exist_ok=True)
    (target / "benchmarks.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
