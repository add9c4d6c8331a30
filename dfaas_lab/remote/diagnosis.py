"""How far a connection came before it failed."""

from __future__ import annotations

from typing import Literal

from dfaas_lab.errors import ConnectionFailed
from dfaas_lab.remote.connection import NotLetIn, NotTrusted

Stage = Literal["reachable", "host key", "key accepted"]


def failed_at(error: ConnectionFailed) -> Stage:
    """Return what a connection failed at; what comes before it was good."""
    if isinstance(error, NotTrusted):
        return "host key"
    return "key accepted" if isinstance(error, NotLetIn) else "reachable"
