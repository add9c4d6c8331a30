"""Prometheus's client against a real Prometheus that scrapes the embedded gateway."""

from __future__ import annotations

import time
from collections.abc import Iterator
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
        gateway.call(Function("echo", method="POST", body="x"))
    folder: Path = tmp_path_factory.mktemp("prometheus")
    with prometheus_server.running(folder, address, "127.0.0.1:1") as url:
        yield Prometheus(url)


def scraped(prometheus: Prometheus, expression: str) -> pl.DataFrame:
    """Ask until it has scraped what is asked for."""
    until = time.monotonic() + 20
    while (frame := prometheus.query(expression)).is_empty() and time.monotonic() < until:
        time.sleep(0.1)
    return frame


def test_a_question_about_now(prometheus: Prometheus) -> None:
    frame = scraped(
        prometheus, 'gateway_function_invocation_total{function_name="echo.openfaas-fn"}'
    )
    assert frame.schema["time"] == pl.Datetime("us", "UTC")
    assert frame["code"].to_list() == ["200"]
    assert frame["value"][0] >= 3.0
    assert frame["job"].to_list() == ["gateway"]


def test_a_question_about_a_while(prometheus: Prometheus) -> None:
    scraped(prometheus, "gateway_service_count offset 1s")
    end = datetime.now(UTC)
    frame = prometheus.query_range(
        'gateway_service_count{function_name=~"e.*"}',
        start=end - timedelta(seconds=1),
        end=end,
        step_s=0.5,
    )
    assert set(frame["function_name"]) == {"echo.openfaas-fn", "env.openfaas-fn"}
    assert frame["time"].is_between(end - timedelta(seconds=1.1), end + timedelta(seconds=1)).all()
    assert set(frame["value"]) == {1.0}


def test_what_is_not_measured_is_null(prometheus: Prometheus) -> None:
    assert prometheus.query("vector(0)/0")["value"].to_list() == [None]
    assert prometheus.query("scalar(vector(1))")["value"].to_list() == [1.0]
    empty = prometheus.query("no_such_metric")
    assert (empty.columns, empty.height) == (["time", "value"], 0)


def test_a_label_that_is_called_like_a_column(prometheus: Prometheus) -> None:
    frame = prometheus.query('label_replace(vector(7), "value", "x", "", "")')
    assert (frame["value"].to_list(), frame["label_value"].to_list()) == ([7.0], ["x"])


def test_what_it_scrapes_and_how_often(prometheus: Prometheus) -> None:
    scraped(prometheus, "up == 1")
    frame = prometheus.targets()
    columns = ["job", "instance", "healthy", "interval_s", "scraped_at", "error"]
    assert frame.columns == columns
    assert dict(zip(frame["instance"], frame["healthy"], strict=True))["127.0.0.1:1"] is False
    assert prometheus.scrape_interval_s() == prometheus_server.SCRAPE_INTERVAL_S
    assert prometheus.ready()


def test_a_range_with_too_many_moments_is_widened(prometheus: Prometheus) -> None:
    end = datetime.now(UTC)
    frame = prometheus.query_range("vector(1)", start=end - timedelta(days=2), end=end, step_s=1.0)
    assert 10_000 < frame.height <= 11_000


def test_a_wrong_expression(prometheus: Prometheus) -> None:
    with pytest.raises(MetricsError, match="parse error") as caught:
        prometheus.query("rate(x")
    assert "Check the expression" in str(caught.value)


def test_a_gateway_is_no_prometheus(local_lab: LocalLab) -> None:
    with pytest.raises(MetricsError, match="404"):
        Prometheus(local_lab.gateways[0].url).query("up")
    assert not Prometheus(local_lab.gateways[0].url).ready()
