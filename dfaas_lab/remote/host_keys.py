"""Checks host keys against the known-hosts files, with revoked keys."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import paramiko
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey
from paramiko.ssh_exception import SSHException

from dfaas_lab.regular_file import read_regular
from dfaas_lab.remote.ssh_config import ResolvedHost

# What paramiko says of one that RejectPolicy turns down.
UNKNOWN_HOST_KEY = "not found in known_hosts"


class RevokedHostKey(SSHException):
    """The host's key is marked as revoked; the text says where."""


class _AppendNewKeys(paramiko.MissingHostKeyPolicy):
    """Writes an unknown host key down; paramiko's own policy rewrites the user's whole file."""

    def __init__(self, known_hosts: Path) -> None:
        self._known_hosts = known_hosts

    def missing_host_key(
        self,
        client: paramiko.SSHClient,  # noqa: ARG002 (paramiko's interface)
        hostname: str,
        key: paramiko.PKey,
    ) -> None:
        self._known_hosts.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._known_hosts.open("ab+") as file:
            file.seek(max(file.tell() - 1, 0))
            # Appended to a line without an end, it would spoil both.
            before = b"" if file.read() in (b"", b"\n") else b"\n"
            line = f"{hostname} {key.get_name()} {key.get_base64()}\n"
            file.write(before + line.encode())


def trust(client: paramiko.SSHClient, host: ResolvedHost) -> None:
    """Let a client trust what the host's known-hosts files hold, and new keys where asked for."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as plain:
        plain.writelines(f"{line}\n" for line in _lines(host) if _is_plain(line))
        plain.flush()
        client.load_system_host_keys(plain.name)
    accept = host.host_keys == "accept-new"
    client.set_missing_host_key_policy(
        _AppendNewKeys(host.known_hosts[0]) if accept else paramiko.RejectPolicy()
    )


def refuse_revoked(client: paramiko.SSHClient, host: ResolvedHost) -> None:
    """Raise where the host showed a key that is revoked: paramiko passes over such lines.

    A key counts as revoked whichever host its line names.

    Raises:
        RevokedHostKey: It is.
    """
    transport = client.get_transport()
    shown = transport.get_remote_server_key().get_base64() if transport else ""
    for line in _lines(host):
        words = line.split()
        if words[:1] == ["@revoked"] and shown in words:
            raise RevokedHostKey(f"in {', '.join(map(str, host.known_hosts))}")


def _lines(host: ResolvedHost) -> Iterator[str]:
    for known_hosts in filter(Path.is_file, host.known_hosts):  # /dev/null is usual
        content = read_regular(known_hosts)
        yield from content.decode(errors="replace").splitlines()


def _is_plain(line: str) -> bool:
    """Whether a line holds a host's key; paramiko stumbles over a mark or a broken key."""
    try:
        return not line.startswith("@") and HostKeyEntry.from_line(line) is not None
    except (InvalidHostKey, SSHException, ValueError):
        return False
