"""What a cell is: a hash of its resolved parameters, its seed key and the numerical code.

A cell with the same id has the same results, to the last bit, whatever sweep it stands in and wherever in its store.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dajko.study.config import NOT_SWEPT, StudyConfig
from dajko.study.members import Group, Plan, assign
from dajko.study.seeds import noise_key


def cell_ids(plan: Plan, group: Group, code: str) -> NDArray[np.uint64]:
    """Ids of the cells of a group, point by point, members fastest.

    Parameters
    ----------
    plan : Plan
    group : Group
    code : str
        Hash of the numerical code.
    """
    found = np.empty(len(group.points) * plan.members, dtype=np.uint64)
    at = 0
    for point in group.points:
        content = _parameters(plan.studies[point])
        for key in plan.perturbed_keys:  # the draw of each member stands in its place
            assign(content, key, None)
        common = hashlib.blake2b(json.dumps([code, content], sort_keys=True).encode(), digest_size=8)
        for member in range(plan.members):
            digest = common.copy()
            drawn = plan.draws(point, member) if plan.perturbed_keys else {}
            digest.update(json.dumps([plan.study.ensemble.seed, noise_key(member), drawn], sort_keys=True).encode())
            found[at] = int.from_bytes(digest.digest(), "big")
            at += 1
    return found


def id_text(number: int) -> str:
    """An id as people write it: 16 hexadecimal digits."""
    return f"{int(number):016x}"


def _parameters(study: StudyConfig) -> dict[str, Any]:
    """Everything that decides the results of a cell, but its seed."""
    content: dict[str, Any] = study.model_dump(mode="json", exclude=set(NOT_SWEPT))
    content["time"] = {"tau": study.time.tau, "count": study.time.count}  # `steps` and `end` say the same
    return content
