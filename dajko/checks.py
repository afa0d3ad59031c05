"""What enters, converted and checked: numbers, arrays, and what a function of the user gives.

Each function returns what was given as plain Python or NumPy, or says what is wrong with it. Booleans, text, None, complex
and masked values are no numbers here, whatever NumPy would make of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dajko.errors import InputError

Kind = TypeVar("Kind")

# Longer values are shown by their beginning.
_LONGEST = 60
# From here on not every whole number is a float.
_TOO_LARGE = 2**53


def shown(value: Any) -> str:
    """A value as messages show it: on one line, and not long."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # an object that cannot even say what it is
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def number(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    finite: bool = True,
) -> float:
    """Return ``value`` as a float.

    Parameters
    ----------
    name : str
        What it is called in messages.
    value : object
        A number, or an array without dimensions that holds one.
    above, least, below : float, optional
        Bounds: greater than, at least, less than.
    finite : bool
        Whether infinity is refused.

    Raises
    ------
    InputError
        If it is not a real number within the bounds; NaN never is.
    """
    found = real(value)
    if found is not None:
        inside = (above is None or found > above) and (least is None or found >= least) and (below is None or found < below)
        if inside and not math.isnan(found) and not (finite and math.isinf(found)):
            return found
    bounds = [("greater than", above), ("at least", least), ("less than", below)]
    words = [f"{word} {bound:g}" for word, bound in bounds if bound is not None]
    if finite and below is None:
        words.append("finite" if words else "a finite number")
    raise InputError(f"{name} must be {' and '.join(words) or 'a number'}, got {shown(value)}")


def whole_number(name: str, value: Any, least: int) -> int:
    """Return ``value``, which may be a float such as 10.0, as an integer.

    Raises
    ------
    InputError
        If it is not a whole number, less than ``least``, or so large that floats do not tell it from the next.
    """
    found = real(value)
    if found is None or not least <= found < _TOO_LARGE or found % 1 != 0:
        most = " and less than 2^53" if found is not None and found >= _TOO_LARGE else ""
        raise InputError(f"{name} must be a whole number of at least {least}{most}, got {shown(value)}")
    return int(found)


def set_numbers(
    owner: object, of: str, *names: str, above: float | None = None, least: float | None = None, finite: bool = True
) -> None:
    """Check fields of a frozen dataclass by :func:`number`, and keep them as floats.

    Parameters
    ----------
    owner : dataclass instance
    of : str
        What the fields belong to, for messages: ``"width of a Gaussian kernel"``.
    *names : str
        Names of the fields.
    above, least, finite
        As in :func:`number`.
    """
    for name in names:
        value = number(f"{name} of {of}", getattr(owner, name), above=above, least=least, finite=finite)
        object.__setattr__(owner, name, value)


def array(name: str, value: Any, must_be: str = "numbers", *, missing: bool = False) -> NDArray[np.float64]:
    """Return ``value`` as an array of floats of any shape, which may be NaN or infinite.

    Parameters
    ----------
    name : str
        What it is called in messages.
    value : array_like
    must_be : str
        What it must be, in messages.
    missing : bool
        Whether a masked value is a missing one, and becomes NaN; otherwise it is refused.

    Raises
    ------
    InputError
        If it is not an array of real numbers, or has masked values.
    """
    try:
        # Of lists NumPy would take masked elements for what lies below the mask.
        found = value if isinstance(value, np.ndarray) else np.ma.asarray(value) if _nested(value) else np.asarray(value)
    except Exception:  # whatever an object that claims to be an array raises
        found = np.asarray(None)
    if found.dtype.kind not in "iuf":
        kinds = {"c": "complex numbers", "b": "booleans", "U": "text", "S": "text"}
        got = kinds.get(found.dtype.kind, shown(value)) if found.ndim else shown(value)
        raise InputError(f"{name} must be {must_be}, got {got}")
    if np.ma.is_masked(found):
        if not missing:
            raise InputError(f"{name} must be {must_be}, got {int(np.ma.getmaskarray(found).sum())} masked values")
        return np.asarray(np.ma.filled(found.astype(np.float64), np.nan))
    return np.asarray(found, dtype=np.float64)


def finite_array(name: str, value: Any, must_be: str = "finite numbers", *, ndim: int | None = None) -> NDArray[np.float64]:
    """Return ``value`` as an array of finite floats, of ``ndim`` dimensions if that is given.

    Raises
    ------
    InputError
        If it is none.
    """
    found = array(name, value, must_be)
    if ndim is not None and found.ndim != ndim:
        raise InputError(f"{name} must be {must_be}, got shape {found.shape}")
    if not np.isfinite(found).all():
        raise InputError(f"{name} must be {must_be}, got {found[~np.isfinite(found)].flat[0]}")
    return found


def instance(name: str, value: Any, kind: type[Kind], must_be: str) -> Kind:
    """Return ``value`` if it is of a class.

    Raises
    ------
    InputError
        If it is not.
    """
    if not isinstance(value, kind):
        raise InputError(f"{name} must be {must_be}, got {shown(value)}")
    return value


def path(name: str, value: Any) -> Path:
    """Return a path.

    Raises
    ------
    InputError
        If it is neither text nor a path.
    """
    if not isinstance(value, str | PathLike) or not str(value) or "\0" in str(value):
        raise InputError(f"{name} must be a path, got {shown(value)}")
    return Path(value)


def called(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function of the user gives for arrays.

    Raises
    ------
    InputError
        If it raises anything, as a function of the module ``math`` does, which takes single numbers.
    """
    try:
        return function(*arguments)
    except Exception as error:
        problem = f"{type(error).__name__}: {error}".rstrip(": ")
        raise InputError(
            f"{name} must be a function of arrays, such as NumPy's; {shown(function)} answers one with {problem}"
        ) from error


def _nested(value: Any) -> bool:
    return isinstance(value, list | tuple)


def real(value: Any) -> float | None:
    """A real number as a float, None for anything else."""
    if isinstance(value, np.ndarray) and not isinstance(value, np.ma.MaskedArray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        return None
    try:
        return float(value)
    except OverflowError:  # a whole number that no float is
        return None
