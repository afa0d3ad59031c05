"""The normal distribution."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from dajko.distribution import Distribution
from dajko.validation import Number, Positive


class Normal(Distribution, kind="normal"):
    """Normal distribution.

    Parameters
    ----------
    mean : float or None
        By default the value that the study gives to the parameter.
    std : float
        Standard deviation, greater than 0.
    """

    label: ClassVar[str] = "normal"

    std: Positive
    mean: Number | None = None

    @property
    def needs_value(self) -> bool:
        return self.mean is None

    def draw(self, value: float | None, source: np.random.Generator) -> float:
        mean = value if self.mean is None else self.mean
        assert mean is not None
        return float(source.normal(mean, self.std))

    def in_words(self, number: Callable[[float], str]) -> str:
        mean = "" if self.mean is None else f"mean {number(self.mean)}, "
        return f"normal, {mean}standard deviation {number(self.std)}"
