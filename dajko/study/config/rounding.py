"""Values of a sweep as a person would write them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# A value of a sweep is a decimal with so many significant digits: two that differ later are one.
DIGITS = 12


def written(value: float) -> float:
    """The nearest number that a person would write, with 12 significant digits: 1e-05 for 9.999999999999999e-06."""
    return float(f"{value:.{DIGITS - 1}e}")


def all_written(values: NDArray[Any]) -> NDArray[Any]:
    """The same for an array; whole numbers and words stay as they are."""
    if values.dtype.kind != "f":
        return values
    distinct, places = np.unique(values, return_inverse=True)
    return np.array([written(value) for value in distinct.tolist()], dtype=values.dtype)[places].reshape(values.shape)
