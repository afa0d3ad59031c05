"""The study that is disturbed, how it is run as a program, and what its store holds."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import yaml

from dajko.study.store.variables import CELLS, NOT_REPRODUCIBLE

ROOT = Path(__file__).parents[1]
NAME = "soak"

# Milliseconds a cell: 2100 cells of 6 steps are some seconds for two workers.
_STUDY = """
truth: {kind: exact, solution: {kind: barenblatt, m: 2.0}}
model:
  energy: {internal: {kind: porous_medium, m: 2.0}}
  initial: {kind: barenblatt, m: 2.0, shift: 0.1}
grid: {left: -0.7, right: 0.7, nx: 16, nt: 3}
time: {tau: 5.0e-4, steps: 6}
observations: {operators: [mean, spread]}
noise: {level: 0.1}
theta: 1.0e-3
sweep: {theta: [1.0e-5, 1.0e-4, 5.0e-4, 1.0e-3, 5.0e-3, 1.0e-2, .inf]}
ensemble: {members: 300, seed: 7}
block: 16
"""


def content(members: int, cluster: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """The content of a file with the study, with that many members at each of its seven points."""
    study = yaml.safe_load(_STUDY)
    study["ensemble"]["members"] = members
    return {"studies": {NAME: {**study, **changes}}, "cluster": cluster or {"kind": "local", "workers": 2}}


def write(directory: Path, file: dict[str, Any]) -> Path:
    """Write the file into a directory, which is made."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "studies.yaml"
    path.write_text(yaml.safe_dump({**file, "results": str(directory / "results")}), encoding="utf-8")
    return path


def command(file: Path, runner: str) -> list[str]:
    """How ``dajko`` or ``snakemake`` runs the study of a file."""
    if runner == "dajko":
        return [sys.executable, "-c", "from dajko.cli import main; main()", "run", str(file)]
    target = file.parent / "results" / NAME / "study.done.json"
    fixed = ["--snakefile", str(ROOT / "Snakefile"), "--profile", str(ROOT / "workflow" / "profiles" / "default")]
    own = ["--cores", "2", "--directory", str(file.parent), "--configfile", str(file)]
    return [sys.executable, "-m", "snakemake", str(target), *fixed, *own]


def store(file: Path) -> Path:
    """The store that a run of the file leaves."""
    return file.parent / "results" / NAME / CELLS


def chunks(path: Path) -> dict[str, str]:
    """Hash of each chunk file of a store, but for variables that no two runs have in common."""
    found = {}
    for file in path.rglob("c/**/*"):
        name = file.relative_to(path).as_posix()
        if file.is_file() and file.suffix != ".partial" and not set(name.split("/")) & set(NOT_REPRODUCIBLE):
            found[name] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def different(path: Path, reference: dict[str, str]) -> list[str]:
    """Names of the chunks that are not as in the undisturbed store, or only in one of the two."""
    found = chunks(path)
    return sorted(name for name in found.keys() | reference.keys() if found.get(name) != reference.get(name))
