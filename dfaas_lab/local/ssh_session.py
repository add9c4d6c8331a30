"""One session of the embedded SSH server: a command with its three pipes, or SFTP.

A command is run as a real sshd does without a terminal: in a session of its own, never killed by a
client that leaves; it only finds its pipes closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import asyncssh

from dfaas_lab.local import processes

if TYPE_CHECKING:
    from asyncssh import SSHServerChannel

_CHUNK = 1 << 16
_STDERR = asyncssh.EXTENDED_DATA_STDERR


class Session(asyncssh.SSHServerProcess):  # type: ignore[type-arg]
    """A session: SFTP is left to asyncssh, a command to :class:`Command`.

    Args:
        env: The environment of commands.
        closed: Called once when the session is over.
    """

    def __init__(self, env: Mapping[str, str], closed: Callable[[], None]) -> None:
        super().__init__(_never, asyncssh.SFTPServer, 3, False)
        self._env = env
        self._closed = closed
        self._channel: SSHServerChannel[bytes]
        self._command: Command | None = None

    def connection_made(self, chan: Any) -> None:
        self._channel = chan
        super().connection_made(chan)

    def exec_requested(self, command: str) -> bool:
        return "\0" not in command

    def session_started(self) -> None:
        if self._channel.get_subsystem() == "sftp":
            super().session_started()
            return
        command = self._channel.get_command()
        argv = [b"/bin/sh"] if command is None else [b"/bin/sh", b"-c", command.encode()]
        try:
            self._command = Command(self._channel, argv, self._env)
        except OSError as error:  # for example a command of 200 kB: too long for execve(2)
            self._channel.write(f"/bin/sh: {error.strerror}\n".encode(), _STDERR)
            self._channel.exit(1)

    def data_received(self, data: Any, datatype: int | None) -> None:
        if self._command is None:
            super().data_received(data, datatype)
        else:
            self._command.feed(data)

    def eof_received(self) -> bool:
        if self._command is None:
            return bool(super().eof_received())
        self._command.feed_eof()
        return True

    def pause_writing(self) -> None:
        if self._command is None:
            super().pause_writing()
        else:
            self._command.pause()

    def resume_writing(self) -> None:
        if self._command is None:
            super().resume_writing()
        else:
            self._command.resume()

    def signal_received(self, signal: str) -> None:
        if self._command is not None:
            self._command.signal(signal)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._command is not None:
            self._command.abandon()
        super().connection_lost(exc)
        self._closed()


class Command:
    """A running command, its pipes joined to a channel.

    Args:
        channel: The channel of the client.
        argv: What is run.
        env: Its environment.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(
        self, channel: SSHServerChannel[bytes], argv: list[bytes], env: Mapping[str, str]
    ) -> None:
        self._channel = channel
        self._loop = asyncio.get_running_loop()
        self._backlog = bytearray()
        self._no_more_input = False
        self._exit_code: int | None = None
        self._outputs: dict[int, int | None] = {}
        with _pipes(3) as (stdin, stdout, stderr):
            self._pid = processes.spawn(
                argv, env=env, stdin=stdin[0], stdout=stdout[1], stderr=stderr[1], session=True
            )
            self._stdin: int | None = _keep(stdin[1])
            self._outputs = {_keep(stdout[0]): None, _keep(stderr[0]): _STDERR}
        self.resume()
        processes.on_exit(self._loop, self._pid, self._ended)

    def feed(self, data: bytes) -> None:
        """Pass input on; more than the pipe takes makes the client wait."""
        if self._stdin is None:
            return
        self._backlog += data
        self._pour()
        if self._backlog:
            self._channel.pause_reading()
            self._loop.add_writer(self._stdin, self._pour)

    def feed_eof(self) -> None:
        """Close the command's stdin once it has taken everything."""
        self._no_more_input = True
        if not self._backlog:
            self._close_stdin()

    def _pour(self) -> None:
        assert self._stdin is not None
        try:
            while self._backlog:
                del self._backlog[: os.write(self._stdin, self._backlog[:_CHUNK])]
        except BlockingIOError:
            return
        except BrokenPipeError:  # it does not want more: the rest is thrown away
            self._close_stdin()
            return
        self._loop.remove_writer(self._stdin)
        self._channel.resume_reading()
        if self._no_more_input:
            self._close_stdin()

    def _close_stdin(self) -> None:
        if self._stdin is not None:
            self._loop.remove_writer(self._stdin)
            os.close(self._stdin)
            self._stdin = None
            self._backlog.clear()
            self._channel.resume_reading()

    def pause(self) -> None:
        """Read no more output: the client is slow."""
        for descriptor in self._outputs:
            self._loop.remove_reader(descriptor)

    def resume(self) -> None:
        """Read output again."""
        for descriptor in self._outputs:
            self._loop.add_reader(descriptor, self._drain, descriptor)

    def _drain(self, descriptor: int) -> None:
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return
        if data:
            self._channel.write(data, self._outputs[descriptor])
        else:
            self._close_output(descriptor)
            self._finish()

    def _close_output(self, descriptor: int) -> None:
        del self._outputs[descriptor]
        self._loop.remove_reader(descriptor)
        os.close(descriptor)

    def _ended(self, exit_code: int) -> None:
        self._exit_code = exit_code
        self._finish()

    def _finish(self) -> None:
        """Report the end once the command has ended and nobody holds its output any more."""
        if self._exit_code is None or self._outputs or self._channel.is_closing():
            return
        if self._exit_code >= 0:
            self._channel.exit(self._exit_code)
        else:
            name = signal.Signals(-self._exit_code).name.removeprefix("SIG")
            self._channel.exit_with_signal(name)

    def signal(self, name: str) -> None:
        """Send a signal to the command's process group (RFC 4254, section 6.9)."""
        number = getattr(signal, f"SIG{name}", None)
        if number is not None and self._exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._pid, number)

    def abandon(self) -> None:
        """Close the pipes and leave the command to itself."""
        self._close_stdin()
        for descriptor in list(self._outputs):
            self._close_output(descriptor)


def _keep(descriptor: int) -> int:
    """Return a copy of our end of a pipe, which does not block."""
    kept = os.dup(descriptor)
    os.set_blocking(kept, False)
    return kept


@contextlib.contextmanager
def _pipes(count: int) -> Any:
    pipes = [os.pipe() for _ in range(count)]
    try:
        yield pipes
    finally:
        for pair in pipes:
            for descriptor in pair:
                os.close(descriptor)


def _never(_: object) -> None:  # pragma: no cover - commands go to Command
    raise AssertionError("a command is not run by asyncssh")
