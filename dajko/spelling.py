"""The words of configurations before every ingredient was named by ``kind``, and what stands for them today."""

from __future__ import annotations

import json
import re
from typing import Any

# Keys that named a kind, and mappings whose only key did.
_TAGS, _SHELLS = ("profile", "form"), ("sensors", "interval_masses", "normal", "uniform")
_SOLVERS = ("interior_point", "pd3o")
_KEY = re.compile(r"(?:(?<=solver)\.name|\.(?:profile|form))$")


def respelled(content: Any) -> Any:
    """A configuration, or a part of one, with today's words."""
    if isinstance(content, list):
        return [respelled(item) for item in content]
    if not isinstance(content, dict):
        return content
    shells = [key for key in content if key in _SHELLS and isinstance(content[key], dict)]
    if len(shells) == 1 and all(value is None for key, value in content.items() if key not in shells):
        return {"kind": shells[0], **respelled(content[shells[0]])}
    found: dict[Any, Any] = {}
    for key, value in content.items():
        if (key in _TAGS and isinstance(value, str)) or (key == "name" and value in _SOLVERS):
            found = {"kind": value, **found}
        else:
            found[key_today(key)] = respelled(value)
    return found


def respelled_text(text: str) -> str:
    """The same of JSON."""
    return json.dumps(respelled(json.loads(text)))


def key_today(key: str) -> str:
    """A dotted key, as in a sweep, with today's words."""
    return _KEY.sub(".kind", key)


def old_word(value: dict[Any, Any]) -> str:
    """What to say of a mapping that names its kind as it was done once; empty if it does not."""
    today = respelled(value) if all(isinstance(key, str) for key in value) else value
    if "kind" in value or today == value or "kind" not in today:
        return ""
    return f"the kind of an ingredient is named by kind today: write {{kind: {today['kind']}, …}}"
