"""A load: requests per second for each function, for a duration."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction
from numbers import Real

from dfaas_lab.errors import ConfigError
from dfaas_lab.load.duration import seconds
from dfaas_lab.load.function import Function
from dfaas_lab.names import near

MAX_RATE_RPS = 1_000_000
_MOST_ROUNDING = 1e-3
_TOLERANCE = 1e-9
_LEAST_S = 1.0  # k6 refuses a shorter scenario


@dataclass(frozen=True)
class Share:
    """One function's part of a load: ``rate_rps`` requests per second (0: it takes none)."""

    function: Function
    rate_rps: float

    @property
    def rate(self) -> Fraction:
        """The rate as k6 can take it: a whole number of requests per whole seconds."""
        return Fraction(repr(self.rate_rps)).limit_denominator(3600)

    @property
    def interval_ns(self) -> float:
        """The time between two planned requests, in nanoseconds; infinite without load."""
        rate = self.rate
        return rate.denominator * 1e9 / rate.numerator if rate else math.inf

    def planned(self, duration_s: float) -> int:
        """How many requests a load of that duration plans: ``rate * duration``, rounded.

        Request ``n``, from 0, is planned ``n`` intervals after the load's begin.

        >>> Share(Function("env"), 5.0).planned(2.0)
        10
        """
        asked = self.rate * Fraction(round(duration_s * 1000), 1000)
        return max(math.floor(asked + Fraction(1, 2)), 1) if asked else 0


@dataclass(frozen=True)
class Load:
    """A load on the functions of one target, checked.

    Args:
        shares: One per function of the target that is named in the load, in the target's order.
        duration_s: How long the load lasts, in seconds.
    """

    shares: tuple[Share, ...]
    duration_s: float

    def __post_init__(self) -> None:
        if self.duration_s < _LEAST_S:
            raise ConfigError(
                f"a load of {self.duration_s:g} s is too short", hint="Give 1s or more."
            )

    @classmethod
    def of(
        cls,
        load: float | Mapping[str, float],
        *,
        duration: str | timedelta,
        functions: Sequence[Function],
    ) -> Load:
        """Check what a user asks for and return it as a value.

        Args:
            load: Requests per second: a number for every function, or a mapping by name.
            duration: k6's form, or a ``timedelta``.
            functions: The functions of the target.

        Raises:
            ConfigError: An unknown function, a rate that is negative or no number, no rate above
                0, or a rate that gives less than one request in the whole duration.
        """
        duration_s = seconds(duration)
        rates = _rates(load, functions)
        if not any(rates.values()):
            raise ConfigError(
                "every rate is 0: there is nothing to measure",
                hint="Give at least one function a positive rate.",
            )
        shares = tuple(Share(f, rates[f.name]) for f in functions if f.name in rates)
        for share in shares:
            _check_share(share, duration_s)
        return cls(shares, duration_s)

    def frozen(self) -> Load:
        """Return the same with all bodies as their files hold them now.

        Raises:
            ConfigError: A body's file cannot be read.
        """
        return replace(
            self,
            shares=tuple(replace(share, function=share.function.frozen()) for share in self.shares),
        )

    def __iter__(self) -> Iterator[Share]:
        return iter(self.shares)

    @property
    def rates(self) -> dict[str, float]:
        """Requests per second by function name."""
        return {share.function.name: share.rate_rps for share in self.shares}


def _check_share(share: Share, duration_s: float) -> None:
    if not share.rate_rps:
        return
    name, rate_rps = share.function.name, share.rate_rps
    # 1/49 requests/s for 49 s is one request, which a product of floats misses.
    if rate_rps * duration_s < 1 - _TOLERANCE:
        raise ConfigError(
            f"{name}: {rate_rps:g} requests/s for {duration_s:g} s is less than one request",
            hint="Ask for a higher rate or a longer duration.",
        )
    if not share.rate:
        raise ConfigError(
            f"{name}: {rate_rps:g} requests/s is below one an hour", hint="Ask for a higher rate."
        )
    if abs(float(share.rate) / rate_rps - 1) > _MOST_ROUNDING:
        raise ConfigError(
            f"{name}: k6 cannot make {rate_rps:g} requests/s: whole requests in whole seconds, "
            "at most an hour",
            hint=f"The nearest that it can is {float(share.rate)!r}, which is {share.rate}.",
        )


def _rates(load: float | Mapping[str, float], functions: Sequence[Function]) -> dict[str, float]:
    names = [function.name for function in functions]
    asked = dict(load) if isinstance(load, Mapping) else dict.fromkeys(names, load)
    if not asked:
        raise ConfigError("the load is empty", hint=f"Name a rate for one of: {', '.join(names)}.")
    for name in asked:
        if name not in names:
            raise ConfigError(
                f"the target has no function {name!r}{near(name, names)}",
                hint=f"Its functions are: {', '.join(names)}.",
            )
    return {name: _rate(name, rate) for name, rate in asked.items()}


def _rate(name: str, rate: object) -> float:
    """Return a rate as a number, also one of NumPy's or a fraction."""
    if isinstance(rate, bool) or not isinstance(rate, Real) or math.isnan(value := _float(rate)):
        raise ConfigError(
            f"the rate of {name} is no number: {rate!r}", hint="Give requests per second."
        )
    if value < 0:
        raise ConfigError(f"the rate of {name} is negative: {value:g}", hint="Give 0 or more.")
    if value > MAX_RATE_RPS:
        raise ConfigError(
            f"the rate of {name} is {value:g} requests/s, more than any generator can make",
            hint="Give a lower rate, or split the load over several generators.",
        )
    return value


def _float(number: Real) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf
