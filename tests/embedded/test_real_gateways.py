"""What real gateways do otherwise than one expects: provisioning and deploying cope with it."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from dfaas_lab import Function
from dfaas_lab.checks.target import check_target
from dfaas_lab.errors import GatewayError
from dfaas_lab.local import LocalLab, start
from dfaas_lab.provision.target_steps import set_up_target
from dfaas_lab.services.gateway import Gateway


@pytest.fixture(scope="module")
def lab() -> Iterator[LocalLab]:
    with start(2, functions={"away": ["sh", "-c", "exit 0"]}) as lab:
        lab.gateways[1].restart(provider="faasd")
        yield lab


@pytest.fixture
def kubernetes(lab: LocalLab) -> Gateway:
    return Gateway(lab.gateways[0].url, auth=lab.gateways[0].auth)


@pytest.fixture
def faasd(lab: LocalLab) -> Gateway:
    return Gateway(lab.gateways[1].url, auth=lab.gateways[1].auth)


def deployed(name: str, **notes: str) -> Function:
    annotations = {f"dfaas-lab.{key}-seconds": value for key, value in notes.items()}
    return Function(name, image="echo", annotations=annotations)


def remove(gateway: Gateway, name: str) -> None:
    gateway._endpoint.ask("DELETE", "/system/functions", json={"functionName": name})


def test_another_functions_trouble_is_not_ours(kubernetes: Gateway) -> None:
    kubernetes.deploy([deployed("broken", start="never")])
    steps = set_up_target(kubernetes, [Function("env")], timeout_s=5)
    assert steps[-1].error is None
    remove(kubernetes, "broken")


def test_what_a_gateway_does_not_tell_is_not_none(faasd: Gateway) -> None:
    assert faasd.deployed().filter(function="env")["available"].to_list() == [None]
    steps = set_up_target(faasd, [Function("env"), Function("echo", image="echo")], timeout_s=5)
    assert [step.status for step in steps] == ["ok"] * len(steps)  # equal images are left alone
    assert all(finding.ok for finding in check_target(faasd, [Function("env")]))


@pytest.mark.parametrize("which", ["kubernetes", "faasd"])
def test_a_slow_function_is_waited_for_and_a_broken_one_is_named(
    which: str, request: pytest.FixtureRequest
) -> None:
    gateway: Gateway = request.getfixturevalue(which)
    assert set_up_target(gateway, [deployed("lazy", start="1")], timeout_s=20)[-1].error is None
    last = set_up_target(gateway, [deployed("never", start="never")], timeout_s=2)[-1]
    assert last.status == "failed"
    assert "never" in last.message
    for name in ("lazy", "never"):
        remove(gateway, name)


def test_deploying_loses_no_setting(kubernetes: Gateway) -> None:
    function = Function(
        "keeps",
        image="env",
        env={"mode": "x"},
        labels={"team": "edge"},
        annotations={"topic": "a"},
        limits={"memory": "64Mi"},
        secrets=["api-key"],
    )
    assert kubernetes.deploy([function]) == ("keeps",)
    assert kubernetes.deploy([Function("keeps", image="env", env={"more": "y"})]) == ("keeps",)
    assert kubernetes.deploy([function, Function("keeps", image="docker.io/library/env")]) == ()
    with kubernetes._endpoint.session() as session:
        told = kubernetes._described(session, "keeps")
    assert told is not None
    assert told.envVars == {"mode": "x", "more": "y"}
    assert (told.labels, told.annotations) == ({"team": "edge"}, {"topic": "a"})
    assert (told.limits, told.secrets) == ({"memory": "64Mi"}, ["api-key"])
    remove(kubernetes, "keeps")


def test_the_gateways_own_prometheus_is_down(lab: LocalLab, kubernetes: Gateway) -> None:
    lab.gateways[0].restart(prometheus_down=True)
    try:
        kubernetes.check_health()
        with pytest.raises(GatewayError, match="own Prometheus"):
            kubernetes.functions()
    finally:
        lab.gateways[0].restart(prometheus_down=False)


def test_a_namespace_that_is_not_there(kubernetes: Gateway) -> None:
    with pytest.raises(GatewayError, match="namespace"):
        kubernetes.functions("elsewhere")


class Redirecting(http.server.BaseHTTPRequestHandler):
    """An ingress that sends calls of functions to https, and answers the rest itself."""

    status, body = 308, b""

    def do_GET(self) -> None:
        called = self.path.startswith(("/function", "/async"))
        body = self.body if called else b'[{"name": "x", "image": "i", "replicas": 1}]'
        self.send_response(self.status if called else 200)
        if called and self.status < 400:
            self.send_header("Location", "https://lab.example" + self.path)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(params=[(301, b""), (302, b""), (308, b"")])
def redirecting(request: pytest.FixtureRequest) -> Iterator[str]:
    kind = type("Kind", (Redirecting,), dict(zip(("status", "body"), request.param, strict=True)))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_redirect_in_front_of_the_functions_is_refused(redirecting: str) -> None:
    gateway = Gateway(redirecting)
    last = set_up_target(gateway, [Function("x")], timeout_s=5)[-1]
    assert last.status == "failed"
    assert "https://lab.example/function/x" in last.message
    assert last.error is not None
    assert "k6 follows none" in last.error.hint
    found = {finding.check: finding for finding in check_target(gateway, [Function("x")])}
    assert found["functions"].ok is False
    assert "https://lab.example" in found["functions"].detail


def test_a_command_that_cannot_be_executed_is_told() -> None:
    said = b"fork/exec /usr/bin/fn: exec format error"
    kind = type("Kind", (Redirecting,), {"status": 500, "body": said})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        last = set_up_target(Gateway(f"http://127.0.0.1:{server.server_port}"), [Function("x")])[-1]
        server.shutdown()
    assert last.status == "failed"
    assert last.error is not None
    assert "architecture" in last.error.hint


def test_an_asynchronous_call_is_queued(kubernetes: Gateway, lab: LocalLab) -> None:
    name = Function("echo", asynchronous=True, method="POST", body="x")
    assert kubernetes.answer(name).status_code == 202
    assert kubernetes.answer(Function("nobody", asynchronous=True)).status_code == 404
    counted = 'gateway_function_invocation_total{code="200",function_name="echo.openfaas-fn"} 1.0'
    until = time.monotonic() + 10
    while counted not in httpx.get(lab.gateways[0].metrics_url).text:
        assert time.monotonic() < until, "it was never executed"
        time.sleep(0.05)
