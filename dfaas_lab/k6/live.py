"""Live statistics of a running k6: bins over time, for the live chart only.

Memory is bounded: latencies are counted in steps of 1 %, and a run has at most 200 bins.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

Row = tuple[str, int, float]
"""A sample: k6's metric, its time in nanoseconds, its value."""

MOST_BINS = 200
_STEP = math.log(1.01)
_RATE_OVER_S = 3
_NS = 1e9


@dataclass(frozen=True)
class LiveNumbers:
    """An iteration so far; null where nothing was measured.

    Args:
        rate_rps: Requests that ended per second, over the last 3 whole seconds.
        p50_ms: The median latency of successful requests, to 1 %.
        p95_ms: Their 95th percentile, to 1 %.
        failed: Requests that failed.
        dropped: Requests that were planned and not sent.
    """

    rate_rps: float | None
    p50_ms: float | None
    p95_ms: float | None
    failed: int
    dropped: int


@dataclass(frozen=True)
class LivePoint:
    """A bin: from when, how long, and what ended in it, per second."""

    start_s: float
    width_s: float
    rate_rps: float
    failed_rps: float
    dropped_rps: float
    p50_ms: float | None
    p95_ms: float | None


class Latencies(Counter[int]):
    """Latencies as counts in steps of 1 %.

    >>> some = Latencies()
    >>> for ms in (1.0, 2.0, 9.0):
    ...     some.add(ms)
    >>> round(some.quantile(0.5))
    2
    """

    def add(self, latency_ms: float) -> None:
        """Count one."""
        self[round(math.log(max(latency_ms, 1e-3)) / _STEP)] += 1

    def quantile(self, share: float) -> float | None:
        """The latency that this share of them does not exceed, in milliseconds."""
        wanted, seen = share * self.total(), 0
        for step in sorted(self):
            seen += self[step]
            if seen >= wanted:
                return math.exp(step * _STEP)
        return None


@dataclass
class _Bin:
    covered_s: float = 0.0
    ended: int = 0
    failed: int = 0
    dropped: float = 0.0
    latencies: Latencies = field(default_factory=Latencies)

    def count(self, latency_ms: float, failed: bool) -> None:
        self.ended += 1
        self.failed += failed
        if not failed:
            self.latencies.add(latency_ms)

    def add(self, other: _Bin) -> None:
        self.covered_s += other.covered_s
        self.ended += other.ended
        self.failed += other.failed
        self.dropped += other.dropped
        self.latencies.update(other.latencies)

    def point(self, start_s: float, width_s: float) -> LivePoint:
        return LivePoint(
            start_s,
            width_s,
            self.ended / self.covered_s,
            self.failed / self.covered_s,
            self.dropped / self.covered_s,
            self.latencies.quantile(0.5),
            self.latencies.quantile(0.95),
        )


class LiveSeries:
    """A target's iterations, one after the other as planned. Safe to use from threads."""

    def __init__(self, total_s: float) -> None:
        self.total_s = total_s
        self.lock = threading.Lock()
        self._width_s = 1
        self._bins: dict[int, _Bin] = {}
        self._current = self.begin(0.0, total_s)

    def begin(self, offset_s: float, duration_s: float) -> LiveIteration:
        """Begin an iteration, planned so far into the run; a duration of 0 is not known."""
        self._current = LiveIteration(self, offset_s, duration_s)
        return self._current

    def numbers(self) -> LiveNumbers:
        """The current iteration."""
        return self._current.numbers()

    def points(self) -> list[LivePoint]:
        """The bins of which at least a half was measured, in order."""
        with self.lock:
            return [
                one.point(number * self._width_s, self._width_s)
                for number, one in sorted(self._bins.items())
                if one.covered_s >= self._width_s / 2
            ]

    def bin_at(self, at_s: float) -> _Bin:
        """The bin of a moment of the run; the lock is held."""
        while at_s >= self._width_s * MOST_BINS:
            self._widen()
        return self._bins.setdefault(int(at_s) // self._width_s, _Bin())

    def cover(self, from_s: float, to_s: float) -> None:
        """Note what part of the run was measured; the lock is held."""
        if to_s > from_s:
            self.bin_at(to_s)  # it may widen all
        while from_s < to_s:
            end_s = min((int(from_s) // self._width_s + 1) * self._width_s, to_s)
            self.bin_at(from_s).covered_s += end_s - from_s
            from_s = end_s

    def _widen(self) -> None:
        """Make one bin of each two."""
        self._width_s *= 2
        narrow, self._bins = self._bins, {}
        for number, one in narrow.items():
            self._bins.setdefault(number // 2, _Bin()).add(one)


class LiveIteration:
    """One iteration so far; :meth:`LiveSeries.begin` makes it."""

    def __init__(self, series: LiveSeries, offset_s: float, duration_s: float) -> None:
        self._series = series
        self._offset_s = offset_s
        self._duration_s = duration_s or math.inf
        self._so_far = _Bin()
        self._seconds: Counter[int] = Counter()
        self._began_ns: int | None = None
        self._newest_s = 0.0
        self._waits: tuple[int, float] | None = None

    def add(self, rows: Iterable[Row]) -> None:
        """Count samples, in k6's order."""
        with self._series.lock:
            before_s = min(self._newest_s, self._duration_s)
            for row in rows:
                self._take(*row)
            after_s = min(self._newest_s, self._duration_s)
            self._series.cover(self._offset_s + before_s, self._offset_s + after_s)
            for second in [one for one in self._seconds if one < self._newest_s - 10]:
                del self._seconds[second]

    def numbers(self) -> LiveNumbers:
        """What it measured so far."""
        with self._series.lock:
            whole = int(self._newest_s)  # the second that is not over does not count
            over = range(max(whole - _RATE_OVER_S, 0), whole)
            ended = sum(self._seconds[second] for second in over)
            found = self._so_far
            return LiveNumbers(
                ended / len(over) if over else None,
                found.latencies.quantile(0.5),
                found.latencies.quantile(0.95),
                found.failed,
                round(found.dropped),
            )

    def _take(self, metric: str, time_ns: int, value: float) -> None:
        if metric == "http_req_duration":
            self._answered(failed=False)
            self._waits = time_ns, value
            self._clock(time_ns - round(value * 1e6))  # the first request began the load
        elif metric == "http_req_failed" and self._waits and self._waits[0] == time_ns:
            self._answered(failed=value != 0)
        elif metric == "dropped_iterations":
            self._clock(time_ns)
            for one in self._bins(time_ns):
                one.dropped += value
        if self._began_ns is not None:
            self._newest_s = max(self._newest_s, self._at_s(time_ns))

    def _answered(self, *, failed: bool) -> None:
        """Count the request that waits for its ``http_req_failed``, which a script may not have."""
        if self._waits is None:
            return
        (time_ns, latency_ms), self._waits = self._waits, None
        for one in self._bins(time_ns):
            one.count(latency_ms, failed)
        self._seconds[int(self._at_s(time_ns))] += 1

    def _clock(self, time_ns: int) -> None:
        if self._began_ns is None:
            self._began_ns = time_ns

    def _at_s(self, time_ns: int) -> float:
        return (time_ns - (self._began_ns or 0)) / _NS

    def _bins(self, time_ns: int) -> Iterator[_Bin]:
        """Where a sample counts; one after the planned end has no place in the run's time."""
        yield self._so_far
        at_s = max(self._at_s(time_ns), 0.0)
        if at_s < self._duration_s:
            yield self._series.bin_at(self._offset_s + at_s)
