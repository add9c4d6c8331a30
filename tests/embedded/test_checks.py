"""Looking at a generator and a target: each lack is named with its fix, and nothing is changed."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import polars as pl
import pytest

from dfaas_lab.checks import (
    GeneratorToCheck,
    TargetToCheck,
    check_generator,
    check_host,
    check_lab,
    check_target,
)
from dfaas_lab.checks.finding import Finding, finding_frame
from dfaas_lab.clock import Skew
from dfaas_lab.config import Host
from dfaas_lab.generator import Generator
from dfaas_lab.load import Function
from dfaas_lab.local import LocalLab, start
from dfaas_lab.remote.remote import Remote
from dfaas_lab.services.gateway import Gateway
from dfaas_lab.services.prometheus import Prometheus
from tests.embedded import prometheus_server
from tests.embedded.blackhole import Blackhole
from tests.embedded.ready import host_of
from tests.embedded.tarpit import Tarpit


@pytest.fixture(scope="module")
def lab() -> Iterator[LocalLab]:
    with start() as lab:
        yield lab


@pytest.fixture
def remote(lab: LocalLab) -> Iterator[Remote]:
    remote = Remote(host_of(lab))
    yield remote
    remote.close()


@pytest.fixture
def gateway(lab: LocalLab) -> Gateway:
    return Gateway(lab.gateways[0].url, auth=lab.gateways[0].auth)


def by_check(findings: list[Finding]) -> dict[str, Finding]:
    found = {finding.check: finding for finding in findings}
    assert len(found) == len(findings)
    assert all(finding.fix for finding in findings if finding.ok is False)
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def mark(root: Path, lab: LocalLab, **marker: str) -> None:
    """Leave the marker that provisioning leaves."""
    path = root / f".provisioned-{lab.ssh.user}.json"
    path.write_text(json.dumps({"format": 1, "playbook_digest": "d"} | marker))


def test_a_generator_that_was_never_provisioned(lab: LocalLab, remote: Remote) -> None:
    before = sorted(lab.path.rglob("*"))
    findings, facts = check_generator(GeneratorToCheck("here", remote, lab.workspace_root))
    found = by_check(findings)
    assert facts is not None
    assert [check for check, finding in found.items() if finding.ok is False] == [
        "workspace root",
        "k6",
    ]
    assert found["k6"].fix == "Call generator.provision()."
    assert found["Python"].ok
    assert abs(facts.skew.seconds) <= facts.skew.uncertainty_s + 0.01 if facts.skew else False
    assert sorted(lab.path.rglob("*")) == before


def test_a_generator_that_is_ready(lab: LocalLab, remote: Remote, tmp_path: Path) -> None:
    root = str(tmp_path)
    k6 = shutil.which("k6", path=f"{Path(sys.executable).parent}:/usr/bin")
    assert k6
    mark(tmp_path, lab, k6_version="1.1.0", k6_path=k6)
    findings, _ = check_generator(GeneratorToCheck("here", remote, root, k6_version="1.1.0"))
    assert {finding.check for finding in findings if not finding.ok} == set()
    findings, _ = check_generator(GeneratorToCheck("here", remote, root, k6_version="1.2.0"))
    assert by_check(findings)["k6"].detail == f"1.1.0 ({k6}), not 1.2.0"
    mark(tmp_path, lab, k6_version="1.1.0", k6_path="/none/k6")
    findings, _ = check_generator(GeneratorToCheck("here", remote, root))
    assert by_check(findings)["k6"].detail == "/none/k6 does not run"


def test_a_generator_is_held_against_what_provisioning_would_make_of_it(
    lab: LocalLab, tmp_path: Path
) -> None:
    k6 = shutil.which("k6", path=f"{Path(sys.executable).parent}:/usr/bin")
    assert k6
    said = subprocess.run([k6, "version"], capture_output=True, text=True, check=True).stdout
    version = said.split()[1].removeprefix("v")
    named = Generator(host_of(lab), workspace_root=str(tmp_path), k6_version=f"v{version}")
    try:
        digest = named._spec().digest()
        mark(tmp_path, lab, k6_version=version, k6_path=k6, playbook_digest=digest)
        assert named.check().filter(check="k6")["ok"].to_list() == [True]
        # A run needs no more than the k6 that is there, whichever playbook put it there.
        mark(tmp_path, lab, k6_version=version, k6_path=k6, playbook_digest="older")
        row = named.check().row(by_predicate=pl.col("check") == "k6", named=True)
        assert (row["ok"], row["fix"]) == (None, "Call generator.provision().")
        assert "another playbook" in row["detail"]
    finally:
        named.close()


def test_a_workspace_root_that_is_not_there(remote: Remote) -> None:
    findings, _ = check_generator(GeneratorToCheck("here", remote, "/none/here"))
    assert by_check(findings)["workspace root"].detail == "/none/here is not there"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys that do not open anything here."""
    folder = tmp_path_factory.mktemp("keys")
    make = ["ssh-keygen", "-q", "-t", "rsa", "-N", "", "-f", str(folder / "rsa")]
    subprocess.run(make, check=True, capture_output=True)
    (folder / "text").write_text("not a key\n")
    body = base64.b64encode(b"openssh-key-v1\0\0\0\0\x04none sk-ssh-ed25519@openssh.com").decode()
    (folder / "fido").write_text(
        f"-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n"
    )
    return folder


