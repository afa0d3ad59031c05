"""The studies of the paper, computed in this process: as they are with interior_point, loosely with Algorithm 1."""

from pathlib import Path

import pytest
from filelock import FileLock

from dajko.paper.stores import Stores
from dajko.study.block import run_block
from dajko.study.members import make_plan
from dajko.study.parse import read_studies
from dajko.study.store import prepare

FILES = [Path(__file__).parents[2] / "config" / "paper" / name for name in ("porous-medium.yaml", "claims.yaml")]


def quickened(study):
    """The study with the tolerance of Algorithm 1 at which a step takes a few hundred iterations."""

    def loose(solver):
        return {**solver, "tol": 1e-3, "constraint_tolerance": 1e-3} if solver["name"] == "pd3o" else solver

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
                    store = prepare(directory / name, make_plan(name, quickened(study)))
                    for block in store.pending():
                        run_block(str(store.path), store.hash, block)
            (directory / "done").touch()
    return directory


@pytest.fixture(scope="session")
def stores(results):
    return Stores(results)
