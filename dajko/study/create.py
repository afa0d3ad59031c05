"""Make the store of a plan: whole, or not at all."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import ArrayLike, NDArray

import dajko
from dajko.solvers import Status
from dajko.study.config import SCHEMA_VERSION, StudyConfig
from dajko.study.layout import OBSERVATION, TIME, X, block_size, flags, stored_variables
from dajko.study.members import Group, Plan, dimension_name, label, operator_labels


def create(path: Path, plan: Plan, digest: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    root = zarr.create_group(temporary, zarr_format=3)
    root.attrs.update(
        {
            "Conventions": "CF-1.11",
            **description(plan),
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


def description(plan: Plan) -> dict[str, Any]:
    return {"title": plan.study.title or plan.name, "configuration": plan.study.model_dump_json()}


def _create_group(target: zarr.Group, plan: Plan, group: Group) -> None:
    study = plan.studies[group.points[0]]
    cells = len(group.points) * plan.members
    names = operator_labels(study)
    sizes = {TIME: study.time.count + 1, X: study.grid.nx + 1, OBSERVATION: len(names)}
    variables = stored_variables(plan.study)
    largest = max(int(np.prod([sizes[d] for d in v.dims])) * np.dtype(v.dtype).itemsize for v in variables.values())
    block = block_size(study, cells, plan.study.block, largest)
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


def _coordinate(target: zarr.Group, name: str, dims: tuple[str, ...], values: ArrayLike, attributes: dict[str, Any]) -> None:
    data = np.asarray(values)
    array = target.create_array(
        name, shape=data.shape, chunks=data.shape, dtype=data.dtype, dimension_names=dims, attributes=attributes
    )
    array[...] = data


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
