"""The frame ``metrics``: what a target's Prometheus measured over exactly a window."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from dfaas_lab.analysis.scrapes import (
    Increase,
    Point,
    Scrapes,
    Series,
    Window,
    increases,
    missing_reason,
    rates,
    samples,
)
from dfaas_lab.schemas import NODE_METRICS
from dfaas_lab.services.queries import DEFAULT_NAMESPACE, Queries, Query

if TYPE_CHECKING:
    from dfaas_lab.services.prometheus import Prometheus

# Scrapes around the window tell how often it is scraped, and which counters began inside it.
_AROUND = 2.5
_DEFAULT_INTERVAL_S = 15.0
# The metric whose counter tells how many requests the gateway had.
_INVOCATIONS = "invocations_rps"
_UP, _TOOK = "up", "scrape_duration_seconds"
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_NOTHING = "nothing happened between these scrapes"

Key = tuple[str | None, str | None]
"""A function and an instance, of which one is null."""
Row = tuple[datetime, str, str | None, str | None, float | None, str | None]
_COLUMNS = ("time", "metric", "function", "instance", "value", "reason")


@dataclass(frozen=True)
class WindowMetrics:
    """What was measured over one window.

    Args:
        frame: ``time, metric, function, instance, value, reason``: a row per metric, series and
            scrape inside the window. A rate of a counter stands at the end of the time between two
            scrapes that it is of. ``function`` or ``instance`` is null where a metric has none.
            Where the window holds too few scrapes (two of a counter, one of a gauge) there is one
            row, whose ``value`` is null and whose ``reason`` says why. A metric that Prometheus
            does not have gives no row.
        requests: How many requests the gateway counted, by function; empty where two scrapes are
            missing.
        scrape_s: How long the longest scrape took: a counter was read at some time of it.
    """

    frame: pl.DataFrame
    requests: Mapping[str, Sequence[Increase]]
    scrape_s: float


def metrics_of_windows(
    prometheus: Prometheus,
    windows: Sequence[Window],
    *,
    queries: Queries,
    functions: Sequence[str] = (),
) -> list[WindowMetrics]:
    """Return what was measured over each window; each selector is asked for once.

    Raises:
        MetricsError: Prometheus does not answer, or refuses a selector.
    """
    names = _Names.of(functions)
    asked_of = [query for some in queries.values() for query in some]
    selectors = [selector for query in asked_of for selector in query.selectors]
    whole = _Asked.around(prometheus, windows, selectors)
    scrape_s = whole.longest(_TOOK)
    found = []
    for window in windows:
        asked = replace(whole, window=window)
        requests = _requests(asked, queries.get(_INVOCATIONS, ()), names)
        found.append(WindowMetrics(_frame(asked, queries, names), requests, scrape_s))
    return found


def _requests(
    asked: _Asked, alternatives: Sequence[Query], names: _Names
) -> dict[str, Sequence[Increase]]:
    for query in alternatives:
        found = _by_key(asked.series(query.counter), query, names) if query.counter else {}
        if found:
            return {
                name: increases(series, asked.scrapes, asked.window)
                for (name, _), series in found.items()
                if name is not None
            }
    return {}


def _frame(asked: _Asked, queries: Queries, names: _Names) -> pl.DataFrame:
    rows = [row for metric, some in queries.items() for row in _rows(asked, metric, some, names)]
    schema = {column: NODE_METRICS[column] for column in _COLUMNS}
    return pl.DataFrame(rows, schema=schema, orient="row").sort(
        "metric", "function", "instance", "time"
    )


@dataclass(frozen=True)
class _Asked:
    """What Prometheus answered about some windows, of which one is looked at."""

    prometheus: Prometheus
    window: Window
    span: Window
    scrapes: Scrapes = field(default_factory=Scrapes)
    answers: dict[str, list[Series]] = field(default_factory=dict)

    @classmethod
    def around(
        cls, prometheus: Prometheus, windows: Sequence[Window], selectors: Sequence[str]
    ) -> _Asked:
        around_s = (prometheus.scrape_interval_s() or _DEFAULT_INTERVAL_S) * _AROUND
        first, last = min(one.start for one in windows), max(one.end for one in windows)
        asked = cls(prometheus, windows[0], Window(first - around_s, last + around_s))
        asked._ask({_UP, _TOOK, *selectors})
        return replace(asked, scrapes=Scrapes.of(asked.series(_UP)))

    def _ask(self, selectors: Iterable[str]) -> None:
        """Ask for all selectors that are bare names in one question."""
        names = sorted(one for one in selectors if _NAME.fullmatch(one))
        self.answers.update((name, []) for name in names)
        all_of_them = f'{{__name__=~"{"|".join(names)}"}}'
        for one in self.prometheus.scraped(all_of_them, start=self.span.start, end=self.span.end):
            self.answers.setdefault(one.labels.get("__name__", ""), []).append(one)

    def longest(self, selector: str) -> float:
        """The largest value of a gauge of seconds; 0 where there is none."""
        return max((value for one in self.series(selector) for _, value in one.points), default=0.0)

    def series(self, selector: str) -> list[Series]:
        if selector not in self.answers:
            start, end = self.span.start, self.span.end
            self.answers[selector] = self.prometheus.scraped(selector, start=start, end=end)
        return self.answers[selector]


@dataclass(frozen=True)
class _Names:
    """The target's names of functions, by what a gateway calls them: ``figlet.openfaas-fn``."""

    own: Mapping[str, str]

    @classmethod
    def of(cls, functions: Iterable[str]) -> _Names:
        return cls({_full(name): name for name in functions})

    def of_label(self, text: str, namespace: str | None) -> str:
        full = _full(text if "." in text or not namespace else f"{text}.{namespace}")
        return self.own.get(full, full.removesuffix(f".{DEFAULT_NAMESPACE}"))


