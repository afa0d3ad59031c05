"""All cells of a study: the points of its sweep, each with the same members, and the groups that have results of one shape.

The points are not held in memory: what is asked for is made. A study is a mapping of sections, and what one section may hold
does not depend on the others; so the sections of a point are checked one by one, and each of them once, however many points
have it in common.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from dajko.distribution import Distribution
from dajko.errors import InputError
from dajko.grid import Grid, Scheme
from dajko.ingredient import KIND
from dajko.observation import labels
from dajko.study.config.parse import parse
from dajko.study.config.rounding import written
from dajko.study.config.study import StudyConfig
from dajko.study.design.seeds import generator, noise_key, perturbation_key
from dajko.study.design.sweep import Axis, Lazy, Sweep, section_of

# Checked sections that a plan keeps.
_MOST_KEPT = 4096


class Shape(NamedTuple):
    """What decides the shape and the coordinates of results."""

    left: float
    right: float
    nx: int
    scheme: Scheme
    tau: float
    steps: int
    operators: str  # as JSON
    names: str  # of the measured numbers, as JSON: a store is read without its ingredients

    @property
    def written(self) -> Shape:
        """The shape with numbers as a person would write them: shapes that agree in it are one."""
        return self._replace(left=written(self.left), right=written(self.right), tau=written(self.tau))

    @property
    def grid(self) -> Grid:
        """The grid in space; of artificial time nothing is stored."""
        return Grid(self.left, self.right, self.nx, nt=1, scheme=self.scheme)

    @property
    def labels(self) -> list[str]:
        """Names of the numbers that are measured."""
        found: list[str] = json.loads(self.names)
        return found


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
    def sweep(self) -> Sweep:
        """The sweep, as combinations of values along its axes."""
        return Sweep(self.axes)

    @cached_property
    def points(self) -> Sequence[dict[str, Any]]:
        """The swept values at each point, by dotted key."""
        return Lazy(len(self.sweep), self.sweep.values)

    @cached_property
    def studies(self) -> Sequence[StudyConfig]:
        """The study at each point: the swept values put in, nothing left to sweep."""
        return Lazy(len(self.sweep), self._at)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The groups, in the order of their first points."""
        first, codes = self.sweep.distinct("grid", "time", "observations")
        found: dict[Shape, list[int]] = {}
        for i, point in enumerate(first.tolist()):
            found.setdefault(self.shape(point), []).append(i)
        if len(found) == 1:
            return (Group("", tuple(range(len(self.sweep)))),)
        number = np.empty(first.size, dtype=np.int64)
        for i, members in enumerate(found.values()):
            number[members] = i
        points = [tuple(np.flatnonzero(number[codes] == i).tolist()) for i in range(len(found))]
        return tuple(Group(group_name(i, shape), points[i]) for i, shape in enumerate(found))

    def shape(self, point: int) -> Shape:
        """What decides the shape and the coordinates of a point's results."""
        return shape_key(self.studies[point])

    @property
    def perturbed_keys(self) -> tuple[str, ...]:
        """Dotted keys that are drawn for each member."""
        return tuple(sorted(self.study.ensemble.perturbations))

    def draws(self, point: int, member: int) -> dict[str, float]:
        """The perturbed values of a member at a point."""
        seed, study = self.study.ensemble.seed, self.studies[point]
        return {
            key: distribution.draw(value_at(study, key), generator(seed, perturbation_key(key, member)))
            for key, distribution in sorted(self.study.ensemble.perturbations.items())
        }

    def drawn(self, key: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """All draws of a perturbed key.

        Returns
        -------
        array of shape (rows, members), array of shape (points,)
            The draws, which are the same at points where the study gives the key the same value; and the row of each point.
        """
        first, codes = self.sweep.distinct(section_of(key))
        distribution = self.study.ensemble.perturbations[key]
        values = [value_at(self.studies[point], key) for point in first.tolist()]
        if not distribution.needs_value:
            values = [None] * len(values)  # which does not depend on what the study gives
        rows = {value: i for i, value in enumerate(dict.fromkeys(values))}
        draws = [_draws(self.study.ensemble.seed, key, distribution, value, self.members) for value in rows]
        return np.array(draws), np.array([rows[value] for value in values])[codes]

    def cell_study(self, point: int, member: int, setting: Mapping[str, Any] | None = None) -> StudyConfig:
        """The study of one cell: the point's, with the member's draws put in, and last the values of a setting."""
        if not self.perturbed_keys and not setting:
            return self.studies[point]
        return self._at(point, self.draws(point, member), dict(setting or {}), place=f"member {member}, at")

    def noise_generator(self, member: int) -> np.random.Generator:
        """The random numbers of a member's noise."""
        return generator(self.study.ensemble.seed, noise_key(member))

    def _at(self, point: int, *more: dict[str, Any], place: str = "at") -> StudyConfig:
        """The study at a point, with further values put in. Only the sections are checked in which something changes."""
        overrides = [self.sweep.values(point), *more]
        touched = dict.fromkeys(section_of(key) for override in overrides for key in override)
        try:
            return self._base.model_copy(update={name: self._section(name, overrides) for name in touched})
        except (ValidationError, KeyError, TypeError, RecursionError):
            return self._whole(overrides, place)  # which says what is wrong

    def _section(self, name: str, overrides: list[dict[str, Any]]) -> Any:
        """The checked content of a section. One that was just the same is not checked again."""
        here = [(key, value) for override in overrides for key, value in override.items() if section_of(key) == name]
        token = name, tuple(map(_token, here))
        if token not in self._checked:
            content = {name: copy.deepcopy(self._content[name])}
            for key, value in here:
                assign(content, key, value)
            if len(self._checked) >= _MOST_KEPT:
                self._checked.clear()
            self._checked[token] = _checker(name).validate_python(content[name], strict=True)
        return self._checked[token]

    def _whole(self, overrides: list[dict[str, Any]], place: str) -> StudyConfig:
        content = copy.deepcopy(self._content)
        for override in overrides:
            for key, value in override.items():
                assign(content, key, value)
        try:
            return parse(StudyConfig, content, f"studies.{self.name}")
        except InputError as error:
            if any(words in str(error) for words in ("unknown key", "is missing")):
                for key in (key for override in overrides for key in override if is_choice(self.study, key)):
                    raise choice_swept(self, key) from None
            values = ", ".join(f"{k} = {v}" for override in overrides for k, v in override.items())
            raise InputError(f"{error} ({place} {values})" if values else str(error)) from None

    @cached_property
    def _content(self) -> dict[str, Any]:
        content = self.study.model_dump()
        content.update(sweep={}, zip={}, limits=False)
        content["ensemble"]["perturbations"] = {}
        return content

    @cached_property
    def _base(self) -> StudyConfig:
        return parse(StudyConfig, copy.deepcopy(self._content), f"studies.{self.name}")

    @cached_property
    def _checked(self) -> dict[Any, Any]:
        return {}


def value_at(study: StudyConfig, key: str) -> Any:
    """The value of a study at a dotted key."""
    node: Any = study
    for part in key.split("."):
        node = getattr(node, part)
    return node


def is_choice(study: StudyConfig, key: str) -> bool:
    """Whether a dotted key says which of several mappings, each with its own keys, stands there."""
    above, _, last = key.rpartition(".")
    return bool(above) and last == KIND and hasattr(value_at(study, above), last)


def choice_swept(plan: Plan, key: str) -> InputError:
    """The answer to a sweep over such a key whose alternatives differ in keys or defaults."""
    above, _, last = key.rpartition(".")
    place = "zip" if key in plan.study.zip else "sweep"
    values = dict.fromkeys(v[axis.keys.index(key)] for axis in plan.axes if key in axis.keys for v in axis.values)
    way = ", ".join(f"{{{last}: {value}}}" for value in values)
    return InputError(
        f"studies.{plan.name}.{place}.{key}: each {last} has keys and defaults of its own, so the whole must vary: "
        f"write {above}: [{way}] there, with the keys of each"
    )


def shape_key(study: StudyConfig) -> Shape:
    """What decides the shape and the coordinates of a point's results."""
    grid, time, operators = study.grid, study.time, study.observations.operators
    content = json.dumps([o.content() for o in operators])
    return Shape(grid.left, grid.right, grid.nx, grid.scheme, time.tau, time.count, content, json.dumps(labels(operators)))


def group_name(number: int, shape: Shape) -> str:
    """Name of a group among several."""
    return f"{number:02d}-nx{shape.nx}-steps{shape.steps}"


def operator_labels(study: StudyConfig) -> list[str]:
    """Names of the numbers that are measured."""
    return shape_key(study).labels


def assign(content: dict[str, Any], key: str, value: Any) -> None:
    """Put a value at a dotted key of a nested mapping."""
    *path, last = key.split(".")
    node = content
    for part in path:
        node = node[part]
    node[last] = value


@lru_cache(maxsize=8)
def _draws(seed: int, key: str, distribution: Distribution, configured: float | None, members: int) -> NDArray[np.float64]:
    """The draws of all members, which take some 20 microseconds each."""
    sources = (generator(seed, perturbation_key(key, member)) for member in range(members))
    return np.array([distribution.draw(configured, source) for source in sources])


@lru_cache(maxsize=32)
def _checker(section: str) -> TypeAdapter[Any]:
    """Checks one section of a study."""
    field = StudyConfig.model_fields[section]
    checked: Any = Annotated[field.annotation, field]
    return TypeAdapter(checked)


def _token(item: tuple[str, Any]) -> Any:
    """What tells values of a key apart, also those that Python takes for equal, such as 1, 1.0 and True."""
    return item[0], repr(item[1])
