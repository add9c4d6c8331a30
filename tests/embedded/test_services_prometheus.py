"""Prometheus's client against a real Prometheus that scrapes the embedded gateway."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

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
    assert healthy["127.0.0.1:1"] == "down"
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
