"""Prometheus: questions in PromQL become frames. What is asked is other modules' business."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dfaas_lab.analysis.scrapes import Series
from dfaas_lab.errors import MetricsError, ServiceError
from dfaas_lab.load import seconds
from dfaas_lab.services.endpoint import Endpoint, Session, Transport, json_of

if TYPE_CHECKING:
    import polars as pl

_HINTS = {
    401: "It asks for a password, which is not supported: open it to the lab's network.",
    404: "Check the URL and its port: Prometheus has this path.",
    422: "Prometheus could not carry the query out.",
    503: "Prometheus is starting, or the query took too long: try again, or ask for less.",
}
# Prometheus itself refuses more points in one series.
_MOST_POINTS = 11_000


class Prometheus:
    """A Prometheus server. Nothing is connected before it is asked.

    Args:
        url: Its URL, like ``http://10.0.0.60:30411``.
        transport: Makes the way to it (:func:`dfaas_lab.services.ssh_transport.through`); None
            means straight from here.

    Raises:
        ConfigError: The URL is none, or holds a password.
    """

    def __init__(self, url: str, *, transport: Transport | None = None) -> None:
        self._endpoint = Endpoint(url, "Prometheus", MetricsError, _HINTS, None, transport)
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
        data = self._data("/api/v1/query", {"query": expression, **when})
        if data["resultType"] in ("scalar", "string"):
            return _frame([{"metric": {}, "values": [data["result"]]}])
        return _frame([{**one, "values": [one["value"]]} for one in data["result"]])

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
        data = self._data(
            "/api/v1/query_range",
            {
                "query": expression,
                "start": f"{start.timestamp():.3f}",
                "end": f"{end.timestamp():.3f}",
                "step": f"{max(step_s, span_s / (_MOST_POINTS - 1)):.3f}",
            },
        )
        return _frame(data["result"])

    def scraped(self, selector: str, *, start: float, end: float) -> list[Series]:
        """Return what was scraped of some series, each scrape at its own time.

        Args:
            selector: A selector of series, without functions around it.
            start: From when on, in seconds since 1970.
            end: Until when.

        Raises:
            MetricsError: Prometheus does not answer, or refuses the selector.
        """
        asked = {"query": f"{selector}[{max(round((end - start) * 1000), 1)}ms]"}
        data = self._data("/api/v1/query", {**asked, "time": f"{end:.3f}"})
        if data["resultType"] != "matrix":
            raise self._endpoint.failed(f"{selector} is no selector", hint="Check the queries.")
        return [_series(one) for one in data["result"]]

    def targets(self) -> pl.DataFrame:
        """What it scrapes: ``job, instance, healthy, interval_s, error``.

        Raises:
            MetricsError: Prometheus does not answer.
        """
        import polars as pl

        active = self._data("/api/v1/targets", {"state": "active"})["activeTargets"]
        return pl.DataFrame(
            [
                (
                    target["labels"].get("job"),
                    target["labels"].get("instance"),
                    target.get("health") == "up",
                    _interval_s(target.get("scrapeInterval")),
                    target.get("lastError", ""),
                )
                for target in active
            ],
            schema={
                "job": pl.String,
                "instance": pl.String,
                "healthy": pl.Boolean,
                "interval_s": pl.Float64,
                "error": pl.String,
            },
            orient="row",
        )

    def scrape_interval_s(self) -> float | None:
        """The longest interval between two scrapes of what is scraped; None where it tells none.

        Raises:
            MetricsError: Prometheus does not answer.
        """
        longest = self.targets()["interval_s"].max()
        if isinstance(longest, float):
            return longest
        text = self._data("/api/v1/status/config", {})["yaml"]
        in_global = False
        for line in text.splitlines():
            key, _, value = line.strip().partition(":")
            if line[:1].strip():
                in_global = key == "global"
            elif in_global and key == "scrape_interval":
                return _interval_s(value.strip())
        return None

    def _data(self, path: str, params: dict[str, str]) -> Any:
        answer = json_of(
            self._endpoint,
            (self._session or self._endpoint).ask("GET", path, params=params, accept=(400, 422)),
        )
        if not isinstance(answer, dict) or "status" not in answer:
            raise self._endpoint.failed(
                f"the answer to {path} is not Prometheus's",
                hint="Something else than Prometheus answers there: check the URL.",
            )
        if answer["status"] != "success":
            raise self._endpoint.failed(
                f"{answer.get('error', 'no reason given')}", hint="Check the expression."
            )
        return answer["data"]


def _series(one: dict[str, Any]) -> Series:
    points = ((float(moment), _number(value)) for moment, value in one["values"])
    return Series(one["metric"], [(moment, value) for moment, value in points if value is not None])


def _frame(series: list[dict[str, Any]]) -> pl.DataFrame:
    import polars as pl

    labels = sorted({label for one in series for label in one["metric"]})
    columns: dict[str, list[Any]] = {"time": [], "value": [], **{_column(x): [] for x in labels}}
    for one in series:
        for moment, value in one["values"]:
            columns["time"].append(round(float(moment) * 1_000_000))
            columns["value"].append(_number(value))
            for label in labels:
                columns[_column(label)].append(one["metric"].get(label))
    return pl.DataFrame(
        columns,
        schema={
            "time": pl.Int64,
            "value": pl.Float64,
            **{_column(label): pl.String for label in labels},
        },
    ).with_columns(pl.col("time").cast(pl.Datetime("us", "UTC")))


def _column(label: str) -> str:
    """A label may have the name of a column of ours."""
    return f"label_{label}" if label in ("time", "value") else label


def _number(text: str) -> float | None:
    """Prometheus writes ``NaN``, ``+Inf`` and ``-Inf``; not a number means not measured."""
    value = float(text)
    return None if math.isnan(value) else value


def _interval_s(text: str | None) -> float | None:
    return seconds(text, what="scrape_interval") if text else None
