"""One page for all studies of a results directory: self-contained HTML, made from the figures and tables that are there."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml

from dajko.errors import InputError
from dajko.report.captions import CAPTIONS
from dajko.report.describe import describe
from dajko.report.figures import FIGURES, TABLE_NAMES, TABLES
from dajko.report.findings import findings
from dajko.report.reading import SweptAxis, swept_axes
from dajko.report.words import aligned, name_of, number, order_text
from dajko.solvers import Status
from dajko.study.files import write_text
from dajko.study.foreign import as_stored
from dajko.study.labelled import damage_sentences, summary_attributes
from dajko.study.layout import CELLS, SUMMARY
from dajko.study.members import data_only_theta

PAGE = "report.html"
# Rows of a table that a page shows.
_MOST_ROWS = 30

_NORMS = {"l1": "L¹ / mass", "l2": "L²", "w2": "W₂"}
_STATISTICS = ("median", "q05", "q95", "model_only", "data_only")
_HEADERS = {
    "norm": "error",
    "range": "5 % to 95 %",
    "used": "members",
    "left_out": "left out",
    "model_only": "model only",
    "data_only": "data only",
    "resolution": "against",
    "reference": "compared with",
    "fitted": "step sizes",
}


@dataclass(frozen=True)
class Table:
    """A table as the page shows it: headers, which columns hold numbers, and rows of text."""

    title: str
    headers: list[str]
    numeric: list[bool]
    rows: list[list[str]]
    more: int
    file: str


def write_page(results: Path, studies: list[str] | None = None) -> Path:
    """Write ``report.html``: every study's question, findings, figures, tables and provenance on one page.

    Parameters
    ----------
    results : Path
        The directory that holds the studies' directories.
    studies : list of str, optional
        Names of the studies, in this order; all that are there by default.

    Returns
    -------
    Path
        The page, which needs no other file.

    Raises
    ------
    InputError
        If there is no study, or one that was asked for is not there.
    """
    if studies is None:
        studies = sorted(p.name for p in results.iterdir() if _is_study(p)) if results.is_dir() else []
    missing = [name for name in studies if not _is_study(results / name)]
    if missing:
        raise InputError(f"{results}: there is no study {missing[0]} here; run it first")
    if not studies:
        raise InputError(f"{results}: there is no study here; run one first")
    loader = jinja2.PackageLoader("dajko.report", "")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = environment.get_template("page.html.j2").render(studies=[_study(results / name) for name in studies])
    page = results / PAGE
    write_text(page, text)
    return page


def _is_study(directory: Path) -> bool:
    return (directory / SUMMARY).is_dir() or (directory / CELLS).is_dir()


def _study(directory: Path) -> dict[str, Any]:
    attributes = summary_attributes(directory)
    study = as_stored(str(attributes["configuration"]), directory)
    axes = swept_axes(attributes)
    tables = {name: _read(directory / TABLES / f"{name}.csv") for name in TABLE_NAMES}
    limit = data_only_theta(study) if study.limits else None
    counts = {row["status"]: int(row["cells"]) for _, row in tables["status"].iterrows()}
    return {
        "name": directory.name,
        "title": study.title or directory.name,
        "description": describe(study),
        "counts": _counts(counts),
        "warnings": [*damage_sentences(directory), *_warnings(counts)],
        "findings": findings(axes, tables),
        "figures": [_figure(directory, name) for name in CAPTIONS if (directory / FIGURES / f"{name}.svg").exists()],
        "tables": [t for t in (_best(axes, tables), _orders(axes, tables), _errors(axes, tables, limit)) if t.rows],
        "configuration": yaml.safe_dump(
            study.model_dump(exclude_none=True), sort_keys=False, default_flow_style=None, width=100, allow_unicode=True
        ),
        "provenance": _provenance(attributes),
    }


def _read(path: Path) -> pd.DataFrame:
    if not path.exists():
        return pd.DataFrame()
    # Only empty fields are missing: a swept value may be the word null or nan. In texts nothing is missing.
    table = pd.read_csv(path, keep_default_na=False, na_values=[""])
    texts = {c: table[c].astype(object).where(table[c].notna(), "") for c in ("note", "end") if c in table}
    return table.assign(**texts)


def _counts(counts: dict[str, int]) -> str:
    total = sum(counts.values())
    parts = [f"{n} {name.replace('_', ' ')}" for name, n in counts.items() if n]
    return f"{total} cell{'s' if total != 1 else ''}: {', '.join(parts)}." if counts else ""


def _warnings(counts: dict[str, int]) -> list[str]:
    """What a reader has to know before anything else."""
    if not counts:
        return ["There are no tables and figures of this study yet."]
    found, total = [], sum(counts.values())
    pending = counts.get("pending", 0)
    if pending:
        done = total - pending
        found.append(f"This study is unfinished: {done} of {total} cells have been computed. What follows is about these.")
    for status in Status:
        n = counts.get(status.name.lower(), 0)
        if n and not status.usable and status != Status.PENDING:
            found.append(f"{n} of {total} cells are left out of all figures and statistics: {status.message}.")
    if not any(counts.get(status.name.lower(), 0) for status in Status if status.usable):
        found.append("No cell has converged, so there is nothing to show.")
    return found


def _figure(directory: Path, name: str) -> dict[str, str]:
    image = base64.b64encode((directory / FIGURES / f"{name}.svg").read_bytes()).decode("ascii")
    return {"name": name, "caption": CAPTIONS[name], "source": f"data:image/svg+xml;base64,{image}"}


def _provenance(attributes: dict[str, Any]) -> list[tuple[str, str]]:
    packages: dict[str, str] = json.loads(str(attributes.get("package_versions", "{}")))
    commit = str(attributes.get("git_commit", ""))
    dirty = " (with changes that were not committed)" if attributes.get("git_dirty") else ""
    rows = [
        ("created", str(attributes.get("created", ""))),
        ("commit", f"{commit}{dirty}" if commit else ""),
        ("study hash", str(attributes.get("study_hash", ""))),
        ("numerical code", str(attributes.get("code", ""))),
        ("Python", str(attributes.get("python_version", ""))),
        ("packages", ", ".join(f"{name} {version}" for name, version in packages.items())),
    ]
    return [(name, value) for name, value in rows if value]


# --- tables -------------------------------------------------------------------------------------------------------------


def _best(axes: tuple[SweptAxis, ...], tables: dict[str, pd.DataFrame]) -> Table:
    table = tables["best_theta"]
    if not table.empty:
        table = table[table["statistic"] == "mean"]
        table = _texts(table if len(table) <= _MOST_ROWS else table[table["norm"] == "l1"])
        ends = {"lower": " (lower end)", "upper": " (upper end)", "only": " (the only one)"}
        theta = [f"{number(v)}{ends.get(end, '')}" for v, end in zip(table["theta"], table["end"], strict=True)]
        table = table.assign(theta=theta)
    others = [n for axis in axes if "theta" not in axis.names for n in axis.names]
    columns = [*others, "norm", "theta", "median", "range", "model_only", "data_only", "used", "left_out"]
    return _table("Best θ, by the time mean of the error", table, axes, columns, "best_theta")


def _orders(axes: tuple[SweptAxis, ...], tables: dict[str, pd.DataFrame]) -> Table:
    table = tables["orders"]
    if not table.empty:
        texts = [order_text(o, s) for o, s in zip(table["order"], table["stderr"], strict=True)]
        table = _texts(table).assign(order=texts)
    others = [n for axis in axes for n in axis.names if n in table.columns]
    columns = ["resolution", *others, "norm", "reference", "order", "fitted", "left_out", "note"]
    return _table("Fitted orders of convergence", table, axes, columns, "orders")


def _errors(axes: tuple[SweptAxis, ...], tables: dict[str, pd.DataFrame], limit: float | None) -> Table:
    table = tables["errors"]
    if not table.empty:
        table = _texts(table[(table["norm"] == "l1") & (table["statistic"] == "mean")])
    if "theta" in table:
        named = {float("inf"): " (model only)", limit: " (data only)"}
        table = table.assign(theta=[f"{number(v)}{named.get(v, '')}" for v in table["theta"]])
    columns = [*(n for axis in axes for n in axis.names), "median", "range", "used", "left_out"]
    return _table("L¹ error / mass, time mean", table, axes, columns, "errors")


def _texts(table: pd.DataFrame) -> pd.DataFrame:
    """A table with its statistics as text, the quantiles in one column."""
    texts = {c: [aligned(v) for v in table[c]] for c in _STATISTICS if c in table and table[c].notna().any()}
    if "q05" in texts and "q95" in texts and (table["used"] > 1).any():
        texts["range"] = [f"{low} to {high}" for low, high in zip(texts["q05"], texts["q95"], strict=True)]
    if not table.empty and (table["left_out"] == 0).all():
        table = table.drop(columns="left_out")
    return table.assign(**texts)


def _table(title: str, table: pd.DataFrame, axes: tuple[SweptAxis, ...], columns: list[str], file: str) -> Table:
    """The columns of a table that say something, as text."""
    if table.empty:
        return Table(title, [], [], [], 0, file)
    kept = [c for c in columns if c in table and not (table[c].isna().all() or (table[c] == "").all())]
    keys = {n: k for axis in axes for n, k in zip(axis.names, axis.keys, strict=True)}
    headers = [name_of(c, keys[c], unicode=True) if c in keys else _HEADERS.get(c, c) for c in kept]
    rows = [[_cell(c, v) for c, v in zip(kept, row, strict=True)] for row in table[kept].itertuples(index=False, name=None)]
    numeric = [c in ("order", "range", "theta", *_STATISTICS) or pd.api.types.is_numeric_dtype(table[c]) for c in kept]
    return Table(title, headers, numeric, rows[:_MOST_ROWS], max(0, len(rows) - _MOST_ROWS), file)


def _cell(column: str, value: Any) -> str:
    if pd.isna(value):
        return ""
    return _NORMS[str(value)] if column == "norm" else number(value)
