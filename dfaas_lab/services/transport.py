"""HTTP with bounds: one deadline per question, and a limit of bytes.

httpx's own time limits hold between two bytes, so an answer that drips never ends; and it decodes
what it is sent, however large that becomes.
"""

from __future__ import annotations

import contextlib
import ssl
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpcore
import httpx

MOST_BYTES = 64 << 20
"""The most of an answer, as it is sent and decoded."""

# A time limit of a socket holds for each piece that is taken, so the pieces are ours.
_CHUNK = 64 << 10
_CODINGS = {"gzip": 47, "x-gzip": 47, "deflate": 47}  # zlib's window bits: either header
_DROPPED = (b"content-encoding", b"transfer-encoding", b"content-length")


class TooLarge(httpx.TransportError):
    """An answer has more bytes than are read."""


class Deadline:
    """When a question must be over. Shared by all connections that it may use."""

    def __init__(self, seconds: float) -> None:
        self.restart(seconds)

    def restart(self, seconds: float) -> None:
        """Begin a question that may take so long."""
        self._at = time.monotonic() + seconds

    def left(self, timeout: float | None = None) -> float:
        """The time that is left, or ``timeout`` where that is less.

        Raises:
            TimeoutError: Nothing is left.
        """
        left = self._at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left if timeout is None else min(left, timeout)


class BoundedTransport(httpx.BaseTransport):
    """Answers within a deadline and a number of bytes; nothing of the environment is used."""

    def __init__(
        self,
        backend: httpcore.NetworkBackend | None,
        context: ssl.SSLContext | None,
        deadline: Deadline,
    ) -> None:
        self._deadline = deadline
        self._pool = httpcore.ConnectionPool(
            network_backend=_Backend(backend or httpcore.SyncBackend(), deadline),
            # A kept channel would count against the host's MaxSessions; a new one costs 4 ms.
            max_keepalive_connections=0 if backend else 1,
            ssl_context=context,
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the answer, read and decoded."""
        assert isinstance(request.stream, httpx.SyncByteStream)
        url = request.url
        with _httpx_errors(request):
            answer = self._pool.handle_request(
                httpcore.Request(
                    request.method,
                    httpcore.URL(
                        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
            try:
                content = _decoded(_read(answer), answer.headers)
            finally:
                answer.close()  # only this gives the connection back: without it the 11th waits
        headers = [(name, value) for name, value in answer.headers if name.lower() not in _DROPPED]
        said = httpx.Response(answer.status, headers=headers, content=content, request=request)
        # Python takes any of its codecs for a charset; "zlib" makes a gigabyte of one megabyte.
        said.encoding = "utf-8"
        return said

    def close(self) -> None:
        """End all connections."""
        self._pool.close()


def _read(answer: httpcore.Response) -> bytes:
    content = bytearray()
    for part in answer.iter_stream():
        content += part
        if len(content) > MOST_BYTES:
            raise TooLarge(f"the answer has more than {MOST_BYTES >> 20} MiB")
    return bytes(content)


def _decoded(content: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    named = {name.lower(): value for name, value in headers}
    coding = named.get(b"content-encoding", b"").decode("latin-1").strip().lower()
    if coding in ("", "identity") or not content:
        return content
    if coding not in _CODINGS:
        raise httpcore.RemoteProtocolError(f"the answer is encoded as {coding!r}")
    machine = zlib.decompressobj(_CODINGS[coding])
    try:
        plain = machine.decompress(content, MOST_BYTES)
    except zlib.error as error:
        raise httpcore.RemoteProtocolError(f"the answer cannot be decoded: {error}") from error
    if machine.unconsumed_tail:
        raise TooLarge(f"the answer has more than {MOST_BYTES >> 20} MiB when it is decoded")
    return plain


@contextlib.contextmanager
def _httpx_errors(request: httpx.Request) -> Iterator[None]:
    try:
        yield
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
        # The two libraries call the same errors by the same names.
        kind = getattr(httpx, type(error).__name__, httpx.TransportError)
        raise kind(str(error), request=request) from error


class _Backend(httpcore.NetworkBackend):
    def __init__(self, inner: httpcore.NetworkBackend, deadline: Deadline) -> None:
        self._inner, self._deadline = inner, deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        with _late(httpcore.ConnectTimeout):
            stream = self._inner.connect_tcp(
                host, port, self._deadline.left(timeout), local_address, socket_options
            )
        return _Stream(stream, self._deadline)


class _Stream(httpcore.NetworkStream):
    """A connection of which every step ends with the deadline."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._inner, self._deadline = inner, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _late(httpcore.ReadTimeout):
            return self._inner.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with _late(httpcore.WriteTimeout):
            for at in range(0, len(buffer), _CHUNK):
                self._inner.write(buffer[at : at + _CHUNK], self._deadline.left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        with _late(httpcore.ConnectTimeout):
            inner = self._inner.start_tls(
                ssl_context, server_hostname, self._deadline.left(timeout)
            )
        return _Stream(inner, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


@contextlib.contextmanager
def _late(kind: Callable[[], Exception]) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise kind() from error
