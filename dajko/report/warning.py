"""What a reader has to know before any number: what is missing from a study, and which of its results are to be doubted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dajko.profile import MOST_OUTSIDE
from dajko.report.reading import StudyResults, usable
from dajko.report.words import number, percent
from dajko.resolution import LEAST_RESOLUTION, MOST_ODD_EVEN
from dajko.status import Status


@dataclass(frozen=True)
class Warned:
    """A warning about a study.

    Attributes
    ----------
    kind : str
    cells : int
        How many cells it concerns.
    short : str
        What is the matter, for a line of the terminal.
    meaning : str
        What that means for the results, and what can be done.
    """

    kind: str
    cells: int
    short: str
    meaning: str


def warning_table(results: StudyResults, damage: Sequence[str] = ()) -> pd.DataFrame:
    """Everything that is to be said about a study before its numbers, the gravest first.

    Parameters
    ----------
    results : StudyResults
    damage : sequence of str
        Sentences about cells that cannot be read, from whoever has looked.

    Returns
    -------
    pandas.DataFrame
        A row for each warning: ``kind``, ``cells`` (how many it concerns; 0 where that is not known), ``short``,
        ``meaning``. Empty if there is nothing to say.
    """
    found = [Warned("damage", 0, sentence, "") for sentence in damage]
    found += [
        *_missing(results),
        *_fallback(results),
        *_truth_outside(results),
        *_odd_even(results),
        *_unresolved(results),
    ]
    return pd.DataFrame(found, columns=["kind", "cells", "short", "meaning"])


def _missing(results: StudyResults) -> list[Warned]:
    """Cells that are not computed, failed or did not converge."""
    counts, found = results.counts, []
    total = sum(counts.values())
    pending = counts[Status.PENDING]
    if pending:
        short = f"unfinished: {total - pending} of {total} cells have been computed"
        found.append(Warned("pending", pending, short, "What follows is about these; the next run computes the rest."))
    bad = {s: counts[s] for s in (Status.NOT_CONVERGED, Status.FAILED) if counts[s]}
    if bad:
        kinds = results.failures or {s.name.lower().replace("_", " "): n for s, n in bad.items()}
        named = ", ".join(f"{n} {kind}" for kind, n in kinds.items())
        number_of = sum(bad.values())
        remedies = "; ".join(s.message for s in bad)
        remedies = f"{remedies[:1].upper()}{remedies[1:]}."
        meaning = f"They are left out of all figures and statistics. {remedies} failures.jsonl names each of them."
        found.append(Warned("failed", number_of, f"no result in {_share(number_of, total)}: {named}", meaning))
    if not counts[Status.CONVERGED] and not counts[Status.FALLBACK]:
        found.append(Warned("nothing", total, "no cell has converged", "There is nothing to show."))
    return found


def _fallback(results: StudyResults) -> list[Warned]:
    """Cells that the default solver could not compute alone."""
    cells = results.counts[Status.FALLBACK]
    if not cells:
        return []
    there = cells + results.counts[Status.CONVERGED]
    whole = steps = taken = 0
    for node in results.nodes:
        if "step_status" in node:
            here = node["step_status"].values[node["status"].values == Status.FALLBACK][:, 1:] == Status.FALLBACK
            whole += int(here.all(axis=1).sum())
            steps, taken = steps + here.size, taken + int(here.sum())
    which = f"all {there} cells" if cells == there else _share(cells, there)
    short = f"the fallback solver pd3o was needed in {which} with a result"
    if whole == cells and steps:
        short += ", in every step"
    elif steps:
        short += f", in {percent(taken / steps)} of their steps" + (f" ({whole} of them in every step)" if whole else "")
    meaning = (
        "interior_point did not converge there, and Algorithm 1 took over. Its answers met a stopping rule of their own, "
        "and are less accurate: look for what is special about these cells (step_status says which steps) before trusting "
        "small differences."
    )
    return [Warned("fallback", cells, short, meaning)]


def _truth_outside(results: StudyResults) -> list[Warned]:
    """Cells whose truth leaves the domain."""
    seen = _where(results, "truth_outside", lambda v: v > MOST_OUTSIDE)
    if seen is None:
        return []
    short = (
        f"the truth leaves the domain in {_share(seen.cells, seen.total)}, from t = {number(seen.first)} on, "
        f"with up to {percent(seen.largest)} of its mass"
    )
    meaning = (
        "The flow keeps its mass inside, so that from then on errors say how much of the truth is outside, not how good the "
        "scheme is; data taken there are those of what is left. Enlarge the domain (grid.left, grid.right) or end sooner."
    )
    return [Warned("truth_outside", seen.cells, short, meaning)]


def _odd_even(results: StudyResults) -> list[Warned]:
    """Cells whose densities alternate from node to node."""
    seen = _where(results, "odd_even", lambda v: v > MOST_ODD_EVEN)
    if seen is None:
        return []
    short = (
        f"the density alternates from point to point in {_share(seen.cells, seen.total)}, by up to {percent(seen.largest)}"
        f"{_times(seen)}"
    )
    meaning = (
        "Peaks and errors at single points are not to be trusted. Centred differences do not see this mode, and it does not "
        "decay. Start from a density that the mesh resolves, refine it (grid.nx), or take grid.scheme finite_volume."
    )
    return [Warned("odd_even", seen.cells, short, meaning)]


def _unresolved(results: StudyResults) -> list[Warned]:
    """Cells whose densities are narrower than the mesh."""
    seen = _where(results, "resolution", lambda v: v < LEAST_RESOLUTION)
    if seen is None:
        return []
    short = (
        f"the density is narrower than {number(LEAST_RESOLUTION)} mesh widths in {_share(seen.cells, seen.total)}, "
        f"{number(seen.smallest, 2)} at the least{_times(seen)}"
    )
    meaning = (
        "What is so narrow spreads too slowly or not at all: its width and peak are those of the mesh. Refine it (grid.nx)."
    )
    return [Warned("resolution", seen.cells, short, meaning)]


@dataclass(frozen=True)
class _Seen:
    """Where a variable over (cell, time) is beyond its bound: number of cells of so many, times, extremes."""

    cells: int
    total: int
    at_end: int
    first: float
    largest: float
    smallest: float


def _where(results: StudyResults, variable: str, beyond: Callable[[NDArray[np.float64]], NDArray[np.bool_]]) -> _Seen | None:
    """Where a variable is beyond its bound, over the cells with a result; None if nowhere, or if the store has it not."""
    cells = total = at_end = 0
    first, largest, smallest = np.inf, -np.inf, np.inf
    for node in results.nodes:
        used = usable(node["status"].values)
        total += int(used.sum())
        if variable not in node:
            continue
        values = np.asarray(node[variable].values, dtype=float)[used]
        bad = beyond(values)  # a comparison with NaN is false: what is not known is not beyond
        if bad.any():
            cells += int(bad.any(axis=1).sum())
            at_end += int(bad[:, -1].sum())
            first = min(first, float(node["time"].values[bad.any(axis=0).argmax()]))
            largest, smallest = max(largest, float(values[bad].max())), min(smallest, float(values[bad].min()))
    return _Seen(cells, total, at_end, first, largest, smallest) if cells else None


def _times(seen: _Seen) -> str:
    """When it begins, and whether it is still so at the end."""
    still = "in all of these" if seen.at_end == seen.cells else f"in {seen.at_end} of these" if seen.at_end else "in none"
    return f", first at t = {number(seen.first)}, at the final time {still}"


def _share(cells: int, total: int) -> str:
    return f"{cells} of {total} cells ({percent(cells / total)})"
