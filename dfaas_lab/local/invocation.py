"""``/function/NAME``: a request becomes an execution of the function, and that an answer.

Headers, variables and codes are those of OpenFaaS's gateway with the classic watchdog.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from dfaas_lab.local.execution import End, Execution, execute
from dfaas_lab.local.services import PATH, Service, Services

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from dfaas_lab.local.gateway_metrics import GatewayMetrics

#: The largest body that a request may have.
MAX_BODY_BYTES = 16 << 20
_Headers = list[tuple[bytes, bytes]]


class Invocation:
    """The application below ``/function``. Any method, no authentication.

    Args:
        services: The deployed functions.
        metrics: Where requests are counted.
    """

    def __init__(self, services: Services, metrics: GatewayMetrics) -> None:
        self._services = services
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        name, path = _split(scope["raw_path"])
        service = self._services.find(name)
        if service is None:
            await _answer(send, 404, f"error finding function {name}: not found\n".encode())
            return
        headers = _stamp(scope)
        started = time.perf_counter()
        self._metrics.started(service)
        service.in_flight += 1
        code = 499  # as nginx counts a client that left
        try:
            code = await self._invoke(service, path, scope, receive, send, headers)
        finally:
            service.in_flight -= 1
            self._metrics.answered(service, code, time.perf_counter() - started)

    async def _invoke(
        self,
        service: Service,
        path: bytes,
        scope: Scope,
        receive: Receive,
        send: Send,
        headers: _Headers,
    ) -> int:
        if service.replicas == 0:  # OpenFaaS scales from zero at the first request
            service.replicas = 1
        if service.in_flight > service.limit:
            text = f"concurrent request limit exceeded, the maximum is {service.limit}\n"
            return await _answer(send, 429, text.encode(), headers)
        body = await _read(receive)
        if body is None:
            return 499
        if len(body) > MAX_BODY_BYTES:
            text = f"the body is larger than {MAX_BODY_BYTES} bytes\n"
            return await _answer(send, 413, text.encode(), headers)
        try:
            done = await execute(
                service.command,
                body,
                env=_environment(service, scope, path, len(body)),
                timeout_s=service.timeout_s,
                gone=_gone(receive),
            )
        except OSError as error:
            return await _answer(send, 500, f"{service.name}: {error.strerror}\n".encode(), headers)
        if done.end is End.ABANDONED:
            return 499
        headers.append((b"x-duration-seconds", b"%.6f" % done.duration_s))
        return await _answer(send, *_outcome(service, done), headers, _content_type(scope))


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


def _content_type(scope: Scope) -> bytes:
    given: bytes = dict(scope["headers"]).get(b"content-type", b"application/octet-stream")
    return given


def _outcome(service: Service, done: Execution) -> tuple[int, bytes]:
    if done.end is End.TIMED_OUT:
        return 504, f"{service.name}: no answer within {service.timeout_s:g} s\n".encode()
    if done.exit_code != 0:
        return 500, f"{service.name}: exit code {done.exit_code}\n".encode() + done.error
    return 200, done.output


async def _answer(
    send: Send,
    code: int,
    body: bytes,
    headers: _Headers | None = None,
    content_type: bytes = b"text/plain; charset=utf-8",
) -> int:
    length = (b"content-length", b"%d" % len(body))
    every = [*(headers or []), (b"content-type", content_type), length]
    await send({"type": "http.response.start", "status": code, "headers": every})
    await send({"type": "http.response.body", "body": body})
    return code
