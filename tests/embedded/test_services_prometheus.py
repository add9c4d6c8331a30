"""Prometheus's client against a real Prometheus that scrapes the embedded gateway."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from dfaas_lab.errors import MetricsError
from dfaas_lab.load import Function
from dfaas_lab.local import LocalLab
from dfaas_lab.services.gateway import Gateway
from dfaas_lab.services.prometheus import Prometheus
from tests.embedded import prometheus_server


@pytest.fixture(scope="module")
def prometheus(
    local_lab: LocalLab, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    address = local_lab.gateways[0].metrics_url.removeprefix("http://").removesuffix("/metrics")
    gateway = Gateway(local_lab.gateways[0].url)
    for _ in range(3):
        gateway.answer(Function("echo", method="POST", body="x"))
    folder: Path = tmp_path_factory.mktemp("prometheus")
    with prometheus_server.running(folder, address, "127.0.0.1:1") as url:
        yield Prometheus(url)


def scraped(prometheus: Prometheus, expression: str) -> list[tuple[Mapping[str, str], float]]:
    """Ask until it has scraped what is asked for."""
    until = time.monotonic() + 20
    while not (found := prometheus.evaluated(expression)) and time.monotonic() < until:
        time.sleep(0.1)
    return found


def test_a_question_about_now(prometheus: Prometheus) -> None:
    ((labels, value),) = scraped(
        prometheus, 'gateway_function_invocation_total{function_name="echo.openfaas-fn"}'
    )
    assert (labels["code"], labels["job"]) == ("200", "gateway")
    assert value >= 3.0


def test_what_is_not_measured_is_left_out(prometheus: Prometheus) -> None:
    assert prometheus.evaluated("vector(0)/0") == []
    assert prometheus.evaluated("scalar(vector(1))") == [({}, 1.0)]
    assert prometheus.evaluated("no_such_metric") == []


def test_what_it_scrapes_and_how_often(prometheus: Prometheus) -> None:
    scraped(prometheus, "up == 1")
    healthy = {one.labels["instance"]: one.health for one in prometheus.targets()}
    assert healthy["127.0.0.1:1"] in ("down", "unknown")  # unknown: not asked yet
    assert "up" in healthy.values()
    assert prometheus.scrape_interval_s() == prometheus_server.SCRAPE_INTERVAL_S
    assert prometheus.scrape_is_due(datetime(2020, 1, 1, tzinfo=UTC)) is False
    assert prometheus.scrape_is_due(datetime.now(UTC) + timedelta(days=1)) is True


def test_a_wrong_expression(prometheus: Prometheus) -> None:
    with pytest.raises(MetricsError, match="parse error") as caught:
        prometheus.evaluated("rate(x")
    assert "Check the expression" in str(caught.value)


def test_a_gateway_is_no_prometheus(local_lab: LocalLab) -> None:
    with pytest.raises(MetricsError, match="404"):
        Prometheus(local_lab.gateways[0].url).evaluated("up")


def test_what_is_not_measured_is_null(prometheus: Prometheus) -> None:
    assert prometheus.query("vector(0)/0")["value"].to_list() == [None]
    assert prometheus.query("scalar(vector(1))")["value"].to_list() == [1.0]
    empty = prometheus.query("no_such_metric")
    assert (empty.columns, empty.height) == (["time", "value"], 0)


def test_a_label_that_is_called_like_a_column(prometheus: Prometheus) -> None:
    frame = prometheus.query('label_replace(vector(7), "value", "x", "", "")')
    assert (frame["value"].to_list(), frame["label_value"].to_list()) == ([7.0], ["x"])


def test_a_range_with_too_many_moments_is_widened(prometheus: Prometheus) -> None:
    end = datetime.now(UTC)
    frame = prometheus.query_range("vector(1)", start=end - timedelta(days=2), end=end, step_s=1.0)
    assert 10_000 < frame.height <= 11_000


def test_frames_of_a_moment_and_of_a_while(prometheus: Prometheus) -> None:
    assert prometheus.ready()
    assert prometheus.query("up").schema["time"] == pl.Datetime("us", "UTC")
    end = datetime.now(UTC)
    frame = prometheus.query_range("up", start=end - timedelta(seconds=2), end=end, step_s=0.5)
    assert {"time", "value", "job", "instance"} <= set(frame.columns)
