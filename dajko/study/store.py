"""``cells.zarr``, the store that workers write: its layout, how it is made, and how a block is written.

There is one flat dimension ``cell``. A block of cells is one task, and one chunk along ``cell`` of every variable, so that
no two tasks ever write the same object; within a block the status is written last, so that a cell whose status is not
pending is complete. A store is made once, in a temporary place, and renamed.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import ArrayLike, NDArray

import dajko
from dajko.errors import InputError
from dajko.solvers import Status
from dajko.solvers.lanes import WIDTH
from dajko.study.config import SCHEMA_VERSION, StudyConfig, study_hash
from dajko.study.members import Group, Plan, dimension_name, label, operator_labels

CELLS, SUMMARY, MANIFEST, FAILURES = "cells.zarr", "summary.zarr", "study.done.json", "failures.jsonl"
# Where Snakemake's jobs say which of the slabs of a study they have finished.
SLABS = "slabs"

# A chunk holds at most this many bytes of the largest variable.
_LARGEST_CHUNK = 32_000_000


@dataclass(frozen=True)
class Variable:
    """A variable of the store: its dimensions after ``cell``, its type and how it is described."""

    dims: tuple[str, ...]
    dtype: str
    long_name: str
    units: str = "1"


TIME, X, OBSERVATION = "time", "x", "observation"

VARIABLES: dict[str, Variable] = {
    "density": Variable((TIME, X), "f8", "density of the daJKO flow"),
    "truth": Variable((TIME, X), "f8", "true density"),
    "data": Variable((TIME, OBSERVATION), "f8", "noisy data, NaN at times without data"),
    "data_exact": Variable((TIME, OBSERVATION), "f8", "measurements of the truth"),
    "observed": Variable((TIME, OBSERVATION), "f8", "measurements of the daJKO flow"),
    "error_l1": Variable((TIME,), "f8", "L1 distance to the truth"),
    "error_l2": Variable((TIME,), "f8", "L2 distance to the truth"),
    "error_w2": Variable((TIME,), "f8", "Wasserstein distance W2 to the truth, both normalised"),
    "energy": Variable((TIME,), "f8", "energy F of the model"),
    "mass": Variable((TIME,), "f8", "mass"),
    "iterations": Variable((TIME,), "i4", "iterations of the solver"),
    "residual": Variable((TIME,), "f8", "residual of the stopping rule"),
    "step_status": Variable((TIME,), "i1", "how each step ended"),
    "solve_time": Variable((), "f8", "time spent in the solver", "s"),
    "status": Variable((), "i1", "how the cell ended"),
}

# What each of `store.diagnostics` adds.
DIAGNOSTICS: dict[str, dict[str, Variable]] = {
    "optimality": {
        "optimality_gap": Variable((TIME,), "f8", "duality gap of the step, divided by tau"),
        "gap_certified": Variable((TIME,), "f8", "1 where the gap bounds the distance to the minimum, 0 where it need not"),
        "optimality_spread": Variable((TIME,), "f8", "deviation of potential / tau + dE/du from a constant on the support"),
        "hamilton_jacobi": Variable((TIME,), "f8", "residual of the Hamilton-Jacobi equation, divided by tau"),
        "velocity_residual": Variable(
            (TIME,), "f8", "distance of flux / density from the potential's gradient, divided by tau"
        ),
        "continuity_residual": Variable((TIME,), "f8", "residual of the continuity equation, relative to the mass"),
    }
}
# Everything that a store may hold along ``cell``.
ALL_VARIABLES = {**VARIABLES, **{name: v for added in DIAGNOSTICS.values() for name, v in added.items()}}

# The fields that `store.density` decides about.
FIELDS = ("density", "truth")
# Not the same in two runs of the same study.
NOT_REPRODUCIBLE = ("solve_time",)


@dataclass(frozen=True, order=True)
class Block:
    """Cells ``start`` to ``stop`` of a group: one task, and one chunk of every variable."""

    group: int
    start: int
    stop: int


class CellStore:
    """``cells.zarr`` of a study, opened for reading and writing blocks.

    Parameters
    ----------
    path : Path
        The store itself.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.root = zarr.open_group(path, mode="r+", zarr_format=3)
            self.study_name = str(self.root.attrs["study"])
            self.hash = str(self.root.attrs["study_hash"])
            names = json.loads(str(self.root.attrs["groups"]))
            version = self.root.attrs["schema_version"]
            self.groups = [zarr.open_group(path, path=name or None, mode="r+", zarr_format=3) for name in names]
            _ = [group["status"] for group in self.groups]
        except (OSError, KeyError, ValueError, TypeError):
            raise InputError(f"{path}: is not a store of dajko; choose another results directory") from None
        if version != SCHEMA_VERSION:
            raise InputError(
                f"{path}: has the schema version {version}, this dajko writes version {SCHEMA_VERSION}; choose another "
                "results directory"
            )

    @property
    def study(self) -> StudyConfig:
        """The study that the store was made for."""
        return StudyConfig.model_validate_json(str(self.root.attrs["configuration"]))

    @property
    def size(self) -> int:
        """Number of cells."""
        return sum(int(self.array(group, "status").shape[0]) for group in range(len(self.groups)))

    def array(self, group: int, name: str) -> zarr.Array[Any]:
        """A variable of a group."""
        found = self.groups[group][name]
        assert isinstance(found, zarr.Array)
        return found

    def status(self, group: int) -> NDArray[np.int8]:
        """Status of each cell of a group."""
        return np.asarray(self.array(group, "status")[:], dtype=np.int8)

    def blocks(self, group: int) -> list[Block]:
        """All blocks of a group."""
        array = self.array(group, "status")
        cells, block = array.shape[0], array.chunks[0]
        return [Block(group, start, min(start + block, cells)) for start in range(0, cells, block)]

    def pending(self) -> list[Block]:
        """Blocks with a cell that has not been computed."""
        found = []
        for group in range(len(self.groups)):
            status = self.status(group)
            found += [b for b in self.blocks(group) if (status[b.start : b.stop] == Status.PENDING).any()]
        return found

    def counts(self) -> dict[str, int]:
        """Number of cells with each status."""
        status = np.concatenate([self.status(group) for group in range(len(self.groups))])
        return {s.name.lower(): int((status == s).sum()) for s in Status}

    def write(self, block: Block, values: Mapping[str, ArrayLike]) -> None:
        """Write all variables of a block, the status last.

        Raises
        ------
        ValueError
            If the block is not one chunk: two tasks could then lose each other's cells.
        """
        for name in sorted(self.variables(block.group), key=lambda name: name == "status"):
            array = self.array(block.group, name)
            if block.start % array.chunks[0] != 0 or block.stop != min(block.start + array.chunks[0], array.shape[0]):
                raise ValueError(f"cells {block.start} to {block.stop} are not one chunk of {name}")
            array[block.start : block.stop] = np.asarray(values[name])

    def variables(self, group: int) -> list[str]:
        """Names of the variables along ``cell`` that a block writes."""
        return [name for name in ALL_VARIABLES if name in self.groups[group]]


