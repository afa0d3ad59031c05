"""What a study consists of: points of the sweep, members of the ensemble, cells, and the seeds of each.

A *point* is one combination of the swept values, a *member* one repetition with its own noise and its own draws of the
perturbed keys, a *cell* one member at one point. Cells are numbered point by point, members fastest. Points whose results
have the same shape and coordinates form a *group*; most studies have one.
"""

from __future__ import annotations

import difflib
import itertools
import json
import math
from dataclasses import fields
from typing import Any

import numpy as np

from dajko.distribution import Distribution
from dajko.errors import InputError
from dajko.ingredient import Ingredient
from dajko.study.config.rounding import written
from dajko.study.config.study import NOT_SWEPT, StudyConfig
from dajko.study.design.plan import Group, Plan, Shape, choice_swept, is_choice, operator_labels, shape_key, value_at
from dajko.study.design.sweep import Axis, dimension_name, section_of

__all__ = [
    "Axis",
    "Group",
    "Plan",
    "Shape",
    "data_only_theta",
    "dimension_name",
    "known_plan",
    "label",
    "make_plan",
    "operator_labels",
    "shape_key",
    "value_at",
]

# More cells than this are a slip.
_MOST_CELLS = 10_000_000

# Sections whose names the stores use for something else.
_SECTIONS = {"truth": "solution.shift", "time": "tau", "observations": "operators"}

# The data-only limit is taken at this share of tau: theta -> 0 to about three digits, for masses of order 1.
DATA_ONLY_SHARE = 1e-3


def make_plan(name: str, study: StudyConfig) -> Plan:
    """The plan of a study, with every point checked.

    Raises
    ------
    InputError
        If a swept or perturbed key does not exist, a sweep is empty, or a point is not a valid study.
    """
    plan = known_plan(name, study)
    # Sections are checked each for itself: a point is valid if all its sections are. The first that is not is named.
    for point in sorted({bad for section in StudyConfig.model_fields for bad in _first_bad(plan, section)}):
        _ = plan.studies[point]
    for key in (key for axis in plan.axes for key in axis.keys if is_choice(study, key)):
        _check_choice(plan, key)
    for key in plan.perturbed_keys:
        where = f"studies.{name}.ensemble.perturbations.{key}"
        if any(key in axis.keys for axis in plan.axes):
            raise InputError(f"{where}: is swept already; a key is either swept or perturbed")
        # A sweep may put in another kind of profile, say, which has no such key.
        for point in plan.sweep.distinct(section_of(key))[0].tolist():
            _check_perturbation(plan.studies[point], key, study.ensemble.perturbations[key], where)
    return plan


def known_plan(name: str, study: StudyConfig) -> Plan:
    """The plan of a study whose points have been checked before.

    Raises
    ------
    InputError
        If a swept key does not exist, or a sweep is empty.
    """
    prefix = f"studies.{name}"
    axes = []
    for key, given in study.sweep.items():
        _check_key(study, key, f"{prefix}.sweep.{key}")
        values = _values(given)
        _check_distinct(values, f"{prefix}.sweep.{key}")
        axes.append(Axis((key,), tuple((v,) for v in values)))
    if study.zip:
        columns = {}
        for key, given in study.zip.items():
            _check_key(study, key, f"{prefix}.zip.{key}")
            if key in study.sweep:
                raise InputError(f"{prefix}.zip.{key}: stands in sweep already")
            columns[key] = _values(given)
        lengths = {key: len(values) for key, values in columns.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(f"{prefix}.zip: all keys must have the same number of values, got {lengths}")
        rows = list(zip(*columns.values(), strict=True))
        _check_distinct(rows, f"{prefix}.zip")
        axes.append(Axis(tuple(columns), tuple(rows)))
    if study.limits:
        axes = _with_limits(axes, study, prefix)
    _check_independent([key for axis in axes for key in axis.keys], prefix)
    cells = math.prod(len(axis.values) for axis in axes) * study.ensemble.members
    if cells > _MOST_CELLS:
        raise InputError(f"{prefix}: must have at most {_MOST_CELLS} cells, points times members, got {cells}")
    return Plan(name, study, tuple(axes))


def _check_choice(plan: Plan, key: str) -> None:
    """Refuse a sweep over a kind, say, that would give one kind the defaults of another."""
    above, _, last = key.rpartition(".")

    def defaults(study: StudyConfig) -> dict[str, Any]:
        chosen = value_at(study, above)
        if isinstance(chosen, Ingredient):
            return {field.name: field.default for field in fields(chosen)}  # type: ignore[arg-type]
        return {name: field.get_default() for name, field in type(chosen).model_fields.items() if name != last}

    points = plan.sweep.distinct(section_of(key))[0].tolist()
    if any(defaults(plan.studies[point]) != defaults(plan.study) for point in points):
        raise choice_swept(plan, key)


def _first_bad(plan: Plan, section: str) -> list[int]:
    """The first point whose section is not valid, if there is one."""
    for point in plan.sweep.distinct(section)[0].tolist():
        try:
            plan.studies[point]
        except InputError:
            return [point]
    return []


def label(value: Any) -> str:
    """A swept value as one word, for coordinates that are not numbers."""
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":")).replace('"', "").replace(" ", "_")


