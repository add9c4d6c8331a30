"""Confidence intervals of success rates from a few iterations. Numbers, no frames.

The repeated unit is the iteration: the requests of one iteration fail together, so none of these
intervals takes requests for independent.

- Failures in fewer than half of the iterations (or successes in fewer than half): the exact
  binomial interval (Clopper & Pearson 1934) with iterations as trials and the sum of their rates as
  successes. Of all distributions with a mean of p, the one that is only 0 or 1 spreads most, so
  this limit holds whatever an iteration that was not seen would be like. It is far: five perfect
  iterations tell of [0.48, 1]. The limit on the other side is that of the next point.
- Otherwise: the exact binomial interval of as many requests as the iterations are worth, the
  effective sample size of Korn & Graubard (1998, Survey Methodology 24, 193-201). It is smaller the
  more iterations differ, and the fewer they are.
- Two runs: Student's t on the iterations' rates (Welch), whose variance is at least that of
  independent requests (Agresti & Caffo 2000, The American Statistician 54, 280-288).
"""

from __future__ import annotations

import math

from dfaas_lab.analysis.distributions import beta_quantile, student_quantile
from dfaas_lab.analysis.intervals import FEWEST, TOO_FEW, Interval, welch_degrees
from dfaas_lab.analysis.trend import Values, inflation
from dfaas_lab.errors import ConfigError

BY_ITERATION = "exact binomial over iterations"
EFFECTIVE = "exact binomial, effective sample size over iterations"
# The time to count grows with their square root, and the interval is 0.0001 wide then.
_MOST_TRIALS = 10**8
DIFFERENCE = "Student's t over iterations (Welch)"


def rate_interval(rates: Values, requests: int, *, confidence: float) -> Interval:
    """The mean of the iterations' success rates.

    Args:
        rates: One per iteration, 0..1.
        requests: How many requests all these iterations made.
        confidence: Between 0 and 1.

    Raises:
        ConfigError: One of them is no rate.
    """
    _check_rates(rates)
    estimate, n = float(rates.mean()), len(rates)
    if n < FEWEST:
        return Interval(estimate, None, None, TOO_FEW)
    worth = _effective(rates, float(min(max(requests, n), _MOST_TRIALS)), confidence)
    low, high = binomial_interval(estimate * worth, worth, confidence=confidence)
    few_failed, few_succeeded = ((rates != end).sum() * 2 < n for end in (1, 0))
    if not (few_failed or few_succeeded):
        return Interval(estimate, low, high, EFFECTIVE)
    worth = n / inflation(rates)
    widest = binomial_interval(estimate * worth, worth, confidence=confidence)
    low, high = (widest[0], high) if few_failed else (low, widest[1])
    return Interval(estimate, low, high, BY_ITERATION)


def rate_difference_interval(
    a: Values, b: Values, requests: tuple[int, int], *, confidence: float
) -> Interval:
    """The mean success rate of ``b`` less that of ``a``, one rate per iteration.

    ``requests`` is how many each run made.

    Raises:
        ConfigError: One of them is no rate.
    """
    _check_rates(a)
    _check_rates(b)
    estimate, sizes = float(b.mean() - a.mean()), [len(a), len(b)]
    if min(sizes) < FEWEST:
        return Interval(estimate, None, None, TOO_FEW)
    shares = [rate_variance(rates, n) for rates, n in zip((a, b), requests, strict=True)]
    degrees = welch_degrees(shares, sizes)
    far = student_quantile((1 + confidence) / 2, degrees) * math.sqrt(sum(shares))
    return Interval(estimate, max(estimate - far, -1.0), min(estimate + far, 1.0), DIFFERENCE)


def rate_variance(rates: Values, requests: int) -> float:
    """The variance of a mean rate: between iterations, at least that of independent requests."""
    between = float(rates.var(ddof=1)) / len(rates) * inflation(rates)
    trials = max(requests, len(rates)) + 2
    likely = (float(rates.mean()) * (trials - 2) + 1) / trials
    return max(between, likely * (1 - likely) / trials)


def binomial_interval(successes: float, trials: float, *, confidence: float) -> tuple[float, float]:
    """The exact interval of Clopper & Pearson (1934); effective numbers need not be whole.

    >>> low, high = binomial_interval(100, 100, confidence=0.95)
    >>> round(low, 3), high
    (0.964, 1.0)
    """
    tail, failures = (1 - confidence) / 2, max(trials - successes, 0.0)
    low = beta_quantile(tail, successes, failures + 1) if successes else 0.0
    high = beta_quantile(1 - tail, successes + 1, failures) if failures else 1.0
    return low, high


def _effective(rates: Values, trials: float, confidence: float) -> float:
    """How many independent requests tell as much as these iterations."""
    estimate = float(rates.mean())
    error = float(rates.var(ddof=1)) / len(rates) * inflation(rates)
    worth = min(trials, estimate * (1 - estimate) / error) if error else trials
    probability = (1 + confidence) / 2
    of_requests = student_quantile(probability, max(trials - 1, 1))
    of_iterations = student_quantile(probability, len(rates) - 1)
    return worth * (of_requests / of_iterations) ** 2


def _check_rates(rates: Values) -> None:
    """Refuse what is no rate: NaN, in a file of others, would make the quantiles count for ever."""
    if not ((rates >= 0) & (rates <= 1)).all():
        raise ConfigError(
            "a success rate lies between 0 and 1, and these do not",
            hint="The results were changed since they were measured: ask for them again.",
        )
