"""The embedded gateway: a process that speaks OpenFaaS's API and serves its metrics.

It runs alone on a host, too: its task comes as one JSON object on stdin (:func:`main`).
"""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, disable_created_metrics, generate_latest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from dfaas_lab.local import child
from dfaas_lab.local.child import listen
from dfaas_lab.local.gateway_api import BasicAuth, SystemApi
from dfaas_lab.local.gateway_metrics import GatewayMetrics
from dfaas_lab.local.invocation import Invocation, Queue
from dfaas_lab.local.lab_directory import LabDirectory
from dfaas_lab.local.services import GATEWAY_TIMEOUT_S, Services, images

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# What a function may write: a runaway must not fill the machine's memory.
_MAX_OUTPUT_BYTES = 64 << 20
# A connection takes one descriptor, a request in flight four; the usual limit is 1024.
_MAX_FILES = 16_384
_LIST = ("GET", "/system/functions")


@dataclass(frozen=True, kw_only=True)
class GatewayTask:
    """What a gateway is to be."""

    name: str
    user: str
    password: str = field(repr=False)
    functions: Mapping[str, list[str] | str] = field(default_factory=dict)
    host: str = "127.0.0.1"
    port: int = 0
    metrics_port: int = 0
    clock_skew_s: float = 0.0
    provider: str = "kubernetes"
    prometheus_down: bool = False
    timeout_s: float = GATEWAY_TIMEOUT_S


class Front:
    """What stands before all routes: it stamps answers, redirects odd paths, and has one fault.

    Args:
        app: What answers.
        task: The node's name, its clock, and whether the gateway's own Prometheus is down: then
            OpenFaaS closes the connection of who asks for its functions.
    """

    def __init__(self, app: ASGIApp, task: GatewayTask) -> None:
        self._app = app
        self._task = task

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Redirect, close, or pass a request on."""
        if self._task.prometheus_down and (scope["method"], scope["path"]) == _LIST:
            receive.__self__.transport.abort()  # type: ignore[attr-defined]  # uvicorn's cycle
            return

        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *self._stamp()]
            await send(message)

        clean = _clean(scope["raw_path"])
        app = self._app
        if clean != scope["raw_path"]:
            app = Response(status_code=301, headers={"Location": clean.decode("latin-1")})
        await app(scope, receive, stamped)

    def _stamp(self) -> list[tuple[bytes, bytes]]:
        date = formatdate(time.time() + self._task.clock_skew_s, usegmt=True).encode()
        node = self._task.name.encode()
        # The last is DFaaS's own, beside OpenFaaS's.
        return [(b"date", date), (b"x-served-by", node), (b"dfaas-node-id", node)]


def _clean(path: bytes) -> bytes:
    """A path as Go's router wants it: without empty parts, ``.`` and ``..``."""
    kept: list[bytes] = []
    for part in path.split(b"/")[1:]:
        if part == b"..":
            del kept[-1:]
        elif part not in (b"", b"."):
            kept.append(part)
    slash = b"/" if kept and path.endswith(b"/") else b""
    return b"/" + b"/".join(kept) + slash


async def _healthz(_: Request) -> Response:
    return PlainTextResponse("OK")


def applications(task: GatewayTask) -> tuple[ASGIApp, ASGIApp]:
    """Return the gateway and its metrics.

    Raises:
        ConfigError: A function's name or command cannot be.
    """
    services = Services(images(task.functions), task.timeout_s)
    metrics = GatewayMetrics(services)
    system = BasicAuth(SystemApi(services, task.provider).app(), task.user, task.password)
    gateway = Starlette(
        routes=[
            Mount("/function", app=Invocation(services, metrics)),
            Mount("/async-function", app=Queue(services, metrics)),
            Mount("/system", app=system),
            Route("/healthz", _healthz),
        ]
    )
    # "/function/NAME" is what clients send; nothing is redirected to another spelling.
    gateway.router.redirect_slashes = False

    async def exposition(_: Request) -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    metrics_app = Starlette(routes=[Route("/metrics", exposition)])
    return Front(gateway, task), metrics_app


def _server(app: ASGIApp) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            access_log=False,
            log_level="warning",
            date_header=False,
            server_header=False,
            # Above every client's own: it is the client that gives up an idle connection.
            timeout_keep_alive=120,
        )
    )


async def _serve(task: GatewayTask) -> None:
    listeners = [listen(task.host, port) for port in (task.port, task.metrics_port)]
    servers = [_server(app) for app in applications(task)]
    port, metrics_port = (listener.getsockname()[1] for listener in listeners)
    child.announce(port=port, metrics_port=metrics_port)
    await asyncio.gather(
        *(server.serve([listener]) for server, listener in zip(servers, listeners, strict=True))
    )


def main() -> None:
    """Serve until this process is ended; tied to a process manager where the task names one."""
    task: dict[str, Any] = child.task()
    if "manager" in task:
        directory = Path(task.pop("directory"))
        child.bind_to_manager(task.pop("manager"), directory)
        # The functions' place, by which they are found when this process is gone.
        os.chdir(LabDirectory(directory).home)
    disable_created_metrics()  # type: ignore[no-untyped-call]  # OpenFaaS has none
    resource.setrlimit(resource.RLIMIT_FSIZE, (_MAX_OUTPUT_BYTES, _MAX_OUTPUT_BYTES))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = _MAX_FILES if most == resource.RLIM_INFINITY else min(most, _MAX_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, most))
    asyncio.run(_serve(GatewayTask(**task)))


if __name__ == "__main__":
    main()
