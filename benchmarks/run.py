"""Measure what the README claims about speed: ``make bench``."""

from __future__ import annotations

import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy_pd3o import NumpyPD3O
from rich.console import Console
from rich.table import Table

import dajko
from dajko.flow import Flow, trajectories
from dajko.solvers import Problem
from dajko.solvers.lanes import WIDTH

ROOT = Path(__file__).resolve().parent.parent
GRID = dajko.Grid(left=-0.7, right=0.7, nx=100, nt=10, time_rule="trapezoid")
ENERGY = dajko.Energy(dajko.PorousMedium(2.0))
TAU, STEPS = 5e-4, 31

# 4096 cells, some 40 seconds of one core: long enough that starting a cluster does not matter much.
STUDY: dict[str, Any] = {
    "truth": {"kind": "exact", "solution": {"profile": "barenblatt"}},
    "model": {
        "energy": {"internal": {"kind": "porous_medium", "m": 2.0}},
        "initial": {"profile": "barenblatt", "shift": 0.1, "time_shift": 3e-3},
    },
    "grid": {"left": -0.9, "right": 0.9, "nx": 100, "nt": 10},
    "time": {"tau": TAU, "steps": 31},
    "observations": {"operators": ["mean", "spread"]},
    "noise": {"level": 0.05},
    "theta": 1e-3,
    "sweep": {"theta": [1e-3, 1e-2, 1e-1, 1.0]},
    "ensemble": {"members": 1024},
    "store": {"density": "final"},
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


def figure(name: str) -> Flow:
    """The flow of a figure of the paper with the default solver."""
    m = 2.5 if name == "5.5" else 2.0
    start = {
        "5.1": dajko.Barenblatt(),
        "5.2": dajko.Barenblatt(shift=0.1),
        "5.4": dajko.Barenblatt(shift=0.1, time_shift=6 * TAU),
        "5.5": dajko.Barenblatt(m=2.5, shift=0.1, time_shift=6 * TAU),
    }[name]
    names = {"5.1": [], "5.2": ["expectation"]}.get(name, ["expectation", "variance"])
    truth = np.array([dajko.Barenblatt()(GRID.x, n * TAU) for n in range(1, STEPS + 1)])
    theta = 1 / 400 if name == "5.5" else 1 / 200
    data = dajko.DataTerm(names, dajko.measure(names, truth, GRID), theta) if names else None
    return Flow(start(GRID.x), dajko.Energy(dajko.PorousMedium(m)), GRID, TAU, STEPS, data)


def solvers(name: str) -> dict[str, float]:
    """All steps of a figure: seconds a step, iterations, largest L1 distance to the exact minimisers' flow, mass drift."""
    flow = figure(name)
    exact = trajectories([replace(flow, solver=dajko.InteriorPoint(tol=1e-10))])[0]
    found: dict[str, float] = {}
    used = {
        "pd3o": [replace(flow, solver=dajko.PD3O())],
        "interior_point": [flow],
        "lanes": [flow] * WIDTH,
    }
    for solver, flows in used.items():
        runs = trajectories(flows)
        found[f"{solver} ms a step"] = 1e3 * min(seconds(lambda f=flows: trajectories(f), 3)) / (STEPS * len(flows))
        found[f"{solver} iterations"] = float(runs[0].iterations[1:].mean())
        found[f"{solver} L1"] = float(np.max(GRID.integrate(np.abs(runs[0].density - exact.density))))
        found[f"{solver} mass drift"] = float(np.max(np.abs(runs[0].mass / runs[0].mass[0] - 1.0)))
    for solver in ("interior_point", "lanes"):
        found[f"{solver} times faster than pd3o"] = found["pd3o ms a step"] / found[f"{solver} ms a step"]
    return found


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
    measured: dict[str, Callable[[], dict[str, float]]] = {"iteration of pd3o": iteration}
    for name in ("5.1", "5.2", "5.4", "5.5"):
        measured[f"figure {name}"] = lambda name=name: solvers(name)
    measured["study"] = study
    for name, measure in measured.items():
        found[name] = measure()
        for key, value in found[name].items():
            table.add_row(name, key.replace("_", " "), f"{value:.4g}")
    console.print(table)
    target = ROOT / "benchmarks" / "results"
    target.mkdir(exist_ok=True)
    (target / "benchmarks.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