def _values(given: Any) -> list[Any]:
    """The values, numbers as a person would write them; what stands inside lists and mappings stays as it is."""
    return [written(v) if isinstance(v, float) else v for v in (given if isinstance(given, list) else given.values())]


def _check_distinct(values: list[Any], where: str) -> None:
    seen: set[Any] = set()
    for value in values:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        text = value if is_number else json.dumps(_as_floats(value), sort_keys=True, default=str)
        if text in seen:
            raise InputError(f"{where}: must not name a value twice, got {json.dumps(value, default=str)} again")
        seen.add(text)


def _as_floats(value: Any) -> Any:
    """The value with 1 and 1.0 written alike, and numbers as a person would write them."""
    if isinstance(value, list | tuple):
        return [_as_floats(v) for v in value]
    if isinstance(value, dict):
        return {str(k): _as_floats(v) for k, v in value.items()}
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
        return float(value)
    return written(value) if isinstance(value, float) else value


def _check_independent(keys: list[str], prefix: str) -> None:
    """A swept key must not lie inside another, which would undo it."""
    for key, other in itertools.permutations(keys, 2):
        if key.startswith(f"{other}."):
            raise InputError(f"{prefix}.sweep.{key}: cannot be swept beside {other}, which holds it; put it in there")


def _check_perturbation(study: StudyConfig, key: str, distribution: Distribution, where: str) -> None:
    _check_key(study, key, where)
    value = _lookup(study.model_dump(), key)
    if isinstance(value, bool) or not isinstance(value, int | float | None):
        raise InputError(f"{where}: only a number can be perturbed, got {value!r}")
    if section_of(key) in ("grid", "time", "observations"):
        raise InputError(f"{where}: decides about the grid, the times or the data of the store; sweep it instead")
    if value is None and distribution.needs_value:
        raise InputError(f"{where}: needs a mean, because the study gives no value to {key}")


def _with_limits(axes: list[Axis], study: StudyConfig, prefix: str) -> list[Axis]:
    for i, axis in enumerate(axes):
        if axis.keys == ("theta",):
            swept = [v for (v,) in axis.values]
            if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in swept):
                raise InputError(f"{prefix}.sweep.theta: must be numbers greater than 0, got {swept}")
            data_only = data_only_theta(study)
            if min(swept) <= data_only or max(swept) == np.inf:
                raise InputError(
                    f"{prefix}.limits: adds theta = {data_only:g} and theta = .inf, so the sweep must stay between them, "
                    f"got {min(swept):g} to {max(swept):g}"
                )
            axes[i] = Axis(axis.keys, ((data_only,), *axis.values, (np.inf,)))
            return axes
    raise InputError(f"{prefix}.limits: needs theta in sweep")


def data_only_theta(study: StudyConfig) -> float:
    """The theta that stands for the limit theta -> 0, in which the flow meets the data."""
    return written(DATA_ONLY_SHARE * study.time.tau)


def _check_key(study: StudyConfig, key: str, where: str) -> None:
    first = section_of(key)
    if key in _SECTIONS:
        raise InputError(f"{where}: is a section; name a key in it, such as {key}.{_SECTIONS[key]}")
    if first in NOT_SWEPT:
        raise InputError(f"{where}: {first} says what the study is and cannot vary inside it")
    try:
        _lookup(study.model_dump(), key)
    except KeyError:
        near = difflib.get_close_matches(key, _keys(study), n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else "; keys are dotted, such as noise.level or grid.nx"
        raise InputError(f"{where}: the study has no such key{hint}") from None


def _keys(study: StudyConfig) -> list[str]:
    def walk(node: Any, path: str) -> list[str]:
        if isinstance(node, dict):
            return [key for name, child in node.items() for key in walk(child, f"{path}.{name}" if path else name)]
        return [path]

    return [key for key in walk(study.model_dump(), "") if section_of(key) not in NOT_SWEPT]


def _lookup(content: dict[str, Any], key: str) -> Any:
    node: Any = content
    for part in key.split("."):
        if not isinstance(node, dict):
            raise KeyError(key)
        node = node[part]
    return node
