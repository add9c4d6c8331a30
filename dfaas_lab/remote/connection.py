"""Opening one Fabric connection to a host, and saying clearly why it could not be opened."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import paramiko
from fabric import Config, Connection
from paramiko.ssh_exception import (
    AuthenticationException,
    BadHostKeyException,
    NoValidConnectionsError,
    PasswordRequiredException,
    SSHException,
)

from dfaas_lab.errors import ConnectionFailed

if TYPE_CHECKING:
    from dfaas_lab.config import Host

# A peer that acknowledges nothing for this long is gone: without it, Linux tries for 15 minutes.
_DEAD_PEER_S = 20
_KEEPALIVE_S = 5


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
        with self._known_hosts.open("a", encoding="utf-8") as file:
            file.write(f"{hostname} {key.get_name()} {key.get_base64()}\n")


def connect(host: Host) -> Connection:
    """Open a connection to a host.

    Raises:
        ConnectionFailed: The host is unknown, does not answer, or does not let us in.
    """
    known_hosts = Path(host.known_hosts or "~/.ssh/known_hosts").expanduser()
    connection = Connection(
        host.address,
        user=host.user,
        port=host.port,
        config=Config(lazy=True, overrides={"load_ssh_configs": False}),
        gateway=connect(host.jump) if host.jump else None,
        connect_timeout=host.connect_timeout,
        connect_kwargs=_connect_kwargs(host),
    )
    try:
        _trust(connection.client, known_hosts, host)
        connection.open()
    except (OSError, SSHException, EOFError, ValueError) as error:
        connection.close()
        raise _explained(error, host, known_hosts) from error
    _tune(connection)
    return connection


def _connect_kwargs(host: Host) -> dict[str, object]:
    timeouts: dict[str, object] = {
        "banner_timeout": host.connect_timeout,
        "auth_timeout": host.connect_timeout,
    }
    if host.key is None:
        return timeouts
    key = str(Path(host.key).expanduser())
    return {**timeouts, "key_filename": key, "look_for_keys": False, "allow_agent": False}


def _trust(client: paramiko.SSHClient, known_hosts: Path, host: Host) -> None:
    if known_hosts.exists():
        client.load_system_host_keys(str(known_hosts))
    accept = host.host_keys == "accept-new"
    client.set_missing_host_key_policy(
        _AppendNewKeys(known_hosts) if accept else paramiko.RejectPolicy()
    )


def _tune(connection: Connection) -> None:
    transport = connection.transport
    transport.set_keepalive(_KEEPALIVE_S)
    sock = transport.sock
    if not isinstance(sock, socket.socket):
        return  # a channel through a jump host: its own connection is tuned
    # Nagle's algorithm against delayed acknowledgements costs 45 ms for every command.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    with contextlib.suppress(AttributeError, OSError):  # Linux only
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_PEER_S * 1000)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_S)


def _explained(error: Exception, host: Host, known_hosts: Path) -> ConnectionFailed:
    what, hint = _reason(error, host, known_hosts)
    return ConnectionFailed(f"{host}: {what}", host=host.address, hint=hint)


def _reason(error: Exception, host: Host, known_hosts: Path) -> tuple[str, str]:
    """Return what happened and what to do next, from the exceptions of socket and paramiko."""
    if isinstance(error, socket.gaierror):
        return "no such host", f"Check the address {host.address!r}."
    if isinstance(error, BadHostKeyException):
        return (
            "the host key is not the one that is known: another machine answers, or it was "
            "installed anew",
            f"If you know why, remove its lines from {known_hosts} "
            f"(ssh-keygen -R) and connect again.",
        )
    if isinstance(error, PasswordRequiredException):
        return (
            f"the key {host.key or ''} needs a passphrase",
            "Add it to the agent with ssh-add, and leave out key=.",
        )
    if isinstance(error, FileNotFoundError):
        return f"the key file is not there: {host.key}", "Give the path of the private key."
    if isinstance(error, AuthenticationException):
        return (
            f"the host does not let {host.user or 'us'} in with "
            f"{f'the key {host.key}' if host.key else 'the keys at hand'}",
            "Check user= and key=, and that the public key is in authorized_keys there.",
        )
    if isinstance(error, TimeoutError):
        return (
            f"no answer within {host.connect_timeout:g} s",
            "Check that the host is on and the network lets SSH through.",
        )
    if isinstance(error, ConnectionRefusedError | NoValidConnectionsError):
        return (
            f"nothing listens for SSH on port {host.port}",
            "Check the port, and that sshd runs there.",
        )
    if "not found in known_hosts" in str(error):
        return (
            "the host key is not known",
            f"Connect once with ssh to check it, or give Host(..., host_keys='accept-new') "
            f"to write it into {known_hosts}.",
        )
    return f"no SSH connection: {error or type(error).__name__}", "Try `ssh -v` to the same host."
