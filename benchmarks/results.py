"""What is measured, kept as JSON."""

from __future__ import annotations

import datetime as dt
import os
import platform
import subprocess
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from benchmarks.iteration import Iteration
from benchmarks.scaling import Point
from benchmarks.solvers import Result
from benchmarks.study import Throughput

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "benchmarks" / "results"

PARTS = ("iteration", "figures", "scaling", "study")


@dataclass(frozen=True)
class Occasion:
    """When and on what a part was measured.

    Attributes
    ----------
    load : float
        Runnable processes of the machine in the minute before.
    seconds : float
        How long the part took.
    """

    date: str
    commit: str
    processor: str
    cores: int
    versions: dict[str, str]
    load: float
    seconds: float = 0.0

    @staticmethod
    def now() -> Occasion:
        """This moment on this machine."""
        return Occasion(
            date=dt.datetime.now(dt.UTC).isoformat(timespec="minutes"),
            commit=_commit(),
            processor=_processor(),
            cores=os.cpu_count() or 1,
            versions={"python": platform.python_version()} | {name: _version(name) for name in _PACKAGES},
            load=os.getloadavg()[0],
        )


@dataclass
class Results:
    """All parts that have been measured; the others are empty."""

    quick: bool = False
    occasions: dict[str, Occasion] = field(default_factory=dict)
    iteration: Iteration | None = None
    figures: list[Result] = field(default_factory=list)
    scaling: list[Point] = field(default_factory=list)
    study: list[Throughput] = field(default_factory=list)


_FORMAT = TypeAdapter(Results)
_PACKAGES = ("numpy", "numba", "cvxpy", "clarabel")


def file_of(quick: bool) -> Path:
    """Where results are kept; quick ones do not overwrite the others."""
    return FOLDER / ("quick.json" if quick else "benchmarks.json")


def load(quick: bool = False) -> Results:
    """The results that are there; those of other versions of the benchmarks do not count."""
    try:
        return _FORMAT.validate_json(file_of(quick).read_bytes())
    except (FileNotFoundError, ValidationError):
        return Results(quick=quick)


def save(results: Results) -> Path:
    """Write the results; returns the file."""
    FOLDER.mkdir(exist_ok=True)
    path = file_of(results.quick)
    path.write_bytes(_FORMAT.dump_json(results, indent=2) + b"\n")
    return path


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
