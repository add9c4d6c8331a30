"""Opens one Fabric connection to a host, or says why it could not be opened."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
from typing import TYPE_CHECKING, Any, Literal

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
from dfaas_lab.remote.bounded_transport import BoundedTransport
from dfaas_lab.remote.host_keys import (
    UNKNOWN_HOST_KEY,
    RevokedHostKey,
    refuse_revoked,
    trust,
)
from dfaas_lab.remote.key_file import KeyFile, check_readable
from dfaas_lab.remote.proxy import ProxySocket
from dfaas_lab.remote.ssh_config import ResolvedHost, resolve
from dfaas_lab.retry import retry

if TYPE_CHECKING:
    from dfaas_lab.config import Host

# A peer that acknowledges nothing for this long is gone: without it, Linux tries for 15 minutes.
_DEAD_PEER_S = 20
_KEEPALIVE_S = 5
# Above MaxStartups, sshd closes new connections at random; trying for so long, one gets in.
_TURNED_AWAY_S = 5.0


Stage = Literal["reachable", "host key", "key accepted"]


class NotTrusted(ConnectionFailed):
    """The host answered with a host key that is not known, not the known one, or revoked."""


class NotLetIn(ConnectionFailed):
    """The host answered with its known host key, and no key of ours was good enough for it."""


def connect(host: Host) -> Connection:
    """Open a connection to a host, as the Host and the user's ssh configuration say.

    Raises:
        ConfigError: The ssh configuration says something that is not supported.
        ConnectionFailed: The host is unknown, does not answer, or does not let us in.
    """
    _quiet(logging.getLogger("paramiko"))
    return _connect(resolve(host))


def failed_at(error: ConnectionFailed) -> Stage:
    """Return what a connection failed at; what comes before it was good."""
    if isinstance(error, NotTrusted):
        return "host key"
    return "key accepted" if isinstance(error, NotLetIn) else "reachable"


def close(connection: Connection) -> None:
    """Close a connection with those to the hosts that it goes through, also a half-made one."""
    connection.close()
    connection.client.close()
    gateway = connection.gateway
    if isinstance(gateway, Connection):
        close(gateway)


def _quiet(logger: logging.Logger) -> None:
    """Keep Python from printing what paramiko logs where nobody listens: our errors say it."""
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def _connect(host: ResolvedHost) -> Connection:
    return retry(
        lambda: _connected(host),
        # A command that ended was not turned away: it cannot reach the host.
        on=lambda error: not host.proxy_command and _turned_away(error),
        pause_s=(0.1, 0.5),  # so that those who wait do not meet
        within_s=min(_TURNED_AWAY_S, host.connect_timeout),
    )


def _turned_away(error: BaseException) -> bool:
    """Whether the host closed the connection before it said a word: nothing was done there yet."""
    cause = error.__cause__ if isinstance(error, ConnectionFailed) else None
    closed = cause is not None and isinstance(cause.__context__, EOFError | ConnectionResetError)
    return closed and "banner" in str(cause)


def _connected(host: ResolvedHost) -> Connection:
    for key in host.keys:
        check_readable(key)
    gateway = _connect(host.jump) if host.jump else None
    try:
        proxy = ProxySocket.start(host.proxy_command) if host.proxy_command else None
    except OSError as error:
        raise _explained(error, host) from error
    connection = Connection(
        host.address,
        user=host.user,
        port=host.port,
        config=Config(lazy=True, overrides={"load_ssh_configs": False}),
        gateway=gateway,
        connect_kwargs=_connect_kwargs(host, proxy),
    )
    try:
        trust(connection.client, host)
        connection.open()
        refuse_revoked(connection.client, host)
    except (OSError, SSHException, EOFError, ValueError) as error:
        kind = _kind(connection.client, error)
        said = proxy.said() if proxy else ""
        close(connection)
        raise _explained(error, host, kind, said) from error
    finally:
        if proxy is not None and connection.transport is None:
            proxy.close()
    _tune(connection)
    return connection


def _connect_kwargs(host: ResolvedHost, proxy: ProxySocket | None) -> dict[str, Any]:
    timeouts = ("timeout", "banner_timeout", "auth_timeout", "channel_timeout")
    return {
        # Fabric's own connect_timeout is cut to whole seconds, and 0 means none. The last is for
        # the way on from a jump host, an hour by default.
        **dict.fromkeys(timeouts, host.connect_timeout),
        "transport_factory": BoundedTransport,
        "key_filename": [str(key) for key in host.keys],
        "look_for_keys": host.usual_keys,
        "allow_agent": host.agent,
        **({"sock": proxy} if proxy else {}),
    }


def _kind(client: paramiko.SSHClient, error: Exception) -> type[ConnectionFailed]:
    """Return how far it came: to the host, to its key, to ours."""
    if isinstance(error, BadHostKeyException | RevokedHostKey) or UNKNOWN_HOST_KEY in str(error):
        return NotTrusted
    transport = client.get_transport()
    # Of a rejected RSA key paramiko says at last that it is none of another kind.
    agreed = transport is not None and transport.is_active() and transport.initial_kex_done
    return NotLetIn if agreed or isinstance(error, AuthenticationException) else ConnectionFailed


def _tune(connection: Connection) -> None:
    transport = connection.transport
    transport.set_keepalive(_KEEPALIVE_S)
    sock = transport.sock
    if not isinstance(sock, socket.socket) or isinstance(sock, ProxySocket):
        return  # a channel through a jump host, or a command: they are tuned at their own place
    # Nagle's algorithm against delayed acknowledgements costs 45 ms for every command.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    with contextlib.suppress(AttributeError, OSError):  # Linux only
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_PEER_S * 1000)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_S)


def _explained(
    error: Exception,
    host: ResolvedHost,
    kind: type[ConnectionFailed] = ConnectionFailed,
    said: str = "",
) -> ConnectionFailed:
    what, hint = _about_keys(error, host) if kind is NotLetIn else _reason(error, host, said)
    return kind(f"{host}: {what}", host=host.name, hint=hint)


def _about_keys(error: Exception, host: ResolvedHost) -> tuple[str, str]:
    """Return why the host did not let us in and what to do next."""
    keys = ", ".join(map(str, host.keys))
    if any(KeyFile.read(key).public for key in host.keys):
        return (
            f"the key {keys} is a public key, and no key of the agent is accepted",
            "Give the path of the private key (without .pub), or add it to the agent: ssh-add.",
        )
    if isinstance(error, PasswordRequiredException):
        return (
            f"the key {keys} needs a passphrase, and the agent does not have it",
            "Add it to the agent: ssh-add.",
        )
    if isinstance(error, FileNotFoundError):
        return f"the key file is not there: {keys}", "Give the path of the private key."
    if isinstance(error, OSError | ValueError) or "not a valid" in str(error):
        return f"the key {keys} cannot be read: {error}", "Give the path of the private key."
    return (
        f"the host does not let {host.user} in with {keys or 'the keys at hand'}",
        "Check user= and key=, and that the public key is in authorized_keys there.",
    )


def _reason(error: Exception, host: ResolvedHost, said: str) -> tuple[str, str]:
    """Return what happened and what to do next, from the exceptions of socket and paramiko."""
    known_hosts = host.known_hosts[0]
    if isinstance(error, socket.gaierror):
        return "no such host", f"Check the address {host.address!r}."
    if isinstance(error, BadHostKeyException):
        return (
            "the host key is not the one that is known: another machine answers, or it was "
            "installed anew",
            f"If you know why, remove its lines from {known_hosts} "
            f"(ssh-keygen -R) and connect again.",
        )
    if isinstance(error, RevokedHostKey):
        return (
            f"its host key is revoked ({error})",
            "Somebody else may have that key: ask for a new one there.",
        )
    if UNKNOWN_HOST_KEY in str(error):
        return (
            "the host key is not known",
            f"Connect once with ssh to check it, or give Host(..., host_keys='accept-new') "
            f"to write it into {known_hosts}.",
        )
    if host.proxy_command:
        return (
            f"no SSH connection through ProxyCommand {host.proxy_command}: {said or error}",
            "Try that command by hand: a line that begins with SSH- must come.",
        )
    if isinstance(error, TimeoutError) or "Timeout opening channel" in str(error):
        return (
            f"no answer within {host.connect_timeout:g} s",
            "Check that the host is on and the network lets SSH through.",
        )
    if _no_way(error):
        return (
            "the network knows no way to it",
            "Check that the host is on, its address, and the network between.",
        )
    if isinstance(error, ConnectionRefusedError | NoValidConnectionsError):
        return (
            f"nothing listens for SSH on port {host.port}",
            "Check the port, and that sshd runs there.",
        )
    return f"no SSH connection: {error or type(error).__name__}", "Try `ssh -v` to the same host."


def _no_way(error: Exception) -> bool:
    """Whether nobody was there to refuse: paramiko has one error for both."""
    each = error.errors.values() if isinstance(error, NoValidConnectionsError) else [error]
    found = {one.errno for one in each if isinstance(one, OSError)}
    return bool(found) and found <= {errno.EHOSTUNREACH, errno.ENETUNREACH}
