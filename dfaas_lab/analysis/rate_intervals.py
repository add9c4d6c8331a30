"""Confidence intervals of success rates from a few independent iterations. Numbers, no frames.

Rates are near 1, and often 1 in most iterations: neither the bootstrap nor Student's t covers them
there (seven iterations without a failure and one with some leave most resamples without spread).

- One run: the exact binomial interval (Clopper & Pearson 1934) of as many requests as the
  iterations are worth: the effective sample size of Korn & Graubard (1998, Survey Methodology 24,
  193-201), which is smaller the more iterations differ, and the fewer they are.
- All requests succeeded, or none: the exact binomial interval of all requests.
- Two runs: the square-and-add method (Newcombe 1998, Statistics in Medicine 17, 873-890, method 10)
  of both runs' intervals.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from dfaas_lab.analysis.distributions import beta_quantile, student_quantile
from dfaas_lab.analysis.intervals import FEWEST, TOO_FEW, Interval
from dfaas_lab.errors import ConfigError

if TYPE_CHECKING:
    from dfaas_lab.analysis.intervals import Values

BINOMIAL = "exact binomial"
EFFECTIVE = "exact binomial, effective sample size over iterations"
# The time to count grows with their square root, and the interval is 0.0001 wide then.
_MOST_TRIALS = 10**8
SQUARE_AND_ADD = "square-and-add of exact binomial intervals"


def rate_interval(rates: Values, requests: int, *, confidence: float) -> Interval:
    """The mean of the iterations' success rates.

    Args:
        rates: One per iteration, 0..1.
        requests: How many requests all these iterations made.
        confidence: Between 0 and 1.

    Raises:
        ConfigError: One of them is no rate.
    """
    if not ((rates >= 0) & (rates <= 1)).all():  # nor is NaN, in files of others
        raise ConfigError(
            "a success rate lies between 0 and 1, and these do not",
            hint="The results were changed since they were measured: ask for them again.",
        )
    estimate = float(rates.mean())
    if len(rates) < FEWEST:
        return Interval(estimate, None, None, TOO_FEW)
    trials = float(min(max(requests, len(rates)), _MOST_TRIALS))
    if estimate in (0.0, 1.0):
        low, high = binomial_interval(estimate * trials, trials, confidence=confidence)
        return Interval(estimate, low, high, BINOMIAL)
    trials = _effective(rates, trials, confidence)
    low, high = binomial_interval(estimate * trials, trials, confidence=confidence)
    return Interval(estimate, low, high, EFFECTIVE)


def rate_difference_interval(a: Interval, b: Interval) -> Interval:
    """The success rate ``b`` less the success rate ``a``, of the interval of each."""
    estimate = b.estimate - a.estimate
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return Interval(estimate, None, None, TOO_FEW)
    low = estimate - math.hypot(b.estimate - b.low, a.high - a.estimate)
    high = estimate + math.hypot(b.high - b.estimate, a.estimate - a.low)
    return Interval(estimate, low, high, SQUARE_AND_ADD)


def binomial_interval(successes: float, trials: float, *, confidence: float) -> tuple[float, float]:
    """The exact interval of Clopper & Pearson (1934); effective numbers need not be whole.

    >>> low, high = binomial_interval(100, 100, confidence=0.95)
    >>> round(low, 3), high
    (0.964, 1.0)
    """
    tail, failures = (1 - confidence) / 2, trials - successes
    low = beta_quantile(tail, successes, failures + 1) if successes else 0.0
    high = beta_quantile(1 - tail, successes + 1, failures) if failures else 1.0
    return low, high


def _effective(rates: Values, trials: float, confidence: float) -> float:
    """How many independent requests tell as much as these iterations."""
    estimate, error = float(rates.mean()), float(rates.var(ddof=1)) / len(rates)
    worth = min(trials, estimate * (1 - estimate) / error) if error else trials
    probability = (1 + confidence) / 2
    of_requests = student_quantile(probability, trials - 1)
    of_iterations = student_quantile(probability, len(rates) - 1)
    return worth * (of_requests / of_iterations) ** 2
