"""Tests whether a series of measurements is steady: autocorrelation, trend, warm-up. No frames.

Intervals over iterations take the iterations for independent. These tests say when they are not
(Le Boudec 2010, Performance Evaluation of Computer and Communication Systems, section 2.3).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dfaas_lab.analysis.distributions import student_tail

Values = NDArray[np.float64]

FEWEST_FOR_LAG = 8
_FEWEST_FOR_TREND = 5
_BATCH = 5  # MSER-5: means of five neighbours
_MOST_CUT = 0.5


@dataclass(frozen=True)
class Correlation:
    """A correlation, -1..1, and the probability that chance alone gives one at least as far off."""

    value: float
    p: float


def lag1(values: Values) -> Correlation | None:
    """The correlation of each value with the next one; None for fewer than 8 values.

    The probability is one-sided: only a positive correlation makes intervals too narrow. By the
    normal approximation with mean -1 / n (Kendall & Stuart 1966, section 48.12).

    >>> lag1(np.arange(20.0)).p < 0.001
    True
    """
    n = len(values)
    if n < FEWEST_FOR_LAG or not np.isfinite(values).all() or np.ptp(values) == 0:
        return None
    spread = values - values.mean()
    total = float((spread**2).sum())
    value = float((spread[:-1] * spread[1:]).sum() / total)
    z = (value + 1 / n) / math.sqrt((n - 2) ** 2 / (n**2 * (n - 1)))
    return Correlation(value, math.erfc(z / math.sqrt(2)) / 2)


def inflation(values: Values) -> float:
    """By how much correlation widens the variance of a mean: (1 + r) / (1 - r), at least 1.

    1 where the correlation of neighbours can be chance (p above 0.05), or cannot be tested.
    """
    found = lag1(values)
    if found is None or found.p > 0.05:
        return 1.0
    # The estimate of r is too low by about (1 + 4 r) / n (Kendall 1954, Biometrika 41, 403-404).
    r = min(found.value + (1 + 4 * found.value) / len(values), 0.9)
    return (1 + r) / (1 - r)


def trend(values: Values) -> Correlation | None:
    """Spearman's rank correlation of the values with their order; None for fewer than 5 values.

    >>> trend(np.array([1.0, 2.0, 2.5, 4.0, 7.0, 9.0])).value
    1.0
    """
    n = len(values)
    if n < _FEWEST_FOR_TREND or not np.isfinite(values).all() or np.ptp(values) == 0:
        return None
    return _rank_correlation(values, np.arange(n, dtype=np.float64))


def start(values: Values) -> Correlation | None:
    """Whether the first 5 values differ from the second half; None for fewer than 10 values.

    The correlation of the ranks with being one of the first, tested by Student's t on ranks
    (Conover & Iman 1981, The American Statistician 35, 124-129).

    >>> start(np.array([90.0, 60, 40, 20, 12] + [10.0, 11] * 20)).p < 0.001
    True
    """
    rest = values[max(len(values) // 2, _BATCH) :]
    both = np.concatenate([values[:_BATCH], rest])
    if len(both) < 2 * _BATCH or not np.isfinite(both).all() or np.ptp(both) == 0:
        return None
    return _rank_correlation(both, (np.arange(len(both)) < _BATCH).astype(np.float64))


def _rank_correlation(values: Values, other: Values) -> Correlation:
    n = len(values)
    rho = float(np.corrcoef(pl.Series(values).rank(), other)[0, 1])
    rho = max(-1.0, min(1.0, round(rho, 12)))
    t = math.inf if abs(rho) == 1 else rho * math.sqrt((n - 2) / (1 - rho**2))
    return Correlation(rho, student_tail(t, n - 2))


def warmup_length(values: Values) -> int:
    """How many first values to leave out, by MSER-5 (White 1997, Simulation 69, 323-334).

    It proposes and never refuses: a series that never gets steady has its trend tested apart.
    At most the first half is ever left out.

    >>> warmup_length(np.array([90.0, 60, 40, 20, 12] + [10.0, 11] * 20))
    5
    """
    batches = len(values) // _BATCH
    means = values[: batches * _BATCH].reshape(batches, _BATCH).mean(axis=1)
    most = int(batches * _MOST_CUT)
    if most < 1:
        return 0
    errors = [means[cut:].var() / (batches - cut) for cut in range(most + 1)]
    return int(np.argmin(errors)) * _BATCH
