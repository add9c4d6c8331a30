"""The OpenFaaS gateway of a target: which functions it has, deploying them, its clock.

Load goes to it from k6, never from here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dfaas_lab.clock import Skew
from dfaas_lab.errors import ConfigError, GatewayError, ServiceError
from dfaas_lab.load import Function
from dfaas_lab.services.clock import date_skew
from dfaas_lab.services.endpoint import Endpoint, Session, Transport, json_of

if TYPE_CHECKING:
    import httpx
    import polars as pl

_HINTS = {
    401: "Give the gateway's user and password: Target(..., auth=('admin', '...')).",
    403: "That user may not do it: check Target(..., auth=...).",
    404: "Check the gateway's URL and its port: OpenFaaS has this path.",
    502: "The gateway runs, but what is behind it does not: check the provider's logs.",
    503: "The gateway is busy or starting: try again.",
}
_POLL_S = 0.25


@dataclass(frozen=True)
class DeployedFunction:
    """A function as the gateway describes it; ``name`` has ``.namespace`` where one was asked."""

    name: str
    image: str
    replicas: int
    available: int
    created_at: str | None = None

    @property
    def digest(self) -> str | None:
        """The image's digest, where it was deployed by one (``figlet@sha256:...``)."""
        return self.image.partition("@")[2] or None