def stored_variables(study: StudyConfig) -> dict[str, Variable]:
    """The variables that a study stores."""
    kept = study.store.density
    added = {name: v for diagnostic in study.store.diagnostics for name, v in DIAGNOSTICS[diagnostic].items()}
    return added | {
        name: Variable((X,), v.dtype, v.long_name, v.units) if name in FIELDS and kept == "final" else v
        for name, v in VARIABLES.items()
        if not (name in FIELDS and kept == "none")
    }


def inspect(directory: Path, plan: Plan) -> CellStore | None:
    """The store that is in a directory, whether or not it fits the plan; None if there is none. Writes nothing.

    Raises
    ------
    InputError
        If the directory cannot hold the plan: it is a file, or holds another study or something else.
    """
    cells = directory / CELLS
    existing = next((p for p in (directory, *directory.parents) if p.exists()), directory)
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"{directory}: cannot be written, because {existing} is not a directory that may be written")
    if not cells.exists():
        return None
    store = CellStore(cells)
    if store.study_name != plan.name:
        raise InputError(
            f"{directory}: holds the study '{store.study_name}', not '{plan.name}'; choose another results directory"
        )
    return store


def prepare(directory: Path, plan: Plan) -> CellStore:
    """The store of a plan: the one that is there if it fits, or a new one.

    A store of the same study with another configuration is kept beside it, under ``previous/``, and comes back when that
    configuration does.

    Raises
    ------
    InputError
        If the directory cannot be written, or holds another study or something else.
    """
    store, wanted = inspect(directory, plan), study_hash(plan.study)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if store is None or store.hash != wanted:
            if store is not None:
                _keep(directory, store.hash)
            earlier = directory / "previous" / wanted[:16]
            if earlier.exists():
                _move(earlier, directory)
                earlier.rmdir()
            else:
                _create(directory / CELLS, plan, wanted)
            store = CellStore(directory / CELLS)
        # What is shown may have changed, without a cell being computed again.
        description = _description(plan)
        if any(store.root.attrs[key] != value for key, value in description.items()):
            store.root.attrs.update(description)
    except OSError as error:
        raise InputError(f"{directory}: cannot be written: {error.strerror or error}") from None
    return store


