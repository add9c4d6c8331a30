"""Reduces a timeline to fewer points: bins of several seconds, with quantiles of requests.

A quantile is never averaged, and no median of quantiles is taken: of several seconds there is the
quantile of their requests or, where these are not given, the largest of the seconds' own.
"""

from __future__ import annotations

import math

import polars as pl

from dfaas_lab.charts import axes, figure

SERIES = ("run_id", "iteration")
_QUANTILES = ("latency_ms_p50", "latency_ms_p95")
_COUNTS = ("requests", "failed", "dropped", "unfinished")
_BINS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
# So long after its planned end nothing of an iteration is left: a clock that was set tells such
# seconds, and one of them would make all others a single point.
_LATE_S = 120


def within(timeline: pl.DataFrame, summary: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Leave out seconds that no iteration has, and count their requests."""
    second = pl.col("second").cast(pl.Int64)
    inside = timeline.filter((second >= 0) & (second <= duration_s(summary) + _LATE_S))
    counts = pl.col("requests", "dropped")
    lost = (frame.select(pl.sum_horizontal(counts.sum())).item() for frame in (timeline, inside))
    return inside, next(lost) - next(lost)


def seconds_per_point(timeline: pl.DataFrame, panels: int) -> int:
    """Return how many seconds share one point, so that the whole figure stays small."""
    if timeline.is_empty() or not panels:
        return 1
    last = timeline["second"].max()
    seconds = (last if isinstance(last, int) else 0) + 1
    series = timeline.select(SERIES).n_unique()
    overlaid = series if series <= figure.MAX_OVERLAID else 1
    # Two quantiles for each iteration and for their median, the maximum, three outcomes.
    rows = seconds * panels * (2 * overlaid + 2 + 1 + 3)
    least = rows / figure.MAX_ROWS
    return next((bin_s for bin_s in _BINS_S if bin_s >= least), math.ceil(least))


def planned(timeline: pl.DataFrame, summary: pl.DataFrame) -> pl.DataFrame:
    """Leave out a request that k6 made at the very end: alone, it looks like a collapse.

    Older runs have rate x duration requests, or one more, which ends after the duration.
    """
    alone = pl.col("requests") + pl.col("dropped") <= 1
    return timeline.filter(~(alone & (pl.col("second") >= duration_s(summary))))


def duration_s(summary: pl.DataFrame) -> float:
    """The planned duration of the longest iteration, in seconds; infinite where none is known."""
    return max(summary["duration_s"].drop_nulls().to_list(), default=math.inf)


def binned(
    timeline: pl.DataFrame, summary: pl.DataFrame, requests: pl.DataFrame | None, bin_s: int
) -> pl.DataFrame:
    """Return one row per iteration and bin, with null latencies where none has a request.

    Args:
        timeline: Of one function on one target.
        summary: The same function's, which tells when each iteration began.
        requests: Its requests; None where the timeline's own quantiles are all there is.
        bin_s: Seconds per bin. Counts are means per second, maxima are those of the bin.
    """
    number = pl.col("second").cast(pl.Int64) // bin_s
    # A second without requests has no row or a row of 0: both count; the last bin may be shorter.
    last = pl.col("second").cast(pl.Int64).max().over(SERIES)
    seconds = pl.min_horizontal(pl.lit(bin_s), last + 1 - number * bin_s)
    bins = (
        timeline.with_columns(number=number, seconds=seconds)
        .group_by(*SERIES, "number")
        .agg(
            pl.col(*_COUNTS).sum() / pl.col("seconds").first(),
            axes.finite(*_QUANTILES, "latency_ms_max").max(),
        )
    )
    if requests is not None and bin_s > 1:
        exact = _quantiles(requests, summary, bin_s)
        bins = bins.drop(*_QUANTILES).join(exact, on=[*SERIES, "number"], how="left")
    grid = (
        timeline.group_by(SERIES)
        .agg(last=pl.col("second").cast(pl.Int64).max())
        .with_columns(number=pl.int_ranges(0, pl.col("last") // bin_s + 1))
        .explode("number")
    )
    start = pl.col("number") * bin_s
    return (
        grid.join(bins, on=[*SERIES, "number"], how="left")
        .with_columns(
            pl.col(*_COUNTS).fill_null(0),
            pl.struct(SERIES).rank("dense").alias("series"),
            start=start,
            end=pl.min_horizontal(start + bin_s, pl.col("last") + 1),
        )
        .sort("series", "start")
    )


def _quantiles(requests: pl.DataFrame, summary: pl.DataFrame, bin_s: int) -> pl.DataFrame:
    """The quantiles of the successful requests of each bin, by linear interpolation."""
    began = summary.group_by(SERIES).agg(began=pl.col("started_at").min())
    since = pl.coalesce("planned_at", "started_at") - pl.col("began")
    latency = pl.col("latency_ms")
    return (
        requests.filter(~pl.col("failed"))
        .join(began, on=SERIES)
        .with_columns(number=since.dt.total_milliseconds() // (1000 * bin_s))
        .group_by(*SERIES, "number")
        .agg(
            latency_ms_p50=latency.quantile(0.50, interpolation="linear"),
            latency_ms_p95=latency.quantile(0.95, interpolation="linear"),
        )
    )
