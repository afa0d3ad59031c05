"""One page for all studies of a results directory: self-contained HTML, made from the figures and tables that are there."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml

from dajko.errors import InputError
from dajko.report.captions import FIGURE_NAMES, captions
from dajko.report.convergence import FINEST, TRUTH
from dajko.report.describe import describe
from dajko.report.errors import NORMS, STATISTICS
from dajko.report.figures import FIGURES, TABLE_NAMES, TABLES
from dajko.report.findings import findings
from dajko.report.reading import SweptAxis, swept_axes
from dajko.report.words import aligned, name_of, number, order_text
from dajko.study.config.foreign import as_stored
from dajko.study.design.members import data_only_theta
from dajko.study.store.files import write_text
from dajko.study.store.labelled import summary_attributes
from dajko.study.store.variables import CELLS, SUMMARY

PAGE = "report.html"
# Rows of a table and sentences of warning that a page shows: whole tables, unless a browser would choke on them.
_MOST_ROWS, _MOST_WARNINGS = 5000, 50

_NORMS = {"l1": "L¹ / mass", "l2": "L²", "w2": "W₂"}
_NUMBERS = ("median", "q05", "q95", "model_only", "data_only")
_REFERENCES = {FINEST: "finest run", TRUTH: "truth"}
_HEADERS = {
    "norm": "error",
    "statistic": "of the",
    "range": "5 % to 95 %",
    "mean": "time mean",
    "final": "final time",
    "mean_range": "5 % to 95 %",
    "final_range": "5 % to 95 %",
    "step": "step size",
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

    The page belongs to the results directory, not to whoever writes it: `dajko report` and the workflow both show every
    study that is there.

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
    page = results / PAGE
    write_text(page, render([_context(results / name) for name in _there(results, studies)]))
    return page


def _context(directory: Path) -> dict[str, Any]:
    """What the page shows of a study; the reason, of one that cannot be read: it must not keep the others from theirs."""
    try:
        return study_context(directory)
    except InputError as error:
        nothing = {"description": [], "findings": [], "figures": [], "tables": [], "configuration": "", "provenance": []}
        named = {"name": directory.name, "title": directory.name, "counts": "", "warnings": [(f"{error}.", "")]}
        return {**named, **nothing}


def studies_in(results: Path) -> list[str]:
    """Names of the studies in a results directory."""
    return sorted(p.name for p in results.iterdir() if _is_study(p)) if results.is_dir() else []


def _there(results: Path, studies: list[str] | None) -> list[str]:
    """The names that are given, or those of all studies."""
    if studies is None:
        studies = studies_in(results)
    missing = [name for name in studies if not _is_study(results / name)]
    if missing:
        raise InputError(f"{results}: there is no study {missing[0]} here; run it first")
    if not studies:
        raise InputError(f"{results}: there is no study here; run one first")
    return studies


def render(studies: list[dict[str, Any]], beside: str = "") -> str:
    """The HTML of a page.

    Parameters
    ----------
    studies : list of dict
        From :func:`study_context`.
    beside : str
        What else there is to read, for a page that leaves something out.
    """
    loader = jinja2.PackageLoader("dajko.report", "")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("page.html.j2").render(studies=studies, beside=beside)


def _is_study(directory: Path) -> bool:
    return (directory / SUMMARY).is_dir() or (directory / CELLS).is_dir()


def study_context(directory: Path) -> dict[str, Any]:
    """What the template shows of a study.

    Raises
    ------
    InputError
        If the store does not say what the study is, or not as this version understands it.
    """
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
        "warnings": _warnings(tables),
        "findings": findings(axes, tables),
        "figures": [
            _figure(directory, name, captions(study)[name])
            for name in FIGURE_NAMES
            if (directory / FIGURES / f"{name}.svg").exists()
        ],
        "tables": [table for table in _tables(axes, tables, limit) if table.rows],
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
    texts = {
        c: table[c].astype(object).where(table[c].notna(), "") for c in ("note", "end", "short", "meaning") if c in table
    }
    return table.assign(**texts)


def _counts(counts: dict[str, int]) -> str:
    total = sum(counts.values())
    parts = [f"{n} {name.replace('_', ' ')}" for name, n in counts.items() if n]
    return f"{total} cell{'s' if total != 1 else ''}: {', '.join(parts)}." if counts else ""


def warnings_of(directory: Path) -> list[tuple[str, str]]:
    """What the page says of a study before anything else: what is the matter, and what that means."""
    return _warnings({name: _read(directory / TABLES / f"{name}.csv") for name in ("status", "warnings")})


def _warnings(tables: dict[str, pd.DataFrame]) -> list[tuple[str, str]]:
    if tables["status"].empty:
        return [("There are no tables and figures of this study yet.", "")]
    rows = tables["warnings"]
    found = [(f"{short[:1].upper()}{short[1:]}", str(meaning)) for short, meaning in rows_of(rows, "short", "meaning")]
    found = [(short if short.endswith(".") else f"{short}.", meaning) for short, meaning in found]
    if len(found) > _MOST_WARNINGS:
        more = len(found) - _MOST_WARNINGS
        found = [*found[:_MOST_WARNINGS], (f"And {more} more warnings, in tables/warnings.csv.", "")]
    return found


def rows_of(table: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    """Some columns of a table, row by row; nothing of a table that is not there."""
    return [] if table.empty else list(table[list(columns)].itertuples(index=False, name=None))


def _figure(directory: Path, name: str, caption: str) -> dict[str, str]:
    image = base64.b64encode((directory / FIGURES / f"{name}.svg").read_bytes()).decode("ascii")
    return {"name": name, "caption": caption, "source": f"data:image/svg+xml;base64,{image}"}


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


def _tables(axes: tuple[SweptAxis, ...], tables: dict[str, pd.DataFrame], limit: float | None) -> list[Table]:
    """The tables of a study; over a resolution the errors at the final time, which the orders are fitted to."""
    found = [_best(axes, tables), _orders(axes, tables), _convergence(axes, tables)]
    over_theta = any("theta" in axis.names for axis in axes)
    return found if found[-1].rows and not over_theta else [*found, _errors(axes, tables, limit)]


def _best(axes: tuple[SweptAxis, ...], tables: dict[str, pd.DataFrame]) -> Table:
    table = tables["best_theta"]
    if not table.empty:
        table = _texts(table)
        ends = {"lower": " (lower end)", "upper": " (upper end)", "only": " (the only one)"}
        theta = [f"{number(v)}{ends.get(end, '')}" for v, end in zip(table["theta"], table["end"], strict=True)]
        table = table.assign(theta=theta, statistic=table["statistic"].map(STATISTICS))
    others = [n for axis in axes if "theta" not in axis.names for n in axis.names]
    columns = [*others, "norm", "statistic", "theta", "median", "range", "model_only", "data_only", "used", "left_out"]
    return _table("Best θ", table, axes, columns, "best_theta")


def _orders(axes: tuple[SweptAxis, ...], tables: dict[str, pd.DataFrame]) -> Table:
    table = tables["orders"]
    if not table.empty:
        texts = [order_text(o, s) for o, s in zip(table["order"], table["stderr"], strict=True)]
        table = _texts(table).assign(order=texts, reference=table["reference"].map(_REFERENCES))
    others = [n for axis in axes for n in axis.names if n in table.columns]
    columns = ["resolution", *others, "norm", "reference", "order", "fitted", "left_out", "note"]
    return _table("Fitted orders of convergence", table, axes, columns, "orders")


def _convergence(axes: tuple[SweptAxis, ...], tables: dict[str, pd.DataFrame]) -> Table:
    table, title = tables["convergence"], "Error at the final time"
    if table.empty:
        return Table(title, [], [], [], 0, "convergence")
    keys = ["resolution", *(n for axis in axes for n in axis.names if n in table), "step"]
    one, columns = table["reference"].nunique() == 1, []
    parts = []
    for reference in (FINEST, TRUTH):
        for norm in NORMS:
            part = table[(table["reference"] == reference) & (table["norm"] == norm)]
            if len(part):
                columns.append(_NORMS[norm] if one else f"{_NORMS[norm]}, {_REFERENCES[reference]}")
                parts.append(part.set_index(keys)["median"].map(aligned).rename(columns[-1]))
    wide = pd.concat(parts, axis=1, sort=False).fillna("").reset_index()
    if one:
        title = f"{title}, compared with {_REFERENCES[str(table['reference'].iloc[0])]}"
    wide = wide.sort_values("step", ascending=False, kind="stable") if len(keys) == 2 else wide
    return _table(title, wide, axes, [*keys, *columns], "convergence", numeric=columns)


def _errors(axes: tuple[SweptAxis, ...], tables: dict[str, pd.DataFrame], limit: float | None) -> Table:
    table = tables["errors"]
    if not table.empty:
        table = table[table["norm"] == "l1"]
        parts = {name: _texts(table[table["statistic"] == name]).reset_index(drop=True) for name in STATISTICS}
        table = parts["mean"].drop(columns=["median", "range"], errors="ignore")
        for name, part in parts.items():  # the same points in the same order
            table = table.assign(**{name: part["median"]})
            if "range" in part:
                table = table.assign(**{f"{name}_range": part["range"]})
    if "theta" in table:
        named = {float("inf"): " (model only)", limit: " (data only)"}
        table = table.assign(theta=[f"{number(v)}{named.get(v, '')}" for v in table["theta"]])
    swept = [n for axis in axes for n in axis.names]
    columns = [*swept, "mean", "mean_range", "final", "final_range", "used", "left_out"]
    return _table("L¹ error / mass", table, axes, columns, "errors")


def _texts(table: pd.DataFrame) -> pd.DataFrame:
    """A table with its statistics as text, the quantiles in one column."""
    texts = {c: [aligned(v) for v in table[c]] for c in _NUMBERS if c in table and table[c].notna().any()}
    if "q05" in texts and "q95" in texts and (table["used"] > 1).any():
        texts["range"] = [f"{low} to {high}" for low, high in zip(texts["q05"], texts["q95"], strict=True)]
    if not table.empty and (table["left_out"] == 0).all():
        table = table.drop(columns="left_out")
    return table.assign(**texts)


def _table(
    title: str,
    table: pd.DataFrame,
    axes: tuple[SweptAxis, ...],
    columns: list[str],
    file: str,
    numeric: Sequence[str] = ("order", "theta", "mean", "final", "range", "mean_range", "final_range", *_NUMBERS),
) -> Table:
    """The columns of a table that say something, as text."""
    if table.empty:
        return Table(title, [], [], [], 0, file)
    kept = [c for c in columns if c in table and not (table[c].isna().all() or (table[c] == "").all())]
    keys = {n: k for axis in axes for n, k in zip(axis.names, axis.keys, strict=True)}
    headers = [name_of(c, keys[c], unicode=True) if c in keys else _HEADERS.get(c, c) for c in kept]
    rows = [[_cell(c, v) for c, v in zip(kept, row, strict=True)] for row in table[kept].itertuples(index=False, name=None)]
    right = [c in numeric or pd.api.types.is_numeric_dtype(table[c]) for c in kept]
    return Table(title, headers, right, rows[:_MOST_ROWS], max(0, len(rows) - _MOST_ROWS), file)


def _cell(column: str, value: Any) -> str:
    if pd.isna(value):
        return ""
    return _NORMS[str(value)] if column == "norm" else number(value)
