"""Differences of two sides, with simultaneous confidence intervals. Pure: frames in, frames out.

The repeated unit is the iteration. All numbers of one comparison are judged together: with eight
functions and eleven measures, one of twenty intervals that each hold for themselves would miss
somewhere nearly always. The limits ``low`` and ``high`` therefore hold for all rows at once, by
Bonferroni's inequality (Miller 1981, Simultaneous Statistical Inference, section 1.3), whatever the
correlation of the measures. ``alone_low`` and ``alone_high`` hold for a row by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from dfaas_lab.analysis.distributions import student_quantile
from dfaas_lab.analysis.intervals import EQUAL, FEWEST, TOO_FEW, Interval, ratio_interval
from dfaas_lab.analysis.rate_intervals import rate_difference_interval
from dfaas_lab.analysis.statistics import MEASURES, requests_of, values_of
from dfaas_lab.analysis.trend import Values

SCHEMA = pl.Schema(
    {
        "side_a": pl.String(),
        "side_b": pl.String(),
        "target": pl.String(),
        "function": pl.String(),
        "measure": pl.String(),
        "a": pl.Float64(),
        "b": pl.Float64(),
        "change": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "alone_low": pl.Float64(),
        "alone_high": pl.Float64(),
        "differs": pl.Boolean(),
        "method": pl.String(),
    }
)
POWER_SCHEMA = pl.Schema(
    {
        "side_a": pl.String(),
        "side_b": pl.String(),
        "target": pl.String(),
        "function": pl.String(),
        "measure": pl.String(),
        "blocks": pl.Int64(),
        "detectable": pl.Float64(),
        "same_within": pl.Float64(),
        "blocks_to_halve": pl.Int64(),
    }
)
PAIRED = "Student's t over blocks, paired"
_POWER = 0.8
_MOST_BLOCKS = 100_000


@dataclass(frozen=True)
class Pair:
    """The iterations of one function on two sides; paired ones stand in the same row of both.

    ``key`` is target (None where it does not tell rows apart) and function; ``a`` and ``b`` are
    rows of ``summary``.
    """

    sides: tuple[str, str]
    key: tuple[str | None, str]
    a: pl.DataFrame
    b: pl.DataFrame

    def values(self, measure: str) -> tuple[Values, Values]:
        """The iterations' values on both sides, null where one was not measured."""
        return values_of(self.a, measure), values_of(self.b, measure)

    def paired(self, measure: str) -> tuple[Values, Values]:
        """The values of the blocks in which both sides have one."""
        both = pl.DataFrame({"a": self.a[measure], "b": self.b[measure]}).drop_nulls()
        return both["a"].to_numpy(), both["b"].to_numpy()


class _Measured(NamedTuple):
    """The values of one measure on both sides of a pair."""

    pair: Pair
    measure: str
    a: Values
    b: Values


# Of these and a confidence: the change with its limits.
_Judge = Callable[[_Measured, float], Interval]


def unpaired(pairs: Sequence[Pair], *, confidence: float, seed: int) -> pl.DataFrame:
    """One row per function and measure of runs that were made one after the other.

    The change of a time is that of the means over iterations, relative (0.12: 12 % higher), by the
    methods of :mod:`dfaas_lab.analysis.intervals`; of the success rate it is the difference, by
    :mod:`dfaas_lab.analysis.rate_intervals`.
    """

    def judge(one: _Measured, level: float) -> Interval:
        pair, measure, a, b = one
        if measure == "success_rate":
            requests = requests_of(pair.a), requests_of(pair.b)
            return rate_difference_interval(a, b, requests, confidence=level)
        ratio = ratio_interval(a, b, confidence=level, seed=seed)
        low, high = (None if x is None else x - 1 for x in (ratio.low, ratio.high))
        return Interval(ratio.estimate - 1, low, high, ratio.method)

    return _frame(_measured(pairs, Pair.values), judge, confidence)


