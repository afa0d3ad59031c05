"""What is wrong with a value, in one sentence: the words for what pydantic finds, in YAML and in calls alike."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field

from dajko.checks import real, shown


def plain_number(value: Any) -> Any:
    """NumPy's numbers as Python's; all else as it is."""
    if isinstance(value, int | float):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    found = real(value)
    return value if found is None else int(found) if found.is_integer() and value.dtype.kind in "iu" else found


def _whole(value: Any) -> Any:
    """A whole number may be written as 1e5, and a linspace gives floats."""
    value = plain_number(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _as_tuple(value: Any) -> Any:
    """Lists and arrays of numbers as tuples, which are hashable."""
    if hasattr(value, "tolist") and getattr(value, "ndim", 0) > 0 and not hasattr(value, "mask"):
        value = value.tolist()
    if not isinstance(value, list | tuple):
        return value
    return tuple(_as_tuple(item) if isinstance(item, list) else plain_number(item) for item in value)


PLAIN, WHOLE = BeforeValidator(plain_number), BeforeValidator(_whole)
AS_TUPLE = BeforeValidator(_as_tuple)

# Fields of ingredients and of configurations. Text and booleans are no numbers.
Number = Annotated[float, Field(strict=True, allow_inf_nan=False), PLAIN]
Positive = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0), PLAIN]
NonNegative = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0), PLAIN]
# From 2^53 on not every whole number is a float.
PositiveWhole = Annotated[int, Field(strict=True, gt=0, lt=2**53), WHOLE]
if TYPE_CHECKING:  # what may be given; what is kept is a tuple, which is hashable
    Numbers = Sequence[float]
    Positions = Sequence[float]
    NonNegativeNumbers = Sequence[float]
    Matrix = Sequence[Sequence[float]]
else:
    Numbers = Annotated[tuple[Number, ...], Field(min_length=1), AS_TUPLE]
    Positions = Annotated[tuple[Number, ...], Field(min_length=2), AS_TUPLE]
    NonNegativeNumbers = Annotated[tuple[NonNegative, ...], Field(min_length=1), AS_TUPLE]
    Matrix = Annotated[tuple[Numbers, ...], Field(min_length=1), AS_TUPLE]


def message(error: dict[str, Any]) -> str:
    """What one of pydantic's errors says, as the rest of a sentence that begins with the name of what is wrong."""
    kind, context, got = error["type"], error.get("ctx", {}), f", got {shown_value(error.get('input'))}"
    if kind in ("missing", "missing_argument"):
        return "is missing"
    if kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        words = {"greater_than": "greater than", "greater_than_equal": "at least", "less_than": "less than"}
        return f"must be {words.get(kind, 'at most')} {next(iter(context.values())):g}{got}"
    if kind in ("literal_error", "union_tag_invalid"):
        allowed = context.get("expected") or context.get("expected_tags")
        if kind == "union_tag_invalid":
            tag = shown_value(context["tag"])
            return f"{str(context['discriminator']).strip(chr(39))} must be one of {allowed}, got {tag}"
        return f"must be {allowed}{got}"
    if kind == "union_tag_not_found":
        return f"must be a mapping with the key {context['discriminator']}{got}"
    if kind in ("model_type", "dict_type", "model_attributes_type", "dataclass_type"):
        return f"must be a mapping of keys to values{got}"
    if kind in ("float_type", "float_parsing", "finite_number"):
        return f"must be a {'finite ' if kind == 'finite_number' else ''}number{got}"
    if kind.startswith("int_"):
        return f"must be a whole number{got}"
    if kind.startswith("bool_"):
        return f"must be true or false{got}"
    if kind in ("list_type", "tuple_type"):
        return f"must be a list{got}"
    if kind in ("string_type", "string_pattern_mismatch"):
        return f"must be a word of letters, digits, - and _{got}" if "pattern" in context else f"must be text{got}"
    if kind in ("too_short", "string_too_short"):
        least = context.get("min_length", 1)
        return "must not be empty" if least == 1 else f"must have at least {least} items{got}"
    if kind == "string_too_long":
        return f"must be at most {context['max_length']} characters long{got}"
    return str(error["msg"])


def shown_value(value: Any) -> str:
    """A value as YAML would have it, not long."""
    if isinstance(value, float) and not math.isfinite(value):
        return {math.inf: ".inf", -math.inf: "-.inf"}.get(value, ".nan")
    try:
        text = repr(value) if isinstance(value, str) else json.dumps(value, default=shown)
    except (TypeError, ValueError, RecursionError):
        text = shown(value)
    return text if len(text) <= 60 else text[:57] + "..."
