"""The chart of one run: latency over time, and the outcome of the requests."""

from __future__ import annotations

import altair as alt
import polars as pl

from dfaas_lab.charts import axes, colours, figure
from dfaas_lab.charts.axes import LatencyAxis
from dfaas_lab.charts.binned import SERIES, binned, duration_s, planned, seconds_per_point, within
from dfaas_lab.display import words

_QUANTILES = {"latency_ms_p50": "latency p50", "latency_ms_p95": "latency p95"}
_MOST = {"latency_ms_max": "latency max"}
_STYLES = dict(
    zip((_QUANTILES | _MOST).values(), (colours.P50, colours.P95, colours.MOST), strict=True)
)
_OUTCOME = {
    "answered": "requests answered",
    "failed": "failed",
    "unfinished": "unfinished",
    "dropped": "dropped",
}
_COLOURS = dict(
    zip(
        _OUTCOME.values(),
        (colours.ANSWERED, colours.FAILED, colours.UNFINISHED, colours.DROPPED),
        strict=True,
    )
)
_TALL, _LOW = 150, 64


def run_chart(
    summary: pl.DataFrame,
    timeline: pl.DataFrame,
    requests: pl.DataFrame | None = None,
    *,
    shared_axes: bool = False,
) -> alt.ConcatChart:
    """Draw one run: per function, latency over time and what became of the requests asked for.

    Bold is the median over the iterations, which stops where one of them has no value; faint behind
    it are the iterations themselves. The thin line is the slowest request of all of them. Latencies
    are those of successful requests, in milliseconds from sending to the last byte.

    Args:
        summary: ``run.summary``.
        timeline: ``run.timeline``.
        requests: ``run.requests``. With it, the quantiles of a point that is several seconds are
            those of its requests; without, they are the largest of its seconds.
        shared_axes: Whether all functions have the same latency axis.

    >>> chart = run_chart(run.summary, run.timeline, run.requests)
    """
    loaded = summary.filter(pl.col("rate_rps").is_null() | (pl.col("rate_rps") > 0))
    shown, width, others = figure.shown(loaded)
    timeline, outside = within(timeline, loaded)
    bin_s = seconds_per_point(timeline, len(shown))
    rows = {
        panel: binned(
            planned(panel.of(timeline), panel.of(loaded)),
            panel.of(loaded),
            None if requests is None else panel.of(requests),
            bin_s,
        )
        for panel in shown
    }
    drawn = [*_QUANTILES, *_MOST]
    log = axes.spans_decades(rows.values(), drawn)
    together = pl.concat(rows.values()) if rows and shared_axes else None
    charts = [
        _panel(
            panel.title,
            panel.of(loaded),
            own,
            LatencyAxis.over(axes.in_one(own if together is None else together, drawn), log=log),
            width,
        )
        for panel, own in rows.items()
    ]
    iterations = loaded.select(SERIES).n_unique()
    notes = [
        f"{iterations} iterations: their median in bold, each of them faint"
        if 1 < iterations <= figure.MAX_OVERLAID
        else f"{iterations} iterations: their median in bold, their range shaded"
        if iterations > 1
        else "1 iteration",
        _of_points(bin_s, requests),
        f"not shown: {outside:,} requests far outside the planned time" if outside else "",
        "dashed: requests asked for" if loaded["rate_rps"].count() else "",
        others,
    ]
    return figure.page(charts, "Latency and requests over time", notes if charts else [])


def _of_points(bin_s: int, requests: pl.DataFrame | None) -> str:
    if bin_s == 1:
        return ""
    return f"each point is {bin_s} s: " + (
        "its largest second's p50 and p95" if requests is None else "p50 and p95 of its requests"
    )


