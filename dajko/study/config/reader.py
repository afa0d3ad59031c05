"""YAML 1.2, read safely: PyYAML reads version 1.1, in which ``010`` is eight, ``1:30`` ninety, and ``no`` false.

Two things of version 1.1 stay, because files rely on them and nobody misreads them: merge keys (``<<``), and underscores
between the digits of a number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import yaml

# What aliases stand for may be so many times what is written, and a little more.
_ALIASED, _FREELY_ALIASED = 10, 10_000
# Longer words are shown by their beginning and their end.
_LONGEST_WORD = 60

_TAG = "tag:yaml.org,2002:"
_DIGITS = r"[0-9](?:_?[0-9])*"
SCIENTIFIC = re.compile(rf"^[-+]?(?:{_DIGITS}\.?(?:{_DIGITS})?|\.{_DIGITS})[eE][-+]?[0-9]+$")
_INT = re.compile(rf"^(?:[-+]?{_DIGITS}|0o[0-7]+|0x[0-9a-fA-F]+)$")
_FLOAT = re.compile(
    rf"^(?:[-+]?(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)

# The only key whose value version 1.1 may read as a number of base 60: that is turned back into a time.
_TIME_KEY = "walltime"


class Loader(yaml.SafeLoader):
    """The safe loader of PyYAML with the plain words of YAML 1.2, and without repeated keys."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  PyYAML's own

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node; PyYAML answers words that are no ``!!bool`` or ``!!timestamp`` with any kind of error."""
        try:
            return super().construct_object(node, deep)
        except (AttributeError, LookupError, TypeError, ValueError):
            if not isinstance(node, yaml.ScalarNode):
                raise
            kind = node.tag.removeprefix(_TAG)
            problem = f"{shortened(node.value, _LONGEST_WORD)!r} cannot be read as {kind}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None


for _kind, _words, _first in (
    ("bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF"),
    ("int", _INT, "-+0123456789"),
    ("float", _FLOAT, "-+.0123456789"),
    ("null", re.compile("^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("merge", re.compile("^<<$"), "<"),
):
    Loader.add_implicit_resolver(f"{_TAG}{_kind}", _words, list(_first))


def _mapping(loader: Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key_node, _ in node.value:
        if key_node.tag == f"{_TAG}merge":
            continue
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, list | dict):
            raise yaml.constructor.ConstructorError(None, None, "a key must be a word", key_node.start_mark)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", key_node.start_mark)
        seen.add(key)
    loader.flatten_mapping(node)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


def _int(loader: Loader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node)).replace("_", "")
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    return int(text[2:] if base != 10 else text, base)


def _float(loader: Loader, node: yaml.ScalarNode) -> float:
    text = str(loader.construct_scalar(node)).replace("_", "")
    return float(text.replace(".", "", 1) if text.lstrip("-+").lower() in (".inf", ".nan") else text)


Loader.add_constructor(f"{_TAG}map", _mapping)
Loader.add_constructor(f"{_TAG}int", _int)
Loader.add_constructor(f"{_TAG}float", _float)


def load(text: str) -> Any:
    """The value of a document; what its aliases stand for must not be far more than what is written."""
    loader = Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        sizes: dict[int, int] = {}
        if _size(node, sizes) > _ALIASED * len(sizes) + _FREELY_ALIASED:
            raise yaml.constructor.ConstructorError(None, None, "its aliases stand for too much", node.start_mark)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Number of nodes with each alias written out; ``sizes`` keeps that of every node that has been seen."""
    if id(node) in sizes:
        if sizes[id(node)] == 0:
            problem = "an alias stands within what it stands for"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return sizes[id(node)]
    sizes[id(node)], size = 0, 1
    if isinstance(node, yaml.SequenceNode):
        size += sum(_size(child, sizes) for child in node.value)
    elif isinstance(node, yaml.MappingNode):
        size += sum(_size(child, sizes) for pair in node.value for child in pair)
    sizes[id(node)] = size
    return size


def read_differently(text: str) -> Iterator[str]:
    """What a reader of YAML 1.1 takes for something else in a document that :func:`load` reads: a clause for each word."""
    yield from _different(yaml.compose(text, Loader=Loader), yaml.compose(text, Loader=yaml.SafeLoader), set(), "")


def _different(node: Any, other: Any, seen: set[int], key: str) -> Iterator[str]:
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for one, two in zip(node.value, other.value, strict=True):
            yield from _different(one, two, seen, key)
    elif isinstance(node, yaml.MappingNode):
        for (name, one), (other_name, two) in zip(node.value, other.value, strict=True):
            yield from _different(name, other_name, seen, "")
            yield from _different(one, two, seen, str(name.value))
    elif isinstance(node, yaml.ScalarNode):
        here, there = _value(Loader, node), _value(yaml.SafeLoader, other)
        if isinstance(there, str) and SCIENTIFIC.match(there):
            there = float(there.replace("_", ""))  # whoever hands it on knows that
        same = type(here) is type(there) and (here == there or here != here)
        if not same and not (key == _TIME_KEY and isinstance(there, int)):
            line, column = node.start_mark.line + 1, node.start_mark.column + 1
            word = shortened(node.value, _LONGEST_WORD)
            yield (
                f"line {line}, column {column}: {word!r} is {_shown(there)} in YAML 1.1 and {_shown(here)} in YAML 1.2; "
                "write what is the same in both"
            )


def _value(kind: type[yaml.SafeLoader], node: yaml.ScalarNode) -> Any:
    loader = kind("")
    try:
        return loader.construct_object(node)
    except (yaml.YAMLError, AttributeError, LookupError, TypeError, ValueError):
        return None
    finally:
        loader.dispose()


def _shown(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "nothing"}[value]
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value}".replace("inf", ".inf").replace("nan", ".nan")
    return f"the text {shortened(value, _LONGEST_WORD)!r}" if isinstance(value, str) else str(value)


def shortened(text: str, longest: int) -> str:
    """The text, or its beginning and its end."""
    return text if len(text) <= longest else f"{text[: 3 * longest // 4]}...{text[-longest // 4 + 3 :]}"
