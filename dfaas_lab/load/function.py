"""``Function``: one function of a target, and the request that is made of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from numbers import Real
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dfaas_lab.errors import ConfigError
from dfaas_lab.load.duration import format_duration, seconds
from dfaas_lab.printable import safe_repr
from dfaas_lab.redaction import masked, names_a_secret, redacted
from dfaas_lab.regular_file import read_regular
from dfaas_lab.secret import Secret, plain, seals
from dfaas_lab.validation import is_utf8

# RFC 1123 label, as Kubernetes asks of a service; OpenFaaS appends ".namespace".
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})?")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
# RFC 9110, section 5.6.2: a field name is a token.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

# As Go parses a URL: in its path each % begins an encoded byte.
_PATH = re.compile(r"(?:/(?:[^#?% ]|%[0-9A-Fa-f]{2})*)?(?:\?[^# ]*)?")
# What Go sends as a header's value: no control character but the tabulator.
_NO_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_LEAST_TIMEOUT_S = 0.001
# k6 holds it in memory, and gateways refuse far less.
_MOST_BODY_BYTES = 1 << 30


@seals("headers", "env", "path")
@dataclass(frozen=True)
class Function:
    """A function and the request that measures it. A value: it does nothing by itself.

    Args:
        name: The function's name, a DNS label with an optional ``.namespace``.
        method: HTTP method.
        path: What follows ``/function/NAME``: ``""``, ``"/sub"`` or ``"?x=1"``. Values of a query
            that may be secret, by their names or their looks, are not shown or stored.
        body: The request's body: text (sent as UTF-8), bytes, or a file's ``Path``.
        headers: Request headers. Values are redacted wherever they are shown or stored, but those
            of a few plain ones (``Content-Type``, ``Accept``) and of ``safe_headers``.
        timeout: The longest that one request may take.
        max_rate: The highest rate a plan may ask of it, in requests per second.
        image: The container image that ``deploy()`` uses.
        safe_headers: Names of headers whose values may be shown and stored.
        env: Environment variables that ``deploy()`` sets; their values are never shown or stored.
        labels: Labels that ``deploy()`` sets.
        annotations: Annotations that ``deploy()`` sets.
        limits: ``memory`` and ``cpu`` that ``deploy()`` sets: ``{"memory": "128Mi"}``.
        secrets: Names of the gateway's secrets that the function may read.
        asynchronous: Load ``/async-function/NAME``: the gateway queues the call and answers 202,
            which is the success. Latency is then that of queueing, not of the function, which may
            run later, fail, or not run at all.

    Raises:
        ConfigError: A name, method, path, header or duration that cannot be.

    >>> Function("figlet", method="POST", body="Hello DFaaS!").name
    'figlet'
    """

    name: str
    method: str = field(default="GET", kw_only=True)
    path: str = field(default="", kw_only=True)
    body: str | bytes | Path = field(default=b"", kw_only=True)
    headers: Mapping[str, str] = field(default_factory=dict, kw_only=True, hash=False)
    timeout: str | timedelta = field(default="10s", kw_only=True)
    max_rate: float | None = field(default=None, kw_only=True)
    image: str | None = field(default=None, kw_only=True)
    safe_headers: Collection[str] = field(default=(), kw_only=True)
    env: Mapping[str, str] = field(default_factory=dict, kw_only=True, hash=False)
    labels: Mapping[str, str] = field(default_factory=dict, kw_only=True, hash=False)
    annotations: Mapping[str, str] = field(default_factory=dict, kw_only=True, hash=False)
    limits: Mapping[str, str] = field(default_factory=dict, kw_only=True, hash=False)
    secrets: Collection[str] = field(default=(), kw_only=True)
    asynchronous: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"{self.name!r} is no function name",
                hint="A name is a DNS label (lower-case letters, digits and '-', at most 63), "
                "with an optional '.namespace'.",
            )
        method = str(self.method).upper()
        if method not in _METHODS:
            raise ConfigError(
                f"function {self.name}: unknown method {self.method!r}",
                hint=f"Use one of {', '.join(_METHODS)}.",
            )
        object.__setattr__(self, "method", method)
        object.__setattr__(self, "path", Secret(self.path))  # whatever it is
        if not _PATH.fullmatch(self.path) or not self.path.isprintable():
            raise ConfigError(
                f"function {self.name}: path {masked(plain(self.path))!r} cannot follow "
                f"/function/{self.name}",
                hint="A path is empty or begins with '/' or '?', percent-encoded (%20), without "
                "blanks; a server never sees what follows '#': write %23.",
            )
        if isinstance(self.body, str) and not is_utf8(self.body):
            raise ConfigError(
                f"function {self.name}: the body is no text that UTF-8 can hold",
                hint="Give it as bytes.",
            )
        if not isinstance(self.body, str | bytes | Path):
            raise ConfigError(
                f"function {self.name}: the body is a {type(self.body).__name__}",
                hint="Give text, bytes or the Path of a file.",
            )
        object.__setattr__(self, "headers", MappingProxyType(_headers(self.name, self.headers)))
        for name in ("env", "labels", "annotations", "limits"):
            settings = MappingProxyType(_settings(self.name, name, getattr(self, name)))
            object.__setattr__(self, name, settings)
        object.__setattr__(self, "secrets", _secrets(self.name, self.secrets))
        if isinstance(self.timeout, timedelta):
            object.__setattr__(self, "timeout", format_duration(self.timeout_s))
        object.__setattr__(self, "safe_headers", _safe(self.name, self.safe_headers))
        if self.timeout_s < _LEAST_TIMEOUT_S:
            raise ConfigError(
                f"function {self.name}: the timeout is less than 1ms, which k6 takes for none",
                hint="Give it a second or more.",
            )
        most: object = self.max_rate  # of a caller that nobody type-checked
        if most is not None and not (isinstance(most, Real) and float(most) > 0):
            raise ConfigError(
                f"function {self.name}: max_rate={self.max_rate!r} is no rate above 0",
                hint="Give requests per second: max_rate=100.",
            )
        # It was sealed while something could be refused: tracebacks may show an object's parts.
        object.__setattr__(self, "path", plain(self.path))

    @property
    def timeout_s(self) -> float:
        """The request timeout in seconds.

        >>> Function("env").timeout_s
        10.0
        """
        return seconds(self.timeout, what=f"timeout of function {self.name}")

    def body_bytes(self) -> bytes:
        """Return the body as it is sent; reads the file where the body is a ``Path``.

        >>> Function("figlet", method="POST", body="Hello DFaaS!").body_bytes()
        b'Hello DFaaS!'
        """
        if isinstance(self.body, bytes):
            return self.body
        if isinstance(self.body, str):
            return self.body.encode()
        try:
            return read_regular(self.body.expanduser(), most_bytes=_MOST_BODY_BYTES)
        except OSError as error:
            raise ConfigError(
                f"function {self.name}: the body's file cannot be read: {error}",
                hint="Give the path of a file that is there.",
            ) from error

    def frozen(self) -> Function:
        """Return the same with the body as it is sent now: its bytes, whatever they came from.

        Raises:
            ConfigError: The file cannot be read.

        >>> Function("figlet", method="POST", body="Hello").frozen().body
        b'Hello'
        """
        return self if isinstance(self.body, bytes) else replace(self, body=self.body_bytes())

    @property
    def route(self) -> str:
        """The path on the gateway that is requested.

        >>> Function("env", path="?verbose=1").route
        '/function/env?verbose=1'
        """
        return f"/{'async-' if self.asynchronous else ''}function/{self.name}{self.path}"

    def shown_headers(self) -> dict[str, str]:
        """Return the headers as they may be shown and stored.

        >>> Function("env", headers={"Accept": "text/plain", "X-Key": "abc"}).shown_headers()
        {'Accept': 'text/plain', 'X-Key': '***'}
        """
        return redacted(self.headers, self.safe_headers)

    @safe_repr
    def __repr__(self) -> str:
        shown = {
            "method": self.method,
            "path": masked(plain(self.path)),
            "body": _short(self.body),
            "headers": self.shown_headers(),
            "timeout": self.timeout,
            "asynchronous": self.asynchronous,
        }
        rest = ", ".join(
            f"{key}={value!r}" for key, value in shown.items() if value not in ("", {}, b"", False)
        )
        return f"Function({self.name!r}, {rest})"

    def __reduce__(self) -> tuple[object, ...]:
        # MappingProxyType cannot be pickled or deep-copied.
        given: dict[str, Any] = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name, value in given.items():
            given[name] = dict(value) if isinstance(value, MappingProxyType) else value
        return partial(Function, **given), ()


def listed(given: Iterable[Function], *, target: str) -> tuple[Function, ...]:
    """Check the functions of a target.

    Raises:
        ConfigError: There are none, something else is among them, or two have the same name.
    """
    alone = isinstance(given, str | Function) or not isinstance(given, Iterable)
    functions = () if alone else tuple(given)
    wrong = [one for one in functions if not isinstance(one, Function)]
    if alone or wrong:
        raise ConfigError(
            f"target {target}: functions={wrong or given!r} is no list of functions",
            hint="Write functions=[Function('figlet')].",
        )
    names = [function.name for function in functions]
    if not names:
        raise ConfigError(
            f"target {target} has no function", hint="Give functions=[Function(...)]."
        )
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise ConfigError(
            f"target {target} has two functions of the same name: {', '.join(twice)}",
            hint="Give each function once.",
        )
    return functions


def _headers(function: str, headers: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(headers, Mapping):
        raise ConfigError(
            f"function {function}: headers={headers!r} is no mapping",
            hint="Write headers={'Content-Type': 'text/plain'}.",
        )
    checked: dict[str, str] = {}
    for key, value in headers.items():
        if not isinstance(value, str):
            raise ConfigError(
                f"function {function}: the value of header {key!r} is no text",
                hint="Write it in quotes: headers={'X-Count': '1'}.",
            )
        text = value if isinstance(value, Secret) else Secret(value)
        name = isinstance(key, str) and _TOKEN.fullmatch(key)
        if not name or _NO_VALUE.search(text) or not is_utf8(text):
            shown = key.partition(":")[0] if isinstance(key, str) else key  # a whole line of one
            raise ConfigError(
                f"function {function}: header {shown!r} cannot be sent",
                hint="A header name is a token of RFC 9110; a value has no line break or other "
                "control character.",
            )
        if key.casefold() in map(str.casefold, checked):
            raise ConfigError(
                f"function {function}: header {key!r} is given twice",
                hint="Upper and lower case are the same: one of them would be sent.",
            )
        checked[key] = text
    return checked


def _safe(function: str, names: object) -> tuple[str, ...]:
    """Check the names of headers that hold no secret."""
    if isinstance(names, str) or not isinstance(names, Collection):
        raise ConfigError(
            f"function {function}: safe_headers={names!r} is no list of names",
            hint="Write safe_headers=['X-Node'].",
        )
    for name in names:
        if not isinstance(name, str) or names_a_secret(name):
            raise ConfigError(
                f"function {function}: header {name!r} is never safe to store",
                hint="Passwords, tokens and authorization stay out of the results.",
            )
    return tuple(names)


def _short(body: str | bytes | Path) -> str | bytes | Path:
    if isinstance(body, Path) or len(body) <= 60:
        return body
    return f"{len(body)} {'characters' if isinstance(body, str) else 'bytes'}"


def _settings(function: str, what: str, given: Mapping[str, Any]) -> dict[str, str]:
    """Check texts by name; numbers and booleans become the text that YAML would show."""
    if not isinstance(given, Mapping):
        raise ConfigError(
            f"function {function}: {what} is no mapping", hint=f"Write {what}={{'NAME': 'value'}}."
        )
    checked: dict[str, str] = {}
    for key, value in given.items():
        text = str(value).lower() if isinstance(value, bool) else value
        text = str(text) if isinstance(text, int | float) else text
        if not isinstance(key, str) or not isinstance(text, str) or not is_utf8(key + plain(text)):
            raise ConfigError(
                f"function {function}: {what}[{key!r}] is no text", hint="Give texts by name."
            )
        checked[key] = text
    return checked


def _secrets(function: str, names: Collection[str]) -> tuple[str, ...]:
    is_list = isinstance(names, Collection) and not isinstance(names, str | bytes)
    if not is_list or not all(isinstance(name, str) and name for name in names):
        raise ConfigError(
            f"function {function}: secrets={names!r} is no list of names",
            hint="Write secrets=['api-key']; the values are the gateway's.",
        )
    return tuple(names)
