"""A TCP stream through a host to an address behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dfaas_lab.errors import ConnectionFailed

if TYPE_CHECKING:
    from paramiko import Channel
    from paramiko.ssh_exception import ChannelException

    from dfaas_lab.config import Host

_FORBIDDEN = 1  # RFC 4254, 5.1: SSH_OPEN_ADMINISTRATIVELY_PROHIBITED


class TunnelRefused(ConnectionFailed):
    """The host answers, but cannot or may not reach the address behind it.

    Args:
        host: The host.
        destination: The address and port behind it.
        error: What the host said; None where it did not say anything in time.
        timeout: The seconds that it had.
    """

    def __init__(
        self,
        host: Host,
        destination: tuple[str, int],
        error: ChannelException | None,
        *,
        timeout: float,
    ) -> None:
        address = f"{destination[0]}:{destination[1]}"
        what, hint = f"no channel could be opened ({error})", ""
        if error is None:
            what = f"no channel to {address} within {timeout:g} s"
            hint = " A firewall on the way may drop what is sent there."
        super().__init__(
            f"{host}: {what}",
            host=host.address,
            hint=f"Check that {address} can be reached from that host.{hint}",
        )
        self.forbidden = error is not None and error.code == _FORBIDDEN
        """Whether the host forbids forwarding, so that nothing is known of the address."""


class Tunnel:
    """A stream through a host to an address behind it, with the methods of a socket."""

    def __init__(self, channel: Channel, *, release: Callable[[], None]) -> None:
        self._channel = channel
        self._release: Callable[[], None] | None = release
        self.settimeout = channel.settimeout
        self.recv = channel.recv
        self.send = channel.send

    def close(self) -> None:
        """Close the stream and give the channel back."""
        release, self._release = self._release, None
        if release is not None:
            self._channel.close()
            release()
