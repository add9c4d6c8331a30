"""How two runs differ, with intervals and in words. Pure; drawing it in a notebook is a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from dfaas_lab.analysis.comparability import called, remarks
from dfaas_lab.analysis.intervals import ratio_interval
from dfaas_lab.analysis.rate_intervals import rate_difference_interval
from dfaas_lab.analysis.statistics import (
    MEASURES,
    check_confidence,
    complete_iterations,
    success_rate_of,
    values_of,
)
from dfaas_lab.display import text
from dfaas_lab.printable import printable

SCHEMA = pl.Schema(
    {
        "target": pl.String(),
        "function": pl.String(),
        "measure": pl.String(),
        "a": pl.Float64(),
        "b": pl.Float64(),
        "change": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "method": pl.String(),
    }
)
_WORDS = {"latency_ms_mean": "mean latency", "success_rate": "success rate"}


class Measured(Protocol):
    """What can be compared: a run, or anything with an id and a summary."""

    @property
    def id(self) -> str:
        """What it is called."""

    @property
    def summary(self) -> pl.DataFrame:
        """One row per iteration and function."""


@dataclass(frozen=True)
class Comparison:
    """What changed from one run to another.

    Args:
        a: The id of the run that was first.
        b: The id of the run that is compared with it.
        differences: One row per function and measure: ``target, function, measure, a, b`` (means
            over iterations), ``change`` with its limits ``low`` and ``high``, and the ``method``.
            The change of a latency is relative (0.12: 12 % higher), that of the success rate is
            ``b - a``. ``target`` is null where the runs are of one target each.
        confidence: Of the intervals.
        remarks: What cannot be compared, or only with care, in words: functions of one run only,
            rates and durations that differ.
    """

    a: str
    b: str
    differences: pl.DataFrame
    confidence: float
    remarks: tuple[str, ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        """One sentence per function and measure."""
        return tuple(_sentence(row) for row in self.differences.iter_rows(named=True))

    def __str__(self) -> str:
        return "\n".join(printable(line) for line in (self._head, *self.sentences, *self._notes))

    def _repr_html_(self) -> str:
        lines = (*self.sentences, *self._notes)
        items = "".join(f"<li>{text(line)}</li>" for line in lines)
        return f"<p>{text(self._head)}</p><ul>{items}</ul>"

    @property
    def _head(self) -> str:
        return f"{self.b} compared with {self.a} ({self.confidence:.0%} intervals):"

    @property
    def _notes(self) -> tuple[str, ...]:
        return tuple(f"Note: {remark}." for remark in self.remarks)


def compare(
    run_a: Measured, run_b: Measured, *, confidence: float = 0.95, seed: int = 0
) -> Comparison:
    """Return how ``run_b`` differs from ``run_a``, function by function.

    Iterations are compared, not requests: the interval is that of the ratio of the means over
    iterations, both runs resampled independently, by the methods of
    :mod:`dfaas_lab.analysis.intervals` (Efron & Tibshirani 1993, sections 12.4 and 12.5; degrees of
    freedom by Welch and Satterthwaite); of the success rate it is that of the difference, by
    :mod:`dfaas_lab.analysis.rate_intervals`. Each interval stands for itself: one of twenty misses.

    Args:
        run_a: What is compared with.
        run_b: What is compared.
        confidence: Of the intervals, between 0 and 1.
        seed: Of the resampling.

    Raises:
        ConfigError: A confidence that is none.

    >>> print(compare(before, after))  # doctest: +SKIP
    p95 of figlet is 12 % higher [8 %, 16 %]
    """
    check_confidence(confidence)
    a, b = complete_iterations(run_a.summary), complete_iterations(run_b.summary)
    single = max(a["target"].n_unique(), b["target"].n_unique()) <= 1
    if single:
        # Two nodes, one each: they are compared although their names differ.
        a, b = (x.with_columns(target=pl.lit(None, pl.String)) for x in (a, b))
    rows = [
        (*key, measure, *_change(mine, other, measure, confidence, seed))
        for key, mine, other in _pairs(a, b)
        for measure in MEASURES
        if len(values_of(mine, measure)) and len(values_of(other, measure))
    ]
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    return Comparison(run_a.id, run_b.id, frame, confidence, remarks(a, b, (run_a.id, run_b.id)))


def _pairs(
    a: pl.DataFrame, b: pl.DataFrame
) -> Iterator[tuple[tuple[object, ...], pl.DataFrame, pl.DataFrame]]:
    others = dict(b.group_by("target", "function"))
    for key, group in a.group_by("target", "function", maintain_order=True):
        if key in others:
            yield key, group, others[key]


def _change(
    a: pl.DataFrame, b: pl.DataFrame, measure: str, confidence: float, seed: int
) -> tuple[object, ...]:
    x, y = values_of(a, measure), values_of(b, measure)
    means = float(x.mean()), float(y.mean())
    if measure == "success_rate":
        got = rate_difference_interval(*(success_rate_of(run, confidence) for run in (a, b)))
        return (*means, got.estimate, got.low, got.high, got.method)
    if min(means) <= 0:
        return (*means, None, None, None, "none: a mean of 0 has no ratio")
    got = ratio_interval(x, y, confidence=confidence, seed=seed)
    low, high = (None if limit is None else limit - 1 for limit in (got.low, got.high))
    return (*means, got.estimate - 1, low, high, got.method)


def _sentence(row: dict[str, object]) -> str:
    measure, change = str(row["measure"]), row["change"]
    name = _WORDS.get(measure) or measure.removeprefix("latency_ms_")
    target = None if row["target"] is None else str(row["target"])
    of = f"{name} of {called((target, str(row['function'])))}"
    if not isinstance(change, float):
        return f"{of} cannot be compared ({row['method']})"
    unit = " points" if measure == "success_rate" else " %"
    told = f"{of} is {_number(abs(change))}{unit} {'higher' if change >= 0 else 'lower'}"
    low, high = row["low"], row["high"]
    if not (isinstance(low, float) and isinstance(high, float)):
        return f"{told} (no interval: {str(row['method']).removeprefix('none: ')})"
    # Of what is lower, the limits are told as how much lower: 12 % lower [8 %, 16 %].
    limits = (low, high) if change >= 0 else (-high, -low)
    told += f" [{_number(limits[0])}{unit}, {_number(limits[1])}{unit}]"
    return told if low > 0 or high < 0 else f"{told}, which can be chance"


def _number(share: float) -> str:
    """A share in percent, with two digits that mean something."""
    percent = share * 100
    return f"{percent:.0f}" if abs(percent) >= 10 else f"{percent:.2g}"
