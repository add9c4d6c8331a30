"""HTTP over an SSH tunnel, where this machine cannot reach a service itself.

It knows nothing of SSH: it is given a way to connect (``Remote.open_tunnel``).
"""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import httpcore

from dfaas_lab.errors import RemoteError

_TLS_CHUNK = 16384
_CONNECT_TIMEOUT_S = 10.0


class Stream(Protocol):
    """What is needed of a socket."""

    def settimeout(self, timeout: float | None, /) -> None:
        """Let the following calls raise ``TimeoutError`` after so many seconds."""

    def recv(self, size: int, /) -> bytes:
        """Return some bytes; none at the end."""

    def send(self, data: bytes, /) -> int:
        """Send some of it, and return how many bytes."""

    def close(self) -> None:
        """End it."""


class Connect(Protocol):
    """What opens a stream to an address; it raises ``RemoteError`` or ``OSError``."""

    def __call__(self, address: str, port: int, /, *, timeout: float) -> Stream:
        """Return the stream, within so many seconds."""


def through(connect: Connect) -> httpcore.NetworkBackend:
    """Return what an endpoint connects by, so that it reaches everything through ``connect``."""
    return _Backend(connect)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002 (httpcore's interface)
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        try:
            return _Plain(self._connect(host, port, timeout=timeout or _CONNECT_TIMEOUT_S))
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except (RemoteError, OSError) as error:
            what = error.message if isinstance(error, RemoteError) else str(error)
            raise httpcore.ConnectError(what) from error


class _Plain(httpcore.NetworkStream):
    """A stream of which each step has one time limit, into however many pieces it falls."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with self._within(timeout, httpcore.ReadTimeout, httpcore.ReadError):
            return self._recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with self._within(timeout, httpcore.WriteTimeout, httpcore.WriteError):
            self._send(buffer)

    @contextlib.contextmanager
    def _within(
        self, timeout: float | None, late: type[Exception], broken: type[Exception]
    ) -> Iterator[None]:
        self._until = None if timeout is None else time.monotonic() + timeout
        with _httpcore_errors(late, broken):
            yield

    def _recv(self, most: int) -> bytes:
        self._limit()
        return self._stream.recv(most)

    def _send(self, data: bytes) -> None:
        while data:
            self._limit()
            data = data[self._stream.send(data) :]

    def _limit(self) -> None:
        left = None if self._until is None else self._until - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError
        self._stream.settimeout(left)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        try:
            return _Tls(self._stream, ssl_context, server_hostname, timeout)
        except BaseException:
            self.close()  # httpcore leaves that to whoever failed
            raise


class _Tls(_Plain):
    """TLS over a stream that is no socket of the system: ``ssl`` works on memory, we carry."""

    def __init__(
        self, stream: Stream, context: ssl.SSLContext, hostname: str | None, timeout: float | None
    ) -> None:
        super().__init__(stream)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        with self._within(timeout, httpcore.ConnectTimeout, httpcore.ConnectError):
            self._tls = context.wrap_bio(self._in, self._out, server_hostname=hostname)
            self._carry(self._tls.do_handshake)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with self._within(timeout, httpcore.ReadTimeout, httpcore.ReadError):
            data: bytes = self._carry(lambda: self._tls.read(max_bytes))
            return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with self._within(timeout, httpcore.WriteTimeout, httpcore.WriteError):
            while buffer:
                buffer = buffer[self._carry(lambda: self._tls.write(buffer)) :]  # noqa: B023

    def _carry(self, work: Callable[[], Any]) -> Any:
        while True:
            try:
                done = work()
            except ssl.SSLWantReadError:
                self._flush()
                data = self._recv(_TLS_CHUNK)
                self._in.write(data) if data else self._in.write_eof()
            except ssl.SSLError:
                self._flush()  # the other side is told why
                raise
            else:
                self._flush()
                return done

    def _flush(self) -> None:
        if self._out.pending:
            self._send(self._out.read())


@contextlib.contextmanager
def _httpcore_errors(late: type[Exception], broken: type[Exception]) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except OSError as error:  # an ssl.SSLError is one
        raise broken(str(error)) from error
