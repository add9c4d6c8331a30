"""A command of the embedded SSH server: a process and its three pipes, joined to a channel.

It runs as under a real sshd without a terminal: in a session of its own, never killed by a client
that leaves. It only finds its pipes closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from asyncssh import EXTENDED_DATA_STDERR as STDERR

from dfaas_lab.local import processes

if TYPE_CHECKING:
    from asyncssh import SSHServerChannel

_CHUNK = 1 << 16


class Command:
    """A running command, its pipes joined to a channel.

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
            self._outputs = {_keep(stdout[0]): None, _keep(stderr[0]): STDERR}
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
        if self._no_more_input:
            self._close_stdin()
        else:  # the last thing to do: what waited comes in by a call of feed() from here
            self._channel.resume_reading()

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
def _pipes(count: int) -> Iterator[list[tuple[int, int]]]:
    pipes = [os.pipe() for _ in range(count)]
    try:
        yield pipes
    finally:
        for pair in pipes:
            for descriptor in pair:
                os.close(descriptor)
