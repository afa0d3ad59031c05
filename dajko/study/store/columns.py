"""What a store says of each cell before it is computed: its id, its place in the study, its seed and its parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import zarr
from numpy.typing import ArrayLike, NDArray

from dajko.study.config.study import StudyConfig
from dajko.study.design.identity import cell_ids
from dajko.study.design.members import label
from dajko.study.design.plan import Group, Plan, value_at
from dajko.study.design.seeds import noise_key
from dajko.study.design.sources import Sources
from dajko.study.design.sweep import dimension_name, section_of
from dajko.study.store.guard import writing_all_chunks
from dajko.study.store.variables import CODECS, ID, MEMBER, NOT_ASKED, ORDER, SEED_KEY, flags


@dataclass(frozen=True, eq=False)
class Columns:
    """Coordinates along ``cell`` of a group.

    Attributes
    ----------
    ids : array of uint64, shape (cells,)
    order : array of int, shape (cells,)
        Place of a cell in the study, point by point, members fastest; -1 for a cell that the study does not ask for.
    member : array of int, shape (cells,)
    seed_key : array of int, shape (cells, 2)
    parameters : dict from str to array of shape (cells,)
        Numbers or words of each dotted key.
    """

    ids: NDArray[np.uint64]
    order: NDArray[np.int64]
    member: NDArray[np.int64]
    seed_key: NDArray[np.int64]
    parameters: dict[str, NDArray[Any]]

    @staticmethod
    def planned(plan: Plan, group: Group, sources: Sources | None, keys: list[str]) -> Columns:
        """The cells of a group of a plan, with the values of some dotted keys."""
        points, parameters = np.asarray(group.points), {}
        member = np.tile(np.arange(plan.members), points.size)
        for key in keys:
            if key in plan.perturbed_keys:
                draws, rows = plan.drawn(key)
                parameters[key] = draws[rows[points]].ravel()
            else:
                parameters[key] = np.repeat(planned_values(plan, points, key), plan.members)
        seed_key = np.array([noise_key(m) for m in range(plan.members)])[member]
        return Columns(cell_ids(plan, group, sources), np.arange(member.size), member, seed_key, parameters)

    @staticmethod
    def stored(group: zarr.Group, study: StudyConfig, keys: list[str]) -> Columns:
        """The cells of a group of a store; a key that the store has no column for has the value of its study."""

        def column(name: str) -> NDArray[Any]:
            return np.asarray(group[name][...])  # type: ignore[index]

        ids, parameters = column(ID), {}
        for key in keys:
            name = dimension_name(key)
            if name not in group:
                parameters[key] = np.repeat(_scalar(study, None, key), ids.size)
            elif "flag_meanings" in group[name].attrs:
                parameters[key] = np.array(str(group[name].attrs["flag_meanings"]).split(" "))[column(name)]
            else:
                parameters[key] = column(name)
        return Columns(ids, column(ORDER), column(MEMBER), column(SEED_KEY), parameters)

    def extended(self, planned: Columns) -> Columns:
        """These cells, none of them moved, and after them those of a plan that are not among them."""
        _, here, there = np.intersect1d(self.ids, planned.ids, return_indices=True)
        order = np.full(self.ids.size, NOT_ASKED, dtype=np.int64)
        order[here] = planned.order[there]
        new = np.setdiff1d(planned.order, order)
        return Columns(
            np.concatenate([self.ids, planned.ids[new]]),
            np.concatenate([order, new]),
            np.concatenate([self.member, planned.member[new]]),
            np.concatenate([self.seed_key, planned.seed_key[new]]),
            {key: _joined(values, planned.parameters[key][new]) for key, values in self.parameters.items()},
        )

    def unasked(self) -> Columns:
        """The same cells, none of which the study asks for."""
        return Columns(self.ids, np.full_like(self.order, NOT_ASKED), self.member, self.seed_key, self.parameters)

    def write(self, target: zarr.Group) -> None:
        """Write the coordinates into a new group."""
        unit = {"units": "1"}
        coordinate(target, ID, ("cell",), self.ids, {"long_name": "hash that names the cell", **unit})
        described = "place in the study, point by point, members fastest; -1: the study does not ask for the cell any more"
        coordinate(target, ORDER, ("cell",), self.order, {"long_name": described, **unit})
        named = {"standard_name": "realization", "long_name": "member", **unit}
        coordinate(target, MEMBER, ("cell",), self.member, named)
        described = "spawn key of the noise's seed sequence"
        coordinate(target, SEED_KEY, ("cell", "seed_word"), self.seed_key, {"long_name": described, **unit})
        for key, values in self.parameters.items():
            if values.dtype.kind in "iuf":
                coordinate(target, dimension_name(key), ("cell",), values, {"long_name": key, **unit})
            else:
                categories(target, dimension_name(key), "cell", values, key)


def planned_values(plan: Plan, points: NDArray[np.int64], key: str) -> NDArray[Any]:
    """The value of a dotted key that is not perturbed at points of a plan: numbers, or words for what is none."""
    first, codes = plan.sweep.distinct(section_of(key))
    used, places = np.unique(codes[points], return_inverse=True)
    values = np.array([_scalar(plan.studies[p], plan.points[p].get(key), key) for p in first[used].tolist()])
    return values[places]


def coordinate_names(keys: list[str]) -> str:
    """Names of the coordinates along ``cell``, as CF's attribute ``coordinates`` lists them."""
    return " ".join([MEMBER, SEED_KEY, ID, ORDER, *(dimension_name(key) for key in keys)])


def parameter_keys(plan: Plan) -> list[str]:
    """Dotted keys that are swept or perturbed."""
    return [*(key for axis in plan.axes for key in axis.keys), *plan.perturbed_keys]


def coordinate(target: zarr.Group, name: str, dims: tuple[str, ...], values: ArrayLike, attributes: dict[str, Any]) -> None:
    """Write a coordinate."""
    data = np.asarray(values)
    target.create_array(
        name,
        shape=data.shape,
        chunks=data.shape,
        dtype=data.dtype,
        compressors=CODECS,
        dimension_names=dims,
        attributes=attributes,
    )
    with writing_all_chunks():  # so that a chunk that is not there is one that was lost
        opened = target[name]
        assert isinstance(opened, zarr.Array)
        opened[...] = data


def categories(target: zarr.Group, name: str, dim: str, words: ArrayLike, long_name: str) -> None:
    """Write words as integers with CF flags: zarr's format 3 has no agreed type for text."""
    codes, distinct = pd.factorize(np.asarray(words, dtype=object))
    dtype = "i2" if len(distinct) <= np.iinfo("i2").max else "i4"
    meanings = flags([str(word) for word in distinct])
    coordinate(target, name, (dim,), codes.astype(dtype), {"long_name": long_name, "units": "1", **meanings})


def _scalar(study: StudyConfig, given: Any, key: str) -> Any:
    """A value as the checked study holds it: a number, or a word for what is not one."""
    found = value_at(study, key)
    if isinstance(found, int | float) and not isinstance(found, bool):
        return found
    if given is None and found is not None:
        given = found.model_dump(mode="json") if hasattr(found, "model_dump") else found
    return label(given)


def _joined(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    """Two columns as one; words, if one of them holds words."""
    if (first.dtype.kind in "iuf") != (second.dtype.kind in "iuf"):
        first, second = (np.array([str(v) for v in values], dtype=np.str_) for values in (first, second))
    return np.concatenate([first, second])
