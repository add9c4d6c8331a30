"""What is counted from requests: the summary, the timeline, and a script's own metrics."""

from __future__ import annotations

import math
from datetime import datetime

import polars as pl

from dfaas_lab import schemas
from dfaas_lab.k6.requests import counted, named, time_of
from dfaas_lab.load import Load

_LONGEST_S = 1_000_000


def start_of(
    requests: pl.DataFrame, events: pl.DataFrame, otherwise: datetime | None
) -> datetime | None:
    """The first thing the load did, on the generator's clock; else what is known otherwise."""
    first = requests["started_at"].min()
    marks = events.select(time_of(pl.col("timestamp").min())).item()
    moments = [moment for moment in (first, marks) if isinstance(moment, datetime)]
    return min(moments) if moments else otherwise


def functions_of(requests: pl.DataFrame, events: pl.DataFrame) -> list[str]:
    """All functions that left a mark, by name."""
    seen = set(requests["function"]) | set(events["function"])
    return sorted(seen)


def summary_of(
    requests: pl.DataFrame,
    events: pl.DataFrame,
    functions: list[str],
    load: Load | None,
    is_builtin: bool,
) -> pl.DataFrame:
    """One row per function; quantiles of the requests with a latency, Hyndman-Fan 7."""
    value = pl.col("metric_value")
    rates = load.rates if load else {}
    asked = pl.DataFrame(
        {"function": functions, "rate_rps": [rates.get(name) for name in functions]},
        schema={"function": pl.String, "rate_rps": pl.Float64},
    )
    latency = pl.col("latency_ms")
    measured = requests.group_by("function").agg(
        requests=pl.len(),
        failed=pl.col("failed").sum(),
        latency_ms_mean=latency.mean(),
        latency_ms_min=latency.min(),
        **{f"latency_ms_p{q}": latency.quantile(q / 100, "linear") for q in (50, 90, 95, 99)},
        latency_ms_max=latency.max(),
    )
    metric = pl.col("metric_name")
    marks = events.group_by("function").agg(
        dropped=value.filter(metric == "dropped_iterations").sum().round().cast(pl.Int64),
        started=value.filter(metric == "dfaas_started").sum().round().cast(pl.Int64),
    )
    count = pl.col("requests")
    unfinished = pl.max_horizontal(pl.col("started") - count, 0) if is_builtin else None
    return (
        asked.join(measured, on="function", how="left", maintain_order="left")
        .join(marks, on="function", how="left", maintain_order="left")
        .with_columns(
            pl.col("requests", "failed", "dropped", "started").fill_null(0).cast(pl.Int64)
        )
        .with_columns(
            duration_s=pl.lit(load.duration_s if load else None, pl.Float64),
            unfinished=unfinished if unfinished is not None else pl.lit(None, pl.Int64),
            success_rate=pl.when(count > 0).then(1 - pl.col("failed") / count),
        )
        .with_columns(achieved_rps=count / pl.col("duration_s"))
    )


def timeline_of(
    requests: pl.DataFrame,
    events: pl.DataFrame,
    start: datetime | None,
    functions: list[str],
    load: Load | None,
    status: str,
) -> pl.DataFrame:
    """One row per function and second of the run, by the requests' starts; also without any."""
    second = (pl.col("at") - pl.lit(start, schemas.TIME)).dt.total_seconds().alias("second")
    latency = pl.col("latency_ms")
    measured = (
        requests.with_columns(at="started_at")
        .group_by("function", second)
        .agg(
            requests=pl.len(),
            failed=pl.col("failed").sum(),
            latency_ms_p50=latency.quantile(0.5, "linear"),
            latency_ms_p95=latency.quantile(0.95, "linear"),
        )
    )
    drops = (
        counted(events, "dropped_iterations")
        .with_columns(at=time_of(pl.col("timestamp")))
        .group_by("function", second)
        .agg(dropped=pl.col("metric_value").sum().round().cast(pl.Int64))
    )
    seconds = _seconds(measured, drops, load, status)
    grid = pl.DataFrame({"function": functions}, schema={"function": pl.String}).join(
        pl.DataFrame({"second": seconds}, schema={"second": pl.Int64}), how="cross"
    )
    keys = ["function", "second"]
    return (
        grid.join(measured, on=keys, how="left", maintain_order="left")
        .join(drops, on=keys, how="left", maintain_order="left")
        .with_columns(pl.col("requests", "failed", "dropped").fill_null(0).cast(pl.Int64))
    )


def _seconds(
    measured: pl.DataFrame, drops: pl.DataFrame, load: Load | None, status: str
) -> list[int]:
    """All seconds of a run: as long as planned, or until its last mark where it was cut short."""
    seen = set(measured["second"]) | set(drops["second"])
    planned = load.duration_s if load and status in ("ok", "slo_failed") else 0.0
    last = max([*seen, math.ceil(planned) - 1])
    # A clock that was set during the run must not become a frame of a billion rows.
    return list(range(last + 1)) if last < _LONGEST_S else sorted(seen)


def metrics_of(others: pl.DataFrame, scenarios: dict[str, str]) -> pl.DataFrame:
    """One row per scenario, function tag, metric and check of a script's own metrics.

    An infinite value, which k6 takes from scripts, is counted and no more: no frame holds one.
    """
    if others.is_empty():
        return pl.DataFrame(schema=schemas.K6_METRICS)
    value = _finite(pl.col("metric_value"))
    return (
        named(others, scenarios)
        .group_by(
            "scenario",
            "function",
            pl.col("metric_name").alias("metric"),
            "check",
            maintain_order=True,
        )
        .agg(
            samples=pl.len(),
            sum=pl.when(value.count() > 0).then(value.sum()),
            mean=value.mean(),
            min=value.min(),
            max=value.max(),
            p50=value.quantile(0.5, "linear"),
            p95=value.quantile(0.95, "linear"),
            last=value.last(),
        )
        .with_columns(_finite(pl.col(pl.Float64)))
    )


def _finite(value: pl.Expr) -> pl.Expr:
    return pl.when(value.is_finite()).then(value)