def test_a_public_key_is_told_from_a_private_one(lab: LocalLab, keys: Path) -> None:
    remote = Remote(host_of(lab, key=keys / "rsa.pub"))
    found = by_check(check_host(remote)[0])["key accepted"]
    assert "is a public key" in found.detail
    assert "private key" in found.fix


@pytest.mark.parametrize(
    ("change", "good", "bad"),
    [
        ({"port": None}, [], "reachable"),
        ({"address": "no-such-host.invalid"}, [], "reachable"),
        ({"known_hosts": "/dev/null"}, ["reachable"], "host key"),
        ({"user": "nobody-else"}, ["reachable", "host key"], "key accepted"),
        ({"key": "/none/key"}, ["reachable", "host key"], "key accepted"),
        ({"key": "rsa"}, ["reachable", "host key"], "key accepted"),
        ({"key": "rsa.pub"}, ["reachable", "host key"], "key accepted"),
        ({"key": "text"}, ["reachable", "host key"], "key accepted"),
        ({"key": "fido"}, [], "configuration"),
    ],
)
def test_what_a_connection_fails_at(
    lab: LocalLab, keys: Path, change: dict[str, str | None], good: list[str], bad: str
) -> None:
    values = {key: free_port() if value is None else value for key, value in change.items()}
    if "key" in values:
        values["key"] = str(keys / str(values["key"]))
    remote = Remote(host_of(lab, **values))  # type: ignore[arg-type]
    findings, facts = check_host(remote)
    assert facts is None
    assert [finding.check for finding in findings if finding.ok] == good
    assert [finding.check for finding in findings if finding.ok is False] == [bad]
    assert by_check(findings)[bad].fix


def test_a_target_that_is_ready(lab: LocalLab, remote: Remote, gateway: Gateway) -> None:
    functions = [Function("echo"), Function("env")]
    skew = Skew(0.0, 0.01)
    findings = check_target(gateway, functions, generator=remote, generator_skew=skew)
    assert [(f.check, f.ok) for f in findings] == [
        ("gateway from the generator", True),
        ("gateway", True),
        ("gateway's clock", True),
        ("functions", True),
    ]


def test_a_target_that_lacks_things(lab: LocalLab, gateway: Gateway) -> None:
    nobody = [Function("echo"), Function("nobody")]
    found = by_check(check_target(gateway, nobody, generator_skew=Skew(-90.0, 0.1)))
    assert found["functions"].detail == "not deployed: nobody"
    assert found["gateway's clock"].ok is False
    assert float(found["gateway's clock"].detail.split()[0]) == pytest.approx(90.0, abs=1.0)
    found = by_check(check_target(Gateway(gateway.url), nobody))
    assert found["gateway"].ok
    assert "401" in found["functions"].detail
    assert "auth=" in found["functions"].fix


def test_a_gateway_that_is_not_there(remote: Remote) -> None:
    gateway = Gateway(f"http://127.0.0.1:{free_port()}")
    found = by_check(check_target(gateway, [Function("echo")], generator=remote))
    assert list(found) == ["gateway from the generator", "gateway"]
    assert {finding.ok for finding in found.values()} == {False}


def test_a_prometheus_and_its_interval(lab: LocalLab, gateway: Gateway, tmp_path: Path) -> None:
    address = lab.gateways[0].metrics_url.removeprefix("http://").removesuffix("/metrics")
    with prometheus_server.running(tmp_path, address) as url:
        found = by_check(check_target(gateway, [], Prometheus(url)))
        assert found["Prometheus"].ok is not False
        assert found["scrape interval"].detail == "0.5 s"
    found = by_check(check_target(gateway, [], Prometheus(url)))
    assert found["Prometheus"].ok is False
    assert "scrape interval" not in found


def test_a_whole_lab(lab: LocalLab, remote: Remote, gateway: Gateway) -> None:
    away = Remote(host_of(lab, port=free_port()))
    frame = check_lab(
        [
            GeneratorToCheck("here", remote, lab.workspace_root),
            GeneratorToCheck("away", away, lab.workspace_root),
        ],
        [
            TargetToCheck("near", gateway, [Function("echo")], "here", host=remote),
            TargetToCheck("far", gateway, [Function("nobody")], "away"),
        ],
    )
    lacks = frame.filter(ok=False)
    assert lacks.select("host", "check").rows() == [
        ("here", "workspace root"),
        ("here", "k6"),
        ("away", "reachable"),
        ("far", "functions"),
    ]
    assert frame.filter(host="near", check="processors").height == 1
    assert (lacks["fix"] != "").all()
    assert check_lab([]).is_empty()