def _panel(
    title: str, summary: pl.DataFrame, rows: pl.DataFrame, latency: LatencyAxis, width: int
) -> alt.VConcatChart:
    last_s = max([1.0, *rows["end"].cast(pl.Float64).to_list()])
    seconds = alt.Scale(domain=[0, last_s])
    wide = width > 300
    bare = axes.seconds_axis("", last_s, labels=False, wide=wide)
    top = alt.layer(
        *_latencies(rows, alt.X("middle:Q", scale=seconds, axis=bare), latency),
        title=figure.panel_title(title, _numbers(summary), width),
        width=width,
        height=_TALL,
    )
    named = axes.seconds_axis("time in the iteration", last_s, wide=wide)
    bottom = alt.layer(
        *_outcomes(rows, alt.X("start:Q", scale=seconds, axis=named), _asked(rows, summary)),
        width=width,
        height=_LOW,
    )
    return alt.vconcat(top, bottom, spacing=6)


def _latencies(rows: pl.DataFrame, x: alt.X, latency: LatencyAxis) -> list[alt.Chart]:
    timed = rows.with_columns(middle=(pl.col("start") + pl.col("end")) / 2)
    each = figure.long(timed, ["series", "middle"], _QUANTILES)
    iterations = rows["series"].n_unique()
    # Where one of the iterations has no value, their median would be that of others.
    whole = pl.col("value").count() == iterations
    across = (
        each.group_by("middle", "kind")
        .agg(
            value=pl.when(whole).then(pl.col("value").median()),
            low=pl.col("value").min(),
            high=pl.col("value").max(),
        )
        .sort("kind", "middle")
    )
    most = (
        figure.long(timed, ["middle"], _MOST)
        .group_by("middle", "kind")
        .agg(pl.col("value").max())
        .sort("middle")
    )
    charts = _line(most, "latency max", x, latency, strokeWidth=0.9)
    ends = _end(most, "max")
    for kind in _QUANTILES.values():
        of_kind = {"kind": kind}
        if 1 < iterations <= figure.MAX_OVERLAID:
            own = each.filter(**of_kind).sort("series", "middle")
            charts += _line(own, kind, x, latency, series=True, strokeWidth=1, opacity=0.35)
        elif iterations > 1:
            charts.append(_band(across.filter(**of_kind), kind, x, latency))
        bold = across.filter(**of_kind).drop("low", "high")
        charts += _line(bold, kind, x, latency, strokeWidth=2)
        ends += _end(bold, kind.removeprefix("latency "))
    # A line that goes on to the end has its name beside the panel.
    last, edge = max(timed["middle"].to_list(), default=0.0), max(timed["end"].to_list(), default=1)
    named = [(name, edge if at == last else at, value) for name, at, value in ends]
    return charts + axes.line_ends(named, x, latency, _TALL)


def _line(
    rows: pl.DataFrame,
    kind: str,
    x: alt.X,
    latency: LatencyAxis,
    *,
    series: bool = False,
    **drawn: float,
) -> list[alt.Chart]:
    """Draw a line, and as a point each value that has no neighbour to be joined with."""
    if kind in _MOST.values() and not rows["value"].count():
        return []  # an older run has none
    style = _STYLES[kind]
    tooltip = [
        alt.Tooltip("kind:N", title="what"),
        alt.Tooltip("middle:Q", title="time (s)"),
        alt.Tooltip("value:Q", title="ms", format=",.1f"),
    ]
    encoding = [x, latency.y(), *([alt.Detail("series:N")] if series else [])]
    line = alt.Chart(axes.inline(rows)).mark_line(**style.line(**drawn))
    # The bold line, which is above the faint ones, tells its numbers.
    charts = [line.encode(*encoding) if series else line.encode(*encoding, tooltip=tooltip)]
    alone = rows.filter(_without_neighbour("series" if series else "kind"))
    if not alone.is_empty():
        points = alt.Chart(axes.inline(alone)).mark_circle(
            color=style.colour, size=16, opacity=drawn.get("opacity", 1.0)
        )
        charts.append(points.encode(*encoding, tooltip=tooltip))
    return charts


