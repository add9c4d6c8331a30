"""The figure of several runs at different rates: latency and success against the rate."""

from __future__ import annotations

import altair as alt
import polars as pl

from dfaas_lab.charts import figure as parts
from dfaas_lab.charts.figure import Panel

_LATENCY = {
    "latency_ms_p50": "latency p50",
    "latency_ms_p95": "latency p95",
    "latency_ms_p99": "latency p99",
}
_SHARE = {"delivered": "sent, of those asked for", "success": "succeeded, of those sent"}
_COLOURS = dict(
    zip(
        [*_LATENCY.values(), *_SHARE.values()],
        [parts.BLUE, parts.PURPLE, parts.VERMILION, "#BBBBBB", "#009E73"],
        strict=True,
    )
)
_INDEX = ("rate_rps",)


def rates_chart(summaries: pl.DataFrame) -> alt.ConcatChart:
    """See :func:`dfaas_lab.charts.rates_chart`."""
    asked = summaries.filter(pl.col("rate_rps") > 0)
    every = parts.panels(asked)
    shown = every[: parts.MAX_PANELS]
    width = parts.width_of(len(shown))
    dots = asked.height * (len(_LATENCY) + len(_SHARE)) <= parts.MAX_ROWS
    log = parts.spans_decades([panel.of(asked) for panel in shown], list(_LATENCY))
    charts = [_panel(panel, panel.of(asked), width, dots=dots, log=log) for panel in shown]
    notes = [
        "lines: median of the iterations" + ("; points: each of them" if dots else ""),
        parts.hidden(every),
    ]
    return parts.page(charts, "Latency and success against rate", notes if charts else [])


def _panel(
    panel: Panel, summary: pl.DataFrame, width: int, *, dots: bool, log: bool
) -> alt.VConcatChart:
    rows = summary.with_columns(
        success=pl.col("success_rate") * 100,
        # Constant arrival may make one request more than rate x duration: that is no 101 %.
        delivered=(pl.col("achieved_rps") / pl.col("rate_rps") * 100).clip(upper_bound=100),
    )
    latency = parts.long(rows, _INDEX, _LATENCY)
    share = parts.long(rows, _INDEX, _SHARE)
    rates = alt.Scale(domain=_domain(rows), nice=False)
    percent = parts.up_from_0("value:Q", "share (%)", 100.0, steps=2)
    bare = alt.X("rate_rps:Q", scale=rates, axis=parts.axis(None, labels=False))
    named = alt.X("rate_rps:Q", scale=rates, axis=parts.axis("rate asked for (requests/s)"))
    top = alt.layer(
        *_marks(latency, bare, parts.latency_y(latency["value"], log=log), dots=dots),
        title=parts.panel_title(panel, "", width),
        width=width,
        height=190,
    )
    bottom = alt.layer(*_marks(share, named, percent, dots=dots), width=width, height=64)
    return alt.vconcat(top, bottom, spacing=6)


def _domain(rows: pl.DataFrame) -> list[float]:
    highest = rows["rate_rps"].max()
    return [0.0, (highest if isinstance(highest, float) else 1.0) * 1.05]


def _marks(rows: pl.DataFrame, x: alt.X, y: alt.Y, *, dots: bool) -> list[alt.Chart]:
    hue = parts.colour(_COLOURS)
    medians = rows.group_by("rate_rps", "kind").agg(pl.col("value").median())
    tooltip = [
        alt.Tooltip("kind:N", title="what"),
        alt.Tooltip("rate_rps:Q", title="requests/s"),
        alt.Tooltip("value:Q", format=",.1f"),
    ]
    # What was sent lies under what succeeded: where both are 100 %, both are to be seen.
    thick = alt.StrokeWidth(
        "kind:N",
        scale=alt.Scale(domain=list(_COLOURS), range=[2, 2, 2, 6, 2]),
        legend=None,
    )
    line = (
        alt.Chart(parts.inline(medians.sort("kind", "rate_rps")))
        .mark_line(point=False if dots else {"size": 20, "filled": True})
        .encode(x, y, hue, thick, tooltip=tooltip)
    )
    if not dots:
        return [line]
    known = rows.filter(pl.col("value").is_not_null())
    each = alt.Chart(parts.inline(known)).mark_circle(size=26, opacity=0.6)
    return [line, each.encode(x, y, hue, tooltip=tooltip)]
