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
    table = table[table["norm"] == "l1"]
    others = table.drop(columns=[n for axis in axes if "theta" in axis.names for n in axis.names], errors="ignore")
    keys = [n for n in others.columns if n in {name for axis in axes for name in axis.names}]
    groups = others.groupby(keys, sort=False, dropna=False) if keys else [((), others)]
    sentences = []
    for _, rows in groups:
        found = {row["statistic"]: row for row in _rows(table.loc[rows.index])}
        where = _where(axes, others, found["mean"])
        text = f"{where}: the best θ" if where else "The best θ"
        if found["mean"]["theta"] == found["final"]["theta"]:
            text += f" is {number(found['mean']['theta'])}, for the time mean of the L¹ error ({_size(found['mean'])}) and"
            text += f" at the final time ({_size(found['final'])}).{_edge(found['mean'], 'this')}"
        else:
            text += f" is {number(found['mean']['theta'])} for the time mean of the L¹ error ({_size(found['mean'])}), and"
            text += f" {number(found['final']['theta'])} at the final time ({_size(found['final'])}; {_gain(found)})."
            text += "".join(_edge(row, number(row["theta"])) for row in found.values())
        text += _members(found)
        row = found["mean"]
        if row["left_out"]:
            text += f" Left out: {row['left_out']} of {row['used'] + row['left_out']} members, which did not converge."
        sentences.append(_capital(text))
    return sentences


def _size(row: dict[str, Any]) -> str:
    """The error at the best theta, and what it is to be compared with."""
    text = f"{percent(row['median'])} of the mass"
    if row["used"] > 1:
        text += f", {percent(row['q05'])} to {percent(row['q95'])} for 90 % of the {row['used']} members"
    limits = [
        f"{name.replace('_', ' ')}: {percent(row[name])}" for name in ("model_only", "data_only") if not pd.isna(row[name])
    ]
    return "; ".join([text, *limits])


def _gain(found: dict[str, dict[str, Any]]) -> str:
    """The error at the final time with the theta that is best for the time mean."""
    row = found["final"]
    times = row["other_theta"] / row["median"] if row["median"] > 0 else float("inf")
    text = f"with {number(found['mean']['theta'])} it is {percent(row['other_theta'])}"
    return f"{text}, {number(times, 2)} times as much" if 1.0 < times < 1e6 else text


def _edge(row: dict[str, Any], name: str) -> str:
    """A doubt about a best theta that has no neighbours on both sides."""
    if row["end"] in (LOWER, UPPER):
        smaller = "smaller" if row["end"] == LOWER else "larger"
        return f" {_capital(name)} is the {row['end']} end of the swept range: a {smaller} one may be better still."
    return " It is the only one." if row["end"] == ONLY else ""


def _members(found: dict[str, dict[str, Any]]) -> str:
    """The best thetas of single members, where they differ."""
    words = {"mean": "for the time mean", "final": "at the final time"}
    parts = [
        f"between {number(row['member_low'])} and {number(row['member_high'])} {words[name]}"
        for name, row in found.items()
        if row["member_low"] < row["member_high"]
    ]
    return f" For single members the best is {' and '.join(parts)}." if parts else ""


def _orders(axes: Sequence[SweptAxis], tables: dict[str, pd.DataFrame]) -> list[str]:
    table = tables.get("orders", pd.DataFrame())
    if table.empty:
        return []
    own = ("norm", "order", "stderr", "fitted", "left_out", "note", "reference")
    keys = [str(c) for c in table.columns if c not in own]
    sentences = []
    for _, rows in table.groupby(keys, sort=False, dropna=False):
        first = _rows(rows)[0]
        where = _where(axes, table, first)
        text = f"Error at the final time against {first['resolution']}{f' ({where})' if where else ''}:"
        text += ";".join(_order(part, first) for _, part in rows.groupby("reference", sort=False)) + "."
        if (rows["reference"] == FINEST).any() and (rows["reference"] != FINEST).any():
            text += _beside(axes, tables.get("convergence", pd.DataFrame()), first)
        if first["left_out"]:
            text += f" Left out: {first['left_out']} run{'s' if first['left_out'] > 1 else ''} that did not converge."
        sentences.append(text)
    return sentences


def _order(rows: pd.DataFrame, first: dict[str, Any]) -> str:
    """The orders of one curve in all norms, and what they are compared with."""
    against = "the finest run" if rows["reference"].iloc[0] == FINEST else "the truth"
    notes = [str(note) for note in dict.fromkeys(rows["note"]) if note]
    if not rows["order"].notna().any():
        # Numbers differ between the norms, what is the matter does not.
        return f" compared with {against}, {notes[0]}"
    orders = [f"{order_text(r['order'], r['stderr'])} in {_NORMS[r['norm']]}" for r in _rows(rows)]
    sizes = sorted({int(n) for n in rows["fitted"]})
    text = f" compared with {against}, order {', '.join(orders)}, from {' or '.join(map(str, sizes))} step sizes"
    return f"{text} ({'; '.join(notes)})" if notes else text


def _beside(axes: Sequence[SweptAxis], convergence: pd.DataFrame, first: dict[str, Any]) -> str:
    """What the error against the truth does meanwhile: it need not fall, because not all of it is refined away."""
    if convergence.empty:
        return ""
    names = [n for axis in axes for n in axis.names if n in first and not pd.isna(first[n])]
    there = (convergence["resolution"] == first["resolution"]) & (convergence["norm"] == "l1")
    there &= (convergence["reference"] != FINEST) & convergence["median"].notna()
    for name in names:
        there &= convergence[name] == first[name]
    curve = convergence[there].sort_values("step", ascending=False)
    if len(curve) < 2:
        return ""
    (start, end), (coarse, fine) = curve["median"].iloc[[0, -1]], curve["step"].iloc[[0, -1]]
    text = f" The L¹ error against the truth {'rises' if end > start else 'falls'} from {percent(start)} of the mass at step"
    text += (
        f" size {number(coarse)} to {percent(end)} at {number(fine)}: what is left there belongs to what is not refined here"
    )
    if (curve["median"] < end).any():
        text += ", and coarser runs that are nearer to the truth are so because errors cancel in part"
    return f"{text}."


def _errors(axes: Sequence[SweptAxis], tables: dict[str, pd.DataFrame]) -> list[str]:
    table = tables.get("errors", pd.DataFrame())
    if table.empty or not table["median"].notna().any():
        return []
    table = table[(table["norm"] == "l1") & table["median"].notna()]
    texts = {}
    for statistic in ("mean", "final"):
        ordered = _rows(table[table["statistic"] == statistic].sort_values("median", kind="stable"))
        found = [f"{percent(r['median'])}{f' ({where})' if (where := _where(axes, table, r)) else ''}" for r in ordered]
        texts[statistic] = found[0] if len(found) == 1 else f"between {found[0]} and {found[-1]}"
    return [
        f"The L¹ error, as a share of the mass, is {texts['mean']} in the time mean, and {texts['final']} at the final time."
    ]
