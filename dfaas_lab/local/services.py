"""The functions of an embedded gateway: which there are, at which scale, with which limits.

Nothing is executed here, and nothing is known of HTTP.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from dfaas_lab.errors import ConfigError
from dfaas_lab.load import Function, seconds
from dfaas_lab.local.execution import Usage

NAMESPACE = "openfaas-fn"
#: Where commands are looked for; the same on every machine.
PATH = "/usr/local/bin:/usr/bin:/bin"
_IMAGES = Path(__file__).parent / "images"
_DEFAULT_INFLIGHT = 32
_DEFAULT_TIMEOUT_S = 10.0

Images = Mapping[str, tuple[str, ...]]


def _python(script: str) -> tuple[str, ...]:
    # -I -S: no site-packages, which saves half of the interpreter's start.
    return sys.executable, "-I", "-S", str(_IMAGES / script)


#: What comes deployed. Each is a program that every machine has.
BUILTIN: Mapping[str, Sequence[str]] = {
    "figlet": _python("figlet.py"),
    "env": ("env",),
    "echo": ("cat",),
    "sha512sum": ("sha512sum",),
    "primes": _python("primes.py"),
}


def images(more: Mapping[str, Sequence[str] | str] | None = None) -> Images:
    """Return all images by name: the built-in ones and those given, as absolute commands.

    Raises:
        ConfigError: A name is no function name, or a command is not on this machine.
    """
    given = {**BUILTIN, **(more or {})}
    return {name: _command(name, command) for name, command in given.items()}


def _command(name: str, given: Sequence[str] | str) -> tuple[str, ...]:
    if "." in Function(name).name:
        raise ConfigError(f"{name!r}: the embedded gateway has no namespaces")
    words = shlex.split(given) if isinstance(given, str) else [str(word) for word in given]
    program = shutil.which(words[0], path=PATH) if words else None
    if program is None:
        raise ConfigError(
            f"function {name}: there is no command {words[0] if words else given!r}",
            hint=f"Give a program's absolute path, or a name that is found in {PATH}.",
        )
    return program, *words[1:]


@dataclass(kw_only=True)
class Service:
    """A deployed function."""

    name: str
    image: str
    command: tuple[str, ...]
    replicas: int = 1
    max_inflight: int = _DEFAULT_INFLIGHT
    timeout_s: float = _DEFAULT_TIMEOUT_S
    env: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    in_flight: int = 0
    usage: Usage = field(default_factory=Usage)
    invocations: int = 0
    created_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def full_name(self) -> str:
        """The name with its namespace, as OpenFaaS labels its metrics."""
        return f"{self.name}.{NAMESPACE}"

    @property
    def limit(self) -> int:
        """How many requests may be in flight at this scale."""
        return self.replicas * self.max_inflight

    def status(self) -> dict[str, object]:
        """Return the function as OpenFaaS's API describes it."""
        return {
            "name": self.name,
            "namespace": NAMESPACE,
            "image": self.image,
            "envProcess": "",
            "envVars": self.env,
            "labels": self.labels,
            "annotations": self.annotations,
            "replicas": self.replicas,
            "availableReplicas": self.replicas,
            "invocationCount": self.invocations,
            "createdAt": self.created_at,
        }


class Services:
    """The deployed functions of one gateway.

    Args:
        images: What can be deployed; all of it is, at first.
    """

    def __init__(self, images: Images) -> None:
        self._images = images
        self._deployed: dict[str, Service] = {}
        for name in images:
            self.deploy({"service": name, "image": name})

    def __iter__(self) -> Iterator[Service]:
        return iter(list(self._deployed.values()))

    def find(self, name: str) -> Service | None:
        """Return a deployed function by ``name`` or ``name.openfaas-fn``."""
        return self._deployed.get(name.removesuffix(f".{NAMESPACE}"))

    def deploy(self, wanted: Mapping[str, object]) -> Service:
        """Deploy a function, or replace it, from an API request's body.

        ``max_inflight`` and ``exec_timeout`` among ``envVars`` are the watchdog's own settings.

        Raises:
            ValueError: The request is not what it should be; the text says what.
        """
        name, image = _text(wanted, "service"), _text(wanted, "image")
        if "." in _function_name(name):
            raise ValueError(f"service {name!r}: a name without a namespace is needed")
        if image not in self._images:
            known = ", ".join(sorted(self._images))
            raise ValueError(f"image {image!r} is not registered in this lab; there are: {known}")
        env = _texts(wanted, "envVars")
        service = Service(
            name=name,
            image=image,
            command=self._images[image],
            env=env,
            labels=_texts(wanted, "labels"),
            annotations=_texts(wanted, "annotations"),
            max_inflight=_inflight(env),
            timeout_s=_timeout_s(env),
        )
        before = self._deployed.get(name)
        if before is not None:
            service.replicas, service.created_at = before.replicas, before.created_at
        self._deployed[name] = service
        return service

    def remove(self, name: str) -> Service | None:
        """Remove a function; None when there is none of that name."""
        return self._deployed.pop(name.removesuffix(f".{NAMESPACE}"), None)


def _text(wanted: Mapping[str, object], key: str) -> str:
    value = wanted.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key!r} is missing or no text")
    return value


def _texts(wanted: Mapping[str, object], key: str) -> dict[str, str]:
    value = wanted.get(key) or {}
    if not isinstance(value, dict) or not all(
        isinstance(text, str) and "\0" not in text and name and not {"=", "\0"} & set(name)
        for name, text in value.items()
    ):
        raise ValueError(f"{key!r} is no object of texts")
    return dict(value)


def _function_name(name: str) -> str:
    try:
        return Function(name).name
    except ConfigError as error:
        raise ValueError(error.message) from error


def _inflight(env: Mapping[str, str]) -> int:
    text = env.get("max_inflight", str(_DEFAULT_INFLIGHT))
    if not (text.isdecimal() and 0 < int(text) <= 10_000):
        raise ValueError(f"max_inflight {text!r} is no number from 1 to 10000")
    return int(text)


def _timeout_s(env: Mapping[str, str]) -> float:
    text = env.get("exec_timeout")
    if text is None:
        return _DEFAULT_TIMEOUT_S
    try:
        value = seconds(text, what="exec_timeout")
    except ConfigError as error:
        raise ValueError(error.message) from error
    if value <= 0:
        raise ValueError("exec_timeout is 0")
    return value
