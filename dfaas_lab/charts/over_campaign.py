"""The chart of a campaign: latency and success against rate, the node, and time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
STATES = {
    "measured": ("circle", figure.BLUE),
    "overloaded": ("cross", figure.VERMILION),
    "doubtful": ("triangle-up", figure.PURPLE),
    "failed": ("diamond", figure.BLACK),
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


@dataclass(frozen=True)
class Unmarked:
    """No thresholds."""

    function_success_rate: float | None = None
    cpu_fraction: float | None = None
    memory_fraction: float | None = None


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
    marked = limits is not None
    limits = limits or Unmarked()
    measured = outcomes.filter(~pl.col("skipped"))
    asked = measured.filter(pl.col("rate_rps") > 0)
    every = figure.panels(asked)
    shown = every[: figure.MAX_PANELS]
    width = figure.width_of(len(shown))
    rows = {panel: _alone(panel, asked) for panel in shown}
    log = figure.spans_decades(list(rows.values()), list(_LATENCY))
    charts: list[Any] = [_function(panel, rows[panel], limits, width, log=log) for panel in shown]
    for target in measured["target"].unique(maintain_order=True):
        own = measured.filter(pl.col("target") == target)
        charts += [*_node(target, own, limits), _course(target, own)]
    notes = [
        f"lines: means of the iterations; bands: intervals of {_CONFIDENCE:.0%} "
        f"(with fewer than {FEWEST} iterations: their range)",
        "hollow: DOUBTFUL" if (asked["doubts"].fill_null("") != "").any() else "",
        "dashed: the limit of overload" if marked else "",
        figure.hidden(every),
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
    """Mean, low and high of each kind at each x, and whether an iteration is in doubt."""
    found = []
    told = rows.with_columns(
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
    panel: Panel, rows: pl.DataFrame, limits: Marked, width: int, *, log: bool
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
    percent = figure.up_from_0("value:Q", "success (%)", 100.0, steps=2)
    layers = _marks(success, x, percent)
    if limits.function_success_rate is not None:
        layers.append(_limit(limits.function_success_rate * 100))
    return alt.vconcat(top, alt.layer(*layers, width=width, height=70), spacing=6)


def _marks(rows: pl.DataFrame, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """Draw each kind: its band, its line, and a point at each rate, hollow where in doubt."""
    marks: list[alt.Chart] = []
    tooltip = ["kind:N", "value:Q", "low:Q", "high:Q"]
    for (kind,), of_kind in rows.group_by("kind", maintain_order=True):
        style = _STYLES[str(kind)]
        chart = alt.Chart(figure.inline(of_kind))
        band = chart.mark_area(color=style.colour, opacity=0.14)
        marks.append(band.encode(x, axes.lower_edge(y), alt.Y2("high:Q")))
        marks.append(chart.mark_line(**style.line(strokeWidth=2)).encode(x, y))
        point = chart.mark_point(color=style.colour, size=28, opacity=1, strokeWidth=1.4)
        fill = alt.condition("datum.doubtful", alt.value("white"), alt.value(style.colour))
        marks.append(point.encode(x, y, fill=fill, tooltip=tooltip))
    return marks or [alt.Chart(figure.inline([])).mark_point().encode(x, y)]


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


def _limit(percent: float) -> alt.Chart:
    rule = alt.Chart(figure.inline([{"limit": percent}]))
    drawn: alt.Chart = rule.mark_rule(color=figure.TEXT, strokeDash=[5, 4]).encode(y="limit:Q")
    return drawn


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
            state=pl.when(~pl.col("status").is_in(COMPLETE))
            .then(pl.lit("failed"))
            .when(pl.col("overloaded"))
            .then(pl.lit("overloaded"))
            .when(pl.col("doubts") != "")
            .then(pl.lit("doubtful"))
            .otherwise(pl.lit("measured"))
        )
    )


def _node(target: str, own: pl.DataFrame, limits: Marked) -> Iterator[Any]:
    rows = _iterations(own)
    for column, kind, limit in (
        ("cpu", "CPU of the node", limits.cpu_fraction),
        ("memory", "memory of the node", limits.memory_fraction),
    ):
        known = rows.filter(pl.col(column).is_not_null())
        reasons = rows["not_measured"].drop_nulls()
        why = f"not measured: {reasons[0]}" if known.is_empty() and len(reasons) else ""
        data = known.select("total_rps", "state", figure.finite(column).alias("value"))
        x = _x("total_rps", rows, "load in all (requests/s)")
        y = figure.up_from_0("value:Q", f"{kind} (%)", 100.0, steps=2)
        chart = alt.Chart(figure.inline(_sampled(data, "value"))).mark_point(
            size=36, filled=True, strokeWidth=0
        )
        layers: Any = alt.layer(chart.encode(x, y, _state_fill(), _state_shape()))
        if limit is not None:
            layers += _limit(limit * 100)
        title = figure.panel_title(Panel(target, "", f"{kind}, {target}"), why, _WIDTH)
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
    y = figure.up_from_0("total_rps:Q", "load in all (requests/s)", most)
    title = figure.panel_title(Panel(target, "", f"course, {target}"), "", _WIDTH)
    chart = alt.Chart(figure.inline(data), title=title, width=_WIDTH, height=150)
    drawn: alt.Chart = chart.mark_point(size=36, filled=True, strokeWidth=0).encode(
        x, y, _state_fill(), _state_shape(), tooltip=["load_id:N", "total_rps:Q", "state:N"]
    )
    return drawn


def _sampled(rows: pl.DataFrame, highest: str) -> pl.DataFrame:
    """At most as many rows as a figure holds: of each state evenly taken, and its highest."""
    kept = [rows.clear()]
    for own in rows.partition_by("state", maintain_order=True):
        kept += [own.gather_every(max(1, -(-own.height // 300))), own.top_k(1, by=highest)]
    return pl.concat(kept).unique(maintain_order=True)


def _x(field: str, rows: pl.DataFrame, title: str | None) -> alt.X:
    highest = rows[field].max() if rows.height else None
    top = (highest if isinstance(highest, float) and highest > 0 else 1.0) * 1.05
    scale = alt.Scale(domain=[0.0, top], nice=False)
    return alt.X(f"{field}:Q", scale=scale, axis=figure.axis(title, labels=title is not None))


def _state_fill() -> alt.Fill:
    scale = alt.Scale(domain=list(STATES), range=[hue for _, hue in STATES.values()])
    return alt.Fill("state:N", scale=scale, legend=_legend())


def _state_shape() -> alt.Shape:
    scale = alt.Scale(domain=list(STATES), range=[shape for shape, _ in STATES.values()])
    return alt.Shape("state:N", scale=scale, legend=_legend())


def _legend() -> alt.Legend:
    return alt.Legend(
        title=None,
        orient="top",
        direction="horizontal",
        labelColor=figure.TEXT,
        labelFontSize=11,
        symbolOpacity=1,
        symbolStrokeWidth=0,
    )