# The cells last: whether they are there says how far an interrupted move came.
_KEPT = (SUMMARY, MANIFEST, FAILURES, CELLS)


def _keep(directory: Path, digest: str) -> None:
    target = directory / "previous" / digest[:16]
    target.mkdir(parents=True, exist_ok=True)
    for stale in (directory / SLABS).glob("*.json"):  # Snakemake would take them for those of the new configuration
        stale.unlink()
    _move(directory, target)


def _move(source: Path, target: Path) -> None:
    for name in _KEPT:
        if (source / name).exists():
            if name == SUMMARY:
                shutil.rmtree(target / name, ignore_errors=True)
            (source / name).rename(target / name)


def _create(path: Path, plan: Plan, digest: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    root = zarr.create_group(temporary, zarr_format=3)
    root.attrs.update(
        {
            "Conventions": "CF-1.11",
            **_description(plan),
            "study": plan.name,
            "study_hash": digest,
            "schema_version": SCHEMA_VERSION,
            "axes": json.dumps([[axis.dimension, *axis.keys] for axis in plan.axes]),
            "groups": json.dumps([group.name for group in plan.groups]),
            "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            **_provenance(),
        }
    )
    for group in plan.groups:
        _create_group(root if group.name == "" else root.create_group(group.name), plan, group)
    temporary.rename(path)


def _description(plan: Plan) -> dict[str, Any]:
    return {"title": plan.study.title or plan.name, "configuration": plan.study.model_dump_json()}


def _create_group(target: zarr.Group, plan: Plan, group: Group) -> None:
    study = plan.studies[group.points[0]]
    cells = len(group.points) * plan.members
    names = operator_labels(study)
    sizes = {TIME: study.time.count + 1, X: study.grid.nx + 1, OBSERVATION: len(names)}
    variables = stored_variables(plan.study)
    largest = max(int(np.prod([sizes[d] for d in v.dims])) * np.dtype(v.dtype).itemsize for v in variables.values())
    block = plan.study.block or _block_size(study, cells)
    block = max(1, min(block, cells, _LARGEST_CHUNK // largest))
    for name, v in variables.items():
        shape = tuple(sizes[d] for d in v.dims)
        attributes: dict[str, Any] = {"long_name": v.long_name, "units": v.units}
        if name in ("status", "step_status"):
            attributes |= flags([s.name.lower() for s in Status])
        attributes["coordinates"] = " ".join(["member", "seed_key", *_parameter_names(plan)])
        target.create_array(
            name,
            shape=(cells, *shape),
            chunks=(block, *shape),
            dtype=v.dtype,
            fill_value=np.nan if v.dtype == "f8" else 0,
            dimension_names=("cell", *v.dims),
            attributes=attributes,
        )
    grid = study.grid
    _coordinate(target, TIME, (TIME,), study.time.tau * np.arange(sizes[TIME]), {"long_name": "time", "units": "1"})
    _coordinate(target, X, (X,), np.linspace(grid.left, grid.right, sizes[X]), {"long_name": "position", "units": "1"})
    _categories(target, OBSERVATION, OBSERVATION, names, "what is measured")
    members = np.tile(np.arange(plan.members), len(group.points))
    _coordinate(target, "member", ("cell",), members, {"standard_name": "realization", "long_name": "member", "units": "1"})
    keys = np.array([plan.noise_key(int(m)) for m in members])
    described = {"long_name": "spawn key of the noise's seed sequence", "units": "1"}
    _coordinate(target, "seed_key", ("cell", "seed_word"), keys, described)
    for axis in plan.axes:
        for key in axis.keys:
            values = np.repeat([_scalar(plan.studies[p], plan.points[p][key], key) for p in group.points], plan.members)
            _parameter(target, key, values)
    for key in plan.perturbed_keys:
        values = np.array([plan.draws(p, m)[key] for p in group.points for m in range(plan.members)])
        _parameter(target, key, values)


def _parameter_names(plan: Plan) -> list[str]:
    return [dimension_name(key) for axis in plan.axes for key in axis.keys] + [
        dimension_name(k) for k in plan.perturbed_keys
    ]


def _scalar(study: StudyConfig, given: Any, key: str) -> Any:
    """A swept value as the checked study holds it: a number, or a word for what is not one."""
    node: Any = study.model_dump()
    for part in key.split("."):
        node = node[part]
    return node if isinstance(node, int | float) and not isinstance(node, bool) else label(given)


def _parameter(target: zarr.Group, key: str, values: NDArray[Any]) -> None:
    name = dimension_name(key)
    if values.dtype.kind in "iuf":
        _coordinate(target, name, ("cell",), values, {"long_name": key, "units": "1"})
    else:
        _categories(target, name, "cell", [str(v) for v in values], key)


def _categories(target: zarr.Group, name: str, dim: str, words: list[str], long_name: str) -> None:
    distinct = list(dict.fromkeys(words))
    codes = np.array([distinct.index(w) for w in words], dtype="i2")
    _coordinate(target, name, (dim,), codes, {"long_name": long_name, "units": "1", **flags(distinct)})


def flags(words: list[str]) -> dict[str, Any]:
    """CF attributes of integers that stand for words."""
    return {"flag_values": list(range(len(words))), "flag_meanings": " ".join(words)}


def _coordinate(target: zarr.Group, name: str, dims: tuple[str, ...], values: ArrayLike, attributes: dict[str, Any]) -> None:
    data = np.asarray(values)
    array = target.create_array(
        name, shape=data.shape, chunks=data.shape, dtype=data.dtype, dimension_names=dims, attributes=attributes
    )
    array[...] = data


def estimated_seconds(study: StudyConfig) -> float:
    """Rough cost of a cell, from measured costs of a node and an iteration."""
    nodes = (study.grid.nx + 1) * (study.grid.nt + 1)
    if study.solver.name == "pd3o":
        # Some 16000 iterations a step at nx = 100, of 7 ns a node.
        return study.time.count * 160.0 * study.grid.nx * nodes * 7e-9
    # Some 8 Newton iterations a step, and ten times that in the convex steps that an interaction takes; elimination goes
    # with the square of the bandwidth 2 nt.
    iterations = 8.0 if study.model.energy.interaction is None else 80.0
    return study.time.count * iterations * nodes * (20e-9 + 0.3e-9 * study.grid.nt**2)


def _block_size(study: StudyConfig, cells: int) -> int:
    """Cells in a task of about two seconds, at least eight tasks in a study that is large enough, and whole lanes."""
    size = int(max(1, min(2.0 / estimated_seconds(study), cells / 8, 512)))
    return size if size < WIDTH else size // WIDTH * WIDTH


def _provenance() -> dict[str, Any]:
    packages = ("numpy", "numba", "zarr", "xarray", "dask", "distributed")
    versions = {"dajko": dajko.__version__, **{name: importlib.metadata.version(name) for name in packages}}
    found: dict[str, Any] = {"python_version": sys.version.split()[0], "package_versions": json.dumps(versions)}
    try:
        here = Path(__file__).resolve().parent
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True, timeout=10
        )
        changes = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return found
    return {**found, "git_commit": commit.stdout.strip(), "git_dirty": int(bool(changes.stdout.strip()))}


def cells_path(directory: Path) -> Path:
    """Where the cells of a study are.

    Raises
    ------
    InputError
        If there are none.
    """
    if not (directory / CELLS).exists():
        raise InputError(f"{directory}: there is no {CELLS} here; run the study first")
    return directory / CELLS
