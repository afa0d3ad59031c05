"""Whether a store fits a study: which cells there are may differ, what they are may not."""

from __future__ import annotations

import json
from typing import Any

from dajko.study.config.study import NOT_COMPUTED, StudyConfig
from dajko.study.design.plan import Plan
from dajko.study.store.cells import CellStore
from dajko.study.store.columns import parameter_keys

# What a study may change without its cells becoming others: which values it sweeps, and how many members it has.
_WIDENED = (*NOT_COMPUTED, "sweep", "zip", "limits", "ensemble.members")


def differences(store: CellStore, plan: Plan) -> list[str]:
    """What keeps a store from taking up the cells of a plan, one clause for each key; empty if nothing does.

    A key that the store or the study sweeps may have any value: its values are part of what a cell is.
    """
    varied = list(dict.fromkeys([*store.parameters, *parameter_keys(plan)]))
    left, right = _leaves(store.study), _leaves(plan.study)
    found = [
        f"{key}: the store has {_text(left.get(key))}, the study has {_text(right.get(key))}"
        for key in dict.fromkeys([*left, *right])
        if left.get(key) != right.get(key) and not any(_within(key, other) for other in (*_WIDENED, *varied))
    ]
    found += [
        f"sweep.{key}: the store varies {other}, and the one holds the other"
        for key in parameter_keys(plan)
        for other in store.parameters
        if key != other and (_within(key, other) or _within(other, key))
    ]
    return found


def _within(key: str, other: str) -> bool:
    return key == other or key.startswith(f"{other}.")


def _leaves(study: StudyConfig) -> dict[str, Any]:
    """Every value of a study by its dotted key."""
    found: dict[str, Any] = {}

    def walk(node: Any, path: str) -> None:
        if isinstance(node, dict) and node:
            for name, child in node.items():
                walk(child, f"{path}.{name}" if path else name)
        else:
            found[path] = node

    walk(study.model_dump(mode="json"), "")
    return found


def _text(value: Any) -> str:
    text = json.dumps(value)
    return "nothing" if value in (None, {}, []) else text if len(text) <= 60 else text[:57] + "..."
