"""A gateway behind an authority of its own: refused with a hint, trusted, or not checked."""

from __future__ import annotations

import datetime
import http.server
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dfaas_lab import Function, Lab, Target
from dfaas_lab.errors import ConfigError, GatewayError
from tests.embedded.ready import make_ready


def signed(
    name: str, key: ec.EllipticCurvePrivateKey, by: tuple[str, ec.EllipticCurvePrivateKey]
) -> bytes:
    """A certificate for 127.0.0.1, or of an authority where it signs itself."""
    now = datetime.datetime.now(datetime.UTC)
    local = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, by[0])]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=name == by[0], path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([local]), critical=False)
        .sign(by[1], hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


def certified(folder: Path) -> tuple[Path, Path]:
    """The file of an authority, and that of a server's certificate and key which it signed."""
    root, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    (folder / "ca.pem").write_bytes(signed("Lab CA", root, ("Lab CA", root)))
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "gw.pem").write_bytes(signed("gw", key, ("Lab CA", root)) + private)
    return folder / "ca.pem", folder / "gw.pem"


class Secure(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        listed = [{"name": "x", "image": "i", "replicas": 1, "availableReplicas": 1}]
        body = json.dumps(listed).encode() if "functions" in self.path else b"{}"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The URL of a gateway, and the file of the authority that signed its certificate."""
    ca, pem = certified(tmp_path_factory.mktemp("certificates [1]"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Secure) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://127.0.0.1:{server.server_port}", ca
        server.shutdown()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab.local(store=tmp_path_factory.mktemp("store")) as lab:
        make_ready(lab)
        yield lab


def target(lab: Lab, url: str, **trust: object) -> Target:
    return Target(
        "t",
        gateway=url,
        generator=lab.generator,
        functions=[Function("x")],
        store=lab.store.root,
        **trust,  # type: ignore[arg-type]
    )


def test_a_certificate_that_nobody_trusts_is_refused(lab: Lab, authority: tuple[str, Path]) -> None:
    with pytest.raises(GatewayError, match="certificate is refused") as caught:
        target(lab, authority[0]).deployed()
    assert "Target(ca='ca.pem')" in str(caught.value)


def test_an_authority_is_given_to_everybody_who_asks(lab: Lab, authority: tuple[str, Path]) -> None:
    url, ca = authority
    trusting = target(lab, url, ca=ca)
    assert trusting.deployed().height == 1
    run = trusting.run_k6(load=5, duration="1s", progress=False)
    assert run.summary["success_rate"].to_list() == [1.0]
    assert "certificates" not in str(run.verdict)
    through = Target(
        "v",
        gateway=url,
        generator=lab.generator,
        functions=[Function("x")],
        via=lab.generator,
        ca=ca,
    )
    assert through.deployed().height == 1


def test_what_is_not_checked_is_in_the_verdict(lab: Lab, authority: tuple[str, Path]) -> None:
    careless = target(lab, authority[0], insecure=True)
    assert careless.deployed().height == 1
    run = careless.run_k6(load=5, duration="1s", progress=False)
    assert run.summary["success_rate"].to_list() == [1.0]
    assert "certificates were not checked" in str(run.verdict)


def test_the_systems_own_variable_is_honoured(
    lab: Lab, authority: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[1]))
    assert target(lab, authority[0]).deployed().height == 1


def test_a_file_that_is_no_authority_is_told(lab: Lab, authority: tuple[str, Path]) -> None:
    url, ca = authority
    (ca.parent / "none.pem").write_text("nothing")
    for wrong in (ca.parent / "none.pem", ca.parent / "away.pem", ca.parent):
        with pytest.raises(ConfigError, match="ca="):
            target(lab, url, ca=wrong).deployed()
    with pytest.raises(ConfigError, match="exclude each other"):
        target(lab, url, ca=ca, insecure=True)
