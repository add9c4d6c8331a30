"""One SSH connection of the pool, with its open channels."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from paramiko.ssh_exception import ChannelException, SSHException

if TYPE_CHECKING:
    from fabric import Connection
    from paramiko import Channel

_ANSWER_S = 5.0


@dataclass
class PooledConnection:
    """One connection and the number of its channels that are in use."""

    connection: Connection
    capacity: int
    used: int = 0
    # Whether the login shell prints things before each command; None until it is known.
    talks: bool | None = None
    # Paramiko keeps one error per connection: of two threads that are refused at once, one would
    # not learn why. By kind: a stream that waits for its far end holds no command up.
    opening: dict[str, threading.Lock] = field(
        default_factory=lambda: {"session": threading.Lock(), "direct-tcpip": threading.Lock()}
    )

    def learn(self, talks: bool) -> None:
        """Note whether the login shell printed something before a command."""
        self.talks = talks or bool(self.talks)

    @property
    def alive(self) -> bool:
        """Whether the connection is there, as far as is known here."""
        transport = self.connection.client.get_transport()
        return transport is not None and transport.is_active()

    def open(self, kind: str, destination: tuple[str, int] | None, timeout: float) -> Channel:
        """Open a channel; paramiko says by which error it could not."""
        transport = self.connection.client.get_transport()
        if transport is None:
            raise SSHException("the connection was closed")
        with self.opening[kind]:
            return transport.open_channel(
                kind, dest_addr=destination, src_addr=("127.0.0.1", 0), timeout=timeout
            )

    def answers(self) -> bool:
        """Whether the host still answers to anything."""
        try:
            self.open("session", None, _ANSWER_S).close()
        except ChannelException:
            return True
        except (SSHException, OSError, EOFError):
            return False
        return True
