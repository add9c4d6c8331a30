"""A service that only the generator reaches: the calls go through its SSH connection."""

from __future__ import annotations

import http.server
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpcore
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dfaas_lab.errors import GatewayError
from dfaas_lab.load import Function
from dfaas_lab.local import LocalLab
from dfaas_lab.remote.remote import Remote
from dfaas_lab.remote.tunnel import TunnelRefused
from dfaas_lab.services.gateway import Gateway
from dfaas_lab.services.ssh_transport import Stream, through
from dfaas_lab.services.transport import BoundedTransport, Deadline
from tests.embedded.blackhole import Blackhole
from tests.embedded.ready import host_of


@pytest.fixture
def remote(local_lab: LocalLab) -> Iterator[Remote]:
    remote = Remote(host_of(local_lab))
    yield remote
    remote.close()


def by_ssh(remote: Remote) -> httpcore.NetworkBackend:
    return through(remote.open_tunnel)


def test_the_gateway_through_ssh(local_lab: LocalLab, remote: Remote) -> None:
    node = local_lab.gateways[0]
    gateway = Gateway(node.url, auth=node.auth, transport=by_ssh(remote))
    gateway.check_health()
    assert gateway.deployed().equals(Gateway(node.url, auth=node.auth).deployed())
    megabyte = b"x" * 1_000_000
    assert gateway.answer(Function("sha512sum", method="POST", body=megabyte)).status_code == 200
    for _ in range(20):  # more than the channels that one SSH connection may have
        gateway.functions()


def test_many_questions_in_one_session(local_lab: LocalLab, remote: Remote) -> None:
    # Narrowing the clock's lead down takes 20 of them; a pool has 10 connections.
    url = local_lab.gateways[0].url
    way = BoundedTransport(by_ssh(remote), None, Deadline(30.0))
    with httpx.Client(transport=way, timeout=3.0) as client:
        assert {client.get(f"{url}/healthz").status_code for _ in range(25)} == {200}


def test_a_gateway_that_the_generator_cannot_reach_either(remote: Remote) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(GatewayError, match="no connection") as caught:
        Gateway(url, transport=by_ssh(remote)).functions()
    assert "no channel could be opened" in str(caught.value)


def test_an_address_that_never_answers_harms_nothing_else_on_the_connection(
    remote: Remote,
) -> None:
    with remote.open("read line; echo $PPID $line") as before, Blackhole() as hole:
        opening = ThreadPoolExecutor(1).submit(
            remote.open_tunnel, "127.0.0.1", hole.port, timeout=3.0
        )
        # A command that starts meanwhile shares the connection and does not wait for the stream.
        assert remote.run("echo here").text == "here"
        assert not opening.done()
        with pytest.raises(TunnelRefused, match="no channel to 127") as caught:
            opening.result(30)
        assert f"127.0.0.1:{hole.port} can be reached" in caught.value.hint
        assert "firewall" in caught.value.hint
        assert not caught.value.forbidden
        before.send(b"goes on\n")
        assert b"goes on" in before.finish(deadline=time.monotonic() + 20).stdout
        assert len(remote._connections) == 1


def straight(host: str, port: int, /, *, timeout: float) -> Stream:
    return socket.create_connection((host, port), timeout)


class Slow(http.server.BaseHTTPRequestHandler):
    gate = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self.send_response(200)
            self.send_header("Content-Length", "200000")
            self.end_headers()
            self.wfile.write(b"y" * 200_000)
        else:
            self.gate.wait(10)

    def log_message(self, *_: object) -> None:
        pass


def self_signed(path: Path) -> Path:
    """Write a key and a certificate for localhost."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(pem, form, serialization.NoEncryption())
    path.write_bytes(secret + certificate.public_bytes(pem))
    return path


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    certificate = self_signed(tmp_path / "certificate.pem")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"https://localhost:{server.server_address[1]}", certificate
    Slow.gate.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_https_through_a_stream_that_is_no_socket(
    tls: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, certificate = tls
    gateway = Gateway(url, transport=through(straight))
    with pytest.raises(GatewayError, match="certificate verify failed"):
        gateway.check_health()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    gateway.check_health()


def test_a_service_that_does_not_answer_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        gateway = Gateway(url, transport=through(straight))
        with pytest.raises(GatewayError, match=r"no answer within 0\.2 s"):
            gateway.answer(Function("echo"), timeout_s=0.2)
