"""One HTTP service: asks its URL, and says why it did not answer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpcore
import httpx

from dfaas_lab.certificates import Trust
from dfaas_lab.errors import ConfigError, ServiceError
from dfaas_lab.redaction import masked
from dfaas_lab.retry import retry
from dfaas_lab.secret import without_locals
from dfaas_lab.services.tls import ssl_context
from dfaas_lab.services.transport import BoundedTransport, Deadline, TooLarge

Transport = httpcore.NetworkBackend

_IDEMPOTENT = ("GET", "PUT")
_BROKEN = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
_DEFAULT_TIMEOUT_S = 10.0
_SHOWN_CHARACTERS = 300
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "gzip", "User-Agent": "dfaas-lab"}
_CERTIFICATE_HINT = (
    "Give the file of the authority that signed it: Target(ca='ca.pem'), or add that authority to "
    "this system's. Target(insecure=True) trusts anybody."
)
REDIRECT_HINT = (
    "A redirect is no answer, and k6 follows none: give the URL that it sends callers to (https, "
    "often), without a path."
)


@dataclass(frozen=True)
class Endpoint:
    """A service of a target. Nothing is connected before it is asked.

    Args:
        url: Its base URL.
        what: What it is, for errors.
        error: The error it raises.
        hints: What to do about an HTTP status.
        said_hints: What to do about words (in lower case) in an answer that refuses.
        auth: User and password.
        transport: How it is connected to; None means straight from here.
        trust: Whose certificates are trusted.
    """

    url: str
    what: str
    error: type[ServiceError]
    hints: Mapping[int, str] = field(default_factory=dict, repr=False)
    said_hints: Mapping[str, str] = field(default_factory=dict, repr=False, kw_only=True)
    auth: tuple[str, str] | None = field(default=None, repr=False)
    transport: Transport | None = field(default=None, repr=False)
    trust: Trust = field(default=Trust(), repr=False)

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
        """Keep connections open for several questions, each with this time limit."""
        deadline = Deadline(timeout_s)
        # An http URL needs no certificates, and loading them takes 20 ms.
        context = ssl_context(self.trust) if self.url.startswith("https:") else None
        transport = BoundedTransport(self.transport, context, deadline)
        try:
            yield Session(self, transport, deadline, timeout_s)
        finally:
            transport.close()

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        """Ask once; see :meth:`Session.ask`."""
        with self.session() as session:
            return session.ask(method, path, **given)

    def hint(self, status: int, said: str) -> str:
        """What to do about an answer: by what it said, or by its status."""
        return next(
            (hint for words, hint in self.said_hints.items() if words in said.lower()),
            self.hints.get(status, ""),
        )

    def failed(self, message: str, *, hint: str = "") -> ServiceError:
        """The service's error, with its URL."""
        return self.error(f"{self.what} at {self.url}: {message}", url=self.url, hint=hint)


@dataclass(frozen=True)
class Session:
    """Open connections to a service. Nothing is logged: a URL may hold a secret."""

    endpoint: Endpoint
    transport: BoundedTransport
    deadline: Deadline
    timeout_s: float

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
        broke in the middle. The time limit is for all of it, to the answer's last byte.

        Raises:
            ServiceError: There was no answer, or it refused.
        """
        self.deadline.restart(self.timeout_s)
        try:
            answer = retry(
                lambda: self._send(self._request(method, path, params, json)),
                on=_BROKEN,
                pause_s=(0.0, 0.3),
                attempts=3 if method in _IDEMPOTENT else 1,
            )
        except httpx.TransportError as error:
            raise self.silent(error) from error
        if answer.status_code < 300 or answer.status_code in accept:
            return answer
        raise self._refused(answer)

    def request(
        self,
        method: str,
        path: str,
        *,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Make any request once, without authentication, and return the answer of any status.

        Raises:
            ServiceError: There was no answer.
        """
        self.deadline.restart(self.timeout_s)
        url = self.endpoint.url + path
        try:
            return self._send(httpx.Request(method, url, content=content, headers=headers))
        except httpx.TransportError as error:
            raise self.silent(error) from error

    def _request(
        self, method: str, path: str, params: Mapping[str, str] | None, json: object
    ) -> httpx.Request:
        request = httpx.Request(method, self.endpoint.url + path, params=params, json=json)
        if self.endpoint.auth is not None:
            next(httpx.BasicAuth(*self.endpoint.auth).sync_auth_flow(request))
        return request

    def _send(self, request: httpx.Request) -> httpx.Response:
        for name, value in _HEADERS.items():
            request.headers.setdefault(name, value)
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), self.timeout_s)
        request.extensions = {**request.extensions, "timeout": timeouts}
        return self.transport.handle_request(request)

    def silent(self, error: httpx.TransportError) -> ServiceError:
        """The service's error for a question that got no answer."""
        without_locals(error)
        hint = (
            "Check the address and the port, and that it runs. Where only the generator "
            "reaches it, give Target(..., via=generator)."
        )
        if isinstance(error, httpx.TimeoutException):
            what = f"no answer within {self.timeout_s:g} s"
        elif isinstance(error, TooLarge):
            what, hint = str(error), "Ask for less, or check the URL."
        elif "CERTIFICATE_VERIFY_FAILED" in str(error):
            what, hint = f"its certificate is refused ({error})", _CERTIFICATE_HINT
        elif isinstance(error, httpx.ConnectError):
            what = f"no connection ({error})"
        else:
            what = f"the connection was lost ({error})"
        return self.endpoint.failed(what, hint=hint)

    def _refused(self, answer: httpx.Response) -> ServiceError:
        status = answer.status_code
        said = " ".join(answer.text[: _SHOWN_CHARACTERS * 4].split())[:_SHOWN_CHARACTERS]
        where = location(answer)
        return self.endpoint.failed(
            f"answered {status} {answer.reason_phrase} to {answer.request.method} "
            f"{answer.request.url.path}"
            + (f": it sends callers to {where}" if where else f": {masked(said)}" if said else ""),
            hint=REDIRECT_HINT if where else self.endpoint.hint(status, said),
        )


def location(answer: httpx.Response) -> str:
    """Return where a redirect sends its caller, without what may be secret; else nothing."""
    if not 300 <= answer.status_code < 400:
        return ""
    return masked(answer.headers.get("location", ""))[:_SHOWN_CHARACTERS] or "nowhere"
