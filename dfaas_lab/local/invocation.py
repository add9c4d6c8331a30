"""``/function/NAME``: executes the function for each request, and answers with its output.

Headers, variables and codes are those of OpenFaaS's gateway with the classic watchdog.
"""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from dfaas_lab.local.execution import End, Execution, execute
from dfaas_lab.local.services import PATH, Service, Services

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from dfaas_lab.local.gateway_metrics import GatewayMetrics

#: The largest body that a request may have.
MAX_BODY_BYTES = 64 << 20
_Headers = list[tuple[bytes, bytes]]
_CLIENT_LEFT = 502  # as OpenFaaS's gateway counts it
# What the classic watchdog hands to a function.
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "UPDATE")


@dataclass(frozen=True)
class Answer:
    """What is sent back."""

    code: int
    body: bytes
    content_type: bytes = b"text/plain; charset=utf-8"
    headers: _Headers = field(default_factory=list)


class Invocation:
    """The application below ``/function``. Any method, no authentication."""

    def __init__(self, services: Services, metrics: GatewayMetrics) -> None:
        self._services = services
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        stamp = _stamp(scope)
        # Read whole before anything is decided: an answer to a body that is still on its way
        # reaches many a client as a broken connection.
        body = await _read(receive)
        if body is None:
            return
        answer = await self.answer(scope, body, receive)
        if answer is not None:
            await _send(send, answer, stamp)

    async def answer(self, scope: Scope, body: bytes, receive: Receive) -> Answer | None:
        """Return the answer; None when nobody waits for it any more."""
        name, path = _split(scope["raw_path"])
        service = self._services.find(name)
        if service is None:
            return Answer(404, f"error finding function {name}: not found\n".encode())
        started = time.perf_counter()
        self._metrics.started(service)
        service.in_flight += 1
        code = _CLIENT_LEFT
        try:
            answer = _refusal(service, scope["method"], body) or await _execute(
                service, self._services.timeout_s, scope, path, body, receive
            )
            if answer is not None:
                code = answer.code
            return answer
        finally:
            service.in_flight -= 1
            self._metrics.answered(service, code, time.perf_counter() - started)


class Queue(Invocation):
    """The application below ``/async-function``: it answers 202 and executes afterwards."""

    def __init__(self, services: Services, metrics: GatewayMetrics) -> None:
        super().__init__(services, metrics)
        self._calls: set[asyncio.Task[Answer | None]] = set()

    async def answer(self, scope: Scope, body: bytes, receive: Receive) -> Answer | None:  # noqa: ARG002 (nobody waits)
        """Queue one request."""
        name, _ = _split(scope["raw_path"])
        if self._services.find(name) is None:
            return Answer(404, f"error finding function {name}\n".encode())
        call = asyncio.create_task(super().answer(scope, body, _nobody_leaves))
        self._calls.add(call)  # or it could be collected while it runs
        call.add_done_callback(self._calls.discard)
        return Answer(202, b"")


async def _nobody_leaves() -> Message:
    return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]


def _refusal(service: Service, method: str, body: bytes) -> Answer | None:
    """Return why a request is not executed, if it is not."""
    if method not in _METHODS:
        return Answer(405, b"")
    if service.replicas == 0:  # OpenFaaS scales from zero at the first request
        service.replicas = 1
    if not service.available:
        return Answer(502, f"no replica of {service.name} answers\n".encode())
    if service.in_flight > service.limit:
        text = f"concurrent request limit exceeded, the maximum is {service.limit:g}\n"
        return Answer(429, text.encode())
    if len(body) > MAX_BODY_BYTES:
        return Answer(413, f"the body is larger than {MAX_BODY_BYTES} bytes\n".encode())
    return None


async def _execute(
    service: Service, most_s: float, scope: Scope, path: bytes, body: bytes, receive: Receive
) -> Answer | None:
    try:
        done = await execute(
            service.command,
            body,
            env=_environment(service, scope, path, len(body)),
            timeout_s=min(service.timeout_s or most_s, most_s),
            gone=_gone(receive),
            usage=service.usage,
        )
    except OSError as error:
        return Answer(500, f"{service.name}: {error.strerror}\n".encode())
    if done.end is End.TIMED_OUT and not (service.timeout_s and service.timeout_s < most_s):
        return Answer(502, b"")  # the gateway's own limit
    return None if done.end is End.ABANDONED else _outcome(scope, done)


def _split(raw_path: bytes) -> tuple[str, bytes]:
    """Take ``/function/NAME/rest`` apart; the rest stays as it was sent."""
    _, _, name, *rest = raw_path.split(b"/", 3)
    return unquote_to_bytes(name).decode("utf-8", "replace"), b"/" + rest[0] if rest else b""


def _stamp(scope: Scope) -> _Headers:
    call_id = dict(scope["headers"]).get(b"x-call-id") or str(uuid.uuid4()).encode()
    return [(b"x-call-id", call_id), (b"x-start-time", b"%d" % time.time_ns())]


async def _read(receive: Receive) -> bytes | None:
    """Return the body, or one byte more than is allowed; None when the client has left."""
    parts: list[bytes] = []
    size = 0
    while size <= MAX_BODY_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if not message.get("more_body", False):
            break
    return b"".join(parts)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _environment(service: Service, scope: Scope, path: bytes, size: int) -> Mapping[bytes, bytes]:
    """Return the function's environment: its own variables and the request's ``Http_*``."""
    env = {b"PATH": PATH.encode(), b"HOME": b"/", b"fprocess": service.command[0].encode()}
    for key, value in service.env.items():
        env[key.encode()] = value.encode()
    for name, value in scope["headers"]:
        variable = b"Http_" + b"_".join(part.capitalize() for part in name.split(b"-"))
        env.setdefault(variable, value)
    env[b"Http_Method"] = scope["method"].encode()
    env[b"Http_ContentLength"] = env[b"Http_Content_Length"] = b"%d" % size
    env[b"Http_Path"] = path or b"/"
    if scope["query_string"]:
        env[b"Http_Query"] = scope["query_string"]
    return env


def _outcome(scope: Scope, done: Execution) -> Answer:
    """Return what the classic watchdog answers after an execution."""
    if done.end is End.TIMED_OUT:
        return Answer(408, b"Killed process.\n")
    if done.exit_code != 0:
        return Answer(500, f"{_exit(done.exit_code)}\n".encode() + done.output + done.error)
    duration = [(b"x-duration-seconds", b"%.6f" % done.duration_s)]
    kind = dict(scope["headers"]).get(b"content-type", b"application/octet-stream")
    return Answer(200, done.output, content_type=kind, headers=duration)


def _exit(code: int) -> str:
    """How a process ended, in Go's words."""
    if code >= 0:
        return f"exit status {code}"
    return f"signal: {(signal.strsignal(-code) or str(-code)).lower()}"


async def _send(send: Send, answer: Answer, stamp: _Headers) -> None:
    length = b"%d" % len(answer.body)
    own = [(b"content-type", answer.content_type), (b"content-length", length)]
    headers = [*stamp, *answer.headers, *own]
    await send({"type": "http.response.start", "status": answer.code, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
