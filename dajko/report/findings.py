"""The headline of a study: what its tables say, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from dajko.report.choice import LOWER, ONLY, UPPER
from dajko.report.convergence import FINEST
from dajko.report.reading import SweptAxis
from dajko.report.selection import label_of
from dajko.report.words import number, order_text, percent, plain_value

_NORMS = {"l1": "L¹", "l2": "L²", "w2": "W₂"}
_MOST = 12


def findings(axes: Sequence[SweptAxis], tables: dict[str, pd.DataFrame]) -> list[str]:
    """Sentences about a study, at most a dozen for each kind of finding.

    Parameters
    ----------
    axes : sequence of SweptAxis
    tables : dict of pandas.DataFrame
        The tables of :func:`dajko.report.figures.make_tables`; those that are missing are passed over.
    """
    found: list[str] = []
    for name, sentences in (("best_theta", _best(axes, tables)), ("orders", _orders(axes, tables))):
        found += sentences[:_MOST]
        if len(sentences) > _MOST:
            found.append(f"And {len(sentences) - _MOST} more, in tables/{name}.csv.")
    return found or _errors(axes, tables)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _where(axes: Sequence[SweptAxis], table: pd.DataFrame, row: dict[str, Any]) -> str:
    """The swept values of a row of a table, as far as it has them."""
    names = [n for axis in axes for n in axis.names if n in table.columns]
    values = {n: plain_value(row[n]) for n in names if not pd.isna(row[n])}
    return label_of(axes, table, values, unicode=True)


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in table.to_dict(orient="records")]


def _best(axes: Sequence[SweptAxis], tables: dict[str, pd.DataFrame]) -> list[str]:
    table = tables.get("best_theta", pd.DataFrame())
    if table.empty:
        return []
    table = table[(table["norm"] == "l1") & (table["statistic"] == "mean")]
    others = table.drop(columns=[n for axis in axes if "theta" in axis.names for n in axis.names], errors="ignore")
    sentences = []
    for row in _rows(table):
        where = _where(axes, others, row)
        against = [
            f"{percent(row[name])} for the {name.replace('_', ' ')}"
            for name in ("model_only", "data_only")
            if not pd.isna(row[name])
        ]
        text = f"{where}: the best" if where else "The best"
        text += f" θ is {number(row['theta'])}, with a mean L¹ error of {percent(row['median'])} of the mass"
        if row["used"] > 1:
            text += f" ({percent(row['q05'])} to {percent(row['q95'])} for 90 % of the {row['used']} members)"
        text += f", against {' and '.join(against)}." if against else "."
        if row["end"] in (LOWER, UPPER):
            smaller = "smaller" if row["end"] == LOWER else "larger"
            text += f" This is the {row['end']} end of the swept range: a {smaller} one may be better still."
        elif row["end"] == ONLY:
            text += " It is the only one."
        if row["member_low"] < row["member_high"]:
            text += f" For single members the best is between {number(row['member_low'])} and {number(row['member_high'])}."
        if row["left_out"]:
            text += f" Left out: {row['left_out']} of {row['used'] + row['left_out']} members, which did not converge."
        sentences.append(_capital(text))
    return sentences


def _orders(axes: Sequence[SweptAxis], tables: dict[str, pd.DataFrame]) -> list[str]:
    table = tables.get("orders", pd.DataFrame())
    if table.empty:
        return []
    own = ("norm", "order", "stderr", "fitted", "left_out", "note")
    keys = [str(c) for c in table.columns if c not in own]
    sentences = []
    for _, rows in table.groupby(keys, sort=False, dropna=False):
        first = _rows(rows)[0]
        where = _where(axes, table, first)
        against = "the finest run" if first["reference"] == FINEST else "the truth"
        text = f"Error at the final time against {first['resolution']}{f' ({where})' if where else ''}: "
        notes = [str(note) for note in dict.fromkeys(rows["note"]) if note]
        if rows["order"].notna().any():
            orders = [f"{order_text(r['order'], r['stderr'])} in {_NORMS[r['norm']]}" for r in _rows(rows)]
            sizes = sorted({int(n) for n in rows["fitted"]})
            text += f"order {', '.join(orders)}, from {' or '.join(map(str, sizes))} step sizes, compared with {against}"
            text += f" ({'; '.join(notes)})." if notes else "."
        else:
            text += f"{'; '.join(notes)}."
        if first["left_out"]:
            text += f" Left out: {first['left_out']} run{'s' if first['left_out'] > 1 else ''} that did not converge."
        sentences.append(text)
    return sentences


def _errors(axes: Sequence[SweptAxis], tables: dict[str, pd.DataFrame]) -> list[str]:
    table = tables.get("errors", pd.DataFrame())
    if table.empty or not table["median"].notna().any():
        return []
    table = table[(table["norm"] == "l1") & (table["statistic"] == "mean") & table["median"].notna()]
    ordered = _rows(table.sort_values("median", kind="stable"))
    texts = [f"{percent(r['median'])}{f' ({where})' if (where := _where(axes, table, r)) else ''}" for r in ordered]
    if len(texts) == 1:
        return [f"The mean L¹ error is {texts[0]} of the mass."]
    return [f"The mean L¹ error, as a share of the mass, is between {texts[0]} and {texts[-1]}."]
