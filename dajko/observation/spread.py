"""The variance of a normalised density."""

from __future__ import annotations

from typing import ClassVar

from dajko.observation import SPREAD, Observation


class Spread(Observation, kind="spread"):
    """``int (x - mean)^2 u / M``: the variance of the normalised density."""

    label: ClassVar[str] = "spread"
    formula: ClassVar[int] = SPREAD