class Gateway:
    """An OpenFaaS gateway. Nothing is connected before it is asked.

    Args:
        url: Its URL, like ``http://10.0.0.60:31112``.
        auth: User and password of ``/system``; never shown.
        transport: Makes the way to it (:func:`dfaas_lab.services.ssh_transport.through`); None
            means straight from here.

    Raises:
        ConfigError: The URL is none, or holds a password.
    """

    def __init__(
        self,
        url: str,
        *,
        auth: tuple[str, str] | None = None,
        transport: Transport | None = None,
    ) -> None:
        self._endpoint = Endpoint(url, "the gateway", GatewayError, _HINTS, auth, transport)
        self.url = self._endpoint.url
        self.anonymous = auth is None

    def __repr__(self) -> str:
        return f"Gateway({self.url!r})"

    def check_health(self) -> None:
        """Ask whether it is well.

        Raises:
            GatewayError: It does not answer, or says that it is not.
        """
        self._endpoint.ask("GET", "/healthz")

    def healthy(self) -> bool:
        """Whether it answers that it is well."""
        try:
            self.check_health()
        except ServiceError:
            return False
        return True

    def authorized(self) -> bool:
        """Whether it says what it has; False where it wants another user or password.

        Raises:
            GatewayError: It does not answer, or refuses for another reason.
        """
        answer = self._endpoint.ask("GET", "/system/functions", accept=(401, 403))
        return answer.status_code < 300

    def info(self) -> dict[str, Any]:
        """What the gateway says about itself: provider, version, architecture.

        Raises:
            GatewayError: It does not answer, or refuses.
        """
        said: dict[str, Any] = self._object(self._endpoint.ask("GET", "/system/info"), dict)
        return said

    def functions(self, namespace: str = "") -> tuple[DeployedFunction, ...]:
        """The functions of the default namespace, or of the one given, by name.

        Raises:
            GatewayError: It does not answer, or refuses.
        """
        with self._endpoint.session() as session:
            return self._functions(session, namespace)

    def facts(self, names: Iterable[str], *, timeout_s: float) -> dict[str, Any]:
        """Return what is worth keeping beside a measurement: its version, and functions by name.

        Of each function: ``image``, ``digest`` (None where the API names none), ``created_at``,
        which changes when it is deployed anew, and ``replicas``. None where it is not deployed.

        Raises:
            GatewayError: It does not answer in time, or refuses.
        """
        asked = list(names)
        with self._endpoint.session(timeout_s=timeout_s) as session:
            found = {f.name: f for f in self._named(session, asked)}
            info = self._object(session.ask("GET", "/system/info"), dict)
        kept = ("image", "digest", "created_at", "replicas")
        return {
            "version": {key: info[key] for key in ("provider", "version", "arch") if key in info},
            "functions": {
                name: {key: getattr(found[name], key) for key in kept} if name in found else None
                for name in asked
            },
        }

    def deployed(self) -> pl.DataFrame:
        """The functions of the default namespace: ``function, image, replicas, available``.

        Raises:
            GatewayError: It does not answer, or refuses.
        """
        import polars as pl

        return pl.DataFrame(
            [(f.name, f.image, f.replicas, f.available) for f in self.functions()],
            schema={
                "function": pl.String,
                "image": pl.String,
                "replicas": pl.Int64,
                "available": pl.Int64,
            },
            orient="row",
        )

    def deploy(self, functions: Sequence[Function]) -> tuple[str, ...]:
        """Deploy functions, and return the names of those that were changed.

        One that is there with the same image is left alone.

        Raises:
            ConfigError: A function has no image.
            GatewayError: The gateway does not answer, or refuses.
        """
        for function in functions:
            if function.image is None:
                raise ConfigError(
                    f"function {function.name} has no image to deploy",
                    hint=f"Give it one: Function({function.name!r}, image=...).",
                )
        with self._endpoint.session() as session:
            images = {f.name: f.image for f in self._named(session, [f.name for f in functions])}
            changed = [f for f in functions if images.get(f.name) != f.image]
            for function in changed:
                name, _, namespace = function.name.partition(".")
                wanted = {"service": name, "image": function.image, "namespace": namespace}
                session.ask(
                    "PUT" if function.name in images else "POST",
                    "/system/functions",
                    json={key: value for key, value in wanted.items() if value},
                )
        return tuple(function.name for function in changed)

    def scale(self, name: str, replicas: int) -> None:
        """Ask for a number of replicas of a function.

        Raises:
            GatewayError: The gateway does not answer, or refuses.
        """
        bare, _, namespace = name.partition(".")
        self._endpoint.ask(
            "POST",
            f"/system/scale-function/{bare}",
            params={"namespace": namespace} if namespace else None,
            json={"serviceName": bare, "namespace": namespace, "replicas": replicas},
        )

    def delete(self, name: str) -> None:
        """Remove a function; one that is not there is no error.

        Raises:
            GatewayError: The gateway does not answer, or refuses.
        """
        bare, _, namespace = name.partition(".")
        wanted = {"functionName": bare, **({"namespace": namespace} if namespace else {})}
        self._endpoint.ask("DELETE", "/system/functions", json=wanted, accept=(404,))

    def wait_ready(
        self,
        names: Iterable[str],
        *,
        timeout_s: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Wait until each function has an available replica, or is scaled to none.

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
                waiting = [f.name for f in found.values() if f.available < min(f.replicas, 1)]
                if not waiting:
                    return
                if time.monotonic() >= until:
                    raise self._endpoint.failed(
                        f"no replica within {timeout_s:g} s of: {', '.join(waiting)}",
                        hint="Check the image's name and the provider's logs.",
                    )
                sleep(_POLL_S)

    def call(self, function: Function, *, timeout_s: float | None = None) -> int:
        """Make a function's request once, without authentication, and return the HTTP status.

        Raises:
            GatewayError: The gateway does not answer.
        """
        with self._endpoint.session(timeout_s=timeout_s or function.timeout_s) as session:
            import httpx

            try:
                answer = session.client.request(
                    function.method,
                    f"/function/{function.name}{function.path}",
                    content=function.body_bytes(),
                    headers=dict(function.headers),
                    auth=None,
                )
            except httpx.TransportError as error:
                raise session.silent(error) from error
        return answer.status_code

    def date_skew(
        self,
        *,
        within_s: float = 0.05,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Skew | None:
        """How far the gateway's clock is ahead of this machine's, by its ``Date`` header.

        The header has whole seconds, so one answer tells the lead to half a second. It is asked
        for up to a second, while it passes from one second to the next, to narrow that down.

        Args:
            within_s: The uncertainty to stop at; 0.5 and more means one question.
            clock: Our time in seconds.
            sleep: Waits.

        Returns:
            The lead; None where the answers have no ``Date``.

        Raises:
            GatewayError: It does not answer.
        """
        return date_skew(self._endpoint, within_s=within_s, clock=clock, sleep=sleep)

    def _named(self, session: Session, names: Iterable[str]) -> list[DeployedFunction]:
        namespaces = {name.partition(".")[2] for name in names}
        return [f for namespace in sorted(namespaces) for f in self._functions(session, namespace)]

    def _functions(self, session: Session, namespace: str) -> tuple[DeployedFunction, ...]:
        answer = session.ask(
            "GET", "/system/functions", params={"namespace": namespace} if namespace else None
        )
        suffix = f".{namespace}" if namespace else ""
        found = [
            DeployedFunction(
                name=f"{entry['name']}{suffix}",
                image=str(entry.get("image", "")),
                replicas=int(entry.get("replicas") or 0),
                available=int(entry.get("availableReplicas") or 0),
                created_at=str(entry["createdAt"]) if entry.get("createdAt") else None,
            )
            for entry in self._object(answer, list)
        ]
        return tuple(sorted(found, key=lambda function: function.name))

    def _object(self, answer: httpx.Response, kind: type) -> Any:
        data = json_of(self._endpoint, answer)
        if data is None and kind is list:  # Go's empty slice
            return []
        if not isinstance(data, kind) or (kind is list and not _functions_in(data)):
            raise self._endpoint.failed(
                f"the answer to {answer.request.url.path} is not OpenFaaS's",
                hint="Something else than an OpenFaaS gateway answers there: check the URL.",
            )
        return data


def _functions_in(data: Any) -> bool:
    return all(isinstance(entry, dict) and "name" in entry for entry in data)
