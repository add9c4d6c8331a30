"""The chart of a campaign: latency and success against rate, the node, and time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import altair as alt
import numpy as np
import polars as pl

from dfaas_lab.analysis.intervals import FEWEST, mean_interval
from dfaas_lab.charts import axes, colours, figure
from dfaas_lab.charts.axes import LatencyAxis
from dfaas_lab.charts.figure import Panel
from dfaas_lab.status import COMPLETE

_LATENCY = {"latency_ms_p50": "latency p50", "latency_ms_p95": "latency p95"}
_SUCCESS = {"success": "success"}
_STYLES = {"latency p50": colours.P50, "latency p95": colours.P95, "success": colours.SUCCEEDED}
_RATE = "rate asked for (requests/s)"
_WIDTH = figure.width_of(2)
# Shapes tell the states apart, not colours alone.
_STATES = {
    "measured": ("circle", colours.P50.colour),
    "overloaded": ("cross", colours.FAILED),
    "doubtful": ("triangle-up", colours.P99.colour),
    "failed": ("diamond", colours.DROPPED),
}
_CONFIDENCE = 0.95


class Marked(Protocol):
    """The thresholds that are marked, as fractions: a :class:`dfaas_lab.Overload`."""

    @property
    def function_success_rate(self) -> float | None:
        """Least part of a function's requests that succeed."""

    @property
    def cpu_fraction(self) -> float | None:
        """Most of the node's processors in use."""

    @property
    def memory_fraction(self) -> float | None:
        """Most of the node's memory in use."""


def campaign_chart(outcomes: pl.DataFrame, limits: Marked | None = None) -> alt.ConcatChart:
    """Draw a campaign: latency and success against rate, the node against load, and the course.

    A function's panel has the loads that it takes alone, where there are any. Lines are means over
    the iterations, with the intervals of :mod:`dfaas_lab.analysis.intervals`; points are hollow
    where an iteration is DOUBTFUL.

    Args:
        outcomes: ``campaign.outcomes``.
        limits: The thresholds of overload (a :class:`dfaas_lab.Overload`), which are marked.

    >>> chart = campaign_chart(campaign.outcomes)
    """
    measured = outcomes.filter(~pl.col("skipped"))
    asked = measured.filter(pl.col("rate_rps") > 0)
    shown, width, others = figure.shown(asked)
    rows = {panel: _alone(panel, asked) for panel in shown}
    log = axes.spans_decades(list(rows.values()), list(_LATENCY))
    charts: list[Any] = [_function(panel, rows[panel], limits, width, log=log) for panel in shown]
    for target in measured["target"].unique(maintain_order=True):
        own = measured.filter(pl.col("target") == target)
        charts += [*_node(target, own, limits), _course(target, own)]
    notes = [
        f"lines: means of the iterations; bands: intervals of {_CONFIDENCE:.0%} "
        f"(with fewer than {FEWEST} iterations: their range)",
        "hollow: DOUBTFUL" if (asked["doubts"].fill_null("") != "").any() else "",
        "dashed: the limit of overload" if limits else "",
        others,
    ]
    return figure.page(charts, "Campaign", notes if charts else [])


def _alone(panel: Panel, asked: pl.DataFrame) -> pl.DataFrame:
    """The rows of a function in loads that only it takes; all, where there are none."""
    one_load = ["target", "load_id", "iteration"]
    taking = asked.group_by(one_load).len("taking")
    own = panel.of(asked.join(taking, on=one_load, how="left"))
    alone = own.filter(pl.col("taking") == 1)
    return own if alone.is_empty() else alone


