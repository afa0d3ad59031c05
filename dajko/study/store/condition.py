"""What is damaged in a study's store, in sentences for people: on the terminal, in warnings, on the page of the report."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dajko.study.config.foreign import foreign_sentence, unknown
from dajko.study.store.cells import CellStore
from dajko.study.store.checksums import damaged, missing
from dajko.study.store.variables import NOT_ASKED

# Variables that a sentence names.
_MOST_NAMED = 4


@dataclass(frozen=True, eq=False)
class Condition:
    """What is damaged in a store.

    Attributes
    ----------
    cells : tuple of array of bool
        Cells of each group whose results are damaged.
    number : int
        How many of them the study asks for.
    size : int
        Cells that the study asks for.
    variables : tuple of str
        What is damaged of them.
    files : tuple of str
        Sentences about damaged files of which there are spare copies.
    unsealed : bool
        Whether an older dajko has made the store, so that not everything can be verified.
    foreign : str
        What this dajko does not know of the study's configuration.
    """

    cells: tuple[NDArray[np.bool_], ...]
    number: int
    size: int
    variables: tuple[str, ...]
    files: tuple[str, ...]
    unsealed: bool
    foreign: str

    @property
    def good(self) -> bool:
        """Whether nothing is damaged."""
        return not (self.files or any(cells.any() for cells in self.cells))

    def sentences(self) -> list[str]:
        """What a reader has to know."""
        found = []
        if self.number:
            names = ", ".join(self.variables[:_MOST_NAMED]) + (", ..." if len(self.variables) > _MOST_NAMED else "")
            found.append(
                f"{self.number} of {self.size} cells are damaged ({names} missing or not as written) and left out; "
                "`dajko run` computes them again"
            )
        elif any(cells.any() for cells in self.cells):
            found.append("cells that the study does not ask for any more are damaged; `dajko run` takes them away")
        if self.files:
            more = f", and {len(self.files) - 1} more files" if len(self.files) > 1 else ""
            found.append(f"{self.files[0]}{more}; what it says is known all the same, and `dajko run` writes it again")
        if self.foreign:
            found.append(f"{self.foreign}; its numbers are shown as they are")
        return found


def condition(store: CellStore, verify: bool = False, without: Collection[str] = ()) -> Condition:
    """Look for damage.

    Parameters
    ----------
    store : CellStore
    verify : bool
        Read every chunk; otherwise only look whether it is there.
    without : collection of str
        Variables that are not read.
    """
    cells = tuple(np.zeros(store.array(g, "status").shape[0], dtype=np.bool_) for g in range(len(store.groups)))
    names: dict[str, None] = {}
    for damage in damaged(store, without=without) if verify else missing(store):
        cells[damage.block.group][damage.block.start : damage.block.stop] |= damage.cells
        names |= dict.fromkeys(damage.variables)
    number = sum(int((lost & (store.order(g) != NOT_ASKED)).sum()) for g, lost in enumerate(cells))
    files = [*store.mended.values(), *([store.spare.note] if store.spare.note else [])]
    unsealed = not store.spare.there or not all(store.has_checksums(g) for g in range(len(cells)))
    study = store.study
    foreign = foreign_sentence(study) if unknown(study) else ""
    return Condition(cells, number, store.size, tuple(names), tuple(files), unsealed and not store.spare.note, foreign)
