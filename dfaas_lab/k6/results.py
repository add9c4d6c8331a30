"""From k6's samples to the frames of one iteration: requests, timeline, summary, k6_metrics.

It knows the contract's columns and what they mean; reading the file is `samples`' business,
keeping the frames is the store's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

import polars as pl

from dfaas_lab import schemas
from dfaas_lab.k6.samples import PHASES, Samples, read_samples, with_vu
from dfaas_lab.load import Load

_TAG = r"(?s)(?:^|&)function=([^&]*)"
_SERVED_BY = r"(?:^|&)served_by=([^&]*)"
_KEY = ("scenario", "vu", "iter")
_NS_PER_MS = 1e6


@dataclass(frozen=True)
class Frames:
    """What was measured, as in the contract; ``k6_metrics`` holds a script's own metrics.

    ``k6_metrics`` has one row per scenario, function tag, metric and check: ``samples`` (how many
    values), ``sum``, ``mean`` (of a check: the share that passed), ``min``, ``max``, ``p50``,
    ``p95`` and ``last``. Which of these means something depends on the metric's type, which k6's
    samples do not tell: a counter's total is ``sum``, a gauge's value ``last``.
    """

    summary: pl.DataFrame
    requests: pl.DataFrame
    timeline: pl.DataFrame
    k6_metrics: pl.DataFrame

    @classmethod
    def empty(cls) -> Frames:
        """Frames with all columns and no row."""
        return cls(
            pl.DataFrame(schema=schemas.SUMMARY),
            pl.DataFrame(schema=schemas.REQUESTS),
            pl.DataFrame(schema=schemas.TIMELINE),
            pl.DataFrame(schema=schemas.K6_METRICS),
        )

    @classmethod
    def concat(cls, parts: Sequence[Frames]) -> Frames:
        """One set of frames out of those of several iterations or targets."""
        if not parts:
            return cls.empty()
        return cls(
            pl.concat([part.summary for part in parts]),
            pl.concat([part.requests for part in parts]),
            pl.concat([part.timeline for part in parts]),
            pl.concat([part.k6_metrics for part in parts]),
        )


def read(
    samples: Path,
    *,
    run_id: str,
    target: str,
    iteration: int,
    load: Load | None,
    scenarios: Mapping[str, str],
    started_at: datetime | None,
    status: str,
    own_script: bool = True,
) -> Frames:
    """Read what k6 wrote in one iteration.

    Quantiles are those of the requests with a latency, by linear interpolation (Hyndman-Fan 7, as
    k6 does). ``second`` is that of a request's start, counted from the first thing the load did,
    on the generator's clock; ``summary.started_at`` is that same moment.

    Args:
        samples: Path of k6's CSV file.
        run_id: The run's id, for the column of that name.
        target: The target's name.
        iteration: The iteration's number, from 1.
        load: What was asked; None for a custom script.
        scenarios: Function name by k6 scenario (``f0``). A scenario that is not in it takes its
            name from the tag ``function``, or is its own name.
        started_at: When the iteration began, used only where nothing was recorded.
        status: The iteration's status, for the summary.
        own_script: Whether the package's script ran, which counts the requests it starts.

    Raises:
        ResultsUnreadable: The file is missing, damaged, or not k6's.
    """
    read_ = read_samples(samples)
    names = dict(scenarios)
    requests = _requests(read_, names)
    events = _named(read_.events, names)
    start = _start(requests, events, started_at)
    functions = [share.function.name for share in load] if load else _seen(requests, events)
    timeline = _timeline(requests, events, start, functions, load, status)
    summary = _summary(requests, events, functions, load, own_script)
    key = [
        pl.lit(run_id, pl.String).alias("run_id"),
        pl.lit(target, pl.String).alias("target"),
        pl.lit(iteration, pl.Int64).alias("iteration"),
    ]
    summary = summary.with_columns(
        pl.lit(start, schemas.TIME).alias("started_at"), pl.lit(status, pl.String).alias("status")
    )
    return Frames(
        _shaped(summary.with_columns(key), schemas.SUMMARY),
        _shaped(requests.with_columns(key), schemas.REQUESTS),
        _shaped(timeline.with_columns(key), schemas.TIMELINE),
        _shaped(_k6_metrics(read_.others, names).with_columns(key), schemas.K6_METRICS),
    )


def _shaped(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    return frame.select(pl.col(name).cast(dtype) for name, dtype in schema.items())


def _named(frame: pl.DataFrame, scenarios: dict[str, str]) -> pl.DataFrame:
    """Add the function's name: of the scenario, else of the tag, else the scenario's own."""
    scenario = pl.col("scenario").cast(pl.String)
    name = scenario.replace_strict(scenarios, default=None, return_dtype=pl.String)
    if not set(frame["scenario"].unique()) <= scenarios.keys():
        name = pl.coalesce(
            name, pl.col("extra_tags").str.extract(_TAG), scenario, pl.lit("default")
        )
    return frame.with_columns(name.alias("function"))


def _requests(samples: Samples, scenarios: dict[str, str]) -> pl.DataFrame:
    """Requests with the contract's columns but the key, in order of their start."""
    status, error = pl.col("status"), pl.col("error_code")
    # k6 gives a request without a connection a duration of 0: that is no latency.
    answered = (status != 0) | (pl.col("latency_ms") > 0)
    measured = [
        pl.when(answered | (pl.col(name) > 0)).then(pl.col(name)).alias(name)
        for name in PHASES.values()
    ]
    took_ns = ((pl.col("latency_ms") + pl.col("blocked_ms")) * _NS_PER_MS).round().cast(pl.Int64)
    requests = _named(samples.requests, scenarios).with_columns(
        status.fill_null(0),
        ended_at=_time(pl.col("timestamp")),
        started_at=_time(pl.col("timestamp") - took_ns),
        failed=pl.coalesce("failed", ~pl.col("expected_response"), (status == 0) | (status >= 400)),
    )
    requests = requests.with_columns(
        *measured,
        http_status=pl.when(status != 0).then(status),
        error_code=pl.when(error != 0).then(error),
        vu_iteration=pl.col("iter"),
    )
    return _with_answers(requests, samples.events).sort("started_at", "row")


