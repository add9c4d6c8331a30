"""The client of Prometheus: PromQL in, values or frames out."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar

import polars as pl
from pydantic import TypeAdapter

from dfaas_lab.analysis.scrapes import Series
from dfaas_lab.certificates import SYSTEM, Trust
from dfaas_lab.clock import Skew
from dfaas_lab.errors import ConfigError, MetricsError, ServiceError
from dfaas_lab.load import seconds
from dfaas_lab.services.answers import (
    CONFIG,
    PROMETHEUS,
    RESULT,
    TARGETS,
    ScalarAnswer,
    ScrapedAnswer,
    SeriesAnswer,
    checked,
)
from dfaas_lab.services.endpoint import Endpoint, Session, Transport

T = TypeVar("T")
_HINTS = {
    401: "It asks for a password, which is not supported: open it to the lab's network.",
    404: "Check the URL and its port: Prometheus has this path.",
    422: "Prometheus could not carry the query out.",
    503: "Prometheus is starting, or the query took too long: try again, or ask for less.",
}
# Prometheus itself refuses more points in one series.
_MOST_POINTS = 11_000
_LATEST_S = 1e11  # no clock is so far ahead


class Prometheus:
    """A Prometheus server. Nothing is connected before it is asked.

    Whatever is asked raises a ``MetricsError`` where it does not answer, or refuses the expression.

    Args:
        url: Its URL, like ``http://10.0.0.60:30411``.
        transport: Makes the way to it (:func:`dfaas_lab.services.ssh_transport.through`); None
            means straight from here.
        trust: Whose certificates are trusted.

    Raises:
        ConfigError: The URL is none, or holds a password.
    """

    def __init__(
        self, url: str, *, transport: Transport | None = None, trust: Trust = SYSTEM
    ) -> None:
        self._endpoint = Endpoint(url, "Prometheus", MetricsError, _HINTS, None, transport, trust)
        self.url = self._endpoint.url
        self._session: Session | None = None

    @contextlib.contextmanager
    def kept_open(self, *, timeout_s: float) -> Iterator[None]:
        """Ask several questions over one connection, each with this time limit."""
        with self._endpoint.session(timeout_s=timeout_s) as self._session:
            try:
                yield
            finally:
                self._session = None

    def __repr__(self) -> str:
        return f"Prometheus({self.url!r})"

    def ready(self) -> bool:
        """Whether it answers that it is ready for queries."""
        try:
            self._endpoint.ask("GET", "/-/ready")
        except ServiceError:
            return False
        return True

    def query(self, expression: str, *, at: datetime | None = None) -> pl.DataFrame:
        """Return the values of an expression at one moment.

        Args:
            expression: PromQL.
            at: When; None means now.

        Returns:
            A row per series: ``time``, ``value`` (Float64, null for NaN) and a column per label.

        Raises:
            MetricsError: Prometheus does not answer, or refuses the expression.
        """
        when = {"time": f"{at.timestamp():.3f}"} if at else {}
        return _frame(self._result({"query": expression, **when}))

    def query_range(
        self, expression: str, *, start: datetime, end: datetime, step_s: float
    ) -> pl.DataFrame:
        """Return the values of an expression from ``start`` to ``end``, every ``step_s`` seconds.

        Returns:
            A row per series and moment, with the columns of :meth:`query`. The step is widened
            where it would give more than 11,000 moments, which Prometheus refuses.

        Raises:
            MetricsError: Prometheus does not answer, or refuses the expression.
        """
        span_s = (end - start).total_seconds()
        found = self._result(
            {
                "query": expression,
                "start": f"{start.timestamp():.3f}",
                "end": f"{end.timestamp():.3f}",
                "step": f"{max(step_s, span_s / (_MOST_POINTS - 1)):.3f}",
            },
            "/api/v1/query_range",
        )
        return _frame(found)

    def clock_skew(self) -> Skew:
        """How far its clock, which times every scrape, is ahead of ours."""
        asked_at = time.time()
        match self.evaluated("time()"):
            case [(_, now)] if 0 <= now < _LATEST_S:
                return Skew.between(now - time.time(), now - asked_at)
        raise self._endpoint.failed("it does not say what time it is", hint="Check the URL.")

    def scraped(self, selector: str, *, start: float, end: float) -> list[Series]:
        """Return what was scraped of some series, each scrape at its own time.

        Args:
            selector: A selector of series, without functions around it.
            start: From when on, in seconds since 1970.
            end: Until when.
        """
        asked = {"query": f"{selector}[{max(round((end - start) * 1000), 1)}ms]"}
        return [
            Series(one.metric, [(time, value) for time, value in one.points if value is not None])
            for one in self._result({**asked, "time": f"{end:.3f}"})
        ]

    def evaluated(
        self, expression: str, *, at: float | None = None
    ) -> list[tuple[Mapping[str, str], float]]:
        """Return the values of an expression at one moment, each with its labels; no NaN.

        Args:
            expression: PromQL.
            at: When, in seconds since 1970; None means now.
        """
        when = {} if at is None else {"time": f"{at:.3f}"}
        found = self._result({"query": expression, **when})
        return [
            (one.metric, value) for one in found for _, value in one.points if value is not None
        ]

    def targets(self) -> list[ScrapedAnswer]:
        """What it scrapes; ``lastScrape`` is the last one that is stored, by Prometheus's clock."""
        return self._data("/api/v1/targets", TARGETS, {"state": "active"}).activeTargets

    def scrape_interval_s(self) -> float | None:
        """The longest interval between two scrapes of what is scraped; None where it tells none."""
        told = [self._interval_s(target.scrapeInterval) for target in self.targets()]
        longest = max((one for one in told if one is not None), default=None)
        if longest is not None:
            return longest
        text = self._data("/api/v1/status/config", CONFIG).yaml
        in_global = False
        for line in text.splitlines():
            key, _, value = line.strip().partition(":")
            if line[:1].strip():
                in_global = key == "global"
            elif in_global and key == "scrape_interval":
                return self._interval_s(value.strip())
        return None

    def scrape_is_due(self, until: datetime) -> bool | None:
        """Whether a scrape that begins before ``until`` may not be stored yet; None: not told."""
        following = [
            target.lastScrape.timestamp() + interval_s
            for target in self.targets()
            if target.lastScrape
            and (interval_s := self._interval_s(target.scrapeInterval)) is not None
        ]
        return min(following) < until.timestamp() if following else None

    def _result(self, params: dict[str, str], path: str = "/api/v1/query") -> list[SeriesAnswer]:
        data = self._data(path, RESULT, params)
        if isinstance(data, ScalarAnswer):
            return [SeriesAnswer.model_construct(values=[data.result])]
        return data.result

    def _data(self, path: str, kind: TypeAdapter[T], params: dict[str, str] | None = None) -> T:
        asked = self._session or self._endpoint
        answer = asked.ask("GET", path, params=params, accept=(400, 422))
        said = checked(self._endpoint, answer, PROMETHEUS)
        if said.status != "success":
            raise self._endpoint.failed(said.error[:300], hint="Check the expression.")
        return checked(self._endpoint, answer, kind, said.data)

    def _interval_s(self, text: str | None) -> float | None:
        try:
            return seconds(text, what="scrape_interval") if text else None
        except ConfigError as error:
            raise self._endpoint.failed(error.message, hint="Check Prometheus.") from error


def _frame(series: list[SeriesAnswer]) -> pl.DataFrame:
    # A label may have the name of a column of ours: it is told as label_time, which may be one too.
    taken = {"time", "value"}
    columns: dict[str, str] = {}
    for label in sorted({label for one in series for label in one.metric}):
        name = label
        while name in taken:
            name = f"label_{name}"
        columns[label] = name
        taken.add(name)
    points = [(one, time, value) for one in series for time, value in one.points]
    data: dict[str, list[Any]] = {
        "time": [round(time * 1_000_000) for _, time, _ in points],
        "value": [value for _, _, value in points],
        **{name: [one.metric.get(x) for one, _, _ in points] for x, name in columns.items()},
    }
    texts = dict.fromkeys(columns.values(), pl.String)
    schema = {"time": pl.Int64, "value": pl.Float64, **texts}
    return pl.DataFrame(data, schema=schema).with_columns(
        pl.col("time").cast(pl.Datetime("us", "UTC"))
    )
