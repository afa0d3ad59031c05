"""How a study stands, for people and programs that look at its directory; nothing is written."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dajko.study.checksums import damaged
from dajko.study.store import CellStore, cells_path


@dataclass(frozen=True)
class StudyState:
    """How a study stands.

    Attributes
    ----------
    study, directory : str
    cells : int
    counts : dict from str to int
        Number of cells with each status.
    unasked : int
        Cells in the store that the study does not ask for any more.
    damaged : int or None
        Cells in damaged chunks, if somebody has looked.
    """

    study: str
    directory: str
    cells: int
    counts: dict[str, int]
    unasked: int
    damaged: int | None

    @property
    def incomplete(self) -> bool:
        """Whether the next run has cells to compute."""
        return bool(self.counts["pending"] or self.damaged)

    @property
    def failed(self) -> int:
        """Cells that did not converge or failed."""
        return self.counts["not_converged"] + self.counts["failed"]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {name: value for name, value in asdict(self).items() if name != "study"}

    def lines(self) -> list[str]:
        """What there is to say beside the counts."""
        found = []
        if self.damaged == 0:
            found.append("no chunk is damaged")
        elif self.damaged:
            found.append(f"{self.damaged} cells are in damaged chunks; the next run computes them again")
        if self.unasked:
            found.append(f"{self.unasked} further cells are in the store that the study does not ask for any more")
        return found


def study_state(directory: Path, verify: bool = False) -> StudyState:
    """How the study of a directory stands.

    Parameters
    ----------
    directory : Path
    verify : bool
        Read every chunk, and count the cells in damaged ones.

    Raises
    ------
    InputError
        If there is no store.
    """
    store = CellStore(cells_path(directory))
    broken = sum(d.block.stop - d.block.start for d in damaged(store)) if verify else None
    return StudyState(store.study_name, str(directory), store.size, store.counts(), store.unasked, broken)
