"""Confidence intervals of quantiles from sorted values: no assumption on their distribution.

The number of values below the true quantile is binomial, so two of the sorted values enclose it
with a probability that is known (David & Nagaraja 2003, Order Statistics, section 7.1). That holds
for independent values. Requests of one run share queues and neighbours: their interval is narrower
than the truth, and says how well the requests tell the quantile of this very run.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from dfaas_lab.analysis.distributions import binomial_at_most
from dfaas_lab.analysis.trend import Values


def values_needed(quantile: float, *, confidence: float = 0.95) -> int:
    """How many values a two-sided interval of a quantile needs at least.

    >>> [values_needed(q) for q in (0.5, 0.9, 0.95, 0.99)]
    [6, 36, 72, 368]
    """
    rarer = min(quantile, 1 - quantile)
    return math.ceil(math.log((1 - confidence) / 2) / math.log(1 - rarer))


def quantile_interval(
    values: Values, quantile: float, *, confidence: float = 0.95
) -> tuple[float, float] | None:
    """The limits of a quantile, two of the values; None for fewer than :func:`values_needed`.

    Args:
        values: In any order, without NaN.
        quantile: 0..1.
        confidence: Between 0 and 1, shared by both sides.

    >>> quantile_interval(np.arange(1.0, 101.0), 0.5)
    (40.0, 61.0)
    """
    n, tail = len(values), (1 - confidence) / 2
    if n < values_needed(quantile, confidence=confidence):
        return None
    ordered = np.sort(values)
    low = _largest(lambda k: binomial_at_most(k - 1, n, quantile) <= tail, n)
    high = n + 1 - _largest(lambda k: binomial_at_most(k - 1, n, 1 - quantile) <= tail, n)
    return float(ordered[low - 1]), float(ordered[high - 1])


def _largest(holds: Callable[[int], bool], n: int) -> int:
    """The largest k from 1 to n for which it holds, where it holds for all smaller ones."""
    low, high = 1, n
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low
