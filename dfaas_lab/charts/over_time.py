"""The figure of one run: latency over time, and what became of the requests asked for."""

from __future__ import annotations

import math

import altair as alt
import polars as pl

from dfaas_lab.charts import figure as parts
from dfaas_lab.charts.figure import Panel

_LATENCY = {"latency_ms_p50": "latency p50", "latency_ms_p95": "latency p95"}
_OUTCOME = {"answered": "requests answered", "failed": "failed", "dropped": "dropped"}
_COLOURS = dict(
    zip(
        [*_LATENCY.values(), *_OUTCOME.values()],
        [parts.BLUE, parts.PURPLE, parts.SKY, parts.VERMILION, parts.BLACK],
        strict=True,
    )
)
_BINS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
_SERIES = ("run_id", "iteration")
# So long after its planned end nothing of an iteration is left: a clock that was set tells such
# seconds, and one of them would make all others a single point.
_LATE_S = 120


def run_chart(summary: pl.DataFrame, timeline: pl.DataFrame) -> alt.ConcatChart:
    """See :func:`dfaas_lab.charts.run_chart`."""
    loaded = summary.filter(pl.col("rate_rps").is_null() | (pl.col("rate_rps") > 0))
    every = parts.panels(loaded)
    shown = every[: parts.MAX_PANELS]
    width = parts.width_of(len(shown))
    timeline, outside = _within(timeline, loaded)
    bin_s = _bin_s(timeline, len(shown))
    log = parts.spans_decades([panel.of(timeline) for panel in shown], list(_LATENCY))
    charts = [
        _panel(panel, own, _binned(_planned(panel.of(timeline), own), bin_s), width, log=log)
        for panel in shown
        for own in [panel.of(loaded)]
    ]
    iterations = loaded.select(_SERIES).n_unique()
    notes = [
        f"{iterations} iterations: their median in bold, each of them faint"
        if 1 < iterations <= parts.MAX_OVERLAID
        else f"{iterations} iterations: their median in bold, their range shaded"
        if iterations > 1
        else "1 iteration",
        f"each point is {bin_s} s: median of its seconds' p50 or p95, mean of requests"
        if bin_s > 1
        else "",
        f"not shown: {outside:,} requests far outside the planned time" if outside else "",
        "dashed: requests asked for" if loaded["rate_rps"].count() else "",
        parts.hidden(every),
    ]
    return parts.page(charts, "Latency and requests over time", notes if charts else [])


