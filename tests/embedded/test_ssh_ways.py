"""Fabric and OpenSSH (so Ansible) go the same way: aliases, jump hosts, encrypted keys, agents."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dfaas_lab.config import Host, HostKeys
from dfaas_lab.errors import ConfigError, ConnectionFailed, HostUnreachable
from dfaas_lab.generator import Generator
from dfaas_lab.local import LocalLab
from dfaas_lab.provision import cache
from dfaas_lab.remote.openssh_arguments import ssh_arguments
from dfaas_lab.remote.remote import Remote
from dfaas_lab.remote.ssh_config import resolve
from tests.embedded.blackhole import Blackhole
from tests.embedded.ready import host_of


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
    config(home, local_lab, local_lab.ssh.key, "Host gen\n Ciphers aes128-ctr")
    with pytest.raises(ConfigError, match=r"gen: ciphers: a choice of algorithms"):
        by_fabric(Host("gen"))
    assert by_fabric(Host("gate")) == "here"


RELAY = """\
import os, socket, sys, threading
far = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def back():
    while data := far.recv(65536):
        os.write(1, data)
    os._exit(0)
threading.Thread(target=back, daemon=True).start()
while data := os.read(0, 65536):
    far.sendall(data)
"""


def relay(home: Path) -> str:
    """A ProxyCommand that passes on what it gets, as ``nc`` does."""
    script = home / "relay.py"
    script.write_text(RELAY)
    return f"{sys.executable} '{script}' %h %p"


def children_with(text: str) -> list[int]:
    """Our own child processes, ended ones too, that have this text in their arguments."""
    found = []
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            parent = (proc / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == os.getpid() and text.encode() in (proc / "cmdline").read_bytes():
                found.append(int(proc.name))
        except OSError:
            continue
    return found


@WAYS
def test_a_proxy_command(home: Path, local_lab: LocalLab, way: object) -> None:
    config(home, local_lab, local_lab.ssh.key, f"Host gen\n ProxyCommand {relay(home)}")
    assert callable(way)
    assert way(Host("gen")) == "here"
    assert children_with("relay.py") == []


@WAYS
def test_a_proxy_command_to_the_jump_host(home: Path, local_lab: LocalLab, way: object) -> None:
    more = f"Host gen\n ProxyJump gate\n Host gate\n ProxyCommand {relay(home)}"
    config(home, local_lab, local_lab.ssh.key, more)
    assert callable(way)
    assert way(Host("gen")) == "here"


def test_a_proxy_command_that_ends_is_a_lost_connection(home: Path, local_lab: LocalLab) -> None:
    config(home, local_lab, local_lab.ssh.key, f"Host gen\n ProxyCommand {relay(home)}")
    remote = Remote(Host("gen"))
    try:
        with remote.open("sleep 30") as process:
            [child] = children_with("relay.py")
            os.kill(child, signal.SIGKILL)
            with pytest.raises(ConnectionFailed, match="was lost"):
                process.finish(deadline=time.monotonic() + 25)
        assert remote.run("echo again").text == "again"
    finally:
        remote.close()
    assert children_with("relay.py") == []


@WAYS
def test_a_proxy_command_that_fails_says_why(home: Path, local_lab: LocalLab, way: object) -> None:
    config(home, local_lab, local_lab.ssh.key, "Host gen\n ProxyCommand sh -c 'echo no way >&2'")
    assert callable(way)
    try:
        said = way(Host("gen"))
    except ConnectionFailed as error:
        said = str(error)
    assert "no way" in said


@pytest.mark.parametrize("host_keys", ["strict", "accept-new"])
@WAYS
def test_a_revoked_host_key_is_refused(
    home: Path, local_lab: LocalLab, way: object, host_keys: HostKeys
) -> None:
    ssh = local_lab.ssh
    known = ssh.known_hosts.read_text() if host_keys == "strict" else ""
    kind_and_key = ssh.known_hosts.read_text().partition(" ")[2]
    (home / "known").write_text(f"{known}@revoked * {kind_and_key}")
    host = host_of(local_lab, known_hosts=home / "known", host_keys=host_keys)
    assert callable(way)
    try:
        said = way(host)
    except ConnectionFailed as error:
        said = str(error)
    assert "revoked" in said


@WAYS
def test_lines_of_known_hosts_that_mean_nothing_here_do_no_harm(
    home: Path, local_lab: LocalLab, way: object
) -> None:
    ssh = local_lab.ssh
    right = ssh.known_hosts.read_text()
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPRUVpIaGi3fW3AeCyDuHmRb7DNR76HOg9o6taDaC6Np"
    odd = f"# a comment\n\n@cert-authority *.example.org {other}\n@revoked * {other}\n"
    odd += "x ssh-rsa A\ny ssh-ed25519 AAAA\n"
    (home / "known").write_text(odd + right)
    host = host_of(local_lab, known_hosts=home / "known")
    assert callable(way)
    assert way(host) == "here"


def test_a_jump_host_from_which_nothing_answers(home: Path, local_lab: LocalLab) -> None:
    config(home, local_lab, local_lab.ssh.key)
    with Blackhole() as hole:
        jump = Host("gate", connect_timeout=1.0)
        host = Host("127.0.0.1", port=hole.port, jump=jump, connect_timeout=1.0)
        with pytest.raises(ConnectionFailed, match="no answer within 1 s"):
            by_fabric(host)


def test_a_host_that_drops_packets_within_a_part_of_a_second(home: Path) -> None:
    with Blackhole() as hole:
        host = Host("127.0.0.1", port=hole.port, connect_timeout=0.5)
        with pytest.raises(ConnectionFailed, match=r"no answer within 0\.5 s"):
            by_fabric(host)


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
    with running_agent(home, monkeypatch):
        add = ["ssh-add", "-q", str(local_lab.ssh.key)]
        subprocess.run(add, check=True, capture_output=True)
        yield


@contextmanager
def running_agent(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    socket = home / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    try:
        until = time.monotonic() + 20
        while not socket.exists():
            assert time.monotonic() < until
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(10)


@WAYS
def test_an_encrypted_key_with_the_agent(
    local_lab: LocalLab, encrypted: Path, agent: None, way: object
) -> None:
    host = host_of(local_lab, key=encrypted)
    assert callable(way)
    assert way(host) == "here"


def test_an_encrypted_key_without_an_agent(local_lab: LocalLab, encrypted: Path) -> None:
    host = host_of(local_lab, key=encrypted)
    with pytest.raises(ConnectionFailed, match="needs a passphrase") as caught:
        by_fabric(host)
    assert "ssh-add" in str(caught.value)


@WAYS
def test_a_public_key_names_one_of_the_agents(
    home: Path, local_lab: LocalLab, agent: None, way: object
) -> None:
    public = home / "key.pub"
    asked = ["ssh-keygen", "-y", "-f", str(local_lab.ssh.key)]
    public.write_bytes(subprocess.run(asked, check=True, capture_output=True).stdout)
    config(home, local_lab, public)
    assert callable(way)
    assert way(Host("gen")) == "here"


@WAYS
def test_the_agent_alone(home: Path, local_lab: LocalLab, agent: None, way: object) -> None:
    assert callable(way)
    assert way(host_of(local_lab, key=None)) == "here"


def test_a_new_host_key_is_written_once_where_that_is_asked_for(
    home: Path, local_lab: LocalLab
) -> None:
    known = home / "new/known_hosts"
    host = host_of(local_lab, known_hosts=known, host_keys="accept-new")
    assert by_fabric(host) == "here"
    assert by_openssh(host) == "here"
    assert by_fabric(host) == "here"
    assert len(known.read_text().splitlines()) == 1


def test_a_new_host_key_does_not_spoil_a_line_without_an_end(
    home: Path, local_lab: LocalLab
) -> None:
    ssh = local_lab.ssh
    known = home / "known_hosts"
    other = "other " + ssh.known_hosts.read_text().split(" ", 1)[1].strip()
    known.write_text(other)
    host = host_of(local_lab, known_hosts=known, host_keys="accept-new")
    assert by_fabric(host) == "here"
    first, second = known.read_text().splitlines()
    assert first == other
    assert second.startswith(f"[{ssh.host}]:{ssh.port} ")


@pytest.fixture
def _nothing_remembered() -> Iterator[None]:
    cache.evict()
    yield
    cache.evict()


def generator_of(local_lab: LocalLab, root: Path, key: Path | None) -> Generator:
    ssh = local_lab.ssh
    places = {"install_dir": str(root / "k6"), "python": ssh.python}
    return Generator(
        host_of(local_lab, key=key, become=False),
        workspace_root=str(root / "runs"),
        variables={**places, "remote_tmp": str(ssh.remote_tmp)},
    )


def provisioned(generator: Generator) -> int:
    """Provision it by Fabric and Ansible, and return how many tasks ran."""
    try:
        assert generator.provision(progress=False)
        assert generator._session.k6_path()
        cache.evict()
        assert generator.provision(progress=False).cached
        return generator.provision(True, progress=False).tasks.height
    finally:
        generator.close()


@pytest.mark.usefixtures("_nothing_remembered", "agent")
def test_provisioning_by_the_agent_alone(local_lab: LocalLab, tmp_path: Path) -> None:
    assert provisioned(generator_of(local_lab, tmp_path / "gen", None))


@pytest.mark.slow
@pytest.mark.usefixtures("_nothing_remembered")
def test_provisioning_by_an_encrypted_key_whose_passphrase_the_agent_was_told(
    home: Path, local_lab: LocalLab, encrypted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = generator_of(local_lab, home / "gen", encrypted)
    with pytest.raises(HostUnreachable, match="needs a passphrase") as caught:
        generator.provision(progress=False)
    assert "ssh-add" in caught.value.hint
    asked = home / "askpass"
    asked.write_text("#!/bin/sh\necho 'a passphrase'\n")
    asked.chmod(0o700)
    monkeypatch.setenv("SSH_ASKPASS", str(asked))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    with running_agent(home, monkeypatch):
        subprocess.run(["ssh-add", "-q", str(encrypted)], check=True, capture_output=True)
        assert provisioned(generator)
