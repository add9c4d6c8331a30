"""The client of an OpenFaaS gateway: lists, deploys and calls functions; its clock.

Load goes to it from k6, never from here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import httpx
import polars as pl

from dfaas_lab.certificates import SYSTEM, Trust
from dfaas_lab.clock import Skew
from dfaas_lab.errors import ConfigError, GatewayError, ServiceError
from dfaas_lab.load import Function
from dfaas_lab.secret import Secret
from dfaas_lab.services.answers import FUNCTION, FUNCTIONS, INFO, FunctionAnswer, checked
from dfaas_lab.services.clock import date_skew
from dfaas_lab.services.deployment import description, is_deployed
from dfaas_lab.services.endpoint import Endpoint, Session, Transport, location

_HINTS = {
    401: "Give the gateway's user and password: Target(..., auth=('admin', '...')).",
    403: "That user may not do it: check Target(..., auth=...).",
    404: "Check the gateway's URL and its port: OpenFaaS has this path.",
    502: "The gateway runs, but what is behind it does not: check the provider's logs.",
    503: "The gateway is busy or starting: try again.",
}
_SAID_HINTS = {
    "namespace": "Check the namespace in the functions' names: NAME.NAMESPACE.",
}
_OWN_PROMETHEUS = (
    "The gateway closed the connection without an answer, as OpenFaaS does where its own "
    "Prometheus, of which it asks how often functions were called, does not run: check that one."
)
_POLL_S = 0.25


class Gateway:
    """An OpenFaaS gateway. Nothing is connected before it is asked.

    Whatever is asked raises a ``GatewayError`` where it does not answer, or refuses.

    Args:
        url: Its URL, like ``http://10.0.0.60:31112``.
        auth: User and password of ``/system``; never shown.
        transport: Makes the way to it (:func:`dfaas_lab.services.ssh_transport.through`); None
            means straight from here.
        trust: Whose certificates are trusted.

    Raises:
        ConfigError: The URL is none, or holds a password.
    """

    def __init__(
        self,
        url: str,
        *,
        auth: tuple[str, str] | None = None,
        transport: Transport | None = None,
        trust: Trust = SYSTEM,
    ) -> None:
        self._endpoint = Endpoint(
            url,
            "the gateway",
            GatewayError,
            _HINTS,
            auth,
            transport,
            trust,
            said_hints=_SAID_HINTS,
        )
        self.url = self._endpoint.url
        self.anonymous = auth is None

    def __repr__(self) -> str:
        return f"Gateway({self.url!r})"

    def healthy(self) -> bool:
        """Whether it answers that it is well."""
        try:
            self.check_health()
        except ServiceError:
            return False
        return True

    def check_health(self) -> None:
        """Ask whether it is well."""
        self._endpoint.ask("GET", "/healthz")

    def authorized(self) -> bool:
        """Whether it says what it has; False where it wants another user or password."""
        answer = self._endpoint.ask("GET", "/system/functions", accept=(401, 403))
        return answer.status_code < 300

    def info(self) -> dict[str, Any]:
        """What the gateway says about itself: provider, version, architecture.

        Raises:
            GatewayError: It does not answer, or refuses.
        """
        return checked(self._endpoint, self._endpoint.ask("GET", "/system/info"), INFO)

    def functions(self, namespace: str = "") -> tuple[FunctionAnswer, ...]:
        """The functions of the default namespace, or of the one given (``f.namespace``)."""
        with self._endpoint.session() as session:
            return self._functions(session, namespace)

    def facts(self, names: Iterable[str], *, timeout_s: float) -> dict[str, Any]:
        """Return what is worth keeping beside a measurement: its version, and functions by name.

        Of each function: ``image``, ``digest`` (None where the API names none), ``created_at``,
        which changes when it is deployed anew, and ``replicas``. None where it is not deployed.
        """
        asked = list(names)
        with self._endpoint.session(timeout_s=timeout_s) as session:
            found = {f.name: f for f in self._named(session, asked)}
            info = checked(self._endpoint, session.ask("GET", "/system/info"), INFO)
        return {
            "version": {key: info[key] for key in ("provider", "version", "arch") if key in info},
            "functions": {name: found[name].facts() if name in found else None for name in asked},
        }

    def deployed(self) -> pl.DataFrame:
        """The functions of the default namespace: ``function, image, replicas, available``."""
        return pl.DataFrame(
            [(f.name, f.image, f.replicas, f.availableReplicas) for f in self.functions()],
            schema={
                **dict.fromkeys(("function", "image"), pl.String),
                **dict.fromkeys(("replicas", "available"), pl.Int64),
            },
            orient="row",
        )

    def deploy(self, functions: Sequence[Function]) -> tuple[str, ...]:
        """Deploy functions, and return the names of those that were changed.

        One that is there with the same image and settings is left alone. What else it has
        (environment, labels, annotations, limits, secrets) is sent again: OpenFaaS's ``PUT``
        replaces the whole description.

        Raises:
            ConfigError: A function has no image.
        """
        for function in functions:
            if function.image is None:
                raise ConfigError(
                    f"function {function.name} has no image to deploy",
                    hint=f"Give it one: Function({function.name!r}, image=...).",
                )
        with self._endpoint.session() as session:
            there = {f.name for f in self._named(session, [f.name for f in functions])}
            changed = [f for f in functions if self._deploy(session, f, f.name in there)]
        return tuple(function.name for function in changed)

    def _deploy(self, session: Session, function: Function, is_there: bool) -> bool:
        """Deploy one function where something changes."""
        known = self._described(session, function.name) if is_there else None
        if known is not None and is_deployed(function, known):
            return False
        wanted = description(function, known)
        session.ask("PUT" if is_there else "POST", "/system/functions", json=wanted)
        return True

    def _described(self, session: Session, name: str) -> FunctionAnswer | None:
        """All that the gateway knows of a function; a list may leave something out."""
        bare, _, namespace = name.partition(".")
        params = _in_namespace(namespace)
        answer = session.ask("GET", f"/system/function/{bare}", params=params, accept=(404,))
        return None if answer.status_code == 404 else checked(self._endpoint, answer, FUNCTION)

    def wait_ready(
        self,
        names: Iterable[str],
        *,
        timeout_s: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Wait until each function has an available replica, or is scaled to none.

        One of which the gateway does not tell how many are available is not waited for: whether it
        answers shows that.

        Raises:
            GatewayError: One is not there, or not available in time; it is named.
        """
        asked = list(names)
        until = time.monotonic() + timeout_s
        with self._endpoint.session() as session:
            while True:
                found = {f.name: f for f in self._named(session, asked)}
                missing = [name for name in asked if name not in found]
                if missing:
                    raise self._endpoint.failed(
                        f"not deployed: {', '.join(missing)}",
                        hint="Deploy them: give them an image and call target.deploy().",
                    )
                waiting = [name for name in asked if found[name].is_waiting]
                if not waiting:
                    return
                if time.monotonic() >= until:
                    raise self._endpoint.failed(
                        f"no replica within {timeout_s:g} s of: {', '.join(waiting)}",
                        hint="Check the image's name and the provider's logs.",
                    )
                sleep(_POLL_S)

    def redirect(self) -> str:
        """Where calls of functions are redirected to; empty where they are not. None is made."""
        with self._endpoint.session() as session:
            return location(session.request("GET", "/function/dfaas-lab-check"))

    def answer(self, function: Function, *, timeout_s: float | None = None) -> httpx.Response:
        """Make a function's request once, without authentication, and return the answer."""
        with self._endpoint.session(timeout_s=timeout_s or function.timeout_s) as session:
            return session.request(
                function.method,
                Secret(function.route),
                content=function.body_bytes(),
                headers=function.headers,
            )

    def date_skew(self) -> Skew | None:
        """See :func:`dfaas_lab.services.clock.date_skew`."""
        return date_skew(self._endpoint)

    def _named(self, session: Session, names: Iterable[str]) -> list[FunctionAnswer]:
        namespaces = {name.partition(".")[2] for name in names}
        return [f for namespace in sorted(namespaces) for f in self._functions(session, namespace)]

    def _functions(self, session: Session, namespace: str) -> tuple[FunctionAnswer, ...]:
        answer = self._list(session, namespace)
        suffix = f".{namespace}" if namespace else ""
        found = [
            entry.model_copy(update={"name": f"{entry.name}{suffix}"})
            for entry in checked(self._endpoint, answer, FUNCTIONS) or ()  # Go's empty slice: null
        ]
        return tuple(sorted(found, key=lambda function: function.name))

    def _list(self, session: Session, namespace: str) -> httpx.Response:
        try:
            return session.ask("GET", "/system/functions", params=_in_namespace(namespace))
        except GatewayError as error:
            if isinstance(error.__cause__, httpx.RemoteProtocolError | httpx.ReadError):
                error.hint = _OWN_PROMETHEUS
            elif namespace and "answered 400" in error.message:
                error.hint = f"Check the namespace {namespace!r} in the functions' names."
            raise


def _in_namespace(namespace: str) -> dict[str, str]:
    return {"namespace": namespace} if namespace else {}
