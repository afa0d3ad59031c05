"""The uniform distribution."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Self

import numpy as np
from pydantic import model_validator
from pydantic_core import PydanticCustomError

from dajko.distribution import Distribution
from dajko.validation import Number


class Uniform(Distribution, kind="uniform"):
    """Uniform distribution.

    Parameters
    ----------
    low, high : float
        Its ends, ``low < high``.
    """

    label: ClassVar[str] = "uniform"

    low: Number
    high: Number

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high:
            raise PydanticCustomError(
                "uniform", "low must be less than high, got {a} and {b}", {"a": self.low, "b": self.high}
            )
        return self

    def draw(self, value: float | None, source: np.random.Generator) -> float:
        return float(source.uniform(self.low, self.high))

    def in_words(self, number: Callable[[float], str]) -> str:
        return f"uniform, {number(self.low)} to {number(self.high)}"
