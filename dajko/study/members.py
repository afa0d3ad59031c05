"""What a study consists of: points of the sweep, members of the ensemble, cells, and the seeds of each.

A *point* is one combination of the swept values, a *member* one repetition with its own noise and its own draws of the
perturbed keys, a *cell* one member at one point. Cells are numbered point by point, members fastest. Points whose results
have the same shape and coordinates form a *group*; most studies have one.
"""

from __future__ import annotations

import copy
import difflib
import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from dajko.errors import InputError
from dajko.study.config import NOT_SWEPT, StudyConfig
from dajko.study.parse import parse
from dajko.study.seeds import draw, generator, noise_key, perturbation_key
from dajko.study.variation import DistributionConfig

# More cells than this are a slip.
_MOST_CELLS = 10_000_000

# Sections whose names the stores use for something else.
_SECTIONS = {"truth": "solution.shift", "time": "tau", "observations": "operators"}

# The data-only limit is taken at this share of tau: theta -> 0 to about three digits, for masses of order 1.
DATA_ONLY_SHARE = 1e-3


@dataclass(frozen=True)
class Axis:
    """One axis of the sweep: the keys that vary along it, together, and a value of each at every position."""

    keys: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]  # [position][key]

    @property
    def dimension(self) -> str:
        """Name of the dimension in the stores."""
        return dimension_name(self.keys[0]) if len(self.keys) == 1 else "zip"


class Shape(NamedTuple):
    """What decides the shape and the coordinates of results."""

    left: float
    right: float
    nx: int
    tau: float
    steps: int
    operators: str  # as JSON

    @property
    def labels(self) -> list[str]:
        """Names of the numbers that are measured."""
        names: list[str] = []
        for operator in json.loads(self.operators):
            if isinstance(operator, str):
                names.append(operator)
            elif "sensors" in operator:
                names += [f"sensor_{i}" for i in range(len(operator["sensors"]["positions"]))]
            else:
                names += [f"interval_mass_{i}" for i in range(len(operator["interval_masses"]["edges"]) - 1)]
        return names


@dataclass(frozen=True)
class Group:
    """Points whose results have the same shape and coordinates."""

    name: str  # "" for the only group of a study
    points: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """All cells of a study.

    Attributes
    ----------
    name : str
    study : StudyConfig
    axes : tuple of Axis
    """

    name: str
    study: StudyConfig
    axes: tuple[Axis, ...]

    @property
    def members(self) -> int:
        """Members at each point."""
        return self.study.ensemble.members

    @cached_property
    def points(self) -> tuple[dict[str, Any], ...]:
        """The swept values at each point, by dotted key."""
        combinations = itertools.product(*(axis.values for axis in self.axes))
        return tuple(
            {
                key: value
                for axis, values in zip(self.axes, row, strict=True)
                for key, value in zip(axis.keys, values, strict=True)
            }
            for row in combinations
        )

    @cached_property
    def studies(self) -> tuple[StudyConfig, ...]:
        """The study at each point: the swept values put in, nothing left to sweep."""
        return tuple(self._at(point) for point in self.points)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The groups, in the order of their first points."""
        found: dict[Shape, list[int]] = {}
        for i, study in enumerate(self.studies):
            found.setdefault(shape_key(study), []).append(i)
        if len(found) == 1:
            return (Group("", tuple(range(len(self.points)))),)
        return tuple(Group(group_name(i, key), tuple(points)) for i, (key, points) in enumerate(found.items()))

    @property
    def perturbed_keys(self) -> tuple[str, ...]:
        """Dotted keys that are drawn for each member."""
        return tuple(sorted(self.study.ensemble.perturbations))

    def draws(self, point: int, member: int) -> dict[str, float]:
        """The perturbed values of a member at a point."""
        seed, study = self.study.ensemble.seed, self.studies[point]
        return {
            key: draw(distribution, value_at(study, key), generator(seed, perturbation_key(key, member)))
            for key, distribution in sorted(self.study.ensemble.perturbations.items())
        }

    def cell_study(self, point: int, member: int, setting: Mapping[str, Any] | None = None) -> StudyConfig:
        """The study of one cell: the point's, with the member's draws put in, and last the values of a setting."""
        if not self.perturbed_keys and not setting:
            return self.studies[point]
        return self._at(self.points[point], self.draws(point, member), dict(setting or {}), place=f"member {member}, at")

    def noise_generator(self, member: int) -> np.random.Generator:
        """The random numbers of a member's noise."""
        return generator(self.study.ensemble.seed, noise_key(member))

    def _at(self, *overrides: dict[str, Any], place: str = "at") -> StudyConfig:
        content = copy.deepcopy(self._content)
        for override in overrides:
            for key, value in override.items():
                assign(content, key, value)
        try:
            return parse(StudyConfig, content, f"studies.{self.name}")
        except InputError as error:
            values = ", ".join(f"{k} = {v}" for override in overrides for k, v in override.items())
            raise InputError(f"{error} ({place} {values})" if values else str(error)) from None

    @cached_property
    def _content(self) -> dict[str, Any]:
        content = self.study.model_dump()
        content.update(sweep={}, zip={}, limits=False)
        content["ensemble"]["perturbations"] = {}
        return content


