"""Checks that a gateway can be reached from its generator."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dfaas_lab.errors import GatewayError
from dfaas_lab.remote.tunnel import TunnelRefused

if TYPE_CHECKING:
    from dfaas_lab.remote.remote import Remote


def check_reachable(gateway: str, remote: Remote, *, target: str, generator: str) -> None:
    """Look from the generator, which is who must reach it, whether a gateway listens.

    Raises:
        GatewayError: Nothing listens at its address.
        ConnectionFailed: The generator cannot be asked.
    """
    parts = urlsplit(gateway)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        remote.open_tunnel(parts.hostname or "", port).close()
    except TunnelRefused as refused:
        if refused.forbidden:
            return  # the host forbids forwarding: k6 itself will tell
        raise GatewayError(
            f"the gateway of {target} cannot be reached from {generator}: "
            f"nothing answers at {gateway}",
            url=gateway,
            hint=f"Check gateway=, and that the gateway runs. {refused.hint}",
        ) from refused
