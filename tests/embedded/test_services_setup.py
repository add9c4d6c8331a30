"""A target is made ready over HTTP, and says in one line what it lacks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from dfaas_lab.load import Function
from dfaas_lab.local import LocalLab, start
from dfaas_lab.services.gateway import Gateway
from dfaas_lab.services.prometheus import Prometheus
from dfaas_lab.services.target_metrics import target_metrics
from dfaas_lab.services.target_setup import set_up_target
from tests.embedded import prometheus_server


@pytest.fixture(scope="module")
def lab() -> Iterator[LocalLab]:
    with start() as lab:
        yield lab


@pytest.fixture
def gateway(lab: LocalLab) -> Gateway:
    return Gateway(lab.gateways[0].url, auth=lab.gateways[0].auth)


@pytest.fixture(scope="module")
def prometheus(lab: LocalLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    address = lab.gateways[0].metrics_url.removeprefix("http://").removesuffix("/metrics")
    with prometheus_server.running(tmp_path_factory.mktemp("prometheus"), address) as url:
        yield Prometheus(url)


def test_functions_are_deployed_once_and_answer(gateway: Gateway, prometheus: Prometheus) -> None:
    functions = [Function("echo"), Function("shout", image="figlet", method="POST", body="x")]
    said: list[str] = []
    steps = set_up_target(gateway, functions, prometheus, say=said.append)
    assert [(step.task, step.status, step.message) for step in steps] == [
        ("Log in to the gateway", "ok", ""),
        ("Deploy the functions", "changed", "deployed shout"),
        ("Wait for the functions", "ok", ""),
        ("Check Prometheus", "ok", "scrapes every 0.5 s"),
    ]
    assert said == [step.task for step in steps]
    again = set_up_target(gateway, functions)
    assert [step.status for step in again] == ["ok", "ok", "ok"]


@pytest.mark.parametrize(
    ("function", "said", "fix"),
    [
        (Function("nobody"), "not deployed: nobody", "image"),
        (Function("x", image="none"), "'none' is not registered", ""),
    ],
)
def test_what_a_target_lacks(gateway: Gateway, function: Function, said: str, fix: str) -> None:
    last = set_up_target(gateway, [function])[-1]
    assert last.status == "failed"
    assert said in last.message
    assert "\n" not in last.message
    assert last.error is not None
    assert fix in last.error.hint


def test_a_wrong_password_ends_it_before_anything_is_deployed(gateway: Gateway) -> None:
    steps = set_up_target(Gateway(gateway.url, auth=("admin", "no")), [Function("y", image="echo")])
    assert [step.status for step in steps] == ["failed"]
    assert "401" in steps[0].message
    assert "y" not in gateway.deployed()["function"]


def test_a_prometheus_that_is_not_there(gateway: Gateway) -> None:
    last = set_up_target(gateway, [], Prometheus("http://127.0.0.1:1"))[-1]
    assert (last.task, last.status) == ("Check Prometheus", "failed")
    assert "Prometheus at http://127.0.0.1:1: no connection" in last.message


def test_a_targets_own_view_of_a_while(gateway: Gateway, prometheus: Prometheus) -> None:
    began = datetime.now(UTC)
    until = time.monotonic() + 20
    frame = pl.DataFrame()
    while time.monotonic() < until:
        gateway.call(Function("echo", method="POST", body="x"))
        frame = target_metrics(prometheus, began, datetime.now(UTC))
        counted = frame.filter(metric="invocations_rps", function="echo")
        if (counted["value"].fill_null(0) > 0).any():
            break
        time.sleep(0.2)
    assert frame.columns == ["time", "metric", "function", "instance", "value"]
    assert counted.height > 0
    assert counted["time"].min() >= began - timedelta(seconds=1)
    replicas = frame.filter(metric="replicas", function="echo")
    assert set(replicas["value"]) == {1.0}
    assert frame.filter(metric="cpu_cores").is_empty()  # there is no node exporter here
    assert not frame["value"].is_nan().any()


def test_a_while_of_which_nothing_is_known(prometheus: Prometheus) -> None:
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    frame = target_metrics(prometheus, long_ago, long_ago + timedelta(seconds=5))
    assert frame.is_empty()
    assert frame.schema["time"] == pl.Datetime("us", "UTC")


def test_a_question_of_ones_own(prometheus: Prometheus) -> None:
    now = datetime.now(UTC)
    frame = target_metrics(prometheus, now, now, expressions={"one": "vector(1)"})
    assert frame.row(0)[1:] == ("one", None, None, 1.0)
