"""Detects that a gateway was away during an iteration, and waits until it is back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from dfaas_lab.errors import ConnectionFailed, DfaasLabError, GatewayError

if TYPE_CHECKING:
    import polars as pl

    from dfaas_lab.target import Target

log = logging.getLogger("dfaas_lab.campaign")

_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 15.0
# k6's code of "connection refused": nothing listened there. A node that is overloaded still
# listens, so this is no sign of overload.
_REFUSED = 1212
_NOTICEABLE = 0.02


def was_away(requests: pl.DataFrame, is_back: Callable[[], bool]) -> bool:
    """Whether the gateway was away for a noticeable part of an iteration.

    Without a connection and without a refusal (the node is off, a cable is out) it was, where none
    of the requests got a connection, or where the gateway is away still.

    Args:
        requests: Those of the iteration.
        is_back: Whether the gateway can be reached now; asked only where it matters.
    """
    if requests.is_empty():
        return False
    least = requests.height * _NOTICEABLE
    unconnected = requests["latency_ms"].null_count()
    if (requests["error_code"] == _REFUSED).sum() > least or unconnected == requests.height:
        return True
    return unconnected > least and not is_back()


def is_reachable(target: Target) -> bool:
    """Whether the generator reaches the target's gateway now."""
    try:
        target._check_reachable()
    except (GatewayError, ConnectionFailed):
        return False
    return True


def wait_until_back(
    target: Target, error: DfaasLabError, stop: threading.Event, tell: Callable[[str], None]
) -> None:
    """Wait until the generator reaches the target's gateway again, or until ``stop``."""
    log.warning("%s: waiting: %s", target.name, error.message)
    wait_s = _FIRST_WAIT_S
    while not stop.wait(wait_s):
        tell(f"waiting: {error.message}")
        try:
            target._check_reachable()
        except (GatewayError, ConnectionFailed) as again:
            error = again
            wait_s = min(wait_s * 1.5, _LONGEST_WAIT_S)
        else:
            log.warning("%s: answers again", target.name)
            return