def _within(timeline: pl.DataFrame, summary: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Leave out seconds that no iteration has, and count their requests."""
    second = pl.col("second").cast(pl.Int64)
    inside = timeline.filter((second >= 0) & (second <= _duration_s(summary) + _LATE_S))
    counts = pl.col("requests", "dropped")
    lost = (frame.select(pl.sum_horizontal(counts.sum())).item() for frame in (timeline, inside))
    return inside, next(lost) - next(lost)


def _bin_s(timeline: pl.DataFrame, panels: int) -> int:
    """Return how many seconds share one point, so that the whole figure stays small."""
    if timeline.is_empty() or not panels:
        return 1
    last = timeline["second"].max()
    seconds = (last if isinstance(last, int) else 0) + 1
    overlaid = min(timeline.select(_SERIES).n_unique(), parts.MAX_OVERLAID)
    # Two quantiles for the iterations and for their median, three outcomes.
    rows = seconds * panels * (2 * overlaid + 2 + 3)
    least = rows / parts.MAX_ROWS
    return next((bin_s for bin_s in _BINS_S if bin_s >= least), math.ceil(least))


def _panel(
    panel: Panel, summary: pl.DataFrame, rows: pl.DataFrame, width: int, *, log: bool
) -> alt.VConcatChart:
    last = max(rows["end"].to_list(), default=1)
    seconds = alt.Scale(domain=[0, last], nice=False)
    latency = alt.layer(
        *_latencies(rows, seconds, log=log),
        title=parts.panel_title(panel, _numbers(summary), width),
        width=width,
        height=150,
    )
    requests = alt.layer(
        *_outcomes(rows, seconds, _asked(rows, summary)),
        width=width,
        height=64,
    )
    return alt.vconcat(latency, requests, spacing=6)


def _planned(timeline: pl.DataFrame, summary: pl.DataFrame) -> pl.DataFrame:
    """Leave out the request that k6 makes at the very end: alone, it looks like a collapse.

    Constant arrival makes rate x duration requests, or one more, which ends after the duration.
    """
    alone = pl.col("requests") + pl.col("dropped") <= 1
    return timeline.filter(~(alone & (pl.col("second") >= _duration_s(summary))))


def _duration_s(summary: pl.DataFrame) -> float:
    return max(summary["duration_s"].drop_nulls().to_list(), default=math.inf)


def _binned(timeline: pl.DataFrame, bin_s: int) -> pl.DataFrame:
    """Return one row per iteration and bin, with null latencies where none has a request.

    Counts are means per second. Quantiles are not averaged: of a bin there is the median of those
    of its seconds.
    """
    counts = ["requests", "failed", "dropped"]
    number = pl.col("second").cast(pl.Int64) // bin_s
    # A second without requests has no row or a row of 0: both count; the last bin may be shorter.
    last = pl.col("second").cast(pl.Int64).max().over(_SERIES)
    seconds = pl.min_horizontal(pl.lit(bin_s), last + 1 - number * bin_s)
    bins = (
        timeline.with_columns(number=number, seconds=seconds)
        .group_by(*_SERIES, "number")
        .agg(
            pl.col(counts).sum() / pl.col("seconds").first(),
            parts.finite(*_LATENCY).median(),
        )
    )
    grid = (
        timeline.group_by(_SERIES)
        .agg(last=pl.col("second").cast(pl.Int64).max())
        .with_columns(number=pl.int_ranges(0, pl.col("last") // bin_s + 1))
        .explode("number")
    )
    start = pl.col("number") * bin_s
    return (
        grid.join(bins, on=[*_SERIES, "number"], how="left")
        .with_columns(
            pl.col(counts).fill_null(0),
            pl.struct(_SERIES).rank("dense").alias("series"),
            start=start,
            end=pl.min_horizontal(start + bin_s, pl.col("last") + 1),
        )
        .sort("series", "start")
    )


def _latencies(rows: pl.DataFrame, seconds: alt.Scale, *, log: bool) -> list[alt.Chart]:
    each = parts.long(rows.with_columns(middle=_middle()), ["series", "middle"], _LATENCY)
    across = each.group_by("middle", "kind").agg(
        value=pl.col("value").median(), low=pl.col("value").min(), high=pl.col("value").max()
    )
    y = parts.latency_y(each["value"], log=log)
    x = alt.X("middle:Q", scale=seconds, axis=parts.axis(None, labels=False, ticks=6))
    hue = parts.colour(_COLOURS)
    tooltip = [
        alt.Tooltip("kind:N", title="what"),
        alt.Tooltip("middle:Q", title="time (s)"),
        alt.Tooltip("value:Q", title="ms", format=",.1f"),
    ]
    few = across.height <= 2 * 60
    bold = (
        alt.Chart(parts.inline(across.select("middle", "kind", "value").sort("kind", "middle")))
        .mark_line(strokeWidth=2, point={"size": 14, "filled": True} if few else False)
        .encode(x, y, hue, tooltip=tooltip)
    )
    iterations = rows["series"].n_unique()
    if iterations < 2:
        return [bold]
    if iterations <= parts.MAX_OVERLAID:
        faint = alt.Chart(parts.inline(each)).mark_line(strokeWidth=1, opacity=0.3)
        return [faint.encode(x, y, hue, detail="series:N"), bold]
    band = alt.Chart(parts.inline(across.drop("value").sort("kind", "middle")))
    return [
        band.mark_area(opacity=0.18).encode(
            x, alt.Y("low:Q", axis=y["axis"], scale=y["scale"]), alt.Y2("high:Q"), hue
        ),
        bold,
    ]


def _middle() -> pl.Expr:
    return (pl.col("start") + pl.col("end")) / 2


def _asked(rows: pl.DataFrame, summary: pl.DataFrame) -> list[dict[str, float]]:
    """Return a line for each rate that was asked for, as long as it was asked for."""
    end = min(_duration_s(summary), max(rows["end"].to_list(), default=1))
    rates = summary["rate_rps"].drop_nulls().unique().sort()
    return [{"top": rate, "start": 0.0, "end": end} for rate in rates]


def _outcomes(
    rows: pl.DataFrame, seconds: alt.Scale, asked: list[dict[str, float]]
) -> list[alt.Chart]:
    """Stack, per second, what was answered, what failed and what was never sent."""
    means = (
        rows.with_columns(answered=pl.col("requests") - pl.col("failed"))
        .group_by("start")
        .agg(pl.col("end").max(), pl.col(list(_OUTCOME)).mean())
        .sort("start")
    )
    # Stacked here: Vega-Lite does not stack bars that have two horizontal ends.
    stacked = parts.long(means, ["start", "end"], _OUTCOME).with_columns(
        top=pl.col("value").cum_sum().over("start")
    )
    drawn = stacked.with_columns(base=pl.col("top") - pl.col("value")).filter(pl.col("value") > 0)
    highest = max([1.0, *drawn["top"].to_list(), *(line["top"] for line in asked)])
    y = parts.up_from_0("top:Q", "requests/s", highest, steps=3)
    x = alt.X("start:Q", scale=seconds, axis=parts.axis("time in the iteration (s)", ticks=6))
    bars = alt.Chart(parts.inline(drawn)).mark_bar(stroke="white", strokeWidth=0.4)
    rule = alt.Chart(parts.inline(asked)).mark_rule(
        color=parts.INK, strokeDash=[4, 3], strokeWidth=1
    )
    tooltip = [
        alt.Tooltip("kind:N", title="what"),
        alt.Tooltip("start:Q", title="from (s)"),
        alt.Tooltip("value:Q", title="per second", format=",.1f"),
    ]
    hue = parts.colour(_COLOURS)
    shown = [bars.encode(x, alt.X2("end:Q"), y, alt.Y2("base:Q"), hue, tooltip=tooltip)]
    return [*shown, rule.encode(x, alt.X2("end:Q"), y)] if asked else shown


def _numbers(summary: pl.DataFrame) -> str:
    """Say in one line what the panel shows: medians of the iterations' own numbers."""
    said = []
    for column, name in (("latency_ms_p50", "p50"), ("latency_ms_p95", "p95")):
        value = summary[column].median()
        said.append(f"{name} {parts.number(value)} ms" if isinstance(value, float) else "")
    rate, achieved = summary["rate_rps"].median(), summary["achieved_rps"].mean()
    if isinstance(rate, float) and isinstance(achieved, float):
        said.append(f"{parts.number(achieved)} of {rate:g} requests/s")
    return ", ".join(text for text in said if text)
