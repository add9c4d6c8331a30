"""How far a connection came before it failed."""

from __future__ import annotations

from typing import Literal

from paramiko.ssh_exception import BadHostKeyException

from dfaas_lab.errors import ConnectionFailed
from dfaas_lab.remote.connection import NotLetIn

Stage = Literal["reachable", "host key", "key accepted"]


def failed_at(error: ConnectionFailed) -> Stage:
    """Return what a connection failed at; what comes before it was good."""
    cause = error.__cause__
    if isinstance(cause, BadHostKeyException) or "not found in known_hosts" in str(cause):
        return "host key"
    return "key accepted" if isinstance(error, NotLetIn) else "reachable"
