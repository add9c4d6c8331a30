"""Numbers as text with units: ``12 ms``, ``1.4 s``, ``70 %``, ``2 min 5 s``."""

from __future__ import annotations

from collections.abc import Mapping

_NAMED_LOADS = 4  # functions whose rates are named one by one


def latency(value_ms: float | None) -> str:
    """Return a latency with two or three digits and its unit; a dash for none.

    >>> latency(0.1234), latency(12.3), latency(9_870.0)
    ('0.12 ms', '12 ms', '9.9 s')
    """
    if value_ms is None:
        return "\u2013"
    if value_ms >= 1000:
        return f"{_digits(value_ms / 1000)} s"
    return f"{_digits(value_ms)} ms"


def _digits(value: float) -> str:
    decimals = 0 if value >= 9.95 else 1 if value >= 0.95 else 2
    return f"{value:,.{decimals}f}"


def share(part: int, whole: int) -> str:
    """Return a share in percent that is never rounded to none or all.

    >>> share(7, 10), share(1, 5000), share(4999, 5000)
    ('70 %', '< 0.1 %', '> 99.9 %')
    """
    percent = 100 * part / whole if whole else 0.0
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.0f} %" if percent == round(percent) or percent >= 10 else f"{percent:.1f} %"


def count(number: int, what: str) -> str:
    """Return a number of things: ``1 request``, ``1,200 requests``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def span(value_s: float) -> str:
    """Return a time for people.

    >>> span(3.0), span(2.5), span(125), span(7260), span(180_000)
    ('3 s', '2.5 s', '2 min 5 s', '2 h 1 min', '2 days 2 h')
    """
    if value_s < 60:
        return f"{value_s:.3g} s"
    minutes, seconds = divmod(round(value_s), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} days {hours % 24} h"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min {seconds} s" if seconds else f"{minutes} min"


def size(count: float) -> str:
    """Return a number of bytes for people.

    >>> size(1.5e9), size(2e5), size(7000)
    ('1.5 GB', '0.2 MB', '7 kB')
    """
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.0f} kB"


def rates(by_function: Mapping[str, float]) -> str:
    """Return a load in a few words.

    >>> rates({"figlet": 20, "env": 20}), rates({"figlet": 5, "env": 10})
    ('20/s', 'figlet 5/s, env 10/s')
    """
    loaded = {name: rate for name, rate in by_function.items() if rate > 0}
    if len(set(loaded.values())) == 1:
        return f"{next(iter(loaded.values())):g}/s"
    if len(loaded) <= _NAMED_LOADS:
        return ", ".join(f"{name} {rate:g}/s" for name, rate in loaded.items())
    return f"{min(loaded.values()):g} to {max(loaded.values()):g}/s"