def _bands(rows: pl.DataFrame, x: str, kinds: dict[str, str]) -> pl.DataFrame:
    """Mean, low and high of each kind at each x, and whether an iteration is in doubt.

    An iteration that failed says nothing of the node.
    """
    found = []
    told = rows.filter(pl.col("status").is_in(COMPLETE)).with_columns(
        success=pl.col("success_rate") * 100, doubtful=pl.col("doubts").fill_null("") != ""
    )
    long = figure.long(told, [x, "doubtful"], kinds)
    for (at, kind), group in long.group_by(x, "kind", maintain_order=True):
        values = group["value"].drop_nulls().to_numpy().astype(np.float64)
        if not len(values):
            continue
        interval = mean_interval(values, confidence=_CONFIDENCE, seed=0)
        low = values.min() if interval.low is None else max(interval.low, 0.0)
        high = values.max() if interval.high is None else interval.high
        mean, doubtful = float(values.mean()), bool(group["doubtful"].any())
        found.append((at, kind, mean, low, high, doubtful))
    schema = {x: pl.Float64, "kind": pl.String, "value": pl.Float64}
    schema |= {"low": pl.Float64, "high": pl.Float64, "doubtful": pl.Boolean}
    return pl.DataFrame(found, schema=schema, orient="row").sort("kind", x)


def _function(
    panel: Panel, rows: pl.DataFrame, limits: Marked | None, width: int, *, log: bool
) -> alt.VConcatChart:
    x = axes.rate_x(rows["rate_rps"], _RATE)
    bare = axes.rate_x(rows["rate_rps"], _RATE, labels=False)
    latency = _bands(rows, "rate_rps", _LATENCY)
    heights = pl.concat([latency["value"], latency["high"], latency["low"]])
    axis = LatencyAxis.over(heights, log=log)
    top = alt.layer(
        *_marks(latency, bare, axis.y()),
        *axes.line_ends(_line_ends(latency), bare, axis, 170),
        title=figure.panel_title(panel, _overload_words(rows), width),
        width=width,
        height=170,
    )
    success = _bands(rows, "rate_rps", _SUCCESS).with_columns(pl.col("high").clip(upper_bound=100))
    percent = axes.up_from_0("value:Q", "success (%)", 100.0, steps=2)
    layers = _marks(success, x, percent)
    layers += _limit(limits.function_success_rate if limits else None)
    return alt.vconcat(top, alt.layer(*layers, width=width, height=70), spacing=6)


