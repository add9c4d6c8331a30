"""The chart of a distribution: the share of requests that are at least so fast."""

from __future__ import annotations

from typing import Literal

import altair as alt
import polars as pl

from dfaas_lab.charts import axes, colours, figure
from dfaas_lab.charts.axes import LatencyAxis
from dfaas_lab.display import words

# Of a million requests these are drawn: more of the tail, and both extremes.
_SHARES = sorted(
    {at / 100 for at in range(101)}
    | {0.99 + at / 1000 for at in range(11)}
    | {0.999 + at / 10_000 for at in range(11)}
)
_MARKED = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
_WHAT = {"latency_ms": "latency", "response_ms": "response time"}


def distribution_chart(
    requests: pl.DataFrame,
    *,
    by: str = "function",
    column: Literal["latency_ms", "response_ms"] = "latency_ms",
) -> alt.ConcatChart:
    """Draw how latencies are distributed: the share of successful requests at least so fast.

    Args:
        requests: ``run.requests``, or those of several runs, one below the other.
        by: The column that tells the lines apart: ``function``, ``target``, ``run_id``, or one of
            your own.
        column: ``latency_ms`` (from sending) or ``response_ms`` (from the planned moment).

    >>> chart = distribution_chart(run.requests, column="response_ms")
    """
    good = requests.filter(~pl.col("failed") & pl.col(column).is_not_null())
    names = good["function"].unique(maintain_order=True).to_list() if by != "function" else [None]
    groups = [str(name) for name in good[by].unique(maintain_order=True).to_list()]
    width = figure.width_of(len(names))
    charts = [
        _panel(
            good if name is None else good.filter(function=name), by, column, groups, width, name
        )
        for name in names[: figure.MAX_PANELS]
        if not good.is_empty()
    ]
    failed = int(requests["failed"].sum())
    notes = [
        f"{words.count(good.height, 'successful request')} of all iterations",
        f"{failed:,} failed ones are not in it" if failed else "",
        "points: p50, p95, p99",
    ]
    return figure.page(charts, f"Distribution of {_WHAT[column]}", notes if charts else [])


def _panel(
    rows: pl.DataFrame, by: str, column: str, groups: list[str], width: int, name: str | None
) -> figure.Drawn:
    curves = pl.concat([_curve(rows.filter(pl.col(by) == one), one, column) for one in groups])
    axis = LatencyAxis.over(curves["value"], log=True)
    scale = alt.Scale(type="log", domain=[axis.bottom, axis.top], nice=False)
    x = alt.X(
        "value:Q",
        scale=scale,
        axis=axes.axis(f"{_WHAT[column]} (ms, log scale)", values=axis.ticks),
    )
    y = axes.up_from_0("share:Q", "requests at least so fast (%)", 100.0, steps=4)
    tooltip = [
        alt.Tooltip("group:N", title="of"),
        alt.Tooltip("value:Q", title="ms", format=",.2f"),
        alt.Tooltip("share:Q", title="at least so fast (%)", format=",.2f"),
    ]
    # The share rises at a value, not before it.
    line = alt.Chart(axes.inline(curves)).mark_line(strokeWidth=2, interpolate="step-after")
    marked = curves.filter(pl.col("share").is_in([100 * at for at in _MARKED.values()]))
    points = alt.Chart(axes.inline(marked)).mark_point(
        filled=True, size=36, opacity=1, stroke="white", strokeWidth=1
    )
    colour, dash = figure.group_styles(groups)
    return alt.layer(
        *_percentiles(y),
        line.encode(x, y, alt.Order("share:Q"), colour, dash, tooltip=tooltip),
        points.encode(x, y, colour, tooltip=tooltip),
        title=figure.panel_title(name or "", "", width),
        width=width,
        height=200,
    )


def _percentiles(y: alt.Y) -> list[alt.Chart]:
    """Draw a line at each percentile that is marked, with its name; p95's below, as p99 is near."""
    marks = []
    for name, share in _MARKED.items():
        at = alt.Chart(axes.inline([{"share": 100 * share, "name": name}]))
        low = name == "p95"
        words = at.mark_text(
            align="left", x=4, dy=7 if low else -6, color=colours.FAINT, fontSize=10
        )
        rule = at.mark_rule(color=colours.FAINT, strokeDash=[1, 3])
        marks += [rule.encode(y), words.encode(y, text="name:N")]
    return marks


def _curve(rows: pl.DataFrame, group: str, column: str) -> pl.DataFrame:
    values = rows[column].cast(pl.Float64).sort()
    each = sorted(
        {at / max(values.len() - 1, 1) for at in range(values.len())} | set(_MARKED.values())
    )
    shares = _SHARES if values.len() > len(_SHARES) else each
    found = [values.quantile(share, interpolation="linear") for share in shares]
    return pl.DataFrame(
        {"group": [group] * len(found), "value": found, "share": [100 * at for at in shares]},
        schema={"group": pl.String, "value": pl.Float64, "share": pl.Float64},
    )
