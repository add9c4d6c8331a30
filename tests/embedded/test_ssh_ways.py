"""Fabric and OpenSSH (so Ansible) go the same way: aliases, jump hosts, encrypted keys, agents."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfaas_lab.config import Host
from dfaas_lab.errors import ConfigError, ConnectionFailed
from dfaas_lab.local import LocalLab
from dfaas_lab.remote.openssh import ssh_arguments
from dfaas_lab.remote.remote import Remote
from dfaas_lab.remote.ssh_config import resolve


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, without keys and without an agent."""
    (tmp_path / ".ssh").mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return tmp_path


def by_fabric(host: Host) -> str:
    remote = Remote(host)
    try:
        return remote.run("echo here").stdout.decode().strip()
    finally:
        remote.close()


def by_openssh(host: Host) -> str:
    resolved = resolve(host)
    where = ["-p", str(resolved.port), "-l", resolved.user, resolved.address]
    command = ["ssh", *ssh_arguments(resolved), *where, "echo here"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.strip() or done.stderr


WAYS = pytest.mark.parametrize("way", [by_fabric, by_openssh], ids=["fabric", "openssh"])


def config(home: Path, lab: LocalLab, key: Path, more: str = "") -> None:
    (home / ".ssh/config").write_text(
        f"""
        Host gen gate
            HostName 127.0.0.1
            Port {lab.ssh.port}
            User {lab.ssh.user}
            IdentityFile "{key}"
            IdentitiesOnly yes
            UserKnownHostsFile {lab.ssh.known_hosts}
        {more}
        """
    )


@WAYS
def test_an_alias_through_a_jump_host(home: Path, local_lab: LocalLab, way: object) -> None:
    config(home, local_lab, local_lab.ssh.key, "Host gen\n ProxyJump gate")
    assert resolve(Host("gen")).jump is not None
    assert callable(way)
    assert way(Host("gen")) == "here"


@WAYS
def test_a_jump_host_that_is_not_there(home: Path, local_lab: LocalLab, way: object) -> None:
    config(home, local_lab, local_lab.ssh.key, "Host gen\n ProxyJump nobody@127.0.0.1:1")
    assert callable(way)
    try:
        said = way(Host("gen"))
    except ConnectionFailed as error:
        said = str(error)
    assert "refused" in said or "nothing listens" in said


def test_a_line_that_is_not_supported_is_named(home: Path, local_lab: LocalLab) -> None:
    config(home, local_lab, local_lab.ssh.key, "Host gen\n ProxyCommand nc %h %p")
    with pytest.raises(ConfigError, match=r"\.ssh/config:10: proxycommand: not supported"):
        by_fabric(Host("gen"))
    assert by_fabric(Host("gate")) == "here"


@pytest.fixture
def encrypted(home: Path, local_lab: LocalLab) -> Path:
    key = home / "encrypted"
    shutil.copy(local_lab.ssh.key, key)
    key.chmod(0o600)
    change = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "a passphrase", "-f", str(key)]
    subprocess.run(change, check=True, capture_output=True)
    return key


@pytest.fixture
def agent(home: Path, local_lab: LocalLab, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A real agent that holds the lab's key."""
    socket = home / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    try:
        for _ in range(100):
            add = ["ssh-add", "-q", str(local_lab.ssh.key)]
            if subprocess.run(add, env=dict(os.environ), capture_output=True).returncode == 0:
                break
        yield
    finally:
        process.terminate()
        process.wait(10)


@WAYS
def test_an_encrypted_key_with_the_agent(
    local_lab: LocalLab, encrypted: Path, agent: None, way: object
) -> None:
    ssh = local_lab.ssh
    host = Host(ssh.host, port=ssh.port, user=ssh.user, key=encrypted, known_hosts=ssh.known_hosts)
    assert callable(way)
    assert way(host) == "here"


def test_an_encrypted_key_without_an_agent(local_lab: LocalLab, encrypted: Path) -> None:
    ssh = local_lab.ssh
    host = Host(ssh.host, port=ssh.port, user=ssh.user, key=encrypted, known_hosts=ssh.known_hosts)
    with pytest.raises(ConnectionFailed, match="needs a passphrase") as caught:
        by_fabric(host)
    assert "ssh-add" in str(caught.value)


@WAYS
def test_the_agent_alone(home: Path, local_lab: LocalLab, agent: None, way: object) -> None:
    ssh = local_lab.ssh
    assert callable(way)
    host = Host(ssh.host, port=ssh.port, user=ssh.user, known_hosts=ssh.known_hosts)
    assert way(host) == "here"


def test_a_new_host_key_is_written_once_where_that_is_asked_for(
    home: Path, local_lab: LocalLab
) -> None:
    ssh = local_lab.ssh
    known = home / "new/known_hosts"
    host = Host(
        ssh.host,
        port=ssh.port,
        user=ssh.user,
        key=ssh.key,
        known_hosts=known,
        host_keys="accept-new",
    )
    assert by_fabric(host) == "here"
    assert by_openssh(host) == "here"
    assert by_fabric(host) == "here"
    assert len(known.read_text().splitlines()) == 1
