"""What the iterations of a run say together: means with confidence intervals. Pure: frames in, out.

A quantile is always that of the requests of one iteration (or, as ``pooled``, of all requests);
what is averaged is the value of whole iterations, which are repeated measurements of one thing.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from dfaas_lab.analysis.intervals import Interval, mean_interval
from dfaas_lab.analysis.rate_intervals import rate_interval
from dfaas_lab.errors import ConfigError

QUANTILES = (50, 90, 95, 99)
LATENCIES = ("latency_ms_mean", *(f"latency_ms_p{q}" for q in QUANTILES))
MEASURES = (*LATENCIES, "success_rate")
# Iterations that were cut short measured something else than the others.
COMPLETE = ("ok", "slo_failed")
_GROUP = ["target", "function"]
SCHEMA = pl.Schema(
    {
        "target": pl.String(),
        "function": pl.String(),
        "measure": pl.String(),
        "iterations": pl.Int64(),
        "estimate": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "pooled": pl.Float64(),
        "method": pl.String(),
    }
)


def statistics(
    requests: pl.DataFrame, summary: pl.DataFrame, *, confidence: float = 0.95, seed: int = 0
) -> pl.DataFrame:
    """Return each latency measure and the success rate over all complete iterations.

    ``estimate`` is the mean over iterations of the value that each iteration has (a quantile: of
    that iteration's requests, Hyndman-Fan 7), ``low`` and ``high`` its confidence interval, from 3
    iterations on; null for fewer, since one or two repetitions do not show how much repetitions
    differ. Of latencies by the bootstrap over iterations: bootstrap-t from 8 iterations on (Efron &
    Tibshirani 1993, section 12.5), the bootstrap's standard error with Student's t for 3 to 7, and
    where outliers make bootstrap-t erratic (section 12.4). Of the success rate by the exact
    binomial interval (Clopper & Pearson 1934), where iterations differ with their effective sample
    size (Korn & Graubard 1998). :mod:`dfaas_lab.analysis.intervals` and
    :mod:`dfaas_lab.analysis.rate_intervals` give the reasons; ``method`` says which it was.
    ``pooled`` is the same measure of the requests of all these iterations together.

    Args:
        requests: As ``run.requests``.
        summary: As ``run.summary``; iterations that were cut short are left out.
        confidence: Of the intervals, between 0 and 1.
        seed: Of the resampling: the same seed gives the same intervals.

    Returns:
        One row per target, function and measure: ``target, function, measure, iterations, estimate,
        low, high, pooled, method``.

    Raises:
        ConfigError: A confidence that is none.

    >>> run.statistics().filter(pl.col("measure") == "latency_ms_p95")  # doctest: +SKIP
    """
    check_confidence(confidence)
    complete = complete_iterations(summary)
    pooled = _pooled(requests, complete)
    rows = [
        row
        for key, group in complete.group_by(_GROUP, maintain_order=True)
        for row in _rows(group, pooled.get((str(key[0]), str(key[1])), {}), confidence, seed)
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def check_confidence(confidence: float) -> None:
    """Refuse a confidence that is none.

    Raises:
        ConfigError: It does not lie between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ConfigError(
            f"a confidence of {confidence!r} cannot be", hint="Give 0.95 for intervals of 95 %."
        )


def complete_iterations(summary: pl.DataFrame) -> pl.DataFrame:
    """The rows of iterations that ran as planned."""
    return summary.filter(pl.col("status").is_in(COMPLETE))


def values_of(group: pl.DataFrame, measure: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The iterations' values of one measure, without those that measured none.

    A stranger's file may hold NaN, infinities or rates above 1: those are no measurements.
    """
    values = group[measure].cast(pl.Float64)
    known = values.is_finite() & (values >= 0)
    if measure == "success_rate":
        known &= values <= 1
    return values.filter(known).to_numpy()


def success_rate_of(group: pl.DataFrame, confidence: float) -> Interval:
    """The success rate over the iterations of one function, at least one of which measured it."""
    rates, requests = values_of(group, "success_rate"), int(group["requests"].sum())
    return rate_interval(rates, requests, confidence=confidence)


def _rows(
    group: pl.DataFrame, pooled: dict[str, float | None], confidence: float, seed: int
) -> Iterator[tuple[object, ...]]:
    target, function = group["target"][0], group["function"][0]
    for measure in MEASURES:
        values = values_of(group, measure)
        if not len(values):
            yield target, function, measure, 0, None, None, None, None, "none: nothing measured"
            continue
        interval = (
            success_rate_of(group, confidence)
            if measure == "success_rate"
            else mean_interval(values, confidence=confidence, seed=seed)
        )
        # No latency is negative.
        low = None if interval.low is None else max(interval.low, 0.0)
        yield (
            target, function, measure, len(values), interval.estimate, low, interval.high,
            pooled.get(measure), interval.method,
        )  # fmt: skip


def _pooled(
    requests: pl.DataFrame, complete: pl.DataFrame
) -> dict[tuple[str, str], dict[str, float | None]]:
    latency = pl.col("latency_ms").filter(pl.col("latency_ms").is_finite())
    keys = ["run_id", "target", "iteration"]
    measured = (
        requests.join(complete.select(keys).unique(), on=keys, how="semi")
        .group_by(_GROUP)
        .agg(
            latency_ms_mean=latency.mean(),
            **{f"latency_ms_p{q}": latency.quantile(q / 100, "linear") for q in QUANTILES},
            success_rate=1 - pl.col("failed").mean(),
        )
    )
    return {(row["target"], row["function"]): row for row in measured.iter_rows(named=True)}
