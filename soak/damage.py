"""Configurations with random damage, made from valid ones; each is decided by a seed and a number."""

from __future__ import annotations

import copy
import datetime as dt
import math
import random
from collections.abc import Callable
from functools import cache
from typing import Any

import yaml

from soak.studies import ROOT, content

Path = tuple[Any, ...]

# What stands where something else should stand.
_ODD: tuple[Any, ...] = (
    None, True, False, "", " ",
    "abc", "1e3", "nan", ".inf", "0x10", "1_000", "2026-11-21", "~", "ü", "\u2028",
    "\u0007",
    "a\nb",
    "\x1b[31mred", "𝛉" * 50, "x" * 100_000, "{{ env }}", "../../etc", "!!python/object:os.system",
    0, 1, -1, 2, 3, 7, 1.5, -0.0,
    1e-300, 1e300, 1.8e308, -1e300, 5e-324, 1e9, 10**9, 10**12, 10**18, 2**63, -(2**63) - 1, 10**400, math.nan, math.inf,
    -math.inf, [], {}, [[]], [None], [{}], {"": 1}, {None: None}, {1: 2}, {"a": {"b": {"c": 1}}}, b"\x00\xff",
    dt.date(2026, 11, 21),
    dt.datetime(2026, 11, 21, 12), {"kind": "normal", "std": 1e300}, {"values": [1, 2]},
    {"logspace": {"start": 1e-300, "stop": 1e300, "num": 9}},
    {"linspace": {"start": -1e308, "stop": 1e308, "num": 3}}, {"linspace": {"start": 0, "stop": 1, "num": 1_000_000}},
    {"range": {"start": 0, "stop": 999_999, "step": 1}}, {"range": {"start": 0, "stop": 1, "step": 1e-320}}, [1.0] * 20_000,
    ["mean"] * 500, list(range(1, 3000)), [math.nan, math.nan], [1, 1.0, True], [math.inf, -math.inf],
)  # fmt: skip

_INSERTED = (
    "\t", " ", "\n", "'", '"', "{", "}", "[", "]", ",", ":", "-", "#", "&a ", "*a", "<<: *a\n", "? ", "| ", "> ",
    "%YAML 9.9\n",
    "---\n",
    "...\n", "!!python/name:os.system ", "!x ", "\x00", "\x07", "\ufeff", "\u2028", "\x85", "é", "𝛉", "1e", ".", "_", "@",
    "`",
    "!!set ",
    "!!binary ", "!!timestamp ", "=", "!!int ", "!!float ", "\\x", "9" * 5000,
)  # fmt: skip


@cache
def sources() -> tuple[dict[str, Any], ...]:
    """Valid files: each study of the repository's configurations alone, and the study of the soak."""
    found = [content(3), content(2, limits=True, slabs=2, title="a", report={"times": [0.0]})]
    for path in sorted((ROOT / "config").rglob("*.yaml")):
        file = yaml.safe_load(path.read_text(encoding="utf-8"))
        found += [{"studies": {name: study}, "results": "out"} for name, study in file["studies"].items()]
    perturbed = content(3)
    (study,) = perturbed["studies"].values()
    study["ensemble"]["perturbations"] = {
        "model.initial.shift": {"kind": "normal", "std": 0.02},
        "noise.level": {"kind": "uniform", "low": 0.0, "high": 0.1},
    }
    study["zip"] = {"solver.tol": [1e-4, 1e-5], "solver.max_iterations": [80, 90]}
    study["observations"]["operators"] += [
        {"kind": "sensors", "positions": [-0.1, 0.1], "width": 0.1},
        {"kind": "interval_masses", "edges": [-0.5, 0, 0.5]},
    ]
    return (*found, perturbed)


