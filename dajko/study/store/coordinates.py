"""Coordinates follow from the study: they are compared with it before a run, and written again where they are damaged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dajko.errors import InputError
from dajko.study.design.plan import Group, Plan, Shape
from dajko.study.design.sources import sources
from dajko.study.design.sweep import dimension_name
from dajko.study.store.cells import CellStore
from dajko.study.store.columns import Columns
from dajko.study.store.records import write_spare
from dajko.study.store.variables import ID, MEMBER, NOT_ASKED, ORDER, SEED_KEY, TIME, X


def mend_coordinates(store: CellStore, plan: Plan) -> list[str]:
    """Write coordinates again that are not what a study says.

    An id is a hash of all that a cell is; so ids and places tell which cell stands where, and the rest follows.

    Parameters
    ----------
    store : CellStore
        A store of just the cells of the plan, which nobody else writes.
    plan : Plan

    Returns
    -------
    list of str
        A sentence for each coordinate that was written.

    Raises
    ------
    InputError
        If ids and places contradict the study, or each other.
    """
    groups = {plan.shape(group.points[0]): group for group in plan.groups}
    found: list[str] = []
    for number in range(len(store.groups)):
        found += _mend(store, number, plan, groups.get(store.shape(number)))
    if found and store.spare.there:
        write_spare(store.path, store.names)
    return found


def _mend(store: CellStore, number: int, plan: Plan, group: Group | None) -> list[str]:
    expected: dict[str, NDArray[Any]] = dict(_axes(store.shape(number)))
    asked = np.zeros(0, dtype=np.bool_)
    if group is not None:
        planned = Columns.planned(plan, group, sources(), store.parameters)
        order = _order(store, number, planned)
        asked = order != NOT_ASKED
        place = order[asked]
        if place.size != planned.ids.size:
            raise _contradiction(store, number)
        columns = {MEMBER: planned.member, SEED_KEY: planned.seed_key, ID: planned.ids, ORDER: planned.order}
        columns |= {dimension_name(key): values for key, values in planned.parameters.items()}
        expected |= {name: values[place] for name, values in columns.items()}
    written = []
    for name, values in expected.items():
        cells = slice(None) if name in (TIME, X) else asked
        stored = _read(store, number, name)
        coded = _coded(store, number, name, values)
        if stored is None and not np.all(asked):
            raise _contradiction(store, number)  # what the study does not ask for follows from nothing
        if stored is None or not np.array_equal(stored[cells], coded, equal_nan=coded.dtype.kind == "f"):
            array = store.array(number, name)
            whole = np.zeros(array.shape, dtype=array.dtype) if stored is None else stored
            whole[cells] = coded
            array[...] = whole
            written.append(f"{store.path / array.path}: was not what the study says")
    return written


def _axes(shape: Shape) -> Mapping[str, NDArray[Any]]:
    return {TIME: shape.tau * np.arange(shape.steps + 1), X: shape.grid.x}


def _order(store: CellStore, number: int, planned: Columns) -> NDArray[np.int64]:
    """The place of each cell, which ids tell as well; the ids and the places must agree, as far as both can be read."""
    ids, order = _read(store, number, ID), _read(store, number, ORDER)
    if ids is None and order is None:
        raise _contradiction(store, number)
    if ids is not None:
        _, here, there = np.intersect1d(ids, planned.ids, return_indices=True)
        told = np.full(ids.size, NOT_ASKED, dtype=np.int64)
        told[here] = planned.order[there]
        if order is not None and not np.array_equal(told, order):
            raise _contradiction(store, number)
        order = told
    assert order is not None
    if (order >= planned.ids.size).any():
        raise _contradiction(store, number)
    return order


def _read(store: CellStore, number: int, name: str) -> NDArray[Any] | None:
    try:
        return store.order(number).copy() if name == ORDER else store.coordinate(number, name)
    except InputError:
        return None


def _coded(store: CellStore, number: int, name: str, values: NDArray[Any]) -> NDArray[Any]:
    """Values as the store holds them: words as codes."""
    array = store.array(number, name)
    if values.dtype.kind in "iuf" and "flag_meanings" not in array.attrs:
        return values.astype(array.dtype)
    words = {word: i for i, word in enumerate(str(array.attrs.get("flag_meanings", "")).split(" "))}
    codes = [words.get(str(value), -1) for value in values.tolist()]
    if -1 in codes:
        raise _contradiction(store, number)
    return np.array(codes, dtype=array.dtype)


def _contradiction(store: CellStore, number: int) -> InputError:
    where = store.path / store.groups[number].path
    return InputError(
        f"{where}: its coordinates are damaged or contradict the study, and nobody can tell its cells; take "
        f"{store.path.name} from a backup, or say --recompute"
    )