def test_a_host_that_cannot_be_asked_hides_no_other(
    lab: LocalLab, remote: Remote, gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text("Host odd\n  RevokedHostKeys ~/.ssh/revoked\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    odd = Remote(Host("odd", connect_timeout=1.0))
    looks = [
        GeneratorToCheck("odd", odd, "/x"),
        GeneratorToCheck("here", remote, lab.workspace_root),
    ]
    target = TargetToCheck("near", gateway, [Function("echo")], "odd", host=odd)
    frame = check_lab(looks, [target])
    for host in ("odd", "near"):
        [row] = frame.filter(ok=False, host=host).rows(named=True)
        assert (row["check"], row["ok"]) == ("configuration", False)
        assert row["detail"].startswith("odd: revokedhostkeys: ")
        assert row["fix"]
    assert frame.filter(host="here", check="key accepted")["ok"].to_list() == [True]
    assert frame.filter(host="near", check="functions")["ok"].to_list() == [True]


@pytest.mark.slow
def test_what_does_not_answer_is_said_to_within_a_bound(
    lab: LocalLab, remote: Remote, gateway: Gateway
) -> None:
    functions = [Function("echo")]
    with Tarpit() as tarpit, Blackhole() as hole:
        off = Remote(host_of(lab, port=hole.port, connect_timeout=1.0))
        hidden = Gateway(f"http://127.0.0.1:{hole.port}")
        frame = check_lab(
            [
                GeneratorToCheck("off", off, lab.workspace_root),
                GeneratorToCheck("on", remote, str(lab.path)),
            ],
            [
                TargetToCheck("slow", Gateway(tarpit.url), functions, "off"),
                TargetToCheck("blind", gateway, functions, "off", Prometheus(tarpit.url)),
                TargetToCheck("hidden", hidden, functions, "on"),
            ],
        )
    lacks = frame.filter(pl.col("ok").not_(), pl.col("check") != "k6")
    said = {(row["host"], row["check"]): row["detail"] for row in lacks.rows(named=True)}
    late = "no answer within 10 s"
    expected = {
        ("off", "reachable"): "no answer within 1 s",
        ("slow", "gateway"): late,
        ("blind", "Prometheus"): late,
        ("hidden", "gateway from the generator"): f"no channel to 127.0.0.1:{hole.port} within",
        ("hidden", "gateway"): late,
    }
    assert said.keys() == expected.keys()
    assert [key for key, words in expected.items() if words not in said[key]] == []


def test_findings_as_a_frame() -> None:
    frame = finding_frame(
        [("a", Finding("x", True, "d", "never mind")), ("b", Finding("y", None, ""))]
    )
    assert frame.columns == ["host", "check", "ok", "detail", "fix"]
    assert frame.rows() == [("a", "x", True, "d", ""), ("b", "y", None, "", "")]


class Strict(asyncssh.SSHServer):
    """An SSH server that runs commands and answers as sshd with ``AllowTcpForwarding no``."""

    def begin_auth(self, username: str) -> bool:
        return False

    def connection_requested(self, *_: object) -> bool:
        prohibited = asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED
        raise asyncssh.ChannelOpenError(prohibited, "open failed")


async def run_command(process: asyncssh.SSHServerProcess[bytes]) -> None:
    command = await asyncio.create_subprocess_shell(
        process.command or "true",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await command.communicate()
    process.stdout.write(out)
    process.stderr.write(err)
    process.exit(command.returncode or 0)


async def serve_strictly(key: asyncssh.SSHKey) -> asyncssh.SSHAcceptor:
    return await asyncssh.create_server(
        Strict,
        "127.0.0.1",
        0,
        server_host_keys=[key],
        process_factory=run_command,
        encoding=None,
    )


async def end(server: asyncssh.SSHAcceptor) -> None:
    server.close()
    await server.wait_closed()
    await asyncio.sleep(0.1)  # the last connection sees that its client is gone


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Remote]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    key = asyncssh.generate_private_key("ssh-ed25519")
    (tmp_path / "key").write_bytes(key.export_private_key())
    server = asyncio.run_coroutine_threadsafe(serve_strictly(key), loop).result(10)
    port = server.get_port()
    known = tmp_path / "known_hosts"
    known.write_bytes(f"[127.0.0.1]:{port} ".encode() + key.export_public_key())
    remote = Remote(Host("127.0.0.1", port=port, user="u", key=tmp_path / "key", known_hosts=known))
    yield remote
    remote.close()
    asyncio.run_coroutine_threadsafe(end(server), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_a_generator_whose_sshd_lets_no_stream_through(strict: Remote, gateway: Gateway) -> None:
    found = by_check(check_target(gateway, [], generator=strict))
    assert found["gateway from the generator"].ok
    away = Gateway(f"http://127.0.0.1:{free_port()}")
    found = by_check(check_target(away, [], generator=strict))
    assert found["gateway from the generator"].ok is False
    assert "refused" in found["gateway from the generator"].detail or (
        "connect" in found["gateway from the generator"].detail
    )
