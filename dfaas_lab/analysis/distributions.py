"""Quantiles and tails of the beta distribution and of Student's t. Numbers only."""

from __future__ import annotations

import math
from functools import lru_cache

_TINY = 1e-300
_PRECISION = 1e-14


@lru_cache(maxsize=4096)
def student_quantile(probability: float, degrees: float) -> float:
    """The quantile of Student's t, by that of the beta distribution (DLMF 8.17; A & S 26.7.1).

    Args:
        probability: Above one half.
        degrees: Degrees of freedom, not necessarily whole.

    >>> round(student_quantile(0.975, 2), 3)
    4.303
    """
    x = beta_quantile(2 * (1 - probability), degrees / 2, 0.5)
    return math.sqrt(degrees * (1 - x) / x)


def student_tail(t: float, degrees: float) -> float:
    """The probability that Student's t is at least this far from 0, on either side (DLMF 8.17).

    >>> round(student_tail(4.303, 2), 3)
    0.05
    """
    return _beta(degrees / (degrees + t * t), degrees / 2, 0.5) if math.isfinite(t) else 0.0


def binomial_at_most(successes: int, trials: int, probability: float) -> float:
    """The probability of at most this many successes of independent trials.

    >>> round(binomial_at_most(1, 3, 0.5), 3)
    0.5
    """
    if successes < 0:
        return 0.0
    if successes >= trials:
        return 1.0
    return 1 - _beta(probability, successes + 1, trials - successes)


def beta_quantile(probability: float, a: float, b: float) -> float:
    """The quantile of the beta distribution with these two shapes, by bisection.

    >>> round(beta_quantile(0.025, 8, 3), 3)
    0.444
    """
    if not (0 <= probability <= 1 and 0 < a < math.inf and 0 < b < math.inf):
        raise ValueError(f"no beta distribution: {probability}, {a}, {b}")  # NaN would take hours
    low, high = 0.0, 1.0
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if _beta(middle, a, b) < probability else (low, middle)
    return high


def _beta(x: float, a: float, b: float) -> float:
    """The regularized incomplete beta function, which is P(X <= x)."""
    if not 0 < x < 1:
        return float(x >= 1)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    # The fraction converges fast on one side of the mean only; the function is symmetric.
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of DLMF 8.17.22, by Lentz's method (Thompson & Barnett 1986)."""
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 100_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for part in (even, odd):
            d = 1 / ((1 + part * d) or _TINY)
            c = (1 + part / c) or _TINY
            value *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    return value
