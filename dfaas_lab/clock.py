"""The skew of two clocks, with its uncertainty. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Skew:
    """A clock's lead over ours: positive where it is ahead.

    Args:
        seconds: The middle of what is possible.
        uncertainty_s: The true lead is at most this far from ``seconds``.
    """

    seconds: float
    uncertainty_s: float

    @classmethod
    def between(cls, low_s: float, high_s: float) -> Skew:
        """The lead is somewhere from ``low_s`` to ``high_s``."""
        return cls((low_s + high_s) / 2, (high_s - low_s) / 2)

    def __sub__(self, other: Skew) -> Skew:
        """One clock's lead over another, where both were compared with ours."""
        return Skew(self.seconds - other.seconds, self.uncertainty_s + other.uncertainty_s)

    def __str__(self) -> str:
        return f"{self.seconds:+.3f} s (± {self.uncertainty_s:.3f} s)"


@dataclass(frozen=True)
class Reading:
    """One look at a clock over a connection.

    Args:
        asked_at: Our time when the question left, in seconds.
        answered_at: Our time when the answer was here.
        shown: What the other clock showed, rounded down to ``resolution_s``.
        resolution_s: The step of what it shows; an HTTP ``Date`` has 1 s (RFC 9110, 5.6.7).
    """

    asked_at: float
    answered_at: float
    shown: float
    resolution_s: float = 0.0


def skew(readings: Iterable[Reading]) -> Skew | None:
    """Return what all readings allow; None without any.

    Readings of a coarse clock at different moments narrow each other down. Where they contradict
    each other the clock was set meanwhile, and what came before no longer counts.
    """
    low_s, high_s = float("-inf"), float("inf")
    for reading in readings:
        # It was read at some time in between, and was then up to a step ahead of what it showed.
        low = reading.shown - reading.answered_at
        high = reading.shown + reading.resolution_s - reading.asked_at
        if low > high_s or high < low_s:
            low_s, high_s = low, high
        else:
            low_s, high_s = max(low_s, low), min(high_s, high)
    return None if low_s == float("-inf") else Skew.between(low_s, high_s)
