"""Means over the iterations of a run with confidence intervals. Pure: frames in, frames out.

The repeated unit is the iteration: each is one measurement of the same thing, and their values are
averaged. A quantile is that of the requests of one iteration; ``pooled`` is that of all requests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from dfaas_lab.analysis.intervals import mean_interval
from dfaas_lab.analysis.order_statistics import quantile_interval, values_needed
from dfaas_lab.analysis.rate_intervals import rate_interval
from dfaas_lab.analysis.trend import Values, lag1, trend
from dfaas_lab.errors import ConfigError
from dfaas_lab.status import COMPLETE

_F = pl.Float64()
_UNLIKELY = 0.05

QUANTILES = (50, 90, 95, 99)
_TIMES = ("latency_ms", "response_ms")
LATENCIES = tuple(
    f"{time}_{of}" for time in _TIMES for of in ("mean", *(f"p{q}" for q in QUANTILES))
)
MEASURES = (*LATENCIES, "success_rate")
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
        "unit": pl.String(),
        "pooled_low": pl.Float64(),
        "pooled_high": pl.Float64(),
        "remark": pl.String(),
    }
)


def statistics(
    requests: pl.DataFrame, summary: pl.DataFrame, *, confidence: float = 0.95, seed: int = 0
) -> pl.DataFrame:
    """Return each response and latency measure and the success rate over all complete iterations.

    ``estimate`` is the mean over iterations of the value that each iteration has (a quantile: of
    that iteration's successful requests, Hyndman-Fan 7). ``low`` and ``high`` are the interval of
    that mean, from 3 iterations on; null for fewer, since one or two repetitions do not show how
    much repetitions differ. Iterations are taken for independent of each other; where 8 or more
    show that they are not, the interval is wider and ``remark`` says so. Of times by the bootstrap
    over iterations (:mod:`dfaas_lab.analysis.intervals`), of the success rate by the exact binomial
    interval without a claim that requests are independent
    (:mod:`dfaas_lab.analysis.rate_intervals`); ``method`` says which it was, ``unit`` what is
    repeated: ``iteration``.

    ``pooled`` is the same measure of the requests of all these iterations together. Of a quantile,
    ``pooled_low`` and ``pooled_high`` are its interval by order statistics
    (:mod:`dfaas_lab.analysis.order_statistics`), null for too few requests. It takes requests for
    independent, which those of one run are not: it tells about this run, and not about the next.
    The mean of the iterations' p99 is not the p99 of all requests: it is lower where iterations
    have few of them.

    Args:
        requests: As ``run.requests``.
        summary: As ``run.summary``; iterations that were cut short are left out.
        confidence: Of the intervals, between 0 and 1.
        seed: Of the resampling: the same seed gives the same intervals.

    Returns:
        One row per target, function and measure: ``target, function, measure, iterations, estimate,
        low, high, pooled, method, unit, pooled_low, pooled_high, remark``. ``remark`` names a
        quantile of too few requests, correlated iterations, and a trend over the iterations.

    Raises:
        ConfigError: A confidence that is none.

    >>> statistics(run.requests, run.summary).filter(measure="success_rate")["estimate"].to_list()
    [1.0, 1.0]
    """
    check_confidence(confidence)
    complete = complete_iterations(summary)
    pooled = _pooled(requests, complete)
    rows = [
        row
        for key, group in complete.group_by(_GROUP, maintain_order=True)
        for row in _rows(group, pooled.get((str(key[0]), str(key[1])), _NONE), confidence, seed)
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
    """The rows of iterations that ran as planned, in the order in which they ran."""
    complete = summary.filter(pl.col("status").is_in(COMPLETE))
    return complete.sort("iteration", maintain_order=True)


def values_of(group: pl.DataFrame, measure: str) -> Values:
    """The iterations' values of one measure, without those that measured none.

    A stranger's file may hold NaN, infinities or rates above 1: those are no measurements.
    """
    values = group[measure].cast(_F) if measure in group.columns else pl.Series([], dtype=_F)
    known = values.is_finite() & (values >= 0)
    if measure == "success_rate":
        known &= values <= 1
    return values.filter(known).to_numpy()


def requests_of(group: pl.DataFrame) -> int:
    """How many requests the iterations of one function made."""
    return int(group["requests"].sum())


def remarks_on(values: Values) -> Iterator[str]:
    """Sentences on what makes iterations other than independent repetitions of one thing."""
    correlation, drift = lag1(values), trend(values)
    if correlation is not None and correlation.p <= _UNLIKELY:
        yield (
            f"each iteration is like the one before it (correlation {correlation.value:.1f}): "
            "longer rests or more iterations make the interval surer"
        )
    if drift is not None and drift.p <= _UNLIKELY:
        way = "rises" if drift.value > 0 else "falls"
        yield f"it {way} from iteration to iteration (rank correlation {drift.value:.1f})"


def _rows(
    group: pl.DataFrame, pooled: _Pooled, confidence: float, seed: int
) -> Iterator[tuple[object, ...]]:
    key = (group["target"][0], group["function"][0])
    for measure in MEASURES:
        values = values_of(group, measure)
        if not len(values):
            why = "none: nothing measured"
            yield *key, measure, 0, None, None, None, None, why, "iteration", None, None, None
            continue
        interval = (
            rate_interval(values, requests_of(group), confidence=confidence)
            if measure == "success_rate"
            else mean_interval(values, confidence=confidence, seed=seed)
        )
        # No latency is negative.
        low = None if interval.low is None else max(interval.low, 0.0)
        limits, few = _pooled_interval(pooled, measure, confidence)
        remark = "; ".join([*few, *remarks_on(values)]) or None
        yield (
            *key, measure, len(values), interval.estimate, low, interval.high,
            pooled.value(measure), interval.method, "iteration", *limits, remark,
        )  # fmt: skip


def _pooled_interval(
    pooled: _Pooled, measure: str, confidence: float
) -> tuple[tuple[float | None, float | None], tuple[str, ...]]:
    time, _, of = measure.rpartition("_")
    values = pooled.times.get(time)
    if values is None or not of.startswith("p"):
        return (None, None), ()
    share = int(of[1:]) / 100
    found = quantile_interval(values, share, confidence=confidence)
    if found is not None:
        return found, ()
    needed = values_needed(share, confidence=confidence)
    return (None, None), (f"a {of} of {len(values)} requests: its interval needs {needed}",)


@dataclass(frozen=True)
class _Pooled:
    """The successful requests of all iterations of one function: times by name, and a rate."""

    times: Mapping[str, Values]
    success_rate: float | None

    def value(self, measure: str) -> float | None:
        """The measure of all these requests together."""
        if measure == "success_rate":
            return self.success_rate
        time, _, of = measure.rpartition("_")
        values = self.times.get(time)
        if values is None or not len(values):
            return None
        return float(values.mean() if of == "mean" else np.quantile(values, int(of[1:]) / 100))


_NONE = _Pooled({}, None)


def _pooled(requests: pl.DataFrame, complete: pl.DataFrame) -> dict[tuple[str, str], _Pooled]:
    keys = ["run_id", "target", "iteration"]
    measured = requests.join(complete.select(keys).unique(), on=keys, how="semi")
    return {
        (str(key[0]), str(key[1])): _Pooled(
            {
                time: group.filter(~pl.col("failed") & pl.col(time).is_finite())[time].to_numpy()
                for time in _TIMES
                if time in group.columns
            },
            None if (failed := group["failed"].mean()) is None else 1 - float(str(failed)),
        )
        for key, group in measured.group_by(_GROUP)
    }
