"""How far a connection came before it failed."""

from __future__ import annotations

from typing import Literal

from paramiko.ssh_exception import (
    AuthenticationException,
    BadHostKeyException,
    NoValidConnectionsError,
    SSHException,
)

from dfaas_lab.errors import ConnectionFailed

Stage = Literal["reachable", "host key", "key accepted"]


def failed_at(error: ConnectionFailed) -> Stage:
    """Return what a connection failed at; what comes before it was good."""
    cause = error.__cause__
    if isinstance(cause, BadHostKeyException) or "not found in known_hosts" in str(cause):
        return "host key"
    if isinstance(cause, AuthenticationException | FileNotFoundError):
        return "key accepted"
    if isinstance(cause, SSHException) and not isinstance(cause, NoValidConnectionsError):
        # It spoke SSH, or something else did: the port is open.
        return "key accepted" if "uthentic" in str(cause) else "reachable"
    return "reachable"