def damaged(seed: int, number: int) -> tuple[str, bytes]:
    """A damaged file, and what was done to it in a few words."""
    rng = random.Random(f"{seed}-{number}")
    file = copy.deepcopy(rng.choice(sources()))
    done = [_one(file, rng) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
    text = _dumped(file, rng)
    if rng.random() < 0.3:
        damage = rng.choice(_TEXT)
        text = damage(text, rng)
        done.append(damage.__name__.strip("_"))
    data = text.encode("utf-8", errors="surrogatepass")
    if rng.random() < 0.02:
        place = rng.randrange(len(data) + 1)
        data, done = data[:place] + bytes(rng.randrange(256) for _ in range(3)) + data[place:], [*done, "bytes"]
    return ", ".join(done), data


def _one(file: dict[str, Any], rng: random.Random) -> str:
    """Damage one place of a file."""
    places = list(_places(file))
    kind: Callable[[dict[str, Any], list[Path], random.Random], None] = rng.choice(_KINDS)
    if places:
        kind(file, places, rng)
    return kind.__name__.strip("_")


def _places(node: Any, path: Path = ()) -> Any:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in list(children)[:50]:
        yield (*path, key)
        yield from _places(child, (*path, key))


def _at(file: Any, path: Path) -> Any:
    for key in path:
        file = file[key]
    return file


def _odd(file: dict[str, Any], places: list[Path], rng: random.Random) -> None:
    *path, last = rng.choice(places)
    _at(file, tuple(path))[last] = copy.deepcopy(rng.choice(_ODD))


def _delete(file: dict[str, Any], places: list[Path], rng: random.Random) -> None:
    *path, last = rng.choice(places)
    del _at(file, tuple(path))[last]


def _rename(file: dict[str, Any], places: list[Path], rng: random.Random) -> None:
    *path, last = rng.choice(places)
    node = _at(file, tuple(path))
    if isinstance(node, dict):
        text = str(last)
        names = (
            text + "s",
            text[1:],
            text.upper(),
            f"{text}\n",
            f"{text}.x",
            "",
            3,
            None,
            True,
            "x" * 5000,
            "é\u200b" + text,
            "\x1b[2J",
        )
        node[rng.choice(names)] = node.pop(last)


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1e300)


def _number(file: dict[str, Any], places: list[Path], rng: random.Random) -> None:
    numbers = [p for p in places if _is_number(_at(file, p))]
    if numbers:
        *path, last = rng.choice(numbers)
        value = float(_at(file, tuple(path))[last])
        factor = rng.choice((0, -1, 1e-9, 1e-3, 0.5, 2, 10, 1e3, 1e6, 1e9, 1e30, 1e290))
        found = value * factor
        _at(file, tuple(path))[last] = (
            int(found) if found.is_integer() and abs(found) < 1e25 and rng.random() < 0.8 else found
        )


def _copy(file: dict[str, Any], places: list[Path], rng: random.Random) -> None:
    """Something from elsewhere in the place of a value."""
    value = copy.deepcopy(_at(file, rng.choice(places)))
    *path, last = rng.choice(places)
    _at(file, tuple(path))[last] = value


def _wrap(file: dict[str, Any], places: list[Path], rng: random.Random) -> None:
    *path, last = rng.choice(places)
    node = _at(file, tuple(path))
    for _ in range(rng.choice((1, 1, 2, 60))):
        node[last] = [node[last]] if rng.random() < 0.5 else {str(last): node[last]}


def _text_for_number(file: dict[str, Any], places: list[Path], rng: random.Random) -> None:
    *path, last = rng.choice(places)
    node = _at(file, tuple(path))
    if not isinstance(node[last], dict | list):
        node[last] = f"{node[last]}{rng.choice(('', ' ', 'x', 'e5', ',', '%'))}"