def make_plan(name: str, study: StudyConfig) -> Plan:
    """The plan of a study, with every point checked.

    Raises
    ------
    InputError
        If a swept or perturbed key does not exist, a sweep is empty, or a point is not a valid study.
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
    plan = Plan(name, study, tuple(axes))
    for key in plan.perturbed_keys:
        where = f"{prefix}.ensemble.perturbations.{key}"
        if any(key in axis.keys for axis in axes):
            raise InputError(f"{where}: is swept already; a key is either swept or perturbed")
        for point in plan.studies:  # a sweep may put in another kind of profile, say, which has no such key
            _check_perturbation(point, key, study.ensemble.perturbations[key], where)
    _ = plan.groups  # builds and checks every point
    return plan


def dimension_name(key: str) -> str:
    """Name of the dimension or coordinate of a dotted key: dots become underscores."""
    return key.replace(".", "_")


def value_at(study: StudyConfig, key: str) -> Any:
    """The value of a study at a dotted key."""
    node: Any = study
    for part in key.split("."):
        node = getattr(node, part)
    return node


def shape_key(study: StudyConfig) -> Shape:
    """What decides the shape and the coordinates of a point's results."""
    operators = json.dumps([o if isinstance(o, str) else o.model_dump() for o in study.observations.operators])
    return Shape(study.grid.left, study.grid.right, study.grid.nx, study.time.tau, study.time.count, operators)


def group_name(number: int, shape: Shape) -> str:
    """Name of a group among several."""
    return f"{number:02d}-nx{shape.nx}-steps{shape.steps}"


def operator_labels(study: StudyConfig) -> list[str]:
    """Names of the numbers that are measured."""
    return shape_key(study).labels


def label(value: Any) -> str:
    """A swept value as one word, for coordinates that are not numbers."""
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":")).replace('"', "").replace(" ", "_")


def _values(given: Any) -> list[Any]:
    return list(given) if isinstance(given, list) else list(given.values())


def _check_distinct(values: list[Any], where: str) -> None:
    seen: set[Any] = set()
    for value in values:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        text = value if is_number else json.dumps(_as_floats(value), sort_keys=True, default=str)
        if text in seen:
            raise InputError(f"{where}: must not name a value twice, got {json.dumps(value, default=str)} again")
        seen.add(text)


def _as_floats(value: Any) -> Any:
    """The value with 1 and 1.0 written alike."""
    if isinstance(value, list | tuple):
        return [_as_floats(v) for v in value]
    if isinstance(value, dict):
        return {str(k): _as_floats(v) for k, v in value.items()}
    return float(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53 else value


def _check_independent(keys: list[str], prefix: str) -> None:
    """A swept key must not lie inside another, which would undo it."""
    for key, other in itertools.permutations(keys, 2):
        if key.startswith(f"{other}."):
            raise InputError(f"{prefix}.sweep.{key}: cannot be swept beside {other}, which holds it; put it in there")


def _check_perturbation(study: StudyConfig, key: str, distribution: DistributionConfig, where: str) -> None:
    _check_key(study, key, where)
    value = _lookup(study.model_dump(), key)
    if isinstance(value, bool) or not isinstance(value, int | float | None):
        raise InputError(f"{where}: only a number can be perturbed, got {value!r}")
    if key.split(".", maxsplit=1)[0] in ("grid", "time", "observations"):
        raise InputError(f"{where}: decides about the grid, the times or the data of the store; sweep it instead")
    if value is None and distribution.normal is not None and distribution.normal.mean is None:
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
    return DATA_ONLY_SHARE * study.time.tau


def _check_key(study: StudyConfig, key: str, where: str) -> None:
    first = key.split(".", maxsplit=1)[0]
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

    return [key for key in walk(study.model_dump(), "") if key.split(".", maxsplit=1)[0] not in NOT_SWEPT]


def _lookup(content: dict[str, Any], key: str) -> Any:
    node: Any = content
    for part in key.split("."):
        if not isinstance(node, dict):
            raise KeyError(key)
        node = node[part]
    return node


def assign(content: dict[str, Any], key: str, value: Any) -> None:
    """Put a value at a dotted key of a nested mapping."""
    *path, last = key.split(".")
    node = content
    for part in path:
        node = node[part]
    node[last] = value
