"""Confidence intervals from a few independent iterations, by the bootstrap. Numbers, no frames.

The iterations of a run are what is independent: requests within one share its queues, caches and
neighbours, and intervals that take them for independent are far too narrow. So the iterations are
resampled, never the requests (the bootstrap of clusters, Davison & Hinkley 1997, section 3.8).

- From 8 iterations on: the studentized bootstrap, or bootstrap-t (Efron & Tibshirani 1993, section
  12.5; Davison & Hinkley 1997, section 5.2), which follows skewed values.
- With 3 to 7: the bootstrap's standard error with Student's t (Efron & Tibshirani 1993, section
  12.4); resamples are spread by sqrt(n / (n - 1)), for the bootstrap's own variance is too
  small by (n - 1) / n. The studentized bootstrap is useless here: a resample of so few values is
  often one value repeated.
- With fewer: no interval.

The percentile bootstrap, the usual choice, is not used: its limits lie between the smallest and the
largest value, and 95 % means 77 % with 3 iterations and 83 % with 5 (simulated; the tests measure
the coverage of what is used instead).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

FEWEST = 3
STUDENTIZED = 8
RESAMPLES = 4000
BOOTSTRAP_T = "bootstrap-t over iterations"
BOOTSTRAP_SE = "bootstrap standard error over iterations, Student's t"
BINOMIAL = "exact binomial"


@dataclass(frozen=True)
class Interval:
    """An estimate with its limits; None where there are too few iterations to tell."""

    estimate: float
    low: float | None
    high: float | None
    method: str


# An estimate and its variance out of samples of shape (..., n).
_Statistic = Callable[[list["Values"]], "tuple[Values, Values]"]


def mean_interval(values: Values, *, confidence: float, seed: int) -> Interval:
    """The mean of the iterations' values."""
    return _interval([values], _mean, confidence, seed)


def difference_interval(a: Values, b: Values, *, confidence: float, seed: int) -> Interval:
    """The mean of ``b`` less the mean of ``a``."""
    return _interval([a, b], _difference, confidence, seed)


def ratio_interval(a: Values, b: Values, *, confidence: float, seed: int) -> Interval:
    """The mean of ``b`` over the mean of ``a``, made on the logarithm; both must be positive."""
    logarithm = _interval([a, b], _log_ratio, confidence, seed)
    low, high = (None if x is None else math.exp(x) for x in (logarithm.low, logarithm.high))
    return Interval(math.exp(logarithm.estimate), low, high, logarithm.method)


def binomial_interval(successes: int, trials: int, *, confidence: float) -> tuple[float, float]:
    """The exact interval (Clopper & Pearson 1934) where all trials, or none, succeeded.

    >>> low, high = binomial_interval(100, 100, confidence=0.95)
    >>> round(low, 3), high
    (0.964, 1.0)
    """
    if successes not in (0, trials):
        raise ValueError("only for none or all")
    edge = ((1 - confidence) / 2) ** (1 / trials)
    return (edge, 1.0) if successes else (0.0, 1 - edge)


def student_quantile(probability: float, degrees: int) -> float:
    """The quantile of Student's t, by bisection of its exact distribution.

    Args:
        probability: Above one half.
        degrees: A whole number of degrees of freedom.

    >>> round(student_quantile(0.975, 2), 3)
    4.303
    """
    low, high = 0.0, 1.0
    while _student(high, degrees) < probability:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _student(middle, degrees) < probability else (low, middle)
    return high


def _student(t: float, degrees: int) -> float:
    """P(T <= t) for t >= 0: Abramowitz & Stegun 1964, 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(degrees))
    odd = degrees % 2
    term, total = (math.cos(angle), 0.0) if odd else (1.0, 1.0)
    if odd and degrees > 1:
        total = term
    for k in range(3 if odd else 2, degrees - 1, 2):
        term *= math.cos(angle) ** 2 * (k - 1) / k
        total += term
    within = 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
    return 0.5 + within / 2


def _interval(samples: list[Values], of: _Statistic, confidence: float, seed: int) -> Interval:
    estimate, variance = (float(x) for x in of(samples))
    fewest = min(len(sample) for sample in samples)
    if fewest < FEWEST:
        return Interval(estimate, None, None, f"none: fewer than {FEWEST} iterations")
    random = np.random.default_rng(seed)
    tail = (1 - confidence) / 2
    if fewest >= STUDENTIZED:
        drawn, drawn_variance = of([_resampled(sample, random) for sample in samples])
        # A resample of one value repeated has no spread; it says nothing, and is rare from 8 on.
        told = drawn_variance > 0
        t = (drawn[told] - estimate) / np.sqrt(drawn_variance[told])
        error = math.sqrt(variance)
        low_t, high_t = np.quantile(t, [tail, 1 - tail]) if told.any() else (0.0, 0.0)
        low, high = estimate - high_t * error, estimate - low_t * error
        return Interval(estimate, float(low), float(high), BOOTSTRAP_T)
    drawn, _ = of([_resampled(_spread(sample), random) for sample in samples])
    half = student_quantile(1 - tail, _degrees(samples)) * float(drawn.std())
    return Interval(estimate, estimate - half, estimate + half, BOOTSTRAP_SE)


def _resampled(sample: Values, random: np.random.Generator) -> Values:
    return sample[random.integers(0, len(sample), (RESAMPLES, len(sample)))]


def _spread(sample: Values) -> Values:
    n = len(sample)
    spread: Values = sample.mean() + math.sqrt(n / (n - 1)) * (sample - sample.mean())
    return spread


def _degrees(samples: list[Values]) -> int:
    """Degrees of freedom by Welch and Satterthwaite, rounded down; n - 1 of a single sample."""
    shares = [float(sample.var(ddof=1)) / len(sample) for sample in samples]
    fewest = min(len(sample) for sample in samples) - 1
    below = sum(share**2 / (len(s) - 1) for share, s in zip(shares, samples, strict=True))
    return max(int(sum(shares) ** 2 / below), fewest) if below else fewest


def _mean(samples: list[Values]) -> tuple[Values, Values]:
    (values,) = samples
    return values.mean(-1), _variance(values)


def _difference(samples: list[Values]) -> tuple[Values, Values]:
    a, b = samples
    return b.mean(-1) - a.mean(-1), _variance(a) + _variance(b)


def _log_ratio(samples: list[Values]) -> tuple[Values, Values]:
    a, b = samples
    means = [np.maximum(sample.mean(-1), np.finfo(float).tiny) for sample in samples]
    variance = _variance(a) / means[0] ** 2 + _variance(b) / means[1] ** 2
    return np.log(means[1]) - np.log(means[0]), variance


def _variance(values: Values) -> Values:
    n = values.shape[-1]
    variance: Values = values.var(-1, ddof=1) / n if n > 1 else np.zeros(values.shape[:-1])
    return variance
