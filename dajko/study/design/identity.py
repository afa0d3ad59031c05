"""What a cell is: a hash of its resolved parameters, its seed key and the code that decides its numbers.

A cell with the same id has the same results, to the last bit, whatever sweep it stands in and wherever in its store.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dajko.study.config.study import NOT_SWEPT, StudyConfig
from dajko.study.design.plan import Group, Plan, assign
from dajko.study.design.seeds import noise_key
from dajko.study.design.sources import Sources
from dajko.study.design.sweep import section_of

# The sections that decide the results of a cell, but its seed.
_SECTIONS = sorted(set(StudyConfig.model_fields) - set(NOT_SWEPT))


def cell_ids(plan: Plan, group: Group, sources: Sources | None) -> NDArray[np.uint64]:
    """Ids of the cells of a group, point by point, members fastest.

    Parameters
    ----------
    plan : Plan
    group : Group
    sources : Sources or None
        The code that computes the cells; None if nobody knows it.
    """
    points, seed = np.asarray(group.points), plan.study.ensemble.seed
    sections = [_section_texts(plan, name) for name in _SECTIONS]
    drawn = {key: plan.drawn(key) for key in plan.perturbed_keys}
    found = bytearray()
    for point in points.tolist():
        content = ", ".join(texts[codes[point]][0] for texts, codes in sections)
        words = frozenset[str]().union(*(texts[codes[point]][1] for texts, codes in sections))
        code = sources.code(words) if sources else ""
        common = hashlib.blake2b(f"[{json.dumps(code)}, {{{content}}}]".encode(), digest_size=8)
        rows = {key: draws[which[point]].tolist() for key, (draws, which) in drawn.items()}
        for member in range(plan.members):
            digest = common.copy()
            values = json.dumps({key: row[member] for key, row in rows.items()}, sort_keys=True) if rows else "{}"
            digest.update(f"[{seed}, {list(noise_key(member))}, {values}]".encode())
            found += digest.digest()
    return np.frombuffer(bytes(found), dtype=">u8").astype(np.uint64)


def words_of(study: StudyConfig) -> frozenset[str]:
    """The words by which a study names what its cells are computed with."""
    content = study.model_dump(mode="json")
    return _words([content[name] for name in (*_SECTIONS, "sweep", "zip", "ensemble")])


def id_text(number: int) -> str:
    """An id as people write it: 16 hexadecimal digits."""
    return f"{int(number):016x}"


def _section_texts(plan: Plan, name: str) -> tuple[list[tuple[str, frozenset[str]]], NDArray[np.int64]]:
    """One section as JSON with sorted keys, with the words in it, for each of its contents; and which each point has."""
    first, codes = plan.sweep.distinct(name)
    contents = [_content(plan, point, name) for point in first.tolist()]
    return [(f"{json.dumps(name)}: {json.dumps(c, sort_keys=True)}", _words(c)) for c in contents], codes


def _words(content: Any) -> frozenset[str]:
    if isinstance(content, dict):
        return frozenset(content).union(*map(_words, content.values()))
    if isinstance(content, list):
        return frozenset[str]().union(*map(_words, content))
    return frozenset([content] if isinstance(content, str) else [])


def _content(plan: Plan, point: int, name: str) -> Any:
    study = plan.studies[point]
    if name == "time":
        return {
            "tau": study.time.tau,
            "count": study.time.count,
            "scheme": study.time.scheme,
        }  # `steps` and `end` say the same
    content: dict[str, Any] = study.model_dump(mode="json", include={name})
    for key in plan.perturbed_keys:  # the draw of each member stands in its place
        if section_of(key) == name:
            assign(content, key, None)
    return content[name]
