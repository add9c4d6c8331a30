"""``Remote``: a pool of SSH connections to one host, made when needed and replaced when lost."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from paramiko.ssh_exception import ChannelException, SSHException

from dfaas_lab.errors import CommandFailed, ConnectionFailed
from dfaas_lab.remote.connection import close, connect
from dfaas_lab.remote.pooled_connection import PooledConnection
from dfaas_lab.remote.process import CommandResult, Process, TooMuchOutput
from dfaas_lab.remote.tunnel import Tunnel, TunnelRefused

if TYPE_CHECKING:
    from paramiko import Channel

    from dfaas_lab.config import Host

# sshd's MaxSessions is 10 by default; two are left to whoever looks at the host meanwhile.
_CHANNELS_PER_CONNECTION = 8
# Where MaxSessions is lower, each refusal tells one of several threads a little more about it.
_CHANNEL_TRIES = 12
_LOST_TRIES = 3


class Remote:
    """A host, as something that runs commands. Safe to use from threads.

    Args:
        host: Where. Nothing is connected before the first command.
    """

    def __init__(self, host: Host) -> None:
        self.host = host
        self._connections: list[PooledConnection] = []
        self._capacity = _CHANNELS_PER_CONNECTION
        self._lock = threading.Lock()
        # One connection at a time is authenticated: sshd drops them at random above MaxStartups.
        self._connecting = threading.Lock()
        self.last_seen = 0.0
        """When anything came from the host, as ``time.monotonic()``."""

    def run(
        self,
        command: str,
        *,
        stdin: bytes = b"",
        timeout: float = 30.0,
        idle_s: float | None = None,
        check: bool = True,
    ) -> CommandResult:
        """Run a command with the host's shell and return its result.

        Args:
            command: A shell command; quote what is not yours with ``shlex.quote``.
            stdin: What it reads.
            timeout: Seconds until it must have ended; the remote process is not killed.
            idle_s: Seconds without a byte after which the connection counts as lost.
            check: Whether an exit code other than 0 is an error.

        Raises:
            CommandFailed: It ended with another exit code than 0, or not in time.
            ConnectionFailed: The host cannot be reached, or was lost.
        """
        with self.open(command, timeout=timeout) as process:
            deadline = time.monotonic() + timeout  # connecting has a time-out of its own
            if stdin:
                process.send(stdin, timeout=timeout)
            process.send_eof()
            try:
                result = process.finish(deadline=deadline, idle_s=idle_s)
            except TimeoutError as error:
                why = f"no end within {timeout:g} s"
                why = str(error) if isinstance(error, TooMuchOutput) else why
                raise self._failed(command, -1, why) from error
        if check and not result:
            raise self._failed(command, result.exit_code, result.stderr.decode(errors="replace"))
        return result

    def open(self, command: str, *, timeout: float = 30.0) -> Process:
        """Start a command and return it running, over a channel of its own.

        It is one for a POSIX shell, whatever the user's shell is.
        """
        pooled, channel = self._channel(timeout, "session", None)
        self._mark_seen()
        process = Process(
            channel,
            host=self.host.address,
            release=lambda: self._release(pooled),
            on_seen=self._mark_seen,
            drop=lambda: self._drop(pooled),
        )
        try:
            learn = pooled.learn if pooled.talks is not False else None
            process.start(command, timeout=timeout, learn=learn)
        except BaseException:
            process.close()
            raise
        return process

    def open_tunnel(self, address: str, port: int, *, timeout: float = 10.0) -> Tunnel:
        """Return a stream to an address as the host sees it."""
        pooled, channel = self._channel(timeout, "direct-tcpip", (address, port))
        return Tunnel(channel, release=lambda: self._release(pooled))

    @property
    def has_free_channel(self) -> bool:
        """Whether two commands can be started without connecting anew: one, and the next."""
        with self._lock:
            return any(
                pooled.alive and pooled.used + 1 < pooled.capacity for pooled in self._connections
            )

    def close(self) -> None:
        """Close all connections; the next command opens a new one."""
        with self._lock:
            connections, self._connections = self._connections, []
        for pooled in connections:
            close(pooled.connection)

    def _channel(
        self, timeout: float, kind: str, destination: tuple[str, int] | None
    ) -> tuple[PooledConnection, Channel]:
        """Return a new channel; opening one executes nothing yet, so it may be tried again."""
        refused: Exception | None = None
        lost = 0
        for _ in range(_CHANNEL_TRIES):
            pooled = self._acquire()
            try:
                channel = pooled.open(kind, destination, timeout)
            except ChannelException as error:
                refused = error
                if destination is not None:
                    self._release(pooled)
                    raise TunnelRefused(self.host, destination, error, timeout=timeout) from error
                self._full(pooled)
            except (SSHException, OSError, EOFError) as error:
                refused = error
                if destination is not None and pooled.answers():
                    # sshd says nothing while it tries: the connection and all on it are well.
                    self._release(pooled)
                    raise TunnelRefused(self.host, destination, None, timeout=timeout) from error
                self._drop(pooled)
                lost += 1
                if lost == _LOST_TRIES:
                    break
            else:
                return pooled, channel
        raise ConnectionFailed(
            f"{self.host}: no channel could be opened ({refused})",
            host=self.host.address,
            hint="Check the network, and MaxSessions in the host's sshd_config.",
        ) from refused

    def _acquire(self) -> PooledConnection:
        with self._connecting:
            pooled = self._free_connection()
            if pooled is None:
                pooled = PooledConnection(connect(self.host), used=1, capacity=self._capacity)
                with self._lock:
                    self._connections.append(pooled)
            return pooled

    def _free_connection(self) -> PooledConnection | None:
        with self._lock:
            for dead in [pooled for pooled in self._connections if not pooled.alive]:
                self._connections.remove(dead)
                close(dead.connection)
            for pooled in self._connections:
                if pooled.used < pooled.capacity:
                    pooled.used += 1
                    return pooled
        return None

    def _release(self, pooled: PooledConnection) -> None:
        with self._lock:
            pooled.used -= 1

    def _full(self, pooled: PooledConnection) -> None:
        """Note that MaxSessions is lower there than sshd's default; it is for all connections."""
        with self._lock:
            pooled.used -= 1
            self._capacity = min(self._capacity, max(pooled.used, 1))
            for other in self._connections:
                other.capacity = min(other.capacity, self._capacity)
            just_closed = pooled.used == 0
        if just_closed:
            time.sleep(0.02)  # the host has not noticed yet that its last channel is closed

    def _mark_seen(self) -> None:
        self.last_seen = time.monotonic()

    def _drop(self, pooled: PooledConnection) -> None:
        with self._lock:
            self._connections = [other for other in self._connections if other is not pooled]
        close(pooled.connection)

    def _failed(self, command: str, exit_code: int, stderr: str) -> CommandFailed:
        shown = command if len(command) <= 200 else command[:200] + "..."
        return CommandFailed(
            f"{self.host}: exit code {exit_code} of: {shown}\n{stderr.strip()}".rstrip(),
            host=self.host.address,
            command=command,
            exit_code=exit_code,
            stderr=stderr,
        )
