"""Durations as k6 writes them, to and from seconds."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from dfaas_lab.errors import ConfigError

LONGEST_S = 10 * 366 * 86_400
"""The longest that anything may take, in seconds: far below what k6 and the calendar can count."""

_MOST_CHARACTERS = 100
_FORM = "Write it as k6 does, with a unit: '30s', '1m30s' or '500ms'."
_UNIT_S = {
    "ns": Fraction(1, 10**9),
    "us": Fraction(1, 10**6),
    "\u00b5s": Fraction(1, 10**6),
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86400),
}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|\u00b5s|ms|s|m|h|d)")


def seconds(duration: str | timedelta, *, what: str = "duration") -> float:
    """Return a duration in seconds.

    Args:
        duration: k6's form (``"30s"``, ``"1m30s"``, ``"250ms"``) or a ``timedelta``.
        what: The name of the argument, for the error.

    Raises:
        ConfigError: It is negative, longer than ten years, or k6 would not take it.

    >>> seconds("1m30s")
    90.0
    """
    if isinstance(duration, timedelta):
        value_s = Fraction(duration.total_seconds())
        if value_s < 0:
            raise ConfigError(f"{what} is negative: {duration}", hint="Give a positive duration.")
    elif not isinstance(duration, str):
        raise ConfigError(f"{what} must be a string or a timedelta, not {duration!r}", hint=_FORM)
    elif len(duration) > _MOST_CHARACTERS:
        value_s = Fraction(LONGEST_S + 1)
    else:
        parts = list(_PART.finditer(duration))
        if not parts or "".join(part.group(0) for part in parts) != duration:
            raise ConfigError(f"{what} is no duration that k6 takes: {duration!r}", hint=_FORM)
        value_s = sum(
            (Fraction(part.group(1)) * _UNIT_S[part.group(2)] for part in parts), Fraction()
        )
    if value_s > LONGEST_S:
        raise ConfigError(
            f"{what} is longer than ten years", hint="Give a shorter one: '30s', '2h'."
        )
    return float(value_s)


def exact_duration(value_s: float) -> str:
    """Return seconds as a duration that :func:`seconds` reads back as the same number.

    >>> exact_duration(5e-05)
    '0.00005s'
    """
    return f"{Decimal(repr(value_s)):f}s"


def format_duration(value_s: float) -> str:
    """Return seconds as a duration for people and for k6, exact to the millisecond.

    >>> format_duration(90.0)
    '1m30s'
    """
    milliseconds = round(value_s * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    whole, fraction = divmod(rest, 1000)
    text = (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes else "")
    if fraction:
        decimals = f"{whole}.{fraction:03d}".rstrip("0")
        return f"{text}{decimals}s"
    return f"{text}{whole}s" if whole or not text else text