def _varied(file: dict[str, Any], places: list[Path], rng: random.Random) -> None:
    """A sweep, zip or perturbation of some key, with values that may be none."""
    study = next(iter(file["studies"].values())) if isinstance(file.get("studies"), dict) and file["studies"] else None
    if not isinstance(study, dict):
        return
    inner = [p for p in _places(study) if all(isinstance(k, str) for k in p)]
    if not inner:
        return
    key = ".".join(rng.choice(inner))
    where = rng.choice(("sweep", "zip", "perturbations"))
    if where == "perturbations":
        kinds = (
            {"kind": "normal", "std": 10.0 ** rng.randint(-9, 300)},
            {"kind": "uniform", "low": -(10.0 ** rng.randint(-3, 300)), "high": 1.0},
        )
        ensemble = study.setdefault("ensemble", {})
        if isinstance(ensemble, dict) and isinstance(ensemble.setdefault(where, {}), dict):
            ensemble[where][key] = rng.choice((*kinds, rng.choice(_ODD)))
    elif isinstance(study.setdefault(where, {}), dict):
        study[where][key] = rng.choice(
            (
                rng.choice(_ODD),
                [rng.choice(_ODD) for _ in range(3)],
                [rng.uniform(-1, 1) for _ in range(rng.choice((1, 3, 40)))],
            )
        )


_KINDS = (_odd, _odd, _odd, _delete, _rename, _number, _number, _copy, _wrap, _text_for_number, _varied, _varied)


class _Dumper(yaml.SafeDumper):
    """Writes aliases only where asked to."""


def _dumped(file: dict[str, Any], rng: random.Random) -> str:
    class Dumper(_Dumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    style = rng.choice((False, False, None, True))
    return str(yaml.dump(file, Dumper=Dumper, default_flow_style=style, sort_keys=False, allow_unicode=rng.random() < 0.5))


def _insert(text: str, rng: random.Random) -> str:
    place = rng.randrange(len(text) + 1)
    return text[:place] + rng.choice(_INSERTED) + text[place:]


def _cut(text: str, rng: random.Random) -> str:
    start = rng.randrange(len(text) + 1)
    return text[:start] + text[start + rng.choice((1, 2, 10, 100)) :]


def _end(text: str, rng: random.Random) -> str:
    return text[: rng.randrange(len(text) + 1)]


def _line_twice(text: str, rng: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    i = rng.randrange(len(lines))
    return "".join([*lines[: i + 1], lines[i], *lines[i + 1 :]])


def _indent(text: str, rng: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    i = rng.randrange(len(lines))
    lines[i] = rng.choice((" ", "  ", "\t", "      ")) + lines[i]
    return "".join(lines)


def _anchors(text: str, rng: random.Random) -> str:
    """Aliases that stand for more and more, for themselves, or for nothing."""
    levels = rng.choice((2, 8, 12))
    bomb = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    bomb += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels)]
    merged = "m0: &m0 {x: 1}\n" + "\n".join(
        f"m{i}: &m{i} {{<<: [{', '.join([f'*m{i - 1}'] * 9)}]}}" for i in range(1, levels)
    )
    before = rng.choice(
        ("\n".join(bomb) + "\n", merged + "\n", "a0: &a0 {b: *a0}\n", "a0: &a0 [*a0]\n", "a0: *nothing\n", "")
    )
    last = rng.choice((f"*a{levels - 1}", f"*m{levels - 1}", "*a0"))
    lines = text.splitlines()
    with_colon = [i for i, line in enumerate(lines) if ": " in line]
    if with_colon:
        i = rng.choice(with_colon)
        lines[i] = lines[i].split(": ", maxsplit=1)[0] + f": {last}"
    return before + "\n".join(lines) + "\n"


def _deep(text: str, rng: random.Random) -> str:
    """A value deep inside lists or mappings."""
    depth = rng.choice((150, 400, 3000, 100_000))
    left, right = rng.choice((("[", "]"), ("{a: ", "}")))
    first, _, rest = text.partition("\n")
    place = rng.choice((text + "more: ", f"{first}\n  more: ", f"{first}: "))
    return (
        place
        + left * depth
        + "1"
        + right * depth
        + "\n"
        + (rest if place.startswith(first) and place != text + "more: " else "")
    )


_TEXT = (_insert, _insert, _insert, _cut, _cut, _end, _line_twice, _indent, _anchors, _deep)
