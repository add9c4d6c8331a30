"""Rates of counters and samples of gauges over exactly a window of Prometheus's scrapes.

Only scrapes inside the window count. A rate that looks back (PromQL's ``rate()``) shows mostly what
was before a short window. Nothing here asks Prometheus.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

Point = tuple[float, float]
"""Seconds since 1970, and a value."""


@dataclass(frozen=True)
class Series:
    """One series as it was scraped, its points in order of time."""

    labels: Mapping[str, str]
    points: Sequence[Point]

    @property
    def source(self) -> tuple[str, str]:
        """What was scraped: one scrape gives all its series the same time."""
        return self.labels.get("job", ""), self.labels.get("instance", "")


@dataclass(frozen=True)
class Window:
    """From when until when, both included, in seconds since 1970."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end - self.start


@dataclass(frozen=True)
class Scrapes:
    """When each source was scraped with success (``up`` is 1), by source.

    They tell a counter that began at 0 between two scrapes from one that nobody saw. A source that
    is not here is taken to be scraped where one of its series has a point.
    """

    times: Mapping[tuple[str, str], Sequence[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, up: Iterable[Series]) -> Scrapes:
        """From the series ``up``."""
        return cls({one.source: [time for time, value in one.points if value == 1] for one in up})

    def with_points(self, series: Iterable[Series]) -> Scrapes:
        """The same, with the times at which these series have points."""
        found: dict[tuple[str, str], set[float]] = defaultdict(set)
        for one in series:
            found[one.source] |= {time for time, _ in one.points}
            found[one.source] |= set(self.times.get(one.source, ()))
        return Scrapes({source: sorted(times) for source, times in found.items()})

    def interval_s(self) -> float | None:
        """The usual time between two scrapes, of the source that is scraped least often."""
        medians = [
            median(later - sooner for sooner, later in pairwise(times))
            for times in map(sorted, self.times.values())
            if len(times) > 1
        ]
        return max(medians, default=None)


Step = tuple[float, float, float]
"""Since when, until when, and the value in between."""

Steps = dict[tuple[str, str], list[Point]]
"""By source, the times of scrapes, and the value that holds from the scrape before until then."""


def rates(series: Sequence[Series], scrapes: Scrapes, window: Window) -> list[Point]:
    """Return the sum of the rates of some counters, per second.

    A rate is the increase between two successive scrapes inside the window, divided by the time
    between them; it stands at the later one: there is a point for each scrape inside but the first,
    and none where fewer than two are. A counter that falls was reset, and counts from 0.
    """
    return _added(_by_source(series, scrapes, window, _increases), sum)


def samples(
    series: Sequence[Series],
    scrapes: Scrapes,
    window: Window,
    combine: Callable[[Iterable[float]], float] = sum,
) -> list[Point]:
    """Return the sum (or the maximum) of some gauges at each scrape inside the window."""
    return _added(_by_source(series, scrapes, window, _values, combine), combine)


@dataclass(frozen=True)
class Increase:
    """By how much the counters of one source grew between two scrapes."""

    window: Window
    value: float


def increases(series: Sequence[Series], scrapes: Scrapes, window: Window) -> list[Increase]:
    """Return by how much some counters grew, for each source that has them.

    It is counted from the first to the last scrape inside the window. Nothing where a source has
    fewer than two there: what the others counted would be a part only.
    """
    scraped = scrapes.with_points(series).times
    found = []
    for source in sorted({one.source for one in series}):
        inside = [time for time in scraped[source] if window.start <= time <= window.end]
        if len(inside) < 2:
            return []
        counted = Window(inside[0], inside[-1])
        steps = (
            step
            for one in series
            if one.source == source
            for step in _increases(one, scraped[source])
            if counted.start <= step[0] and step[1] <= counted.end
        )
        total = sum(rate * (until - since) for since, until, rate in steps)
        found.append(Increase(counted, total))
    return found


def missing_reason(scrapes: Scrapes, window: Window) -> str:
    """Say why a window has no value: ``2 s of load, scraped every 15 s``."""
    interval_s = scrapes.interval_s()
    every = "not scraped" if interval_s is None else f"scraped every {round(interval_s, 1):g} s"
    return f"{round(window.seconds, 3):g} s of load, {every}"


def mean_of(points: Sequence[Point]) -> float | None:
    """Return the mean over time, where each value holds since the point before.

    The first is taken to hold for as long as most of the others. None without any point.
    """
    if not points:
        return None
    gaps = [later - sooner for (sooner, _), (later, _) in pairwise(points)]
    weights = [median(gaps), *gaps] if gaps else [1.0]
    total = sum(weights)
    if not total:
        return sum(value for _, value in points) / len(points)
    values = (value for _, value in points)
    return sum(weight * value for weight, value in zip(weights, values, strict=True)) / total


def _by_source(
    series: Sequence[Series],
    scrapes: Scrapes,
    window: Window,
    steps: Callable[[Series, Sequence[float]], Iterator[Step]],
    combine: Callable[[Iterable[float]], float] = sum,
) -> Steps:
    scraped = scrapes.with_points(series).times
    found: dict[tuple[str, str], dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for one in series:
        for since, until, value in steps(one, scraped[one.source]):
            if window.start <= since and until <= window.end:
                found[one.source][until].append(value)
    return {
        source: sorted((time, combine(values)) for time, values in by_time.items())
        for source, by_time in found.items()
    }


def _values(series: Series, _: Sequence[float]) -> Iterator[Step]:
    for time, value in series.points:
        yield time, time, value


def _increases(series: Series, scraped: Sequence[float]) -> Iterator[Step]:
    """The rate since the scrape before, at each scrape that has the counter."""
    before: Point | None = None
    for time, value in series.points:
        place = bisect.bisect_left(scraped, time)
        if before is None and place > 0:
            before = scraped[place - 1], 0.0  # scraped then, and not there: it began at 0
        if before is not None:
            step = value - before[1] if value >= before[1] else value
            yield before[0], time, step / (time - before[0])
        before = time, value


def _added(steps: Steps, combine: Callable[[Iterable[float]], float]) -> list[Point]:
    """Several sources are scraped at times of their own: each value holds since the one before."""
    if len(steps) == 1:
        return next(iter(steps.values()))
    times = sorted({time for points in steps.values() for time, _ in points})
    return [(time, combine([_at(points, time) for points in steps.values()])) for time in times]


def _at(points: Sequence[Point], time: float) -> float:
    place = bisect.bisect_left([moment for moment, _ in points], time)
    return points[min(place, len(points) - 1)][1]
