"""Whether a load gets steady: warm-up, trend within it, trend and correlation of iterations. Pure.

Each second of a load is taken for its median latency, the median of all iterations. The tests of a
run are judged together, so that one of twenty steady runs at most gets a remark by chance
(Bonferroni). They change no number. Seconds are taken for independent: where each is like the one
before, as in a long queue, a steady run gets a remark more often (one of five, simulated with a
correlation of 0.5).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass

import numpy as np
import polars as pl

from dfaas_lab.analysis.statistics import complete_iterations, values_of
from dfaas_lab.analysis.trend import Correlation, Values, lag1, start, trend, warmup_length

SCHEMA = pl.Schema(
    {
        "target": pl.String(),
        "function": pl.String(),
        "seconds": pl.Int64(),
        "warmup_s": pl.Int64(),
        "trend": pl.Float64(),
        "trend_p": pl.Float64(),
        "steady": pl.Boolean(),
        "iterations": pl.Int64(),
        "iterations_lag1": pl.Float64(),
        "iterations_lag1_p": pl.Float64(),
        "iterations_trend": pl.Float64(),
        "iterations_trend_p": pl.Float64(),
        "remark": pl.String(),
    }
)
_KEY = ["target", "function"]
_TESTS = 4  # of each function
_BATCH = 5  # of MSER-5
# What differs by less is no matter, however sure it is.
_LEAST_CHANGE = 0.05


def stability(
    summary: pl.DataFrame, timeline: pl.DataFrame, *, confidence: float = 0.95
) -> pl.DataFrame:
    """Test each function of a run for a warm-up, a trend, and iterations that depend on each other.

    Args:
        summary: ``run.summary``.
        timeline: ``run.timeline``.
        confidence: How sure all remarks together are.

    Returns:
        One row per target and function, of iterations that came to their end. Within the load:
        ``seconds`` (how many have a median), ``warmup_s`` (how many of the first to leave out by
        MSER-5, White 1997; 0 where the first five do not differ from the second half), ``trend``
        (Spearman's rank correlation with time of what is left) with its ``trend_p``, ``steady``
        (false where that is no chance and amounts to 5 % or more; null for under 5 seconds). From
        iteration to iteration, of ``latency_ms_p50``: ``iterations``, ``iterations_lag1`` (the
        correlation with the one before) and ``iterations_trend``, each with its ``_p``.
        ``remark``: what of it is no chance, in words; else null.
    """
    complete = complete_iterations(summary)
    keys = complete.select(_KEY).unique(maintain_order=True).rows()
    unlikely = (1 - confidence) / (_TESTS * max(len(keys), 1))
    whole = timeline.join(complete.select(*_KEY, "iteration"), on=[*_KEY, "iteration"], how="semi")
    rows = []
    for target, function in keys:
        mine = {"target": target, "function": function}
        medians = (
            whole.filter(**mine)
            .group_by("second")
            .agg(pl.col("latency_ms_p50").median())
            .drop_nulls()
            .sort("second")["latency_ms_p50"]
            .to_numpy()
        )
        found = _Found.of(medians, values_of(complete.filter(**mine), "latency_ms_p50"), unlikely)
        rows.append((target, function, *found.row(unlikely)))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def remarks_of(frame: pl.DataFrame) -> list[str]:
    """The remarks, each with its function."""
    several = frame["target"].n_unique() > 1
    return [
        f"{function}{f' of {target}' if several else ''}: {remark}"
        for target, function, remark in frame.select(*_KEY, "remark").drop_nulls().iter_rows()
    ]


@dataclass(frozen=True)
class _Found:
    """What the tests of one function found."""

    medians: Values
    iterations: Values
    warmup_s: int
    trend: Correlation | None
    lag1: Correlation | None
    course: Correlation | None

    @classmethod
    def of(cls, medians: Values, iterations: Values, unlikely: float) -> _Found:
        first = start(medians)
        is_early = first is not None and first.p <= unlikely
        cut = warmup_length(medians) if is_early else 0
        if 2 * cut > len(medians) - _BATCH:  # as much as it ever cuts: there was no end to it
            cut = 0
        left = medians[cut:]
        return cls(medians, iterations, cut, trend(left), lag1(iterations), trend(iterations))

    def row(self, unlikely: float) -> tuple[object, ...]:
        def pair(found: Correlation | None) -> tuple[float | None, float | None]:
            return (None, None) if found is None else astuple(found)

        remark = "; ".join(self._remarks(unlikely)) or None
        steady = None if self.trend is None else not self._drifts(unlikely)
        return (
            *(len(self.medians), self.warmup_s, *pair(self.trend), steady),
            *(len(self.iterations), *pair(self.lag1), *pair(self.course), remark),
        )

    def _drifts(self, unlikely: float) -> bool:
        left = self.medians[self.warmup_s :]
        return _is_told(self.trend, left, unlikely)

    def _remarks(self, unlikely: float) -> Iterator[str]:
        left = self.medians[self.warmup_s :]
        if self._drifts(unlikely):
            yield (
                f"its latency never gets steady: it {_course(left)} through the load (Spearman's "
                f"rank correlation {self.trend.value if self.trend else 0:.2f} over {len(left)} s)"
            )
        elif self.warmup_s:
            before, after = np.median(self.medians[: self.warmup_s]), np.median(left)
            yield (
                f"the first {self.warmup_s} s are a warm-up (MSER-5; median {before:.3g} ms, then "
                f"{after:.3g} ms): leave them out, or give warmup="
            )
        if self.lag1 is not None and self.lag1.p <= unlikely:
            yield (
                f"each iteration is like the one before it (correlation {self.lag1.value:.2f}): "
                "give longer rests or more iterations"
            )
        if _is_told(self.course, self.iterations, unlikely):
            yield f"its p50 {_course(self.iterations)} from the first iterations to the last"


def _is_told(found: Correlation | None, values: Values, unlikely: float) -> bool:
    return found is not None and found.p <= unlikely and abs(_change(values)) >= _LEAST_CHANGE


def _change(values: Sequence[float] | Values) -> float:
    """The median of the last third over that of the first, less 1."""
    third = max(len(values) // 3, 1)
    first = float(np.median(values[:third]))
    return float(np.median(values[-third:])) / first - 1 if first else 0.0


def _course(values: Values) -> str:
    change = _change(values)
    return f"{'rises' if change > 0 else 'falls'} by {abs(change):.0%}"
