"""The page that goes into Snakemake's report: as much of it as a browser opens there.

Snakemake's report holds each page as a data URL, and Chromium refuses to open data URLs above 2 MiB: more than 1.57 MB of
HTML is a blank window. What is left out is in Snakemake's report as well, figure by figure and table by table, and on the
whole page.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from dajko.report.page import PAGE, render, study_context
from dajko.study.store.files import write_text

OVERVIEW = "overview.html"
# Bytes of a page that opens as a data URL: 2 MiB, less a third for its coding, and a reserve.
MOST_BYTES = 1_400_000
_BESIDE = (
    "This page is short, so that it opens inside of Snakemake's report, which holds every figure and table; "
    f"{PAGE} shows all on one page."
)


# Rows of each table, and whether configurations are shown: the first that leaves room is taken, and figures fill the rest.
_DETAILS: tuple[tuple[int | None, bool], ...] = ((None, True), (100, True), (30, False), (0, False))
# Bytes around the image of a figure.
_AROUND = 500


def write_overview(results: Path, studies: list[str], most: int = MOST_BYTES) -> Path:
    """Write ``overview.html``: the page of some studies, with as many figures and tables as there is room for.

    Parameters
    ----------
    results : Path
        The directory that holds the studies' directories.
    studies : list of str
        Names of the studies, in this order.
    most : int
        Bytes that the page may have.

    Returns
    -------
    Path
        The page, which needs no other file.
    """
    whole = [study_context(results / name) for name in studies]
    text = render(whole)
    if not _fits(text, most):
        text = _short(whole, most)
    page = results / OVERVIEW
    write_text(page, text)
    return page


def _short(whole: list[dict[str, Any]], most: int) -> str:
    """A page that leaves something out."""
    for rows, configuration in _DETAILS:
        shown = [_shortened(study, rows, configuration) for study in whole]
        text = render(shown, _BESIDE)
        if _fits(text, most // 2):
            return render(_with_figures(whole, shown, most - len(text.encode())), _BESIDE)
    while not _fits(text, most):  # thousands of studies: those for which there is room
        room = len(shown) * most // (len(text.encode()) + 1)
        shown = shown[: min(room, len(shown) - 1)]
        text = render(shown, f"{_BESIDE} It shows {len(shown)} of {len(whole)} studies.")
    return text


def _fits(text: str, most: int) -> bool:
    return len(text.encode()) <= most


def _shortened(study: dict[str, Any], rows: int | None, configuration: bool) -> dict[str, Any]:
    """A study whose figures are named in place of shown, with shorter tables."""
    figures = [{**figure, "source": ""} for figure in study["figures"]]
    tables = study["tables"] if rows != 0 else []
    if rows is not None:
        tables = [replace(t, rows=t.rows[:rows], more=t.more + max(0, len(t.rows) - rows)) for t in tables]
    return {**study, "figures": figures, "tables": tables, "configuration": study["configuration"] if configuration else ""}


def _with_figures(whole: list[dict[str, Any]], shown: list[dict[str, Any]], room: int) -> list[dict[str, Any]]:
    """The studies with the figures for which there is room: the first of each study, then the second of each."""
    found = [list(study["figures"]) for study in shown]
    for place in range(max((len(figures) for figures in found), default=0)):
        for study, figures in zip(whole, found, strict=True):
            if place < len(figures):
                figure = study["figures"][place]
                size = len("".join(figure.values()).encode()) + len(study["title"].encode()) + _AROUND
                if size <= room:
                    figures[place], room = figure, room - size
    return [{**study, "figures": figures} for study, figures in zip(shown, found, strict=True)]
