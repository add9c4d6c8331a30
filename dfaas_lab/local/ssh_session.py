"""One session of the embedded SSH server: a command or SFTP.

How a command runs is in :mod:`dfaas_lab.local.ssh_command`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import asyncssh

from dfaas_lab.local.ssh_command import Command

if TYPE_CHECKING:
    from asyncssh import SSHServerChannel


class Session(asyncssh.SSHServerProcess):  # type: ignore[type-arg]
    """A session: SFTP is left to asyncssh, a command to :class:`Command`."""

    def __init__(self, env: Mapping[str, str], closed: Callable[[], None]) -> None:
        super().__init__(_never, _sftp, 3, False)
        self._env = env
        self._closed = closed
        self._channel: SSHServerChannel[bytes]
        self._command: Command | None = None

    def connection_made(self, chan: Any) -> None:
        """Take the channel."""
        self._channel = chan
        super().connection_made(chan)

    def exec_requested(self, command: str) -> bool:
        """Refuse what no command line can hold."""
        return "\0" not in command

    def session_started(self) -> None:
        """Start SFTP, the command, or a shell that reads commands."""
        if self._channel.get_subsystem() == "sftp":
            super().session_started()
            return
        command = self._channel.get_command()
        argv = [b"/bin/sh"] if command is None else [b"/bin/sh", b"-c", command.encode()]
        try:
            self._command = Command(self._channel, argv, self._env)
        except OSError as error:  # for example a command of 200 kB: too long for execve(2)
            self._channel.write(
                f"/bin/sh: {error.strerror}\n".encode(), asyncssh.EXTENDED_DATA_STDERR
            )
            self._channel.exit(1)

    def data_received(self, data: Any, datatype: int | None) -> None:
        """Pass input on."""
        if self._command is None:
            super().data_received(data, datatype)
        else:
            self._command.feed(data)

    def eof_received(self) -> bool:
        """Pass the end of input on; output goes on."""
        if self._command is None:
            return bool(super().eof_received())
        self._command.feed_eof()
        return True

    def pause_writing(self) -> None:
        """Wait for a slow client."""
        if self._command is None:
            super().pause_writing()
        else:
            self._command.pause()

    def resume_writing(self) -> None:
        """Go on."""
        if self._command is None:
            super().resume_writing()
        else:
            self._command.resume()

    def signal_received(self, signal: str) -> None:
        """Pass a signal on (RFC 4254, section 6.9)."""
        if self._command is not None:
            self._command.signal(signal)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the command to itself."""
        if self._command is not None:
            self._command.abandon()
        super().connection_lost(exc)
        self._closed()


def _sftp(channel: Any) -> asyncssh.SFTPServer:
    return asyncssh.SFTPServer(channel)


def _never(_: object) -> None:  # pragma: no cover - commands go to Command
    raise AssertionError("a command is not run by asyncssh")
