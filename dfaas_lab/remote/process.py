"""One command on a host, over one SSH channel: its streams and its exit code."""

from __future__ import annotations

import re
import shlex
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paramiko.ssh_exception import SSHException

from dfaas_lab.errors import ConnectionFailed
from dfaas_lab.secret import without_locals

if TYPE_CHECKING:
    from paramiko import Channel

_CHUNK = 256 * 1024
# Behind what a login shell (its ~/.bashrc) prints, so that what a command prints is told from it.
_BEGIN = b"dfaas-lab: the command begins\n"
_MOST_BEFORE = 1 << 20
# Whatever the login shell is, and whatever it exports: CDPATH makes cd print, TAR_OPTIONS and
# SHELLOPTS change what commands do, and messages are read in English.
_CLEAN = 'exec env -i "PATH=$PATH" "HOME=$HOME" LC_ALL=C /bin/sh -c "$(printf %b "$1")" /bin/sh'
# csh takes no line break in quotes and '!' also there; fish knows '\\' and "\'" in them.
_ESCAPED = re.compile(r"[^ -~]|[!'\\]")
_MOST_OUTPUT = 16 << 20


class TooMuchOutput(TimeoutError):
    """A command, or the login shell before it, prints more than is read: it has no end for us."""


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


def _escaped(command: str) -> str:
    r"""Return a command as ``printf %b`` takes it, in one line that means the same in any quotes.

    >>> print(_escaped("a\nb"))
    a\0012b
    """

    def octal(found: re.Match[str]) -> str:
        return "".join(f"\\0{byte:03o}" for byte in found[0].encode("utf-8", "surrogateescape"))

    return _ESCAPED.sub(octal, command)


class Process:
    """A running command. Closing it does not end it: sshd only closes its pipes."""

    def __init__(
        self,
        channel: Channel,
        *,
        host: str,
        release: Callable[[], None],
        on_seen: Callable[[], None] = lambda: None,
        drop: Callable[[], None] = lambda: None,
    ) -> None:
        self._channel = channel
        self._host = host
        self._release: Callable[[], None] | None = release
        self._on_seen = on_seen
        self._drop = drop
        self._said = b""  # the end of what came on standard error while standard output was read
        self._before: bytearray | None = (
            None  # what the login shell has said, while that is looked for
        )
        self._ahead = b""  # what came with it of the command's own
        self._learn: Callable[[bool], None] = lambda _: None
        self.last_seen = time.monotonic()
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
            self._before, self._learn = bytearray(), learn
            command = f"echo '{_BEGIN.decode().rstrip()}'\n{command}"
        command = f"exec /bin/sh -c {shlex.quote(_CLEAN)} /bin/sh '{_escaped(command)}'"
        self._channel.settimeout(timeout)
        # Paramiko waits without end for the host's yes; closing the channel ends its wait.
        timer = threading.Timer(timeout, self._channel.close)
        timer.daemon = True
        timer.start()
        try:
            self._channel.exec_command(command)
        except (SSHException, OSError, EOFError) as error:
            raise self._lost(error) from error
        finally:
            timer.cancel()

    def send(self, data: bytes, *, timeout: float = 30.0) -> None:
        """Write to the command's standard input, all of it within the time."""
        deadline = time.monotonic() + timeout
        rest = memoryview(data)
        try:
            while rest:
                self._channel.settimeout(max(deadline - time.monotonic(), 0.01))
                rest = rest[self._channel.send(rest[:_CHUNK]) :]
                if rest and time.monotonic() > deadline:
                    raise TimeoutError(f"not taken within {timeout:g} s")
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

        Standard error is heard (``last_seen``), and kept for the result.
        """
        deadline = time.monotonic() + timeout
        self._channel.settimeout(timeout)
        try:
            if self._channel.recv_stderr_ready() and (said := self._channel.recv_stderr(_CHUNK)):
                self._said = (self._said + said)[-_CHUNK:]
                self._mark_seen()
            data = self._recv(most, deadline)
        except TooMuchOutput as error:
            raise self._lost(error) from error
        except TimeoutError:
            return None
        except (OSError, EOFError) as error:
            raise self._lost(error) from error
        self._mark_seen()
        return data

    def finish(
        self, *, deadline: float, idle_s: float | None = None, most: int = _MOST_OUTPUT
    ) -> CommandResult:
        """Read to the end and return the result.

        Args:
            deadline: A ``time.monotonic()``.
            idle_s: Seconds without a byte after which the connection counts as lost.
            most: Bytes of standard output that are taken; of standard error, the last are kept.

        Raises:
            TimeoutError: It did not end in time, or printed more than that.
            ConnectionFailed: The connection was lost.
        """
        parts: list[bytes] = []
        size = 0
        while part := self._next(lambda: self._recv(_CHUNK, deadline), deadline, idle_s):
            parts.append(part)
            size += len(part)
            if size > most:
                raise TooMuchOutput(f"more than {most >> 20} MB of output")
        while part := self._next(lambda: self._channel.recv_stderr(_CHUNK), deadline, idle_s):
            self._said = (self._said + part)[-_CHUNK:]
        if not self._channel.status_event.wait(max(deadline - time.monotonic(), 0.01)):
            raise TimeoutError
        exit_code = self._channel.recv_exit_status()
        if exit_code == -1:  # paramiko's word for: the channel ended without a status
            raise self._lost(EOFError("the channel was closed"))
        return CommandResult(exit_code, b"".join(parts), self._said)

    def _recv(self, most: int, deadline: float) -> bytes:
        """Read what the command printed, from where it began."""
        while self._before is not None:
            data = bytes(self._channel.recv(_CHUNK))
            # The mark may lie across two readings; what was searched is not searched again.
            at = max(len(self._before) - len(_BEGIN), 0)
            self._before += data
            begun = self._before.find(_BEGIN, at)
            if begun >= 0:
                self._ahead = bytes(self._before[begun + len(_BEGIN) :])
                self._before = None
                self._learn(begun > 0)
            elif not data:  # it never began: what the shell said is all there is
                self._ahead, self._before = bytes(self._before), None
            elif len(self._before) > _MOST_BEFORE:
                raise TooMuchOutput("the login shell prints without end before the command")
            elif time.monotonic() >= deadline:
                raise TimeoutError
        if self._ahead:
            data, self._ahead = self._ahead[:most], self._ahead[most:]
            return data
        return bytes(self._channel.recv(most))

    def _next(self, receive: Callable[[], bytes], deadline: float, idle_s: float | None) -> bytes:
        """The next bytes; the deadline holds for the whole, however slowly they come."""
        left = max(deadline - time.monotonic(), 0.01)
        self._channel.settimeout(left if idle_s is None else min(left, idle_s))
        try:
            part = receive()
        except TimeoutError as error:
            if idle_s is None or isinstance(error, TooMuchOutput) or time.monotonic() >= deadline:
                raise
            raise self.given_up(str(error)) from error
        if part and time.monotonic() > deadline:
            raise TimeoutError
        self._mark_seen()
        return part

    def given_up(self, why: str) -> ConnectionFailed:
        """Leave the connection, whose other end does not answer, and return the error to raise."""
        self.abandon()
        return self._lost(TimeoutError(why))

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

    def _mark_seen(self) -> None:
        self.last_seen = time.monotonic()
        self._on_seen()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _lost(self, error: Exception) -> ConnectionFailed:
        without_locals(error)
        return ConnectionFailed(
            f"{self._host}: the SSH connection was lost ({error or type(error).__name__})",
            host=self._host,
            hint="Check the network and that the host is on.",
        )
