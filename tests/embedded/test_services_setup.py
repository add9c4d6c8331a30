"""A target is made ready over HTTP, and says in one line what it lacks."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from dfaas_lab.errors import MetricsError
from dfaas_lab.execution.node_metrics import NodeMetrics
from dfaas_lab.generator import Generator
from dfaas_lab.load import Function
from dfaas_lab.local import LocalLab, start
from dfaas_lab.provision.target_steps import set_up_target
from dfaas_lab.services.gateway import Gateway
from dfaas_lab.services.prometheus import Prometheus
from dfaas_lab.services.queries import queries
from dfaas_lab.target import Target
from tests.embedded import prometheus_server
from tests.embedded.ready import host_of


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


class Cold(http.server.BaseHTTPRequestHandler):
    """A gateway that holds calls back until its function has woken up."""

    awake = threading.Event()

    def do_GET(self) -> None:
        there = json.dumps([{"name": "env", "replicas": 1, "availableReplicas": 1}]).encode()
        if self.path.startswith("/function"):
            self.awake.wait(60)
        with contextlib.suppress(OSError):  # the client may have gone
            self.send_response(200)
            self.send_header("Content-Length", str(len(there)))
            self.end_headers()
            self.wfile.write(there)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def cold() -> Iterator[Gateway]:
    Cold.awake.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cold)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield Gateway(f"http://127.0.0.1:{server.server_port}", auth=("a", "b"))
    Cold.awake.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.slow
def test_a_function_that_wakes_up_slowly_is_waited_for(cold: Gateway) -> None:
    # The first call is given up after 10 s; only then does the function wake up.
    steps = set_up_target(cold, [Function("env")], sleep=lambda _: Cold.awake.set())
    assert [step.status for step in steps] == ["ok", "ok", "ok"]
    assert steps[-1].seconds > 9


def test_a_function_that_never_answers_is_named_at_the_limit(cold: Gateway) -> None:
    last = set_up_target(cold, [Function("env")], timeout_s=0.5)[-1]
    assert (last.task, last.status) == ("Wait for the functions", "failed")
    assert "env does not answer" in last.message
    assert last.error is not None
    assert "Function(timeout=...)" in last.error.hint


def test_a_wrong_password_ends_it_before_anything_is_deployed(gateway: Gateway) -> None:
    steps = set_up_target(Gateway(gateway.url, auth=("admin", "no")), [Function("y", image="echo")])
    assert [step.status for step in steps] == ["failed"]
    assert "401" in steps[0].message
    assert "y" not in gateway.deployed()["function"]


def test_a_prometheus_that_is_not_there(gateway: Gateway) -> None:
    last = set_up_target(gateway, [], Prometheus("http://127.0.0.1:1"))[-1]
    assert (last.task, last.status) == ("Check Prometheus", "failed")
    assert "Prometheus at http://127.0.0.1:1: no connection" in last.message


def test_a_prometheus_that_only_the_generator_reaches(
    lab: LocalLab, prometheus: Prometheus
) -> None:
    host = host_of(lab)
    began = datetime.now(UTC) - timedelta(seconds=5)
    for via in (Generator(host, name="near"), Generator(replace(host, port=1), name="off")):
        target = Target(
            "node",
            gateway=lab.gateways[0].url,
            generator=via,
            functions=[Function("echo")],
            prometheus=prometheus.url,
            via=via,
        )
        found = target._services()[1]
        assert found is not None
        if via.name == "off":  # what does not go through the generator would answer
            with pytest.raises(MetricsError, match="nothing listens for SSH"):
                found.evaluated("vector(1)")
            continue
        assert found.scrape_interval_s() == 0.5
        assert found.evaluated("vector(1)") == [({}, 1.0)]
        until = time.monotonic() + 20  # it may not have scraped anything yet
        while "replicas" not in set(target.metrics(began, datetime.now(UTC))["metric"]):
            assert time.monotonic() < until
            time.sleep(0.2)
        via.close()


def test_a_targets_own_view_of_a_while(gateway: Gateway, prometheus: Prometheus) -> None:
    began = datetime.now(UTC)
    until = time.monotonic() + 20
    frame = pl.DataFrame()
    node = NodeMetrics("node", prometheus, queries("local"), ["echo"])
    while time.monotonic() < until:
        gateway.answer(Function("echo", method="POST", body="x"))
        frame = node.between(began, datetime.now(UTC))
        counted = frame.filter(metric="invocations_rps", function="echo")
        if (counted["value"].fill_null(0) > 0).any():
            break
        time.sleep(0.2)
    assert frame.columns == ["time", "metric", "function", "instance", "value", "reason"]
    assert counted.height > 0
    assert counted["time"].min() >= began  # exactly: no rate looks back
    replicas = frame.filter(metric="replicas", function="echo")
    assert set(replicas["value"]) == {1.0}
    assert frame.filter(metric="cpu_cores").is_empty()  # there is no node exporter here
    assert not frame["value"].is_nan().any()


def test_a_while_of_which_nothing_is_known(prometheus: Prometheus) -> None:
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    node = NodeMetrics("node", prometheus, queries("local"), [])
    frame = node.between(long_ago, long_ago + timedelta(seconds=5))
    assert frame.is_empty()
    assert frame.schema["time"] == pl.Datetime("us", "UTC")


def test_a_question_of_ones_own(prometheus: Prometheus, tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text("healthy: {gauge: 'up{job=\"gateway\"}', instance: job}\n")
    now = datetime.now(UTC)
    node = NodeMetrics("node", prometheus, queries(tmp_path / "mine.yml"), [])
    frame = node.between(now - timedelta(seconds=2), now)
    assert set(frame.select("metric", "instance", "value").rows()) == {("healthy", "gateway", 1.0)}
    short = node.between(now, now + timedelta(milliseconds=1))
    assert short.row(0)[4:] == (None, "0.001 s of load, scraped every 0.5 s")
    (tmp_path / "mine.yml").write_text("one: {gauge: 'vector(1)'}\n")
    with pytest.raises(MetricsError, match="parse error"):
        NodeMetrics("node", prometheus, queries(tmp_path / "mine.yml"), []).between(now, now)
