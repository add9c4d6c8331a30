"""A k6 script of the user: its files, its environment, its time limit."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from dfaas_lab.errors import ConfigError
from dfaas_lab.k6.option_names import is_option
from dfaas_lab.k6.plan import SYSTEM_TAGS, json_bytes
from dfaas_lab.k6.requirements import Requirements
from dfaas_lab.k6.script_archive import without_env
from dfaas_lab.k6.script_files import absolute_names, files_named, folders_written, read_files
from dfaas_lab.load import Load
from dfaas_lab.secret import SecretBytes, plain, sealed
from dfaas_lab.secret_values import SecretValues
from dfaas_lab.validation import is_utf8, local_path

FOLDER = "script"
"""The folder in the workspace that holds the user's files."""
WRITTEN = "written"
"""The folder in the workspace that holds the files of handleSummary()."""
RUNS_IN = f"{WRITTEN}/up/here"
"""Where a script runs: what it writes as ``../results/x.json`` is in that folder, too."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What k6 needs beside the script: its start, and the flush of its outputs.
_RESERVE_S = 20.0


@dataclass(frozen=True)
class CustomScript:
    """Any k6 script, in the place of a plan.

    Args:
        main: The script's name among the sources.
        sources: Everything that is sent, by name: the script and what it imports or opens.
        env: Its environment (``__ENV``); the values are secrets, and stored nowhere.
        requirements: What k6 said that it needs; None until it was asked.
        public: Texts that are no secrets though the environment holds them: the gateway's URL.
    """

    main: str
    sources: Mapping[str, bytes]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    requirements: Requirements | None = None
    public: tuple[str, ...] = field(default=(), compare=False, repr=False)

    is_builtin: ClassVar[bool] = False
    load: ClassVar[Load | None] = None
    functions: ClassVar[Mapping[str, str]] = {}  # the frames go by the script's scenarios
    folder: ClassVar[str] = RUNS_IN

    def __post_init__(self) -> None:
        for name, value in self.env.items():
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise ConfigError(
                    f"env name {name!r} is no name of a variable", hint="Use letters, digits and _."
                )
            if is_option(name):
                raise ConfigError(
                    f"env {name} would change k6 itself",
                    hint="Set options in the script, or give the variable another name.",
                )
            if not isinstance(value, str) or "\0" in value or not is_utf8(value):
                raise ConfigError(f"env {name} is no text", hint="Give a str.")
        object.__setattr__(self, "env", sealed(dict(self.env)))

    @classmethod
    def of(
        cls,
        path: str | Path,
        env: Mapping[str, str] | None = None,
        files: Iterable[str | Path] = (),
    ) -> CustomScript:
        """Read a script with the files that it names, and others that it needs.

        Args:
            path: A script, or an archive (``.tar``) that ``k6 archive`` made.
            env: Its environment; that in an archive counts where this says nothing.
            files: Files and folders that it opens by names that cannot be read off its text.

        Raises:
            ConfigError: A file is not there, or they are too large.
        """
        script = Path(os.path.normpath(local_path(path, what="script").absolute()))
        found = read_files(script, files)
        found[script], packed = without_env(found[script])
        base = Path(os.path.commonpath([file.parent for file in found]))
        sources = {file.relative_to(base).as_posix(): content for file, content in found.items()}
        known = {name: value for name, value in packed.items() if not is_option(name)}
        return cls(script.relative_to(base).as_posix(), sources, known | dict(env or {}))

    @classmethod
    def from_stored(cls, stored: bytes, env: Mapping[str, str] | None = None) -> CustomScript:
        """Make the script again from what :meth:`stored` wrote; it came from somewhere, and runs.

        Raises:
            ConfigError: It is damaged, or a value of its environment is not in ``env``. (None is
                taken for an environment that the generator has.)
        """
        try:
            content = json.loads(stored)
            sources = {
                str(name): base64.b64decode(text) for name, text in content["sources"].items()
            }
            main = str(content["main"])
            public = tuple(map(str, content.get("public", ())))
            names = set(map(str, content["env"]))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ConfigError(f"the stored script cannot be read: {error}") from error
        parts = [part for name in sources for part in name.split("/")]
        if main not in sources or any(part in ("", ".", "..") or "\0" in part for part in parts):
            raise ConfigError("the stored script names files outside of its folder")
        if env is not None and (missing := sorted(names - set(env))):
            raise ConfigError(
                "not stored, since it may be secret: the script's environment "
                f"{', '.join(missing)}",
                hint="Give it: reproduce(..., env={...}).",
            )
        return cls(main, sources, dict(env or {}), public=public)

    @property
    def script_name(self) -> str:
        """The script's path in the workspace."""
        return f"{FOLDER}/{self.main}"

    @property
    def options(self) -> str:
        """k6's options, as words: the script's own system tags, and those that the frames need.

        A tag that is left out takes the samples from each threshold on it, which then passes.
        """
        own = self.requirements.system_tags if self.requirements else ()
        return f"--system-tags={','.join(sorted({*own, *SYSTEM_TAGS}))}"

    @property
    def duration_s(self) -> float:
        """The longest it may take by its own options, in seconds; 0 until k6 was asked."""
        return self.requirements.duration_s if self.requirements else 0.0

    @property
    def time_limit_s(self) -> float:
        """When an iteration that has not ended is stuck; as long as nothing is known, a day."""
        return self.duration_s + _RESERVE_S if self.requirements else 86_400.0

    def files(self) -> dict[str, bytes]:
        """The files of a workspace: the sources, and the environment as the shell reads it."""
        sources = {f"{FOLDER}/{name}": content for name, content in self.sources.items()}
        texts = list(self.sources.values())
        return {
            **sources,
            "env": self._exports(),
            "folders": _lines(folders_written(texts, self.env)),
            "absolute": _lines(absolute_names(texts, self.env)),
        }

    def _exports(self) -> SecretBytes:
        lines = (f"export {name}={shlex.quote(plain(value))}\n" for name, value in self.env.items())
        return SecretBytes("".join(lines).encode())

    def stored(self, suffix: str = "") -> dict[str, bytes]:
        """What is kept of it in the store: the script to read, and all sources to run it again."""
        content = {
            "main": self.main,
            "sources": {n: base64.b64encode(c).decode() for n, c in self.sources.items()},
            "env": sorted(self.env),
            "public": self.public,
        }
        suffixes = (".ts", ".tar", ".mjs", ".cjs")
        kind = Path(self.main).suffix if self.main.endswith(suffixes) else ".js"
        return {
            f"script{suffix}{kind}": self.sources[self.main],
            f"script{suffix}.json": json_bytes(content),
        }

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all sources: equal digests run the same."""
        digest = hashlib.sha256(self.main.encode())
        for name, content in sorted(self.sources.items()):
            digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
        return digest.hexdigest()

    def requiring(self, requirements: Requirements) -> CustomScript:
        """The same with what k6 said that it needs."""
        return replace(self, requirements=requirements)

    def on(self, gateway: str, functions: Iterable[str]) -> CustomScript:
        """The same on a gateway, whose URLs and functions are no secrets."""
        names = tuple(functions)
        parts = urlsplit(gateway)
        host = (parts.netloc, parts.hostname or "", str(parts.port or ""))
        paths = ("", "/", "/function", "/function/", *(f"/function/{name}" for name in names))
        known = (*self.public, *(gateway + path for path in paths), *host, *names)
        return replace(self, public=tuple(dict.fromkeys(known)))

    def expecting(self, latencies_s: Mapping[str, float]) -> CustomScript:  # noqa: ARG002
        """The same: a script makes its VUs itself."""
        return self

    def knowing(self, environment: bytes) -> CustomScript:
        """The same with the environment of a workspace, where another controller gave it."""
        if self.env:
            return self
        words = (word.partition("=") for word in _words(environment) if word != "export")
        return replace(self, env={name: value for name, _, value in words})

    @cached_property
    def secrets(self) -> SecretValues:
        """The values of its environment, to be hidden wherever they turn up."""
        return SecretValues(self.env, (*self.public, *files_named(self.env)))

    def lasting(self, duration_s: float) -> CustomScript:
        """Not possible: a script has its own duration.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            f"a script of your own has no warm-up of {duration_s:g} s",
            hint="Leave warmup out, and warm up in the script: a scenario with a startTime.",
        )


def _lines(names: Iterable[str]) -> SecretBytes:
    return SecretBytes("".join(f"{name}\n" for name in names).encode())


def _words(environment: bytes) -> list[str]:
    try:
        return shlex.split(environment.decode())
    except ValueError:  # it was cut off
        return []
