"""The chart of several runs at different rates: latency, success and goodput against rate."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import altair as alt
import polars as pl

from dfaas_lab.charts import axes, colours, figure
from dfaas_lab.charts.axes import LatencyAxis
from dfaas_lab.charts.figure import Panel
from dfaas_lab.schemas import SUMMARY

if TYPE_CHECKING:
    from dfaas_lab.analysis.doubt import Verdict

_LATENCY = {
    "latency_ms_p50": "latency p50",
    "latency_ms_p95": "latency p95",
    "latency_ms_p99": "latency p99",
}
_RATE = "rate asked for (requests/s)"
_STYLES = {
    **dict(zip(_LATENCY.values(), (colours.P50, colours.P95, colours.P99), strict=True)),
    "succeeded": colours.SUCCEEDED,
    "goodput": colours.P50,
}


class Measured(Protocol):
    """A run, or anything with an id, a summary and a verdict."""

    @property
    def id(self) -> str:
        """What it is called."""

    @property
    def summary(self) -> pl.DataFrame:
        """One row per iteration and function."""

    @property
    def verdict(self) -> Verdict:
        """Whether it can be believed."""


def rates_chart(
    summaries: pl.DataFrame | Sequence[Measured],
    *,
    doubtful: Collection[str] = (),
    shared_axes: bool = True,
) -> alt.ConcatChart:
    """Draw several runs at different rates: latency, success and goodput against the rate.

    Lines join the medians over the iterations; each point is one iteration, hollow where its run is
    DOUBTFUL. Goodput is requests per second that succeeded; on the dashed line all of them do. The
    rates have a logarithmic axis where they grow by one factor.

    Args:
        summaries: The runs, or their ``summary`` frames, one below the other.
        doubtful: The ids of runs that are in doubt, where frames are given.
        shared_axes: Whether all functions have the same latency axis.

    >>> chart = rates_chart([before, after])
    """
    if isinstance(summaries, Sequence):
        doubtful = [run.id for run in summaries if not run.verdict.valid]
        empty = pl.DataFrame(schema=SUMMARY)
        summaries = pl.concat([empty, *(run.summary for run in summaries)])
    asked = summaries.filter(pl.col("rate_rps") > 0).with_columns(
        succeeded=pl.col("success_rate") * 100,
        goodput=pl.col("achieved_rps") * pl.col("success_rate"),
        doubtful=pl.col("run_id").is_in(list(doubtful)),
    )
    shown, width, others = figure.shown(asked)
    dots = asked.height * (len(_LATENCY) + 2) <= figure.MAX_ROWS
    log = axes.spans_decades([panel.of(asked) for panel in shown], list(_LATENCY))
    charts = []
    for panel in shown:
        own = panel.of(asked)
        values = axes.in_one(asked if shared_axes else own, _LATENCY)
        latency = LatencyAxis.over(values, log=log)
        charts.append(_panel(panel, own, width, latency, dots=dots))
    notes = [
        _of_iterations(asked) + ("; points: each of them" if dots else ""),
        "hollow: DOUBTFUL" if dots and asked["doubtful"].any() else "",
        "wide and grey: all that was asked for (y = x)",
        others,
    ]
    return figure.page(charts, "Latency, success and goodput against rate", notes if charts else [])


def _of_iterations(asked: pl.DataFrame) -> str:
    fewest = asked.group_by("target", "function", "rate_rps").len()["len"].min()
    if not isinstance(fewest, int) or fewest < 3:
        return "lines: median of the iterations"
    # The range of n values is an interval of their median at this level: Conover (1999), 3.2.
    level = 1 - 0.5 ** (fewest - 1)
    return (
        "lines: median of the iterations; shaded: their range, a "
        f"{min(level, 0.99):.0%} interval of it"
    )


def _panel(
    panel: Panel, rows: pl.DataFrame, width: int, latency: LatencyAxis, *, dots: bool
) -> alt.VConcatChart:
    tall, low, middle = 170, 46, 84
    highest = max([1.0, *rows["rate_rps"].to_list(), *rows["goodput"].drop_nulls().to_list()])
    x = axes.rate_x(rows["rate_rps"], _RATE, labels=False)
    top = alt.layer(
        *_marks(rows, _LATENCY, x, latency.y(), dots=dots),
        *axes.line_ends(_ends(rows), x, latency, tall),
        title=figure.panel_title(panel.title, "", width),
        width=width,
        height=tall,
    )
    percent = axes.up_from_0("value:Q", "success (%)", 100.0, steps=2)
    success = _marks(rows, {"succeeded": "succeeded"}, x, percent, dots=dots)
    named = axes.rate_x(rows["rate_rps"], _RATE)
    rate = axes.up_from_0("value:Q", "goodput (req/s)", highest, steps=4)
    goodput = _marks(rows, {"goodput": "goodput"}, named, rate, dots=dots)
    return alt.vconcat(
        top,
        alt.layer(*success, width=width, height=low),
        alt.layer(_as_asked(rows, named, rate), *goodput, width=width, height=middle),
        spacing=6,
    )


def _as_asked(rows: pl.DataFrame, x: alt.X, y: alt.Y) -> alt.Chart:
    """Draw the line on which every request that was asked for succeeds."""
    ends = [{"rate_rps": rate, "value": rate} for rate in rows["rate_rps"].unique().sort()]
    line = alt.Chart(axes.inline(ends)).mark_line(
        color=colours.ASKED, strokeWidth=6, strokeCap="round"
    )
    drawn: alt.Chart = line.encode(x, y)
    return drawn


def _ends(rows: pl.DataFrame) -> list[tuple[str, float, float]]:
    last = rows.filter(pl.col("rate_rps") == pl.col("rate_rps").max())
    ends = []
    for column, kind in _LATENCY.items():
        value = last.select(axes.finite(column).median()).item()
        if isinstance(value, float) and value > 0:
            ends.append((kind.removeprefix("latency "), last["rate_rps"][0], value))
    return ends


def _marks(
    rows: pl.DataFrame, kinds: dict[str, str], x: alt.X, y: alt.Y, *, dots: bool
) -> list[alt.Chart]:
    """Draw the bands, then the lines over them, then the points: a line for each kind."""
    each = figure.long(rows, ["rate_rps", "doubtful"], kinds).filter(pl.col("value").is_not_null())
    across = (
        each.group_by("rate_rps", "kind")
        .agg(pl.col("value").median(), low=pl.col("value").min(), high=pl.col("value").max())
        .sort("kind", "rate_rps")
    )
    hue, dash = figure.kind_styles({kind: _STYLES[kind] for kind in kinds.values()})
    # The layers share one scale: it is written once.
    again = alt.Color("kind:N", legend=None) if len(kinds) > 1 else hue
    band = alt.Chart(axes.inline(across)).mark_area(opacity=0.14)
    line = alt.Chart(axes.inline(across)).mark_line(
        strokeWidth=2, point=False if dots else {"size": 20, "filled": True}
    )
    tooltip = [
        alt.Tooltip("kind:N", title="what"),
        alt.Tooltip("rate_rps:Q", title="requests/s"),
        alt.Tooltip("value:Q", format=",.1f"),
    ]
    marks = [
        band.encode(x, axes.lower_edge(y), alt.Y2("high:Q"), hue),
        line.encode(x, y, again, dash, **({} if dots else {"tooltip": tooltip})),
    ]
    fills: tuple[dict[str, Any], ...] = ({"filled": True}, {"filled": False, "fill": "white"})
    for hollow, fill in enumerate(fills if dots else ()):
        of_kind = each.filter(doubtful=bool(hollow)).drop("doubtful")
        if not of_kind.is_empty():
            points = alt.Chart(axes.inline(of_kind)).mark_point(
                size=24, opacity=0.85, strokeWidth=1.2, **fill
            )
            marks.append(points.encode(x, y, again, tooltip=tooltip))
    return marks
