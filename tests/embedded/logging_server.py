"""A small HTTP server in a process of its own that notes each request in nanoseconds.

What a run says is checked against what this server saw. It speaks as much of OpenFaaS's API as
``run_k6`` asks for. How a function behaves is in its name's entry (:class:`Behaviour`).
"""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from email.utils import formatdate
from pathlib import Path

import polars as pl


@dataclass(frozen=True)
class Behaviour:
    """How a function answers.

    Args:
        status: The HTTP status.
        delay_ms: The time until the answer.
        date_s: How far the ``Date`` of its answers is ahead.
        is_date_early: Whether ``Date`` is made before the delay, as a function makes it.
        location: Where it redirects to.
        call_ids: Whether its answers have a call id, as a gateway gives them.
        closes_every: Which requests (every third: 3) on a connection that is kept are not answered:
            the connection is closed.
    """

    status: int = 200
    delay_ms: float = 0.0
    date_s: float = 0.0
    is_date_early: bool = False
    location: str = ""
    closes_every: int = 0
    call_ids: bool = False


class _Connection(asyncio.Protocol):
    """One connection; requests come one by one, as HTTP/1.1 without pipelining has them."""

    def __init__(self, server: _Server) -> None:
        self.server, self.data, self.served = server, b"", 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        at_ns = time.time_ns()
        self.data += data
        head, found, rest = self.data.partition(b"\r\n\r\n")
        length = 0
        if b"content-length:" in head.lower():
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        if not found or len(rest) < length:
            return
        self.data = rest[length:]
        self.served += 1
        path = head.split(b" ", 2)[1].decode()
        self.server.asked(self, path, at_ns)

    def answer(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if not self.transport.is_closing():
            self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)


class _Server:
    """Answers, and keeps what it saw."""

    def __init__(self, functions: Mapping[str, Behaviour]) -> None:
        self.functions = functions
        self.seen: list[tuple[int, str, bool]] = []

    def asked(self, connection: _Connection, path: str, at_ns: int) -> None:
        if path.startswith("/function/"):
            self._call(connection, path.removeprefix("/function/").partition("/")[0], at_ns)
        elif path.startswith("/system/functions"):
            found = [{"name": name, "image": "i", "replicas": 1, "availableReplicas": 1}
                     for name in self.functions]  # fmt: skip
            connection.answer(200, json.dumps(found).encode())
        elif path == "/seen":
            connection.answer(200, json.dumps(self.seen).encode())
            self.seen = []
        elif path.startswith("/freeze/"):
            connection.answer(200)
            asyncio.get_running_loop().call_later(0.01, time.sleep, float(path.rpartition("/")[2]))
        else:
            connection.answer(200, b"{}")

    def _call(self, connection: _Connection, name: str, at_ns: int) -> None:
        how = self.functions.get(name, Behaviour(status=404))
        every = how.closes_every
        closes = bool(every) and connection.served > 1 and len(self.seen) % every == every - 1
        self.seen.append((at_ns, name, not closes))
        if closes:
            connection.transport.abort()
            return
        made = time.time()
        answer = (connection, how, made)
        if how.delay_ms:
            asyncio.get_running_loop().call_later(how.delay_ms / 1000, _answer, *answer)
        else:
            _answer(*answer)


def _answer(connection: _Connection, how: Behaviour, made: float) -> None:
    date = (made if how.is_date_early else time.time()) + how.date_s
    headers = {"Date": formatdate(date, usegmt=True)}
    if how.call_ids:
        headers |= {"X-Call-Id": str(uuid.uuid4()), "X-Duration-Seconds": "0.004"}
    if how.location:
        headers["Location"] = how.location
    connection.answer(how.status, headers=headers)


async def _serve(functions: Mapping[str, Behaviour], certificate: str) -> None:
    server = _Server(functions)
    loop = asyncio.get_running_loop()
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    listening = await loop.create_server(
        lambda: _Connection(server), "127.0.0.1", 0, backlog=4096, ssl=context
    )
    print(listening.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


@dataclass(frozen=True)
class LoggingServer:
    """A server that runs; ``url`` is its gateway's."""

    url: str
    pid: int

    def seen(self) -> pl.DataFrame:
        """What it saw since it was asked last: ``at_ns, function, answered``, by time."""
        rows = json.loads(self._get("/seen"))
        schema = {"at_ns": pl.Int64, "function": pl.String, "answered": pl.Boolean}
        return pl.DataFrame(rows, schema=schema, orient="row").sort("at_ns")

    def freeze(self, seconds: float) -> None:
        """Let it answer nothing for a while."""
        self._get(f"/freeze/{seconds}")

    def _get(self, path: str) -> bytes:
        context = ssl._create_unverified_context() if self.url.startswith("https") else None
        with urllib.request.urlopen(self.url + path, timeout=30, context=context) as answer:
            return bytes(answer.read())


@contextmanager
def logging_server(
    certificate: Path | None = None, /, **functions: Behaviour
) -> Iterator[LoggingServer]:
    """Run a server with these functions until the block ends; over TLS with a certificate."""
    told = json.dumps({name: asdict(how) for name, how in functions.items()})
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.embedded.logging_server", told, str(certificate or "")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert process.stdin
    assert process.stdout
    try:
        scheme = "https" if certificate else "http"
        yield LoggingServer(f"{scheme}://127.0.0.1:{int(process.stdout.readline())}", process.pid)
    finally:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    asyncio.run(_serve({name: Behaviour(**how) for name, how in told.items()}, sys.argv[2]))
