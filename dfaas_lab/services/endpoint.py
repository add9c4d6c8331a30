"""One HTTP service by its URL: asking it, and saying clearly why it did not answer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from dfaas_lab.errors import ConfigError, ServiceError
from dfaas_lab.redaction import masked

Transport = Callable[[], httpx.BaseTransport]

_IDEMPOTENT = ("GET", "PUT")
_BROKEN = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
_DEFAULT_TIMEOUT_S = 10.0
_SHOWN_CHARACTERS = 300


@dataclass(frozen=True)
class Endpoint:
    """A service of a target. Nothing is connected before it is asked.

    Args:
        url: Its base URL.
        what: What it is, for errors.
        error: The error it raises.
        hints: What to do about an HTTP status.
        auth: User and password.
        transport: Makes the way to it; None means straight from here.
    """

    url: str
    what: str
    error: type[ServiceError]
    hints: Mapping[int, str] = field(default_factory=dict, repr=False)
    auth: tuple[str, str] | None = field(default=None, repr=False)
    transport: Transport | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        try:
            url = httpx.URL(self.url.rstrip("/"))
        except httpx.InvalidURL:
            url = httpx.URL("")
        if url.userinfo:
            raise ConfigError(
                f"the URL of {self.what} holds a user or password", hint="Give them as auth=."
            )
        # What cannot be in a host's name comes back percent-encoded.
        if url.scheme not in ("http", "https") or not url.host or "%" in url.host:
            raise ConfigError(
                f"{masked(self.url)!r} is no URL of {self.what}",
                hint="Give one like http://10.0.0.60:31112.",
            )
        object.__setattr__(self, "url", str(url).rstrip("/"))

    @contextlib.contextmanager
    def session(self, *, timeout_s: float = _DEFAULT_TIMEOUT_S) -> Iterator[Session]:
        """Keep connections open for several questions."""
        # Nothing of the environment: k6 knows neither a proxy nor a .netrc either.
        # An http URL needs no certificates, and loading them takes 20 ms.
        with httpx.Client(
            base_url=self.url,
            auth=self.auth,
            timeout=timeout_s,
            trust_env=False,
            verify=self.url.startswith("https:"),
            transport=self.transport() if self.transport else None,
        ) as client:
            yield Session(self, client)

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        """Ask once; see :meth:`Session.ask`."""
        with self.session() as session:
            return session.ask(method, path, **given)

    def failed(self, message: str, *, hint: str = "") -> ServiceError:
        """The service's error, with its URL."""
        return self.error(f"{self.what} at {self.url}: {message}", url=self.url, hint=hint)


@dataclass(frozen=True)
class Session:
    """Open connections to a service."""

    endpoint: Endpoint
    client: httpx.Client

    def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: object = None,
        accept: tuple[int, ...] = (),
    ) -> httpx.Response:
        """Return the answer; a status from 300 on that is not in ``accept`` is an error.

        A question that changes nothing, or the same twice, is asked again where the connection
        broke in the middle.

        Raises:
            ServiceError: There was no answer, or it refused.
        """
        again = Retrying(
            retry=retry_if_exception_type(_BROKEN),
            stop=stop_after_attempt(3 if method in _IDEMPOTENT else 1),
            wait=wait_random_exponential(multiplier=0.1, max=0.5),
            reraise=True,
        )
        try:
            answer = again(self.client.request, method, path, params=params, json=json)
        except httpx.TransportError as error:
            raise self.silent(error) from error
        if answer.status_code < 300 or answer.status_code in accept:
            return answer
        raise self._refused(answer)

    def silent(self, error: httpx.TransportError) -> ServiceError:
        """The service's error for a question that got no answer."""
        if isinstance(error, httpx.TimeoutException):
            seconds = self.client.timeout.read or 0.0
            what = f"no answer within {seconds:g} s"
        elif isinstance(error, httpx.ConnectError):
            what = f"no connection ({error})"
        else:
            what = f"the connection was lost ({error})"
        return self.endpoint.failed(
            what,
            hint="Check the address and the port, and that it runs. Where only the generator "
            "reaches it, give Target(..., via=generator).",
        )

    def _refused(self, answer: httpx.Response) -> ServiceError:
        status = answer.status_code
        said = " ".join(answer.text.split())[:_SHOWN_CHARACTERS]
        return self.endpoint.failed(
            f"answered {status} {answer.reason_phrase} to {answer.request.method} "
            f"{answer.request.url.path}" + (f": {said}" if said else ""),
            hint=self.endpoint.hints.get(status, ""),
        )


def json_of(endpoint: Endpoint, answer: httpx.Response) -> Any:
    """Return an answer's JSON.

    Raises:
        ServiceError: It is none: something else answers at that URL.
    """
    try:
        return answer.json()
    except ValueError as error:
        raise endpoint.failed(
            f"the answer to {answer.request.url.path} is no JSON",
            hint=f"Something else than {endpoint.what} answers there: check the URL.",
        ) from error
