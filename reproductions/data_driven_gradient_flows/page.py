"""The page that sets the paper beside what was computed, as Markdown for the documents and as HTML."""

from __future__ import annotations

import base64
import html
import os
import re
from dataclasses import dataclass
from pathlib import Path

import jinja2

from dajko.report.style import save_figure
from dajko.study.config.parse import read_studies
from reproductions.data_driven_gradient_flows.claims import SECTIONS
from reproductions.data_driven_gradient_flows.finding import Finding, Verdict
from reproductions.data_driven_gradient_flows.stores import Stores

PAGE, HTML = "paper.md", "paper.html"
# Relative to the pages, also where they are copied to among the documents.
FIGURES = "figures/paper"


@dataclass(frozen=True)
class Section:
    """A part of the page."""

    title: str
    findings: tuple[Finding, ...]


def judge(results: Path) -> tuple[Section, ...]:
    """All claims, judged.

    Parameters
    ----------
    results : Path
        The directory that holds the studies' directories.

    Raises
    ------
    InputError
        If a study is missing.
    """
    stores = Stores(results)
    return tuple(Section(title, tuple(claim(stores) for claim in claims)) for title, claims in SECTIONS)


def write_paper(results: Path, files: list[Path]) -> list[Path]:
    """Judge all claims and write ``paper.md``, ``paper.html`` and their figures into the results directory.

    Parameters
    ----------
    results : Path
        The directory that holds the studies' directories.
    files : list of Path
        The files that hold the studies, to say how each is run.

    Returns
    -------
    list of Path
        The two pages.

    Raises
    ------
    InputError
        If a study is missing.
    """
    sections = judge(results)
    homes = {study: _shown(file) for file in files for study in read_studies(file).studies}
    pictures = {p.name: p for section in sections for finding in section.findings for p in finding.pictures}
    (results / FIGURES).mkdir(parents=True, exist_ok=True)
    images = {}
    for name, picture in pictures.items():
        vector, image = save_figure(picture.draw(), results / FIGURES / name)
        vector.unlink()
        images[name] = f"data:image/png;base64,{base64.b64encode(image.read_bytes()).decode('ascii')}"
    counts = {v.value: sum(f.verdict is v for s in sections for f in s.findings) for v in Verdict}
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reproductions.data_driven_gradient_flows", ""),
        autoescape=lambda name: bool(name) and ".html." in str(name),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"anchor": anchor, "cell": _cell, "code": _code}
    commands = {f.title: _commands(f, homes) for section in sections for f in section.findings}
    pages = []
    for page in (PAGE, HTML):
        text = environment.get_template(f"{page}.j2").render(
            sections=sections, commands=commands, counts=counts, images=images, figures=FIGURES
        )
        temporary = results / f".{page}.{os.getpid()}"
        temporary.write_text(text, encoding="utf-8")
        pages.append(temporary.replace(results / page))
    return pages


def _shown(file: Path) -> str:
    """A file as it is named from here, or by its name alone if it lies elsewhere."""
    path, here = file.absolute(), Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else file.name


def _commands(finding: Finding, homes: dict[str, str]) -> list[str]:
    """How the studies of a finding are run, one command for each file."""
    files = dict.fromkeys(homes[study] for study in finding.studies)
    return [f"dajko run {file} {' '.join(s for s in finding.studies if homes[s] == file)}" for file in files]


def anchor(title: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def _cell(text: str) -> str:
    """A cell of a Markdown table, in which a bar would end it."""
    return text.replace("|", r"\|")


def _code(text: str) -> str:
    """Text with words between backticks as code, for HTML."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(text, quote=False))