def paired(pairs: Sequence[Pair], *, confidence: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The differences within blocks, and what so many blocks could have shown.

    The change of a time is the mean of the blocks' logarithms of b / a, as a relative change; that
    of the success rate the mean difference. Drift of the system cancels within a block, since the
    order within each block is drawn (Box, Hunter & Hunter 2005, sections 3.2 and 4.2).

    Returns:
        The rows of :data:`SCHEMA`, and of :data:`POWER_SCHEMA`: ``detectable`` is the smallest
        change that these blocks show in 8 of 10 cases, ``same_within`` the largest change that the
        interval allows, ``blocks_to_halve`` how many more blocks halve ``detectable``. Relative,
        but for the success rate.
    """
    measured = _measured(pairs, Pair.paired)
    level = _all_together(confidence, len(measured))

    def judge(one: _Measured, level: float) -> Interval:
        differences = _Differences.of(one)
        far = differences.reach(level)
        if far is None:
            why = TOO_FEW if len(differences.values) < FEWEST else EQUAL
            return Interval(differences.change(0.0), None, None, why)
        low, high = (differences.change(sign * far) for sign in (-1, 1))
        return Interval(differences.change(0.0), low, high, PAIRED)

    frame = _frame(measured, judge, confidence)
    limits = frame.select("low", "high").rows()
    power = [
        (*one.pair.sides, *one.pair.key, one.measure, *_Differences.of(one).power(level, *row))
        for one, row in zip(measured, limits, strict=True)
    ]
    return frame, pl.DataFrame(power, schema=POWER_SCHEMA, orient="row")


@dataclass(frozen=True)
class _Differences:
    """One difference per block: of logarithms where it is relative."""

    values: Values
    relative: bool
    floor: float = 0.0

    @classmethod
    def of(cls, one: _Measured) -> _Differences:
        pair, measure, a, b = one
        if measure != "success_rate":
            return cls(np.log(b) - np.log(a), relative=True)
        # Blocks without a failure have no spread: independent requests are the least there is.
        requests = max(min(requests_of(pair.a), requests_of(pair.b)), 1) + 2
        rates = [(float(x.mean()) * (requests - 2) + 1) / requests for x in (a, b)]
        floor = math.sqrt(sum(rate * (1 - rate) / requests for rate in rates))
        return cls(b - a, relative=False, floor=floor)

    def change(self, beside: float) -> float:
        """The mean difference, or what is so far beside it, as a change."""
        value = float(self.values.mean()) + beside
        return math.expm1(value) if self.relative else max(-1.0, min(1.0, value))

    def _error(self, blocks: int) -> float:
        n = len(self.values)
        spread = max(float(self.values.std(ddof=1)), self.floor * math.sqrt(n))
        return spread / math.sqrt(blocks)

    def reach(self, level: float) -> float | None:
        """How far the limits are from the mean; None for too few blocks, or equal ones."""
        n = len(self.values)
        if n < FEWEST or not self._error(n):
            return None
        return student_quantile((1 + level) / 2, n - 1) * self._error(n)

    def _detectable(self, level: float, blocks: int) -> float:
        t = sum(student_quantile(p, blocks - 1) for p in ((1 + level) / 2, _POWER))
        return t * self._error(blocks)

    def power(
        self, level: float, low: float | None, high: float | None
    ) -> tuple[int, float | None, float | None, int | None]:
        """Blocks, the detectable change, the largest one left, and the blocks that halve it."""
        n = len(self.values)
        if low is None or high is None:
            return n, None, None, None
        found, more = self._detectable(level, n), n + 1
        while self._detectable(level, more) > found / 2 and more < _MOST_BLOCKS:
            more += max(1, more // 50)
        shown = math.expm1(found) if self.relative else found
        return n, shown, max(abs(low), abs(high)), more - n


def _measured(
    pairs: Sequence[Pair], values: Callable[[Pair, str], tuple[Values, Values]]
) -> list[_Measured]:
    found = (
        _Measured(pair, measure, *values(pair, measure))
        for pair in pairs
        for measure in MEASURES
        if measure in pair.a.columns
    )
    return [one for one in found if len(one.a) and len(one.b)]


def _all_together(confidence: float, rows: int) -> float:
    return 1 - (1 - confidence) / max(rows, 1)


def _frame(measured: Sequence[_Measured], judge: _Judge, confidence: float) -> pl.DataFrame:
    levels = confidence, _all_together(confidence, len(measured))
    rows = [
        (*one.pair.sides, *one.pair.key, one.measure, *_row(one, judge, levels)) for one in measured
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _row(one: _Measured, judge: _Judge, levels: tuple[float, float]) -> tuple[object, ...]:
    means = float(one.a.mean()), float(one.b.mean())
    if one.measure != "success_rate" and min(*one.a, *one.b) <= 0:
        why = "none: a time of 0 has no ratio"
        return (*means, None, None, None, None, None, None, why)
    alone, together = (judge(one, level) for level in levels)
    if together.low is None or together.high is None:
        return (*means, together.estimate, None, None, None, None, None, together.method)
    differs = together.low > 0 or together.high < 0
    limits = (together.low, together.high, alone.low, alone.high)
    return (*means, together.estimate, *limits, differs, together.method)