def _time(nanoseconds: pl.Expr) -> pl.Expr:
    return (nanoseconds // 1000).cast(schemas.TIME)


def _with_answers(requests: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Add what the answer's headers said; our script reports it after the request's own rows."""
    answers = events.filter(pl.col("metric_name").is_in(("dfaas_function_ms", "dfaas_answered")))
    timed = pl.col("metric_name") == "dfaas_function_ms"
    answers = with_vu(answers).select(
        "row",
        *_KEY,
        pl.when(timed).then(pl.col("metric_value")).alias("function_ms"),
        pl.col("metadata").str.extract(_SERVED_BY).alias("served_by"),
    )
    answers = answers.with_columns(
        pl.col("served_by").replace(
            {raw: unquote(raw) for raw in answers["served_by"].unique() if raw}
        )
    )
    # The last request before the report is the one it is about: redirects make several.
    about = (
        answers.join_asof(
            requests.select("row", *_KEY, pl.col("row").alias("request")).sort("row"),
            on="row",
            by=list(_KEY),
            check_sortedness=False,
        )
        .group_by("request")
        .agg(pl.col("function_ms").drop_nulls().last(), pl.col("served_by").drop_nulls().last())
    )
    joined = requests.join(about, left_on="row", right_on="request", how="left")
    gateway = pl.col("latency_ms") - pl.col("function_ms")
    return joined.with_columns(gateway_ms=pl.when(gateway >= 0).then(gateway))


def _start(
    requests: pl.DataFrame, events: pl.DataFrame, otherwise: datetime | None
) -> datetime | None:
    first = requests["started_at"].min()
    marks = events.select(_time(pl.col("timestamp").min())).item()
    moments = [moment for moment in (first, marks) if isinstance(moment, datetime)]
    return min(moments) if moments else otherwise


def _seen(requests: pl.DataFrame, events: pl.DataFrame) -> list[str]:
    seen = set(requests["function"]) | set(events["function"])
    return sorted(seen)


def _counted(events: pl.DataFrame, metric: str) -> pl.DataFrame:
    return events.filter(pl.col("metric_name") == metric)


def _summary(
    requests: pl.DataFrame,
    events: pl.DataFrame,
    functions: list[str],
    load: Load | None,
    own_script: bool,
) -> pl.DataFrame:
    value = pl.col("metric_value").sum().round().cast(pl.Int64)
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
    dropped = _counted(events, "dropped_iterations").group_by("function").agg(dropped=value)
    started = _counted(events, "dfaas_started").group_by("function").agg(started=value)
    count = pl.col("requests")
    unfinished = pl.max_horizontal(pl.col("started") - count, 0) if own_script else None
    return (
        asked.join(measured, on="function", how="left", maintain_order="left")
        .join(dropped, on="function", how="left", maintain_order="left")
        .join(started, on="function", how="left", maintain_order="left")
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


def _timeline(
    requests: pl.DataFrame,
    events: pl.DataFrame,
    start: datetime | None,
    functions: list[str],
    load: Load | None,
    status: str,
) -> pl.DataFrame:
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
    marks = events.with_columns(at=_time(pl.col("timestamp")))
    drops = (
        _counted(marks, "dropped_iterations")
        .group_by("function", second)
        .agg(dropped=pl.col("metric_value").sum().round().cast(pl.Int64))
    )
    # A run that ended as planned lasted at least as planned; one cut short, until its last mark.
    planned = load.duration_s if load and status in ("ok", "slo_failed") else 0
    last = [measured["second"].max(), drops["second"].max(), -(-planned // 1) - 1]
    seconds = range(int(max(value for value in last if isinstance(value, int | float))) + 1)
    grid = pl.DataFrame({"function": functions}, schema={"function": pl.String}).join(
        pl.DataFrame({"second": seconds}, schema={"second": pl.Int64}), how="cross"
    )
    keys = ["function", "second"]
    return (
        grid.join(measured, on=keys, how="left", maintain_order="left")
        .join(drops, on=keys, how="left", maintain_order="left")
        .with_columns(pl.col("requests", "failed", "dropped").fill_null(0).cast(pl.Int64))
    )


def _k6_metrics(others: pl.DataFrame, scenarios: dict[str, str]) -> pl.DataFrame:
    if others.is_empty():
        return Frames.empty().k6_metrics
    value = pl.col("metric_value")
    return (
        _named(others, scenarios)
        .group_by(
            "scenario",
            "function",
            pl.col("metric_name").alias("metric"),
            "check",
            maintain_order=True,
        )
        .agg(
            samples=pl.len(),
            sum=value.sum(),
            mean=value.mean(),
            min=value.min(),
            max=value.max(),
            p50=value.quantile(0.5, "linear"),
            p95=value.quantile(0.95, "linear"),
            last=value.last(),
        )
    )
