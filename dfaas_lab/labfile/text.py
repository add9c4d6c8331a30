"""The text of a lab file: YAML, TOML or JSON to plain data, and environment variables put in."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from dfaas_lab.errors import ConfigError

Place = tuple[str | int, ...]

# "$${" stands for a literal "${".
_VARIABLE = re.compile(r"\$(\$\{)|\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
# A body can hold anything and goes out as it is written (DESIGN.md, section 7.7).
_VERBATIM = frozenset({"body"})


class _UniqueKeys(yaml.SafeLoader):
    """A safe loader that refuses a key given twice, where PyYAML would take the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value!r} is given twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        data: dict[Any, Any] = super().construct_mapping(node, deep)
        return data


def load(path: Path, text: str) -> dict[Any, Any]:
    """Return the data of a file by its ending: ``.yml``, ``.yaml``, ``.toml`` or ``.json``.

    Raises:
        ConfigError: Another ending, a syntax error (with its line), or no mapping at the top.
    """
    readers: dict[str, Callable[[], Any]] = {
        ".yml": lambda: yaml.load(text, Loader=_UniqueKeys),  # noqa: S506 (a SafeLoader)
        ".yaml": lambda: yaml.load(text, Loader=_UniqueKeys),  # noqa: S506 (a SafeLoader)
        ".toml": lambda: tomllib.loads(text),
        ".json": lambda: json.loads(text, object_pairs_hook=_unique),
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ConfigError(
            f"{path}: the ending {path.suffix!r} says no format",
            hint="Name the file .yml, .yaml, .toml or .json.",
        )
    try:
        data = reader()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # Not chained: a YAML error quotes the line, which may hold a password.
        raise ConfigError(f"{path}: {_syntax(error)}", hint="Correct the file's syntax.") from None
    if not isinstance(data, dict):
        raise ConfigError(
            f"{path}: the file is no mapping of keys",
            hint="It begins with 'generators:' and 'targets:'.",
        )
    return data


def expand(data: Any, env: Mapping[str, str], place: Place = ()) -> Any:
    """Return the data with each ``${NAME}`` replaced by that environment variable.

    Raises:
        ConfigError: A variable is not set; it is named, with its place.
    """
    if isinstance(data, str):
        return _VARIABLE.sub(lambda found: _value(found, env, place), data)
    if isinstance(data, dict):
        return {
            key: value if key in _VERBATIM else expand(value, env, (*place, str(key)))
            for key, value in data.items()
        }
    if isinstance(data, list):
        return [expand(value, env, (*place, index)) for index, value in enumerate(data)]
    return data


def variable(name: str, env: Mapping[str, str], place: Place) -> str:
    """Return one environment variable, or raise a ``ConfigError`` that names it and its place."""
    try:
        return env[name]
    except KeyError:
        raise ConfigError(
            f"{show(place)}: the environment variable {name} is not set",
            hint=f"Set it before you start: export {name}=... (its value is never shown).",
        ) from None


def show(place: Place) -> str:
    """Return a place as people write it.

    >>> show(("targets", 1, "functions", 0))
    'targets[1].functions[0]'
    """
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the file"


def line(text: str, place: Place) -> int | None:
    """Return the line, from 1, of a place in YAML or JSON text; None where it cannot be told."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return None
    if node is None:
        return None
    at: int = node.start_mark.line + 1
    for part in place:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            at = node.start_mark.line + 1
        elif isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(part)]
            if not found:
                return at
            at, node = found[0][0].start_mark.line + 1, found[0][1]
        else:
            return at
    return at


def _value(found: re.Match[str], env: Mapping[str, str], place: Place) -> str:
    return "${" if found.group(1) else variable(found.group(2), env, place)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} is given twice")
    return data


def _syntax(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem or 'no YAML'}"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, yaml.YAMLError):
        return "it is no YAML text"
    return str(error)
