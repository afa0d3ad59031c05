"""Numbers as the page prints them."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from dajko.grid import Array
from dajko.report.words import number

# Panels of the paper's figures: k = 2^i, where k = 1 is the initial time.
PANELS = np.array([1, 2, 4, 8, 16, 32])
STEPS = PANELS - 1


def fixed(value: float, digits: int) -> str:
    """A number with so many digits after the point."""
    text = f"{round(value, digits) + 0.0:.{digits}f}"  # no minus before a zero
    return text.replace("-", "\N{MINUS SIGN}") if math.isfinite(value) else "–"


def row(values: Iterable[float], digits: int) -> list[str]:
    """Numbers with so many digits after the point each."""
    return [fixed(float(v), digits) for v in values]


def percent(value: float, digits: int = 1) -> str:
    """A share as per cent."""
    return f"{fixed(100 * value, digits)} %"


def short(value: float, digits: int = 2) -> str:
    """A number by its leading digits, with a power of ten where it is small or large."""
    return number(float(value), digits)


def count(value: float) -> str:
    """A whole number with its thousands apart."""
    return f"{round(value):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def slope(x: ArrayLike, y: ArrayLike) -> tuple[float, float]:
    """Slope of ``log y`` over ``log x`` by least squares, and its standard error."""
    a, b = np.log(np.asarray(x, dtype=float)), np.log(np.asarray(y, dtype=float))
    fit: Array = np.polyfit(a, b, 1)
    rest = b - np.polyval(fit, a)
    spread = float(np.sqrt(np.sum(rest**2) / max(a.size - 2, 1) / np.sum((a - a.mean()) ** 2)))
    return float(fit[0]), spread


def order(found: tuple[float, float]) -> str:
    """A fitted slope with its standard error."""
    return f"{fixed(found[0], 2)} ± {fixed(max(found[1], 0.005), 2)}"
