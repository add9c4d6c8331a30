"""``/system``: OpenFaaS's API to list, deploy, scale and remove functions.

The functions themselves are in :mod:`dfaas_lab.local.services`.
"""

from __future__ import annotations

import base64
import binascii
import json
import platform
import secrets
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from dfaas_lab.local.services import NAMESPACE, Services

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send


class BasicAuth:
    """Lets a request through that brings the right user and password (RFC 7617)."""

    def __init__(self, app: ASGIApp, user: str, password: str) -> None:
        self._app = app
        self._expected = f"{user}:{password}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, or pass the request on."""
        given = dict(scope["headers"]).get(b"authorization", b"")
        if secrets.compare_digest(_credentials(given), self._expected):
            await self._app(scope, receive, send)
            return
        refusal = PlainTextResponse(
            "invalid credentials\n", 401, {"WWW-Authenticate": 'Basic realm="Restricted"'}
        )
        await refusal(scope, receive, send)


def _credentials(header: bytes) -> bytes:
    scheme, _, value = header.partition(b" ")
    if scheme.lower() != b"basic":
        return b""
    try:
        return base64.b64decode(value.strip(), validate=True)
    except binascii.Error:
        return b""


class SystemApi:
    """The endpoints below ``/system``."""

    def __init__(self, services: Services, provider: str = "kubernetes") -> None:
        self._services = services
        self._provider = provider

    def app(self) -> Starlette:
        """Return the endpoints as an application; a ``ValueError`` is answered with 400."""
        return Starlette(
            routes=[
                Route("/info", self.info, methods=["GET"]),
                Route("/functions", self.list, methods=["GET"]),
                Route("/functions", self.deploy, methods=["POST", "PUT"]),
                Route("/functions", self.delete, methods=["DELETE"]),
                Route("/function/{name}", self.describe, methods=["GET"]),
                Route("/scale-function/{name}", self.scale, methods=["POST"]),
            ],
            exception_handlers={ValueError: _refused},
        )

    async def info(self, _: Request) -> Response:
        """``GET /system/info``."""
        provider = {"provider": "dfaas-lab", "orchestration": "processes", "version": {}}
        return JSONResponse({"provider": provider, "version": {}, "arch": platform.machine()})

    async def list(self, request: Request) -> Response:
        """``GET /system/functions``."""
        namespace = request.query_params.get("namespace", NAMESPACE)
        if namespace not in ("", NAMESPACE):
            return PlainTextResponse(f"unable to list: namespace {namespace} not found\n", 400)
        return JSONResponse([one.status(self._provider, listed=True) for one in self._services])

    async def describe(self, request: Request) -> Response:
        """``GET /system/function/NAME``."""
        service = self._services.find(request.path_params["name"])
        if service is None:
            return _missing()
        return JSONResponse(service.status(self._provider, listed=False))

    async def deploy(self, request: Request) -> Response:
        """``POST /system/functions`` of one that is not there yet, ``PUT`` of one that is."""
        wanted, is_update = await _object(request), request.method == "PUT"
        known = self._services.find(str(wanted.get("service", ""))) is not None
        if known and not is_update:
            code = 400 if self._provider == "faasd" else 500
            return PlainTextResponse(f"{wanted['service']} already exists\n", code)
        if is_update and not known:
            return _missing()
        self._services.deploy(wanted)
        return Response(status_code=202)

    async def delete(self, request: Request) -> Response:
        """``DELETE /system/functions``."""
        name = str((await _object(request)).get("functionName", ""))
        return _missing() if self._services.remove(name) is None else Response(status_code=202)

    async def scale(self, request: Request) -> Response:
        """``POST /system/scale-function/NAME``."""
        service = self._services.find(request.path_params["name"])
        if service is None:
            return _missing()
        replicas = (await _object(request)).get("replicas")
        if type(replicas) is not int or replicas < 0:
            raise ValueError("'replicas' is no number from 0")
        service.scale(replicas)
        return Response(status_code=202)


async def _object(request: Request) -> dict[str, Any]:
    """Return the JSON object of a request's body.

    Raises:
        ValueError: It is none.
    """
    given = json.loads(await request.body() or b"null")
    if not isinstance(given, dict):
        raise ValueError("the body is no JSON object")
    if given.get("namespace") not in (None, "", NAMESPACE):
        raise ValueError(f"namespace {given['namespace']!r} is not here; there is {NAMESPACE!r}")
    return given


def _refused(_: Request, error: Exception) -> Response:
    return PlainTextResponse(f"{error}\n", 400)


def _missing() -> Response:
    return PlainTextResponse("no such function\n", 404)
