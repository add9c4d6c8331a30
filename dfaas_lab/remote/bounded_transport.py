"""An SSH transport that limits packets and unread bytes, which paramiko does not.

Paramiko believes the length that a packet begins with (up to 4 GB), and keeps what comes beyond the
window of a channel, which nobody has asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from paramiko import Channel, Message, Transport
from paramiko.common import MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA
from paramiko.packet import Packetizer
from paramiko.ssh_exception import SSHException

_MOST_PACKET = 1 << 20  # RFC 4253, 6.1: 35,000 bytes must do; OpenSSH sends 256 kB at most
_MOST_WAITING = 8 << 20  # paramiko's window is 2 MB


class _Packetizer(Packetizer):
    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        if n > _MOST_PACKET:
            raise SSHException(f"the host sends a packet of {n:,} bytes")
        return bytes(super().read_all(n, check_rekey))


class BoundedTransport(Transport):
    """Paramiko's transport, which ends where a host sends more than it may."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named, packetizer_class=_Packetizer)


def _checked(kind: int) -> Callable[[Channel, Message], None]:
    feed = Transport._channel_handler_table[kind]

    def take(channel: Channel, message: Message) -> None:
        feed(channel, message)
        waiting = len(channel.in_buffer) + len(channel.in_stderr_buffer)
        if waiting > _MOST_WAITING:
            raise SSHException(f"the host sends {waiting:,} bytes that nobody asked for")

    return take


BoundedTransport._channel_handler_table = {
    **Transport._channel_handler_table,
    **{kind: _checked(kind) for kind in (MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA)},
}