def _marks(rows: pl.DataFrame, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """Draw each kind: its band, its line, and a point at each rate, hollow where in doubt."""
    marks: list[alt.Chart] = []
    tooltip = ["kind:N", "value:Q", "low:Q", "high:Q"]
    for (kind,), of_kind in rows.group_by("kind", maintain_order=True):
        style = _STYLES[str(kind)]
        chart = alt.Chart(axes.inline(of_kind))
        band = chart.mark_area(color=style.colour, opacity=0.14)
        marks.append(band.encode(x, axes.lower_edge(y), alt.Y2("high:Q")))
        marks.append(chart.mark_line(**style.line(strokeWidth=2)).encode(x, y))
        point = chart.mark_point(color=style.colour, size=28, opacity=1, strokeWidth=1.4)
        fill = alt.condition("datum.doubtful", alt.value("white"), alt.value(style.colour))
        marks.append(point.encode(x, y, fill=fill, tooltip=tooltip))
    return marks or [alt.Chart(axes.inline([])).mark_point().encode(x, y)]


def _line_ends(rows: pl.DataFrame) -> list[tuple[str, float, float]]:
    last = rows.filter(pl.col("value") > 0).group_by("kind", maintain_order=True).last()
    return [
        (kind.removeprefix("latency "), at, value)
        for kind, at, value in last.select("kind", "rate_rps", "value").rows()
    ]


def _overload_words(rows: pl.DataFrame) -> str:
    over = rows.filter(pl.col("overloaded"))
    lowest = over["rate_rps"].min()
    if not isinstance(lowest, float):
        return ""
    return f"overloaded from {lowest:g} requests/s on"


def _limit(fraction: float | None) -> list[alt.Chart]:
    if fraction is None:
        return []
    rule = alt.Chart(axes.inline([{"limit": fraction * 100}]))
    return [rule.mark_rule(color=colours.TEXT, strokeDash=[5, 4]).encode(y="limit:Q")]


def _iterations(own: pl.DataFrame) -> pl.DataFrame:
    """One row per load and iteration, with the load in all."""
    return (
        own.group_by("load_id", "iteration", maintain_order=True)
        .agg(
            pl.col("rate_rps").sum().alias("total_rps"),
            pl.col("started_at").min(),
            (pl.col("cpu_fraction").first() * 100).alias("cpu"),
            (pl.col("memory_fraction").first() * 100).alias("memory"),
            pl.col("overloaded").first().fill_null(False),
            pl.col("doubts").first().fill_null(""),
            pl.col("status").first(),
            pl.col("not_measured").first(),
        )
        .with_columns(
            state=figure.first_true(
                {
                    "failed": ~pl.col("status").is_in(COMPLETE),
                    "overloaded": "overloaded",
                    "doubtful": pl.col("doubts") != "",
                },
                "measured",
            )
        )
    )


def _node(target: str, own: pl.DataFrame, limits: Marked | None) -> Iterator[Any]:
    rows = _iterations(own)
    for column, kind, limit in (
        ("cpu", "CPU of the node", limits.cpu_fraction if limits else None),
        ("memory", "memory of the node", limits.memory_fraction if limits else None),
    ):
        known = rows.filter(pl.col(column).is_not_null())
        reasons = rows["not_measured"].drop_nulls()
        why = f"not measured: {reasons[0]}" if known.is_empty() and len(reasons) else ""
        data = known.select("total_rps", "state", axes.finite(column).alias("value"))
        x = _x(rows)
        y = axes.up_from_0("value:Q", f"{kind} (%)", 100.0, steps=2)
        chart = alt.Chart(axes.inline(_sampled(data, "value"))).mark_point(
            size=36, filled=True, strokeWidth=0
        )
        layers: Any = alt.layer(chart.encode(x, y, *_state()), *_limit(limit))
        title = figure.panel_title(f"{kind}, {target}", why, _WIDTH)
        yield layers.properties(title=title, width=_WIDTH, height=150)


def _course(target: str, own: pl.DataFrame) -> alt.Chart:
    rows = _sampled(_iterations(own).filter(pl.col("started_at").is_not_null()), "total_rps")
    since_s = (pl.col("started_at") - pl.col("started_at").min()).dt.total_milliseconds() / 1000
    data = rows.select(since_s.alias("at"), "total_rps", "state", "load_id")
    last_s = max([1.0, *data["at"].to_list()]) * 1.03
    time = axes.seconds_axis("since the start", last_s, wide=False)
    x = alt.X("at:Q", scale=alt.Scale(domain=[0, last_s], nice=False), axis=time)
    highest = rows["total_rps"].max()
    most = highest if isinstance(highest, float) and highest > 0 else 1.0
    y = axes.up_from_0("total_rps:Q", "load in all (requests/s)", most)
    title = figure.panel_title(f"course, {target}", "", _WIDTH)
    chart = alt.Chart(axes.inline(data), title=title, width=_WIDTH, height=150)
    drawn: alt.Chart = chart.mark_point(size=36, filled=True, strokeWidth=0).encode(
        x, y, *_state(), tooltip=["load_id:N", "total_rps:Q", "state:N"]
    )
    return drawn


def _sampled(rows: pl.DataFrame, highest: str) -> pl.DataFrame:
    """At most as many rows as a figure holds: of each state evenly taken, and its highest."""
    kept = [rows.clear()]
    for own in rows.partition_by("state", maintain_order=True):
        kept += [own.gather_every(max(1, -(-own.height // 300))), own.top_k(1, by=highest)]
    return pl.concat(kept).unique(maintain_order=True)


def _x(rows: pl.DataFrame) -> alt.X:
    highest = rows["total_rps"].max()
    top = (highest if isinstance(highest, float) and highest > 0 else 1.0) * 1.05
    scale = alt.Scale(domain=[0.0, top], nice=False)
    return alt.X("total_rps:Q", scale=scale, axis=axes.axis("load in all (requests/s)"))


def _state() -> tuple[alt.Fill, alt.Shape]:
    shapes, hues = zip(*_STATES.values(), strict=True)
    legend = figure.legend(direction="horizontal", symbolOpacity=1, symbolStrokeWidth=0)
    return (
        alt.Fill("state:N", scale=alt.Scale(domain=list(_STATES), range=hues), legend=legend),
        alt.Shape("state:N", scale=alt.Scale(domain=list(_STATES), range=shapes), legend=legend),
    )