def _without_neighbour(series: str) -> pl.Expr:
    value = pl.col("value")
    before, after = value.shift(1).over(series), value.shift(-1).over(series)
    return value.is_not_null() & before.is_null() & after.is_null()


def _band(across: pl.DataFrame, kind: str, x: alt.X, latency: LatencyAxis) -> alt.Chart:
    known = across.drop("value").filter(pl.col("low").is_not_null())
    band = alt.Chart(axes.inline(known)).mark_area(color=_STYLES[kind].colour, opacity=0.18)
    drawn: alt.Chart = band.encode(x, axes.lower_edge(latency.y()), alt.Y2("high:Q"))
    return drawn


def _end(rows: pl.DataFrame, name: str) -> list[tuple[str, float, float]]:
    last = rows.filter(pl.col("value") > 0).tail(1).select("middle", "value").rows()
    return [(name, middle, value) for middle, value in last]


def _asked(rows: pl.DataFrame, summary: pl.DataFrame) -> list[dict[str, float]]:
    """Return a line for each rate that was asked for, as long as it was asked for."""
    end = min(duration_s(summary), max(rows["end"].to_list(), default=1))
    rates = summary["rate_rps"].drop_nulls().unique().sort()
    return [{"top": rate, "start": 0.0, "end": end} for rate in rates]


def _outcomes(rows: pl.DataFrame, x: alt.X, asked: list[dict[str, float]]) -> list[alt.Chart]:
    """Stack, per second, what was answered, what failed, and what never ended or began."""
    means = (
        rows.with_columns(answered=pl.col("requests") - pl.col("failed"))
        .group_by("start")
        .agg(pl.col("end").max(), pl.col(list(_OUTCOME)).mean())
        .sort("start")
    )
    # Stacked here: Vega-Lite does not stack bars that have two horizontal ends.
    stacked = figure.long(means, ["start", "end"], _OUTCOME).with_columns(
        top=pl.col("value").cum_sum().over("start")
    )
    drawn = stacked.with_columns(base=pl.col("top") - pl.col("value")).filter(pl.col("value") > 0)
    highest = max([1.0, *drawn["top"].to_list(), *(line["top"] for line in asked)])
    y = axes.up_from_0("top:Q", "requests/s", highest, steps=3)
    bars = alt.Chart(axes.inline(drawn)).mark_bar(stroke="white", strokeWidth=0.4)
    rule = alt.Chart(axes.inline(asked)).mark_rule(
        color=colours.TEXT, strokeDash=[4, 3], strokeWidth=1
    )
    tooltip = [
        alt.Tooltip("kind:N", title="what"),
        alt.Tooltip("start:Q", title="from (s)"),
        alt.Tooltip("value:Q", title="per second", format=",.1f"),
    ]
    hue = figure.colour(_COLOURS)
    shown = [bars.encode(x, alt.X2("end:Q"), y, alt.Y2("base:Q"), hue, tooltip=tooltip)]
    return [*shown, rule.encode(x, alt.X2("end:Q"), y)] if asked else shown


def _numbers(summary: pl.DataFrame) -> str:
    """Say in one line what the panel shows: medians of the iterations' own numbers.

    What failed comes before the rate, since a narrow panel cuts the end off.
    """
    said = []
    for column, name in (("latency_ms_p50", "p50"), ("latency_ms_p95", "p95")):
        value = summary[column].median()
        said.append(f"{name} {words.latency(value)}" if isinstance(value, float) else "")
    failed, requests = int(summary["failed"].sum()), int(summary["requests"].sum())
    if failed:
        said.append(f"{words.share(failed, requests)} failed")
    rate, achieved = summary["rate_rps"].median(), summary["achieved_rps"].mean()
    if isinstance(rate, float) and isinstance(achieved, float):
        asked = f"{rate:.3g}" if rate < 100 else f"{rate:g}"
        said.append(f"{figure.number(achieved)} of {asked} requests/s")
    return ", ".join(text for text in said if text)
