"""A k6 script of the user's own: what is sent, its environment, how long it may take."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from dfaas_lab.errors import ConfigError
from dfaas_lab.k6.option_names import is_option
from dfaas_lab.k6.plan import SYSTEM_TAGS, json_bytes
from dfaas_lab.load import Load, seconds
from dfaas_lab.validation import is_utf8

FOLDER = "script"
"""The folder in the workspace that holds the user's files."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_IMPORTED = re.compile(r"""\b(?:from|import|require)\b\s*\(?\s*["'](\.{1,2}/[^"'\n]+)["']""")
_OPENED = re.compile(r"""\bopen\(\s*["'`]([^"'`$\n]+)["'`]""")
_SOURCE = (".js", ".mjs", ".cjs", ".ts")
# k6's own defaults for setup() and teardown(), and what it needs beside them.
_SETUP_S = 60.0
_RESERVE_S = 20.0
_MOST_BYTES = 200_000_000


@dataclass(frozen=True)
class Requirements:
    """What k6 says of a script: its longest duration in seconds, the most VUs, its system tags."""

    duration_s: float
    max_vus: int
    system_tags: tuple[str, ...] = ()

    @classmethod
    def of(cls, inspected: bytes) -> Requirements:
        """Read what ``k6 inspect --execution-requirements`` printed.

        Raises:
            ValueError: It is not that.
            ConfigError: It is a script that k6 cannot run by itself.
        """
        found = json.loads(inspected)
        _refuse_external(found.get("scenarios") or {})
        outside = sum(
            seconds(found[name], what=name) if found.get(name) else _SETUP_S
            for name in ("setupTimeout", "teardownTimeout")
        )
        return cls(
            seconds(str(found["totalDuration"]), what="totalDuration") + outside,
            int(found["maxVUs"]),
            tuple(tag for tag in found.get("systemTags") or () if _NAME.fullmatch(tag)),
        )


@dataclass(frozen=True)
class CustomScript:
    """Any k6 script, in the place of a plan.

    Args:
        main: The script's name among the sources.
        sources: Everything that is sent, by name: the script and what it imports or opens.
        env: Its environment (``__ENV``); the values are secrets, and stored nowhere.
        requirements: What k6 said that it needs; None until it was asked.
    """

    main: str
    sources: Mapping[str, bytes]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    requirements: Requirements | None = None
    load: Load | None = field(default=None, init=False)
    is_builtin: bool = field(default=False, init=False)

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

    @classmethod
    def of(cls, path: str | Path, env: Mapping[str, str] | None = None) -> CustomScript:
        """Read a script with the files that it names in ``import``, ``require`` and ``open``.

        Args:
            path: A script, or an archive (``.tar``) that ``k6 archive`` made.
            env: Its environment.

        Raises:
            ConfigError: It is not there, or its files are too large.
        """
        script = Path(path).expanduser().absolute()
        found = dict(_with_imports(script))
        if sum(map(len, found.values())) > _MOST_BYTES:
            raise ConfigError(
                f"{script} comes with more than {_MOST_BYTES // 10**6} MB",
                hint="Open less data in it.",
            )
        base = Path(os.path.commonpath([file.parent for file in found]))
        sources = {file.relative_to(base).as_posix(): content for file, content in found.items()}
        return cls(script.relative_to(base).as_posix(), sources, dict(env or {}))

    @classmethod
    def from_stored(cls, stored: bytes, env: Mapping[str, str] | None = None) -> CustomScript:
        """Make the script again from what :meth:`stored` wrote; it came from somewhere, and runs.

        Raises:
            ConfigError: It is damaged.
        """
        try:
            content = json.loads(stored)
            sources = {
                str(name): base64.b64decode(text) for name, text in content["sources"].items()
            }
            main = str(content["main"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"the stored script cannot be read: {error}") from error
        parts = [part for name in sources for part in name.split("/")]
        if main not in sources or any(part in ("", ".", "..") or "\0" in part for part in parts):
            raise ConfigError("the stored script names files outside of its folder")
        return cls(main, sources, dict(env or {}))

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

    @property
    def functions(self) -> dict[str, str]:
        """None that are known: the frames go by the script's scenarios."""
        return {}

    def files(self) -> dict[str, bytes]:
        """The files of a workspace: the sources, and the environment as the shell reads it."""
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in self.env.items()]
        sources = {f"{FOLDER}/{name}": content for name, content in self.sources.items()}
        return {**sources, "env": "".join(lines).encode()}

    def stored(self, suffix: str = "") -> dict[str, bytes]:
        """What is kept of it in the store: the script to read, and all sources to run it again."""
        content = {
            "main": self.main,
            "sources": {n: base64.b64encode(c).decode() for n, c in self.sources.items()},
            "env": sorted(self.env),
        }
        kind = Path(self.main).suffix
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
        return CustomScript(self.main, self.sources, self.env, requirements)

    def lasting(self, duration_s: float) -> CustomScript:
        """Not possible: a script has its own duration.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            f"a script of your own has no warm-up of {duration_s:g} s",
            hint="Leave warmup out, and warm up in the script: a scenario with a startTime.",
        )


def _refuse_external(scenarios: Mapping[str, Mapping[str, object]]) -> None:
    for name, scenario in scenarios.items():
        if scenario.get("executor") == "externally-controlled":
            raise ConfigError(
                f"scenario {name}: externally-controlled is steered through k6's REST API, which "
                "is closed here; k6 v2 has it no more",
                hint="Use another executor: ramping-vus, ramping-arrival-rate.",
            )


def _with_imports(script: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield the script and, once each, the files that it and its imports name literally."""
    root = script.parent
    waiting, seen = [script], {script}
    while waiting:
        file = waiting.pop()
        try:
            content = file.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"script={str(file)!r} cannot be read: {error.strerror}",
                hint="Give the path of a k6 script, or of an archive that k6 archive made.",
            ) from error
        yield file, content
        named = _named(content, file.parent, root) if file.suffix in _SOURCE else ()
        for other in named:
            if other not in seen and other.is_file():
                seen.add(other)
                waiting.append(other)


def _named(content: bytes, folder: Path, root: Path) -> Iterator[Path]:
    text = content.decode(errors="replace")
    for name in _IMPORTED.findall(text):
        yield Path(os.path.normpath(folder / name))
    for name in _OPENED.findall(text):  # k6 takes it from the script's folder, or from the module's
        if not name.startswith("/") and "://" not in name:
            yield from (Path(os.path.normpath(place / name)) for place in (folder, root))
