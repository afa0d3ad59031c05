"""The studies of the paper, computed in this process: as they are with interior_point, loosely with Algorithm 1.

Those of chemotaxis are shortened, and keep their coarser grids and every other value of what else they sweep.
"""

from pathlib import Path

import pytest
from filelock import FileLock

from dajko.study.config.parse import read_studies
from dajko.study.design.members import make_plan
from dajko.study.execution.task import Task, run_block
from dajko.study.store.prepare import prepare
from reproductions.data_driven_gradient_flows.stores import Stores

FILES = [
    Path(__file__).parents[3] / "config" / "paper" / name
    for name in ("porous-medium.yaml", "claims.yaml", "chemotaxis.yaml")
]

# Steps and cells that studies of chemotaxis are left with.
SHORT = {
    "figure-5-7": (30, 100),
    "blow-up-grid": (20, 200),
    "blow-up-data": (20, 200),
    "blow-up-width": (10, 200),
    "blow-up-theta": (20, 200),
    "blow-up-long": (30, 200),
    "blow-up-chi": (200, 80),
    "blow-up-core": (60, 100),
    "blow-up-variations": (10, 200),
    "blow-up-algorithm-1": (3, 100),
}


def quickened(study):
    """The study with the tolerance of Algorithm 1 at which a step takes a few hundred iterations."""

    def loose(solver):
        return {**solver, "tol": 1e-3, "constraint_tolerance": 1e-3} if solver["kind"] == "pd3o" else solver

    content = study.model_dump()
    content["solver"] = loose(content["solver"])
    if isinstance(content["sweep"].get("solver"), list):
        found = [loose(s) for s in content["sweep"]["solver"]]
        # The tolerances that this study compares must stay different.
        for i, solver in enumerate(found):
            if solver in found[:i]:
                solver["tol"] = 5e-4
        content["sweep"]["solver"] = found
    for key in ("solver.tol", "solver.constraint_tolerance"):
        if key in content["zip"]:
            content["zip"][key] = [4e-3, 2e-3, 1e-3]
    return type(study).model_validate(content)


def shortened(study, steps, most_cells):
    """The study with fewer steps and values, and without its finest grids."""
    content = study.model_dump()
    content["time"]["steps"] = min(steps, content["time"]["steps"])
    if "grid.nx" in content["sweep"]:
        content["sweep"]["grid.nx"] = [nx for nx in content["sweep"]["grid.nx"] if nx <= most_cells]
    for key in ("theta", "model.energy.interaction.chi"):
        if len(content["sweep"].get(key, ())) > 4:
            content["sweep"][key] = content["sweep"][key][::2]
    if content["report"]["times"]:
        content["report"]["times"] = None
    return type(study).model_validate(content)


@pytest.fixture(scope="session")
def files():
    return FILES


@pytest.fixture(scope="session")
def results(tmp_path_factory, worker_id):
    """A results directory with all studies, made once however many processes test."""
    base = tmp_path_factory.getbasetemp()
    directory = (base if worker_id == "master" else base.parent) / "paper"
    with FileLock(f"{directory}.lock"):
        if not (directory / "done").exists():
            for file in FILES:
                for name, study in read_studies(file).studies.items():
                    short = shortened(study, *SHORT[name]) if name in SHORT else study
                    store = prepare(directory / name, make_plan(name, quickened(short)))
                    for block in store.pending():
                        run_block(str(store.path), store.hash, Task(block))
            (directory / "done").touch()
    return directory


@pytest.fixture(scope="session")
def stores(results):
    return Stores(results)
