"""What a claim of the paper is set beside: the numbers that were found, and a verdict."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from reproductions.data_driven_gradient_flows.stores import Stores


class Verdict(enum.Enum):
    """Whether what the paper says came out."""

    REPRODUCED = "reproduced"
    CONDITION = "reproduced with a condition"
    NOT_REPRODUCED = "not reproduced"

    @staticmethod
    def of(holds: bool, condition: bool = False) -> Verdict:
        """The verdict on a claim that holds or not, and if it holds perhaps only under a condition."""
        if not holds:
            return Verdict.NOT_REPRODUCED
        return Verdict.CONDITION if condition else Verdict.REPRODUCED


@dataclass(frozen=True)
class Table:
    """Rows of text below headers; ``title`` says what the numbers are."""

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Picture:
    """A figure: a name for its file, what it shows, and how it is drawn."""

    name: str
    caption: str
    draw: Callable[[], Figure]


@dataclass(frozen=True)
class Finding:
    """One claim of the paper and what came of it.

    Attributes
    ----------
    title : str
    place : str
        Where the claim stands in the paper.
    claim : str
        What the paper says there.
    studies : sequence of str
        What was run.
    verdict : Verdict
    found : sequence of str
        Paragraphs, with their numbers put in.
    tables, pictures : sequence
    """

    title: str
    place: str
    claim: str
    studies: Sequence[str]
    verdict: Verdict
    found: Sequence[str]
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()


Claim = Callable[[Stores], Finding]
