"""Gateways and Prometheus that answer oddly: bounded in bytes and in time, and typed errors."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from dfaas_lab import Function, Generator, Target
from dfaas_lab.errors import ConfigError, GatewayError, MetricsError
from dfaas_lab.secret import Secret, credentials
from dfaas_lab.services import transport
from dfaas_lab.services.endpoint import Endpoint
from dfaas_lab.services.gateway import Gateway
from dfaas_lab.services.prometheus import Prometheus
from dfaas_lab.services.ssh_transport import through

Answer = Callable[[socket.socket, str], None]


class Server:
    """A raw HTTP server on loopback, which answers as the test says."""

    def __init__(self) -> None:
        self.answer: Answer = lambda _, __: None
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.ended = threading.Event()
        self.heard: list[bytes] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def body(self, content: bytes, *headers: str, status: str = "200 OK") -> None:
        lines = "".join(f"{header}\r\n" for header in headers)
        head = f"HTTP/1.1 {status}\r\n{lines}Content-Length: {len(content)}\r\n\r\n"
        self.answer = lambda link, _: link.sendall(head.encode() + content)

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        with link:
            try:
                asked = b""
                while b"\r\n\r\n" not in asked:
                    asked += link.recv(65536) or b"\r\n\r\n"
                self.heard.append(asked)
                self.answer(link, asked.split()[1].decode() if asked.split() else "")
            except OSError:
                pass


@pytest.fixture
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.ended.set()
    started.socket.close()


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"HTTP/1.1"])
def test_an_answer_that_drips_ends_with_its_time(server: Server, start: bytes) -> None:
    def drip(link: socket.socket, _: str) -> None:
        link.sendall(start)
        while not server.ended.wait(0.05):
            link.sendall(b" ")

    server.answer = drip
    endpoint = Endpoint(server.url, "the gateway", GatewayError)
    began = time.monotonic()
    with endpoint.session(timeout_s=0.5) as session, pytest.raises(GatewayError, match=r"0\.5 s"):
        session.ask("GET", "/healthz")
    assert time.monotonic() - began < 10  # each byte comes well within the limit


def test_nor_is_what_is_sent_taken_slowly_without_end(server: Server) -> None:
    def sip(link: socket.socket, _: str) -> None:
        while not server.ended.wait(0.1) and link.recv(300_000):
            pass

    server.answer = sip
    body = b"x" * (64 << 20)
    began = time.monotonic()
    with pytest.raises(GatewayError, match="no answer within 1 s"):
        Gateway(server.url).answer(Function("env", method="POST", body=body), timeout_s=1.0)
    assert time.monotonic() - began < 8


class Dripping:
    """A stream that takes and gives one byte at a time, each well within the time limit."""

    def settimeout(self, _: float | None) -> None:
        pass

    def recv(self, _: int) -> bytes:
        time.sleep(0.05)
        return b"\x16"

    def send(self, _: bytes) -> int:
        time.sleep(0.05)
        return 1

    def close(self) -> None:
        pass


class Mumbling(Dripping):
    """The same, but it takes everything at once: a record of TLS that never ends."""

    said = iter(b"\x16\x03\x03\x40\x00" + bytes(16384))

    def recv(self, _: int) -> bytes:
        time.sleep(0.05)
        return bytes((next(self.said),))

    def send(self, data: bytes) -> int:
        return len(data)


@pytest.mark.parametrize(
    ("url", "stream"), [("http://node", Dripping()), ("https://node", Mumbling())]
)
def test_a_tunnel_that_drips_ends_with_its_time(url: str, stream: Dripping) -> None:
    endpoint = Endpoint(
        url, "the gateway", GatewayError, transport=through(lambda *_, timeout: stream)
    )
    began = time.monotonic()
    with endpoint.session(timeout_s=0.7) as session, pytest.raises(GatewayError, match=r"0\.7 s"):
        session.ask("GET", "/healthz")
    assert time.monotonic() - began < 8


def test_no_more_is_read_than_can_be_held(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MOST_BYTES", 1 << 20)
    server.body(b" " * (2 << 20))
    with pytest.raises(GatewayError, match="more than 1 MiB"):
        Gateway(server.url).functions()
    server.body(gzip.compress(b" " * (8 << 20)), "Content-Encoding: gzip")
    with pytest.raises(GatewayError, match="when it is decoded"):
        Gateway(server.url).functions()
    server.body(gzip.compress(b"[]"), "Content-Encoding: gzip")
    assert Gateway(server.url).functions() == ()
    for wrong in ("br", "gzip"):
        server.body(b"nonsense", f"Content-Encoding: {wrong}")
        with pytest.raises(GatewayError):
            Gateway(server.url).functions()


@pytest.mark.parametrize(
    "body", [b"[" + b"[]," * 3_000_000 + b"[]]", b"[" + b"{}," * 300_000 + b"{}]"]
)
def test_nor_more_than_its_values_take(server: Server, body: bytes) -> None:
    server.body(body)
    with pytest.raises(GatewayError, match=r"values in [\d,]+ objects.*\n.*are the most"):
        Gateway(server.url).functions()


@pytest.mark.parametrize("charset", ["zlib", "bz2", "idna", "punycode", "undefined", "utf-16"])
def test_no_charset_of_an_answer_is_a_program(server: Server, charset: str) -> None:
    said = zlib.compress(b"no such thing " * 1000) if charset == "zlib" else b"no such thing"
    server.body(said, f"Content-Type: text/plain; charset={charset}", status="500 Oh")
    with pytest.raises(GatewayError, match="answered 500") as caught:
        Gateway(server.url).check_health()
    assert ("no such thing" in str(caught.value)) == (charset != "zlib")


def test_headers_are_bounded_too(server: Server) -> None:
    def many(link: socket.socket, _: str) -> None:
        link.sendall(b"HTTP/1.1 200 OK\r\n")
        while not server.ended.is_set():
            link.sendall(b"X-A: " + b"a" * 8000 + b"\r\n")

    server.answer = many
    with pytest.raises(GatewayError):
        Gateway(server.url).check_health()


@pytest.mark.parametrize(
    "body",
    [
        b'[{"name":"env","replicas":"abc"}]',
        b'[{"name":"env","replicas":1e400}]',
        b'[{"name":"env","replicas":-1}]',
        b'[{"name":"env","availableReplicas":[1]}]',
        b'[{"name":"env","replicas":' + b"9" * 30 + b"}]",
        b'[{"name":"\\ud800"}]',
        b'[{"name":"env","image":5}]',
        b'{"name":"env"}',
        b"[1]",
        b"[" * 100_000,
        b"\xff",
        b"",
    ],
)
def test_odd_answers_of_a_gateway_are_typed(server: Server, body: bytes) -> None:
    server.body(body)
    with pytest.raises(GatewayError):
        Gateway(server.url).deployed()


def test_what_a_gateway_does_not_tell_is_null(server: Server) -> None:
    server.body(b'[{"name":"env","replicas":1,"envVars":null,"labels":{"a":5}}]')
    assert Gateway(server.url).deployed().row(0) == ("env", "", 1, None)
    server.body(b"null")
    assert Gateway(server.url).deployed().is_empty()


def vector(one: object) -> bytes:
    data = {"resultType": "vector", "result": [one]}
    return json.dumps({"status": "success", "data": data}).encode()


@pytest.mark.parametrize(
    "body",
    [
        b'{"status":"success"}',
        b'{"status":"success","data":null}',
        b'{"status":"success","data":{"resultType":"streams","result":[]}}',
        b'{"status":"maybe"}',
        b"[]",
        vector({"metric": {}, "value": ["NaN", "1"]}),
        vector({"metric": {}, "value": [1e300, "1"]}),
        vector({"metric": {}, "value": [-1e10, "1"]}),
        vector({"metric": {}, "value": [253402300800, "1"]}),
        vector({"metric": {}, "value": [1, "abc"]}),
        vector({"metric": {}, "value": [1, 1]}),
        vector({"metric": {}, "value": [1]}),
        vector({"metric": 5, "value": [1, "1"]}),
        vector({"metric": {"a": 5}, "value": [1, "1"]}),
        b"{" * 100_000,
    ],
)
def test_odd_answers_of_prometheus_are_typed(server: Server, body: bytes) -> None:
    server.body(body)
    with pytest.raises(MetricsError):
        Prometheus(server.url).evaluated("up")


def test_a_prometheus_without_the_time_is_told(server: Server) -> None:
    server.body(b'{"status":"success","data":{"resultType":"vector","result":[]}}')
    with pytest.raises(MetricsError, match="what time it is"):
        Prometheus(server.url).clock_skew()


def test_a_scrape_at_the_end_of_time_is_due_later(server: Server) -> None:
    server.body(
        b'{"status":"success","data":{"activeTargets":[{"scrapeInterval":"1s",'
        b'"lastScrape":"9999-12-31T23:59:59-12:00"}]}}'
    )
    assert Prometheus(server.url).scrape_is_due(datetime.now(UTC)) is False


@pytest.mark.parametrize("one", ["NaN", "+Inf", "1e308", "-1", None])
def test_a_time_that_is_none_is_no_skew(server: Server, one: str | None) -> None:
    said = vector({"metric": {}, "value": [1, one]}) if one else vector({})
    server.body(said)
    with pytest.raises(MetricsError, match="does not say what time it is"):
        Prometheus(server.url).clock_skew()


@pytest.mark.parametrize("zone", ["+" + "9" * 12, "-" + "9" * 30, "GMT" * 1000])
def test_a_date_with_an_odd_zone_is_no_clock(server: Server, zone: str) -> None:
    server.body(b"OK", f"Date: Thu, 01 Jan 9999 00:00:00 {zone}")
    skew = Gateway(server.url).date_skew()
    assert skew is None or zone.startswith("GMT")


def test_a_redirect_is_told_with_where_to(server: Server) -> None:
    server.body(
        b"", "Location: https://lab.example/x?token=CANARY", status="308 Permanent Redirect"
    )
    with pytest.raises(GatewayError, match=r"https://lab\.example/x") as caught:
        Gateway(server.url).check_health()
    assert "CANARY" not in str(caught.value)
    assert "k6 follows none" in str(caught.value)
    assert Gateway(server.url).redirect().startswith("https://lab.example")


def test_hints_of_a_real_gateways_troubles(server: Server) -> None:
    server.answer = lambda link, path: (
        link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
        if "health" in path
        else None
    )
    with pytest.raises(GatewayError, match="own Prometheus"):
        Gateway(server.url).functions()
    server.body(b"unable to list functions: namespace not allowed", status="400 Bad Request")
    with pytest.raises(GatewayError, match="namespace 'dev'"):
        Gateway(server.url).functions("dev")


def test_no_secret_of_a_url_is_logged(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.body(b"ok")
    with caplog.at_level(logging.DEBUG):
        Gateway(server.url).answer(Function("f", path="?token=CANARY"))
    assert "CANARY" not in caplog.text


@pytest.mark.parametrize("auth", ["CANARY", b"CANARY", ("a", "CANARY\ud800"), ("CANARY",), 5])
def test_a_password_that_is_none_is_refused_at_once_and_not_shown(auth: object) -> None:
    with pytest.raises(ConfigError) as caught:
        Target(
            "t",
            gateway="http://127.0.0.1:1",
            auth=auth,  # type: ignore[arg-type]
            generator=Generator("127.0.0.1"),
            functions=[Function("env")],
        )
    assert "CANARY" not in str(caught.value)


def test_a_password_that_is_sealed_already_is_sent_as_it_is(server: Server) -> None:
    asked: list[bytes] = []

    def answer(link: socket.socket, _: str) -> None:
        link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")

    server.answer, server.heard = answer, asked
    auth, problem = credentials((Secret("admin"), Secret("open sesame")))
    assert (auth, problem) == (("admin", "open sesame"), "")
    Gateway(server.url, auth=auth).functions()
    assert base64.b64encode(b"admin:open sesame") in asked[0]


def test_labels_that_are_called_like_columns(server: Server) -> None:
    server.body(vector({"metric": {"time": "a", "label_time": "b"}, "value": [1, "+Inf"]}))
    frame = Prometheus(server.url).query("up")
    assert frame.columns[:2] == ["time", "value"]
    assert set(frame.row(0)[2:]) == {"a", "b"}


def test_a_client_says_whether_a_service_is_well(server: Server) -> None:
    server.body(b"{}")
    assert Gateway(server.url).healthy()
    assert Prometheus(server.url).ready()
    assert Gateway(server.url).info() == {}
    closed = server.url.rsplit(":", 1)[0] + ":1"
    assert not Gateway(closed).healthy()
    assert not Prometheus(closed).ready()
