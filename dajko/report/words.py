"""Numbers and names as readers expect them: in mathematical text for figures, in Unicode for pages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_MINUS, _TIMES, _DASH, _SPACE = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}", "\N{EN DASH}", "\N{NO-BREAK SPACE}"
# Longer values, such as lists of sensors, are cut.
_LONGEST = 28

# Symbols and words for the keys that most studies sweep; other keys go by their dotted name.
_SYMBOLS = {
    "theta": (r"$\theta$", "θ"),
    "time_tau": (r"$\tau$", "τ"),
    "time_steps": ("steps", "steps"),
    "grid_nx": (r"$N_x$", "Nₓ"),
    "grid_nt": (r"$N_t$", "Nₜ"),
}
_WORDS = {
    "noise_level": "noise level",
    "grid_scheme": "scheme in space",
    "grid_time_rule": "time rule",
    "solver_tol": "solver tolerance",
    "solver_kind": "solver",
    "model_initial_shift": "initial shift",
    "observations_every": "data every",
    "observations_operators": "observations",
}

# The schemes in space.
SCHEMES = {"centred": "centred differences", "finite_volume": "finite volumes"}


def _parts(value: float, digits: int, least: float) -> tuple[str, int | None]:
    """A number as its leading digits and, if it is very small or large, its power of ten."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}", None
    text = f"{value:.{digits}g}"
    if least <= abs(float(text)) < 10_000:
        return f"{float(text):.10g}", None
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{float(mantissa):g}", int(exponent)


def number(value: Any, digits: int = 3) -> str:
    """A value in Unicode: ``0.02``, ``5 × 10⁻⁴``, ``∞``; words stay as they are."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        return str(value)
    if math.isinf(value):
        return "∞" if value > 0 else f"{_MINUS}∞"
    mantissa, exponent = _parts(value, digits, 0.01)
    mantissa = mantissa.replace("-", _MINUS)
    if exponent is None:
        return mantissa
    power = f"10{str(exponent).translate(_SUPERSCRIPT)}"
    return power if mantissa == "1" else f"{mantissa}{_SPACE}{_TIMES}{_SPACE}{power}"


def mathematics(value: Any, digits: int = 2, least: float = 0.01) -> str:
    """A value as matplotlib's mathematical text: ``0.02``, ``$5\\times10^{-4}$``; decimal from ``least`` on."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        return str(value)
    if math.isinf(value):
        return r"$\infty$" if value > 0 else r"$-\infty$"
    mantissa, exponent = _parts(value, digits, least)
    if exponent is None:
        return mantissa.replace("-", _MINUS)
    power = f"10^{{{exponent}}}"
    return f"${power}$" if mantissa == "1" else rf"${mantissa}\times{power}$"


def percent(value: float) -> str:
    """A share as per cent, with two digits that matter."""
    if not math.isfinite(value):
        return _DASH
    share = float(f"{100 * value:.2g}")
    return f"{share:.0f}{_SPACE}%" if share >= 10 else f"{share:g}{_SPACE}%"


def aligned(value: float) -> str:
    """A statistic in a column of a table: three digits that matter, zeros at the end kept."""
    if not math.isfinite(value):
        return _DASH
    return number(value) if 0 < abs(value) < 1e-4 or abs(value) >= 1000 else f"{value:#.3g}".replace("-", _MINUS).rstrip(".")


def order_text(order: float, stderr: float) -> str:
    """A fitted order with its standard error, as far as they are known: ``0.98 ± 0.02``."""
    if not math.isfinite(order):
        return _DASH
    digits = 3 if stderr < 0.01 else 2
    text = f"{order:.{digits}f}".replace("-", _MINUS)
    if not math.isfinite(stderr):
        return text
    return f"{text} ± {stderr:.{digits}f}" if stderr >= 0.0005 else f"{text} ± <0.001"


def name_of(name: str, key: str, unicode: bool = False) -> str:
    """What a swept coordinate is called."""
    if name in _SYMBOLS:
        return _SYMBOLS[name][1 if unicode else 0]
    return _WORDS.get(name, key)


def values_label(values: Mapping[str, Any], keys: Mapping[str, str], unicode: bool = False) -> str:
    """Swept values as words: ``noise level 0.02, τ = 5 × 10⁻⁴``.

    Parameters
    ----------
    values : mapping
        Values by coordinate.
    keys : mapping
        Dotted keys by coordinate.
    unicode : bool
        For a page, not for a figure.
    """
    texts = []
    for name, value in values.items():
        plain = plain_value(value)
        shown = number(plain) if unicode else mathematics(plain)
        shown = shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"
        between = " " if name in _WORDS else f"{_SPACE}={_SPACE}" if unicode else " = "
        texts.append(f"{name_of(name, keys[name], unicode)}{between}{shown}")
    return ", ".join(texts)


def plain_value(value: Any) -> Any:
    """A NumPy scalar as a Python number or word."""
    return value.item() if hasattr(value, "item") else value
