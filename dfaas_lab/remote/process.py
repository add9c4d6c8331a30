"""One command on a host, over one SSH channel. What it means is its caller's business."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from paramiko.ssh_exception import SSHException

from dfaas_lab.errors import ConnectionFailed

if TYPE_CHECKING:
    from paramiko import Channel

_CHUNK = 256 * 1024
# Behind what a login shell (its ~/.bashrc) prints, so that what a command prints is told from it.
_BEGIN = b"dfaas-lab: the command begins\n"


@dataclass(frozen=True)
class CommandResult:
    """What a command wrote and how it ended."""

    exit_code: int
    stdout: bytes
    stderr: bytes

    def __bool__(self) -> bool:
        return self.exit_code == 0

    @property
    def text(self) -> str:
        """Standard output as text, without blanks at its ends."""
        return self.stdout.decode(errors="replace").strip()


class Process:
    """A running command. Closing it does not end it: sshd only closes its pipes."""

    def __init__(
        self,
        channel: Channel,
        *,
        host: str,
        release: Callable[[], None],
        heard: Callable[[], None] = lambda: None,
        drop: Callable[[], None] = lambda: None,
    ) -> None:
        self._channel = channel
        self._host = host
        self._release: Callable[[], None] | None = release
        self._heard = heard
        self._drop = drop
        self._said = b""  # the end of what came on standard error while standard output was read
        self._before: bytes | None = None  # what the login shell has said, while that is looked for
        self._ahead = b""  # what came with it of the command's own
        self._learn: Callable[[bool], None] = lambda _: None
        self.heard_at = time.monotonic()
        """When anything came from the command, as ``time.monotonic()``."""

    def start(
        self, command: str, *, timeout: float, learn: Callable[[bool], None] | None = None
    ) -> None:
        """Ask the host to run the command with a POSIX shell, whatever the user's shell is.

        Args:
            command: What to run.
            timeout: Seconds to wait for the host to take it.
            learn: Where the user's shell may print things of its own before: these are left out,
                and this is told whether there were any.
        """
        if learn is not None:
            self._before, self._learn = b"", learn
            command = f"echo '{_BEGIN.decode().rstrip()}'\n{command}"
        self._channel.settimeout(timeout)
        try:
            self._channel.exec_command(f"exec /bin/sh -c {shlex.quote(command)}")
        except (SSHException, OSError, EOFError) as error:
            raise self._lost(error) from error

    def send(self, data: bytes, *, timeout: float = 30.0) -> None:
        """Write to the command's standard input."""
        self._channel.settimeout(timeout)
        try:
            self._channel.sendall(data)
        except (OSError, EOFError) as error:
            raise self._lost(error) from error

    def send_eof(self) -> None:
        """Close the command's standard input."""
        try:
            self._channel.shutdown_write()
        except (OSError, EOFError) as error:
            raise self._lost(error) from error

    def receive(self, *, timeout: float, most: int = _CHUNK) -> bytes | None:
        """Return what standard output holds: ``b""`` at its end, None if nothing came in time.

        Standard error is heard (``heard_at``), and kept for the result.
        """
        self._channel.settimeout(timeout)
        try:
            while self._channel.recv_stderr_ready() and (said := self._channel.recv_stderr(_CHUNK)):
                self._said = (self._said + said)[-_CHUNK:]
                self._hear()
            data = self._recv(most)
        except TimeoutError:
            return None
        except (OSError, EOFError) as error:
            raise self._lost(error) from error
        self._hear()
        return data

    def finish(self, *, deadline: float, idle_s: float | None = None) -> CommandResult:
        """Read to the end and return the result.

        Args:
            deadline: A ``time.monotonic()``.
            idle_s: Seconds without a byte after which the connection counts as lost.

        Raises:
            TimeoutError: It did not end in time.
            ConnectionFailed: The connection was lost.
        """
        stdout = self._read_all(self._recv, deadline, idle_s)
        stderr = self._read_all(self._channel.recv_stderr, deadline, idle_s)
        if not self._channel.status_event.wait(max(deadline - time.monotonic(), 0.01)):
            raise TimeoutError
        exit_code = self._channel.recv_exit_status()
        if exit_code == -1:  # paramiko's word for: the channel ended without a status
            raise self._lost(EOFError("the channel was closed"))
        return CommandResult(exit_code, stdout, self._said + stderr)

    def _recv(self, most: int) -> bytes:
        """Read what the command printed, from where it began."""
        while self._before is not None:
            data = bytes(self._channel.recv(_CHUNK))
            said, begun, own = (self._before + data).partition(_BEGIN)
            if begun:
                self._before, self._ahead = None, own
                self._learn(bool(said))
            elif not data:  # it never began: what the shell said is all there is
                self._before, self._ahead = None, said
            else:
                self._before = said
        if self._ahead:
            data, self._ahead = self._ahead[:most], self._ahead[most:]
            return data
        return bytes(self._channel.recv(most))

    def _read_all(
        self, receive: Callable[[int], bytes], deadline: float, idle_s: float | None
    ) -> bytes:
        parts: list[bytes] = []
        while True:
            left = max(deadline - time.monotonic(), 0.01)
            self._channel.settimeout(left if idle_s is None else min(left, idle_s))
            try:
                part = receive(_CHUNK)
            except TimeoutError as error:
                if idle_s is None or time.monotonic() >= deadline:
                    raise
                self.abandon()
                raise self._lost(error) from error
            self._hear()
            if not part:
                return b"".join(parts)
            parts.append(part)

    def close(self) -> None:
        """Give the channel back."""
        release, self._release = self._release, None
        if release is not None:
            self._channel.close()
            release()

    def abandon(self) -> None:
        """Close the connection below, with all that shares it: its other end does not answer."""
        self.close()
        self._drop()

    def _hear(self) -> None:
        self.heard_at = time.monotonic()
        self._heard()

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _lost(self, error: Exception) -> ConnectionFailed:
        return ConnectionFailed(
            f"{self._host}: the SSH connection was lost ({error or type(error).__name__})",
            host=self._host,
            hint="Check the network and that the host is on.",
        )
