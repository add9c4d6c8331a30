"""A summary as a table: HTML for notebooks and pages, aligned text for terminals.

All text is escaped: a target, a function or a label may hold anything. Null is a dash.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import polars as pl

from dfaas_lab.display.cards import bullets, chip, folded, text
from dfaas_lab.printable import printable

_MAX_ROWS = 12
_DASH = "\u2013"
_MARK = "~"
_WELL = {"failed": "0", "dropped": "0", "success (%)": "100.0", "status": "ok"}
_MARKED = "~: more than a tenth of it may be the generator's own (run.error_budget)."

Marks = Collection[tuple[str, int, str, str]]
"""Numbers that are marked, each by target, iteration, function and column."""


def run_html(
    verdict: str,
    summary: pl.DataFrame,
    *,
    title: str = "",
    doubts: Iterable[str] = (),
    notes: Sequence[str] = (),
    marks: Marks = (),
) -> str:
    """Return a verdict and a small table as HTML.

    Args:
        verdict: ``VALID``, ``DOUBTFUL`` or ``RUNNING``.
        summary: ``run.summary``; one row is shown per iteration and function, or, where these are
            more than a page holds, one per function and rate with the medians of its iterations.
        title: What was run, in a few words.
        doubts: The doubts, a line each.
        notes: What is good to know, a line each; shown by a click.
        marks: The numbers of which more than a tenth may be the generator's own.
    """
    heading = f" &nbsp; {text(title)}" if title else ""
    below = summary_html(summary, marks) + folded("note", notes)
    return f"<div>{chip(verdict)}{heading}{bullets(doubts)}{below}</div>"


def summary_html(summary: pl.DataFrame, marks: Marks = ()) -> str:
    """Return a summary frame as an HTML table; null is shown as a dash."""
    if summary.is_empty():
        return "<p>Nothing was measured.</p>"
    columns, note = _shown(summary, marks)
    columns, shared = _shared(columns)
    return table_html(columns, note=" ".join(filter(None, [note, shared])))


def _shared(columns: list[tuple[str, list[str]]]) -> tuple[list[tuple[str, list[str]]], str]:
    """Take out what went well in all rows, and say it in a line: so a table fits a narrow cell."""
    same = {name: values[0] for name, values in columns if {*values} == {_WELL.get(name)}}
    if len(same) < len(_WELL) or len(columns[0][1]) < 2:
        return columns, ""
    rest = [column for column in columns if column[0] not in same]
    return rest, "In all rows: " + ", ".join(
        f"{name} {value}" for name, value in same.items()
    ) + "."


def table_html(columns: Sequence[tuple[str, Sequence[str]]], *, note: str = "") -> str:
    """Return columns of texts as an HTML table; the texts are escaped here."""
    head = "".join(f"<th>{text(name)}</th>" for name, _ in columns)
    rows = zip(*(values for _, values in columns), strict=True)
    body = "".join(
        "<tr>" + "".join(f'<td align="right">{text(cell)}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    below = f"<p><small>{text(note)}</small></p>" if note else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}"


def summary_text(summary: pl.DataFrame, marks: Marks = ()) -> str:
    """Return a summary frame as a table for terminals."""
    if summary.is_empty():
        return "Nothing was measured."
    columns, note = _shown(summary, marks)
    lines = zip(*([name, *map(printable, cells)] for name, cells in columns), strict=True)
    return "\n".join([*_aligned(lines), *([note] if note else [])])


def _aligned(lines: Iterable[Sequence[str]]) -> list[str]:
    rows = list(lines)
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]


def _shown(summary: pl.DataFrame, marks: Marks) -> tuple[list[tuple[str, list[str]]], str]:
    rows, note = _rows(summary)
    # A row of several iterations is marked where one of them is.
    places = {(*mark[:1], None, *mark[2:]) for mark in marks} | set(marks)
    several = len({row["target"] for row in rows}) > 1
    columns = [
        column for column in _COLUMNS if column[0] in rows[0] and (column[0] != "target" or several)
    ]

    def cell(row: dict[str, Any], key: str, form: Callable[[Any], str]) -> str:
        place = (row["target"], row.get("iteration"), row["function"], key)
        shown = _DASH if row[key] is None else form(row[key])
        return f"{_MARK}{shown}" if place in places else shown

    shown = [(name, [cell(row, key, form) for row in rows]) for key, name, form in columns]
    return shown, " ".join(filter(None, [note, _MARKED if marks else ""]))


def _rows(summary: pl.DataFrame) -> tuple[list[dict[str, Any]], str]:
    if summary.height <= _MAX_ROWS:
        return summary.to_dicts(), ""
    grouped = _over_iterations(summary)
    shown = grouped.head(_MAX_ROWS * 4)
    more = f"; {grouped.height - shown.height} further rows are not shown" * (
        grouped.height > shown.height
    )
    note = (
        "Latencies and rates are medians over the iterations, the maximum is that of all, "
        f"counts are sums{more}."
    )
    return shown.to_dicts(), note


def _over_iterations(summary: pl.DataFrame) -> pl.DataFrame:
    medians = [f"latency_ms_{name}" for name in ("mean", "p50", "p90", "p95", "p99")]
    keys = ["target", "function", "rate_rps"]
    requests, failed = pl.col("requests").sum(), pl.col("failed").sum()
    return summary.group_by(keys, maintain_order=True).agg(
        pl.len().alias("iterations"),
        pl.col("requests", "failed", "dropped").sum(),
        pl.col(*medians, "achieved_rps").median(),
        pl.col("latency_ms_max").max(),
        pl.when(requests > 0).then(1 - failed / requests).alias("success_rate"),
        pl.col("status").unique(maintain_order=True).str.join(", "),
    )


def _ms(value: float) -> str:
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"


def _rate(value: float) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def _percent(value: float) -> str:
    # 99.996 % is not 100 %.
    shown = f"{value * 100:.1f}"
    return "> 99.9" if shown == "100.0" and value < 1 else shown


_count = "{:,}".format
_COLUMNS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("target", "target", str),
    ("function", "function", str),
    ("iteration", "iteration", str),
    ("iterations", "iterations", _count),
    ("rate_rps", "asked (req/s)", _rate),
    ("achieved_rps", "achieved (req/s)", _rate),
    ("requests", "requests", _count),
    ("failed", "failed", _count),
    ("dropped", "dropped", _count),
    ("success_rate", "success (%)", _percent),
    ("latency_ms_p50", "p50 (ms)", _ms),
    ("latency_ms_p95", "p95 (ms)", _ms),
    ("latency_ms_p99", "p99 (ms)", _ms),
    ("latency_ms_max", "max (ms)", _ms),
    ("status", "status", str),
)