def _full(name: str) -> str:
    return name if "." in name else f"{name}.{DEFAULT_NAMESPACE}"


def _rows(asked: _Asked, metric: str, alternatives: Sequence[Query], names: _Names) -> list[Row]:
    """The rows of the first question that has data; of those for one function, of each."""
    found: dict[Key, list[Row]] = {}
    for query in alternatives:
        for key, rows in _answers(asked, metric, query, names).items():
            found.setdefault(key, rows)
        if found and query.of is None:
            break
    return [row for rows in found.values() for row in rows]


def _answers(asked: _Asked, metric: str, query: Query, names: _Names) -> dict[Key, list[Row]]:
    if query.promql is not None:
        return _evaluated(asked, metric, query, names)
    parts = [_by_key(asked.series(one), query, names) for one in query.selectors]
    return {key: _of_key(asked, metric, query, key, parts) for key in parts[0]}


def _evaluated(asked: _Asked, metric: str, query: Query, names: _Names) -> dict[Key, list[Row]]:
    """The values of an expression at the end of the window."""
    window = asked.window
    values: dict[Key, list[float]] = {}
    for labels, value in asked.prometheus.evaluated(
        query.expression(window.end - window.start), at=window.end
    ):
        key = _key(labels, query, names)
        if key is not None:
            values.setdefault(key, []).append(value * query.scale)
    together = max if query.combine == "max" else sum
    return {
        key: [_row(metric, key, window.end, together(some), "")] for key, some in values.items()
    }


def _by_key(series: Iterable[Series], query: Query, names: _Names) -> dict[Key, list[Series]]:
    found: dict[Key, list[Series]] = {}
    for one in series:
        key = _key(one.labels, query, names)
        if key is not None:
            found.setdefault(key, []).append(one)
    return found


def _key(labels: Mapping[str, str], query: Query, names: _Names) -> Key | None:
    if query.of is not None:
        return query.of, None
    if query.function is None:
        return None, labels.get(query.instance)
    label = labels.get(query.function, "")
    if query.pattern is not None:
        matched = re.fullmatch(query.pattern, label[:1000])
        label = matched[1] or "" if matched else ""
    namespace = labels.get(query.namespace) if query.namespace else None
    return (names.of_label(label, namespace), None) if label else None


def _of_key(
    asked: _Asked,
    metric: str,
    query: Query,
    key: Key,
    parts: Sequence[Mapping[Key, Sequence[Series]]],
) -> list[Row]:
    main, *others = [_of_series(asked, query, part.get(key, ())) for part in parts]
    if query.minus is not None:
        less = dict(others.pop(0))
        main = [(time, value - less[time]) for time, value in main if time in less]
    by = dict(others.pop(0)) if query.per is not None else dict.fromkeys(dict(main), 1.0)
    rows = [
        _row(metric, key, time, value * query.scale / by[time] if by[time] else None, _NOTHING)
        for time, value in main
        if time in by
    ]
    if rows:
        return rows
    scrapes = asked.scrapes.with_points(parts[0][key])
    return [_row(metric, key, asked.window.end, None, missing_reason(scrapes, asked.window))]


def _row(metric: str, key: Key, time: float, value: float | None, reason: str) -> Row:
    moment = datetime.fromtimestamp(time, UTC)
    return moment, metric, *key, value, reason if value is None else None


def _of_series(asked: _Asked, query: Query, series: Sequence[Series]) -> Sequence[Point]:
    if query.counter is not None:
        return rates(series, asked.scrapes, asked.window)
    return samples(
        series, asked.scrapes, asked.window, combine=max if query.combine == "max" else sum
    )
