"""The points of a sweep, none of which is held in memory: what they are follows from the values along each axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item")

# Items of a lazy sequence that are kept, because they are mostly asked for in order.
_KEPT = 1024


@dataclass(frozen=True)
class Axis:
    """One axis of the sweep: the keys that vary along it, together, and a value of each at every position."""

    keys: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]  # [position][key]

    @property
    def dimension(self) -> str:
        """Name of the dimension in the stores."""
        return dimension_name(self.keys[0]) if len(self.keys) == 1 else "zip"


class Lazy(Sequence[Item]):
    """A sequence whose items are made when they are asked for; equal to any sequence of equal items."""

    def __init__(self, length: int, make: Callable[[int], Item]) -> None:
        self._length, self._make = length, lru_cache(maxsize=_KEPT)(make)

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        if isinstance(index, slice):
            return [self._make(i) for i in range(*index.indices(self._length))]
        at = int(index) + (self._length if index < 0 else 0)
        if not 0 <= at < self._length:
            raise IndexError(index)
        return self._make(at)

    def __iter__(self) -> Iterator[Item]:
        return (self._make(i) for i in range(self._length))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Sweep:
    """All combinations of the values along some axes, numbered with the last axis fastest."""

    axes: tuple[Axis, ...]

    @property
    def lengths(self) -> tuple[int, ...]:
        """Number of values along each axis."""
        return tuple(len(axis.values) for axis in self.axes)

    def __len__(self) -> int:
        return math.prod(self.lengths)

    def values(self, point: int) -> dict[str, Any]:
        """The swept values at a point, by dotted key."""
        rows: list[tuple[Any, ...]] = []
        rest = point
        for axis in reversed(self.axes):
            rest, at = divmod(rest, len(axis.values))
            rows.append(axis.values[at])
        return {
            key: value
            for axis, row in zip(self.axes, reversed(rows), strict=True)
            for key, value in zip(axis.keys, row, strict=True)
        }

    def distinct(self, *sections: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Points that differ in some sections of the study.

        Parameters
        ----------
        *sections : str
            First words of dotted keys.

        Returns
        -------
        array, array
            The first point of each combination of the values in these sections, ascending; and for each point of the sweep
            which of the combinations it has.
        """
        matters = [any(section_of(key) in sections for key in axis.keys) for axis in self.axes]
        reduced = [n if here else 1 for n, here in zip(self.lengths, matters, strict=True)]
        codes = np.arange(math.prod(reduced)).reshape(reduced)
        numbers = np.arange(len(self)).reshape(self.lengths)
        first = numbers[tuple(slice(None) if here else slice(1) for here in matters)]
        return first.ravel(), np.broadcast_to(codes, self.lengths).ravel()


def section_of(key: str) -> str:
    """The section of a study that a dotted key stands in."""
    return key.split(".", maxsplit=1)[0]


def dimension_name(key: str) -> str:
    """Name of the dimension or coordinate of a dotted key: dots become underscores."""
    return key.replace(".", "_")
