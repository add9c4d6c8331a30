"""The gateway's client against the embedded gateway, and against what is no gateway."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator

import pytest

from dfaas_lab.errors import ConfigError, GatewayError
from dfaas_lab.load import Function
from dfaas_lab.local import LocalLab, start
from dfaas_lab.services.gateway import Gateway


@pytest.fixture(scope="module")
def lab() -> Iterator[LocalLab]:
    with start(clock_skew_s=-90.0) as lab:
        yield lab


@pytest.fixture
def gateway(lab: LocalLab) -> Gateway:
    return Gateway(lab.gateways[0].url, auth=lab.gateways[0].auth)


def test_what_is_deployed(gateway: Gateway) -> None:
    frame = gateway.deployed()
    assert frame.columns == ["function", "image", "replicas", "available"]
    assert {"figlet", "env", "echo"} <= set(frame["function"])
    assert frame.filter(function="echo").row(0) == ("echo", "echo", 1, 1)
    assert gateway.facts([], timeout_s=5)["version"]["provider"]["provider"] == "dfaas-lab"
    gateway.check_health()


def test_deploying_changes_only_what_is_not_there_yet(gateway: Gateway) -> None:
    shout = Function("shout", image="figlet")
    assert gateway.deploy([shout, Function("env", image="env")]) == ("shout",)
    gateway.wait_ready(["shout"], timeout_s=10)
    assert gateway.deploy([shout]) == ()
    assert gateway.deploy([Function("shout", image="echo")]) == ("shout",)
    assert gateway.deployed().filter(function="shout")["image"].to_list() == ["echo"]


def test_a_function_answers_a_call(gateway: Gateway) -> None:
    assert gateway.answer(Function("echo", method="POST", body=b"\0x")).content == b"\0x"
    assert gateway.answer(Function("nobody")).status_code == 404


def test_a_function_without_an_image_is_not_deployed(gateway: Gateway) -> None:
    with pytest.raises(ConfigError, match="function env has no image"):
        gateway.deploy([Function("env")])


def test_an_image_that_the_gateway_does_not_know(gateway: Gateway) -> None:
    with pytest.raises(GatewayError, match=r"answered 400 .*image 'none' is not"):
        gateway.deploy([Function("x", image="none")])


def test_waiting_for_a_function_that_is_not_there(gateway: Gateway) -> None:
    with pytest.raises(GatewayError, match="not deployed: nobody") as caught:
        gateway.wait_ready(["echo", "nobody"])
    assert "target.deploy()" in str(caught.value)


@pytest.mark.parametrize("auth", [None, ("admin", "guessed-wrong")])
def test_a_wrong_password_says_what_to_give_and_not_what_was_given(
    gateway: Gateway, auth: tuple[str, str] | None
) -> None:
    with pytest.raises(GatewayError, match="401") as caught:
        Gateway(gateway.url, auth=auth).functions()
    assert "Target(..., auth=" in str(caught.value)
    assert caught.value.url == gateway.url
    assert "guessed-wrong" not in repr(caught.value) + str(caught.value)


def test_the_password_is_not_in_a_repr(lab: LocalLab, gateway: Gateway) -> None:
    assert repr(gateway) == f"Gateway({gateway.url!r})"
    assert lab.gateways[0].auth[1] not in repr(gateway._endpoint)


def test_nothing_listens_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    gateway = Gateway(url)
    with pytest.raises(GatewayError, match="no connection") as caught:
        gateway.check_health()
    assert "via=generator" in str(caught.value)


def test_no_such_host() -> None:
    with pytest.raises(GatewayError, match="no connection"):
        Gateway("http://no-such-host.invalid:1").functions()


def test_a_metrics_port_is_no_gateway(lab: LocalLab) -> None:
    with pytest.raises(GatewayError, match="404") as caught:
        Gateway(lab.gateways[0].metrics_url.removesuffix("/metrics")).functions()
    assert "Check the gateway's URL" in str(caught.value)


class Odd(http.server.BaseHTTPRequestHandler):
    """A server that is no gateway: it breaks the first connection, then answers HTML."""

    protocol_version = "HTTP/1.1"
    broken = 0
    posted = 0

    def do_GET(self) -> None:
        if type(self).broken < 2:
            type(self).broken += 1
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"<html>")

    def do_POST(self) -> None:
        type(self).posted += 1
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def odd() -> Iterator[str]:
    Odd.broken = Odd.posted = 0
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Odd)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_broken_connection_is_tried_again_only_where_that_does_no_harm(odd: str) -> None:
    with pytest.raises(GatewayError, match="is no JSON"):
        Gateway(odd).functions()
    assert Odd.broken == 2
    with pytest.raises(GatewayError, match="the connection was lost"):
        Gateway(odd)._endpoint.ask("POST", "/system/functions")
    assert Odd.posted == 1


@pytest.mark.parametrize("url", ["10.0.0.1:8080", "ftp://x", "http://", "http://a b", ""])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(ConfigError, match="is no URL of the gateway"):
        Gateway(url)


def test_a_password_in_the_url_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        Gateway("http://admin:s3cret@host:1")
    assert "s3cret" not in str(caught.value)


def test_the_lead_of_the_gateways_clock(gateway: Gateway) -> None:
    found = gateway.date_skew()
    assert found is not None
    assert abs(found.seconds + 90.0) <= found.uncertainty_s
    assert found.uncertainty_s < 0.5
