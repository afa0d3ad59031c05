"""The second moment of a density about its first."""

from __future__ import annotations

from typing import ClassVar

from dajko.observation import VARIANCE, Observation


class Variance(Observation, kind="variance"):
    """``int (x - B1)^2 u`` with B1 of (5.6), as printed in (5.7): not divided by the mass."""

    label: ClassVar[str] = "variance"
    formula: ClassVar[int] = VARIANCE
