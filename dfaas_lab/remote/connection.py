"""Opening one Fabric connection to a host, and saying clearly why it could not be opened."""

from __future__ import annotations

import contextlib
import logging
import random
import socket
import time
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
from dfaas_lab.remote.ssh_config import ResolvedHost, resolve

if TYPE_CHECKING:
    from dfaas_lab.config import Host

# A peer that acknowledges nothing for this long is gone: without it, Linux tries for 15 minutes.
_DEAD_PEER_S = 20
_KEEPALIVE_S = 5
# Above MaxStartups, sshd closes new connections at random; trying for so long, one gets in.
_TURNED_AWAY_S = 5.0


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
    """Open a connection to a host, as the Host and the user's ssh configuration say.

    Raises:
        ConfigError: The ssh configuration says something that is not supported.
        ConnectionFailed: The host is unknown, does not answer, or does not let us in.
    """
    _quiet(logging.getLogger("paramiko"))
    return _connect(resolve(host))


def _quiet(logger: logging.Logger) -> None:
    """Keep Python from printing what paramiko logs where nobody listens: our errors say it."""
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def _connect(host: ResolvedHost) -> Connection:
    patience_until = time.monotonic() + min(_TURNED_AWAY_S, host.connect_timeout)
    while True:
        try:
            return _connected(host)
        except ConnectionFailed as error:
            if not _turned_away(error) or time.monotonic() > patience_until:
                raise
        time.sleep(random.uniform(0.1, 0.5))  # noqa: S311 - so that those who wait do not meet


def _turned_away(error: ConnectionFailed) -> bool:
    """Whether the host closed the connection before it said a word: nothing was done there yet."""
    cause = error.__cause__
    closed = cause is not None and isinstance(cause.__context__, EOFError | ConnectionResetError)
    return closed and "banner" in str(cause)


def _connected(host: ResolvedHost) -> Connection:
    connection = Connection(
        host.address,
        user=host.user,
        port=host.port,
        config=Config(lazy=True, overrides={"load_ssh_configs": False}),
        gateway=_connect(host.jump) if host.jump else None,
        connect_timeout=host.connect_timeout,
        connect_kwargs={
            "banner_timeout": host.connect_timeout,
            "auth_timeout": host.connect_timeout,
            "key_filename": [str(key) for key in host.keys],
            "look_for_keys": host.usual_keys,
            "allow_agent": host.agent,
        },
    )
    try:
        _trust(connection.client, host)
        connection.open()
    except (OSError, SSHException, EOFError, ValueError) as error:
        connection.close()
        raise _explained(error, host) from error
    _tune(connection)
    return connection


def _trust(client: paramiko.SSHClient, host: ResolvedHost) -> None:
    for known_hosts in host.known_hosts:
        if known_hosts.exists():
            client.load_system_host_keys(str(known_hosts))
    accept = host.host_keys == "accept-new"
    client.set_missing_host_key_policy(
        _AppendNewKeys(host.known_hosts[0]) if accept else paramiko.RejectPolicy()
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


def _explained(error: Exception, host: ResolvedHost) -> ConnectionFailed:
    what, hint = _reason(error, host)
    return ConnectionFailed(f"{host}: {what}", host=host.name, hint=hint)


def _reason(error: Exception, host: ResolvedHost) -> tuple[str, str]:
    """Return what happened and what to do next, from the exceptions of socket and paramiko."""
    known_hosts = host.known_hosts[0]
    keys = ", ".join(map(str, host.keys))
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
            f"the key {keys} needs a passphrase, and the agent does not have it",
            "Add it to the agent: ssh-add.",
        )
    if isinstance(error, FileNotFoundError):
        return f"the key file is not there: {keys}", "Give the path of the private key."
    if isinstance(error, AuthenticationException):
        return (
            f"the host does not let {host.user} in with {keys or 'the keys at hand'}",
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
