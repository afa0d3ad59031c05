"""Which cells of a store other code has computed than this dajko has: the next run computes them again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dajko.status import Status
from dajko.study.config.foreign import own, unknown
from dajko.study.design.identity import cell_ids, words_of
from dajko.study.design.members import known_plan
from dajko.study.design.sources import sources
from dajko.study.store.cells import CellStore
from dajko.study.store.variables import NOT_ASKED

# So many definitions are named.
_MOST_NAMED = 3


@dataclass(frozen=True)
class Outdated:
    """Cells that other code has computed.

    Attributes
    ----------
    cells : int
        Their number.
    size : int
        Number of cells of the study.
    changed : tuple of str
        The definitions that are not what they were, as far as the store says what they were.
    """

    cells: int
    size: int
    changed: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What that means."""
        named, more = ", ".join(self.changed[:_MOST_NAMED]), len(self.changed) - _MOST_NAMED
        why = f"changed: {named}{f' and {more} more' if more > 0 else ''}" if self.changed else "of an older dajko"
        return f"{self.cells} of {self.size} cells were computed by other code ({why})"


def outdated(store: CellStore) -> Outdated | None:
    """The cells of a study that other code has computed; None if there are none, or this dajko does not know the study."""
    if unknown(store.study) or store.code == sources().code(words_of(store.study)):
        return None
    plan = known_plan(store.study_name, own(store.study, store.path))
    planned = {plan.shape(group.points[0]).written: cell_ids(plan, group, sources()) for group in plan.groups}
    cells = 0
    for group in range(len(store.groups)):
        asked = (store.order(group) != NOT_ASKED) & (store.status(group) != Status.PENDING)
        current = planned.get(store.shape(group).written, np.empty(0, dtype=np.uint64))
        cells += int((asked & ~np.isin(store.ids(group), current)).sum())
    if not cells:
        return None
    now, then = sources().meanings(words_of(store.study)), set(store.sources.values())
    changed = [name.replace(":", ".").strip(".") for name, meaning in now.items() if meaning not in then] if then else []
    return Outdated(cells, store.size, tuple(changed))
