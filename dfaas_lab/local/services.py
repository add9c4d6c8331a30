"""The functions of an embedded gateway: their replicas and limits.

Nothing is executed here, and nothing is known of HTTP.
"""

from __future__ import annotations

import math
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from dfaas_lab.errors import ConfigError
from dfaas_lab.load import Function, seconds
from dfaas_lab.local.execution import Usage
from dfaas_lab.services.deployment import normalised

NAMESPACE = "openfaas-fn"
#: Where commands are looked for; the same on every machine.
PATH = "/usr/local/bin:/usr/bin:/bin"
_IMAGES = Path(__file__).parent / "images"
# The watchdog's own setting. What comes deployed must not fork without end on a laptop; other
# functions have no limit where they say none, as in OpenFaaS.
_BUILTIN_ENV = {"max_inflight": "32"}
#: What OpenFaaS's gateway waits for; watchdogs have no limit by default.
GATEWAY_TIMEOUT_S = 60.0
# Of the community edition, where labels say nothing else.
_SCALE = (1, 5)
_LABELS = ("com.openfaas.scale.min", "com.openfaas.scale.max")
# Annotations by which a function starts slowly (a number, or "never"), or dies.
STARTS_AFTER = "dfaas-lab.start-seconds"
DIES_AFTER = "dfaas-lab.die-seconds"
# What a deployment may hold beside what is run here; it is kept and told.
_KEPT = ("limits", "requests", "constraints", "secrets", "envProcess", "readOnlyRootFilesystem")

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
    max_inflight: int | None = None
    timeout_s: float | None = None
    env: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    kept: dict[str, object] = field(default_factory=dict)
    born: float = field(default_factory=time.monotonic)
    in_flight: int = 0
    usage: Usage = field(default_factory=Usage)
    invocations: int = 0
    created_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def full_name(self) -> str:
        """The name with its namespace, as OpenFaaS labels its metrics."""
        return f"{self.name}.{NAMESPACE}"

    @property
    def limit(self) -> float:
        """How many requests may be in flight at this scale."""
        return math.inf if self.max_inflight is None else self.replicas * self.max_inflight

    @property
    def available(self) -> int:
        """How many replicas answer: none while it starts, and where it died."""
        start, die = (self.annotations.get(name, "") for name in (STARTS_AFTER, DIES_AFTER))
        age_s = time.monotonic() - self.born
        starting = start == "never" or (start and age_s < float(start))
        dead = die and age_s >= float(die)
        return 0 if starting or dead else self.replicas

    def scale(self, replicas: int) -> None:
        """Have so many replicas, within what its labels allow."""
        least, most = (
            int(self.labels.get(name, default))
            for name, default in zip(_LABELS, _SCALE, strict=True)
        )
        self.replicas = min(max(replicas, least), most)

    def status(self, provider: str, *, listed: bool) -> dict[str, object]:
        """Return the function as OpenFaaS's API describes it: what is empty is left out.

        In a list, faasd does not tell what is available.
        """
        faasd = provider == "faasd"
        told: dict[str, object] = {
            "name": self.name,
            "namespace": NAMESPACE,
            "image": normalised(self.image) if faasd else self.image,
            "envVars": self.env,
            "labels": self.labels,
            "annotations": self.annotations,
            **self.kept,
            "availableReplicas": 0 if faasd and listed else self.available,
            "invocationCount": self.invocations,
        }
        always = {"replicas": self.replicas, "createdAt": self.created_at}
        return {key: value for key, value in told.items() if value} | always


class Services:
    """The deployed functions of one gateway."""

    def __init__(self, images: Images, timeout_s: float = GATEWAY_TIMEOUT_S) -> None:
        self._images = images
        self.timeout_s = timeout_s
        self._deployed: dict[str, Service] = {}
        for name in images:
            env = _BUILTIN_ENV if name in BUILTIN else {}
            self.deploy({"service": name, "image": name, "envVars": env})

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
        command = self._command(image)
        if command is None:
            known = ", ".join(sorted(self._images))
            raise ValueError(f"image {image!r} is not registered in this lab; there are: {known}")
        env = _texts(wanted, "envVars")
        service = Service(
            name=name,
            image=image,
            command=command,
            env=env,
            labels=_texts(wanted, "labels"),
            annotations=_texts(wanted, "annotations"),
            max_inflight=_inflight(env),
            timeout_s=_timeout_s(env),
            kept={key: wanted[key] for key in _KEPT if wanted.get(key)},
        )
        _check_annotations(service)
        before = self._deployed.get(name)
        if before is not None:
            service.replicas, service.created_at = before.replicas, before.created_at
        self._deployed[name] = service
        return service

    def _command(self, image: str) -> tuple[str, ...] | None:
        """The command of an image, by its short or whole name."""
        found = (c for name, c in self._images.items() if normalised(name) == normalised(image))
        return next(found, None)

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


def _check_annotations(service: Service) -> None:
    """Refuse annotations and labels that are no numbers."""
    try:
        _ = service.available
        service.scale(service.replicas)
    except ValueError as error:
        raise ValueError(f"an annotation or a label is no number: {error}") from error


def _inflight(env: Mapping[str, str]) -> int | None:
    text = env.get("max_inflight")
    if text is None:
        return None
    if not (text.isdecimal() and 0 < int(text) <= 10_000):
        raise ValueError(f"max_inflight {text!r} is no number from 1 to 10000")
    return int(text)


def _timeout_s(env: Mapping[str, str]) -> float | None:
    text = env.get("exec_timeout")
    if text is None:
        return None
    try:
        value = seconds(text, what="exec_timeout")
    except ConfigError as error:
        raise ValueError(error.message) from error
    if value <= 0:
        raise ValueError("exec_timeout is 0")
    return value
