"""The error budget: how much of a latency can come from the measuring itself. Pure.

Three things of k6 and its host are in a number and are no property of the node: requests that were
sent late, time that k6 waited for a processor, and the steps of the generator's clock.
"""

from __future__ import annotations

import polars as pl

SCHEMA = pl.Schema(
    {
        "target": pl.String(),
        "iteration": pl.Int64(),
        "function": pl.String(),
        "number": pl.String(),
        "value": pl.Float64(),
        "late_ms": pl.Float64(),
        "wait_ms": pl.Float64(),
        "clock_ms": pl.Float64(),
        "instrument_ms": pl.Float64(),
        "share": pl.Float64(),
        "marked": pl.Boolean(),
    }
)
MOST_SHARE = 0.1
"""A number is marked where the instrument's share of it is larger."""

_OF = {"mean": None, "p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "max": 1.0}
_TAIL = ("p90", "p95", "p99", "max")
_KEY = ["target", "iteration", "function"]
_HOST = ["target", "iteration"]
_STEPS_US = (100_000, 10_000, 1_000, 100, 10)
# k6's own housekeeping waits, too: at a lower rate most of the wait is not the requests'.
_LEAST_RATE_RPS = 20.0


def error_budget(
    summary: pl.DataFrame, requests: pl.DataFrame, metrics: pl.DataFrame
) -> pl.DataFrame:
    """Return the instrument's share of each ``latency_ms_*`` and ``response_ms_*`` of a summary.

    Args:
        summary: ``run.summary``.
        requests: ``run.requests``.
        metrics: ``run.metrics``.

    Returns:
        One row for each target, iteration, function and number that was measured. ``late_ms``: by
        how much the number is lower without the lateness of each request (0 for a latency, which
        begins when a request is sent). ``wait_ms``: what a request had to wait while k6 waited for
        a processor; of the mean and the median the mean of the load, of higher
        quantiles that of the worst second; null where the host did not tell. ``clock_ms``: the step
        of the generator's clock. ``instrument_ms`` is their sum, so an upper limit; ``share`` is
        its share of the number (at most 1), ``marked`` whether that is more than a tenth.
    """
    times = [f"{time}_ms_{of}" for time in ("latency", "response") for of in _OF]
    numbers = summary.unpivot(times, index=_KEY, variable_name="number").drop_nulls("value")
    of = pl.col("number").str.split("_").list.last()
    wait = pl.when(of.is_in(_TAIL)).then("wait_tail_ms").otherwise("wait_mean_ms")
    parts = (
        numbers.join(_without_lateness(requests), on=[*_KEY, "number"], how="left")
        .join(_waits(requests, metrics), on=_HOST, how="left")
        .join(_clock_steps(requests), on=_HOST, how="left")
        .with_columns(
            late_ms=(pl.col("value") - pl.col("net_ms")).clip(0).fill_null(0.0), wait_ms=wait
        )
    )
    instrument = pl.sum_horizontal("late_ms", "wait_ms", "clock_ms")
    share = (
        pl.when(pl.col("value") > 0)
        .then((pl.col("instrument_ms") / pl.col("value")).clip(0, 1))
        .otherwise(1.0)
    )
    return (
        parts.with_columns(instrument_ms=instrument)
        .with_columns(share=share)
        .with_columns(marked=pl.col("share") > MOST_SHARE)
        .select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())
    )


def remarks_of(budget: pl.DataFrame) -> list[str]:
    """One remark for each function with marked numbers: the one with the largest share is named."""
    marked = budget.filter("marked").sort("share", descending=True)
    several = budget["target"].n_unique() > 1
    remarks = []
    for (target, function), rows in marked.group_by("target", "function", maintain_order=True):
        worst = rows.row(0, named=True)
        others = rows["number"].n_unique() - 1
        whole = worst["instrument_ms"] >= worst["value"]
        most = "all" if whole else f"{worst['instrument_ms']:.2g}"
        remarks.append(
            f"up to {most} of {worst['value']:.3g} ms of {worst['number']} "
            f"of {function}{f' of {target}' if several else ''} (iteration {worst['iteration']}) "
            "may be the generator's own"
            + (f", and more than a tenth of {others} more" if others else "")
            + ": see run.error_budget"
        )
    return remarks


def _without_lateness(requests: pl.DataFrame) -> pl.DataFrame:
    """The numbers of the response as they would be if each request had been sent on time."""
    net = pl.col("response_ms") - pl.col("late_ms")
    numbers = [
        (net.mean() if q is None else net.quantile(q, "linear")).alias(f"response_ms_{of}")
        for of, q in _OF.items()
    ]
    found = requests.filter(~pl.col("failed")).group_by(_KEY).agg(numbers)
    return found.unpivot(index=_KEY, variable_name="number", value_name="net_ms")


def _waits(requests: pl.DataFrame, metrics: pl.DataFrame) -> pl.DataFrame:
    """What one request had to wait for a processor: in the mean, and in the worst second."""
    span_s = (pl.col("ended_at").max() - pl.col("started_at").min()).dt.total_milliseconds() / 1000
    rate = (pl.len() / span_s.clip(1.0)).clip(_LEAST_RATE_RPS)
    return (
        requests.group_by(_HOST)
        .agg(rate=rate)
        .join(metrics, on=_HOST)
        .select(
            *_HOST,
            wait_mean_ms=pl.col("cpu_wait_ms") / pl.col("rate"),
            wait_tail_ms=pl.col("cpu_wait_ms_max") / pl.col("rate"),
        )
    )


def _clock_steps(requests: pl.DataFrame) -> pl.DataFrame:
    """The step of the generator's clock: the largest that all its times are multiples of."""
    times = [pl.col(name).dt.timestamp("us") for name in ("started_at", "ended_at")]
    step = pl.lit(1)
    for wider in reversed(_STEPS_US):
        fits = pl.all_horizontal([(time % wider == 0).all() for time in times])
        step = pl.when(fits).then(wider).otherwise(step)
    return requests.group_by(_HOST).agg(clock_ms=step / 1000)
