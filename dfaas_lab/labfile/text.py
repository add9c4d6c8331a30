"""Parses the text of a lab file (YAML, TOML, JSON), and fills in environment variables."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from dfaas_lab.errors import ConfigError
from dfaas_lab.secret import Secret, plain, sealed

Place = tuple[str | int, ...]

# "$${" stands for a literal "${".
_VARIABLE = re.compile(r"\$(\$\{)|\$\{([^}]{0,1000})\}")
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_LONG_KEY = re.compile(r"""(?<![\w"'-])(?:[\w"'-]++[ \t]*+\.[ \t]*+){100}""")
# A lab file has some hundred; aliases of aliases can make billions.
_MOST_NODES = 100_000
_TEXT_TAG = "tag:yaml.org,2002:str"
_NUMBER_TAGS = tuple(f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "timestamp"))


def load(path: Path, text: str) -> dict[Any, Any]:
    """Return the data of a file by its ending: ``.yml``, ``.yaml``, ``.toml`` or ``.json``.

    Raises:
        ConfigError: Another ending, a syntax error (with its line), or no mapping at the top.
    """
    readers: dict[str, Callable[[], Any]] = {
        ".yml": lambda: _yaml(text),
        ".yaml": lambda: _yaml(text),
        ".toml": lambda: _toml(text),
        ".json": lambda: _json(text),
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
        del data  # it may be a password
        raise ConfigError(
            f"{path}: the file is no mapping of keys",
            hint="It begins with 'generators:' and 'targets:'.",
        )
    return {key: sealed_secrets({key: value})[key] for key, value in data.items()}


def sealed_secrets(data: Any) -> Any:
    """Return the data with the values sealed that go under the name of a secret, and of headers."""
    if isinstance(data, dict):
        return {
            key: sealed(value) if key == "headers" or _is_secret(key) else sealed_secrets(value)
            for key, value in data.items()
        }
    return [sealed_secrets(item) for item in data] if isinstance(data, list) else data


def _is_secret(key: Any) -> bool:
    # The name of a variable is none, nor is the path of a key.
    return isinstance(key, str) and "pass" in key and not key.endswith("_env")


def expand(data: Any, value_of: Callable[[str, Place], str], place: Place = ()) -> Any:
    """Return the data with each ``${NAME}`` replaced by that environment variable.

    Args:
        data: What the file says; bodies are left as they are.
        value_of: Called with the name of a variable and the place that asks for it.
        place: Where the data is in the file.
    """
    if isinstance(data, str):
        filled = _VARIABLE.sub(
            lambda found: "${" if found.group(1) else value_of(found.group(2), place), data
        )
        return Secret(filled) if isinstance(data, Secret) else filled
    if isinstance(data, dict):
        return {
            key: value if _is_body(place, key) else expand(value, value_of, (*place, str(key)))
            for key, value in data.items()
        }
    if isinstance(data, list):
        return [expand(value, value_of, (*place, index)) for index, value in enumerate(data)]
    return data


def variable(name: str, env: Mapping[str, str]) -> str:
    """Return one environment variable, or raise a ``ConfigError`` that names it."""
    try:
        return env[name]
    except KeyError:
        raise ConfigError(
            f"the environment variable {name} is not set",
            hint=f"Set it before you start: export {name}=... (its value is never shown).",
        ) from None


def is_name(text: str) -> bool:
    """Whether this can be the name of an environment variable."""
    return _NAME.fullmatch(text) is not None


def show(place: Place) -> str:
    """Return a place as people write it.

    >>> show(("targets", 1, "functions", 0))
    'targets[1].functions[0]'
    """
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the file"


def nodes(text: str) -> yaml.Node | None:
    """Return YAML or JSON text as the nodes of its parser, which know their lines."""
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return None
    return node


def line(node: yaml.Node | None, place: Place) -> int | None:
    """Return the line, from 1, of a place in a text's nodes; None where it cannot be told."""
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


def _is_body(place: Place, key: Any) -> bool:
    """Whether this key of a function is its body, which goes out as it is written."""
    return key == "body" and place[-2:-1] == ("functions",)


def _toml(text: str) -> Any:
    # Python's reader takes a time that grows with the square of a key's parts.
    if _LONG_KEY.search(text):
        raise ValueError("a key has more than 100 parts")
    return tomllib.loads(plain(text))


class _Written(float):
    """A number of which it is known how it was written: ``1.10``."""

    def __new__(cls, text: str) -> _Written:
        number = super().__new__(cls, text)
        number.text = text
        return number

    text: str


def _json(text: str) -> Any:
    return _with_header_texts(json.loads(text, object_pairs_hook=_unique, parse_float=_Written))


def _with_header_texts(data: Any) -> Any:
    """Numbers as the values of headers, as they are written; a whole one has one way only."""
    if isinstance(data, list):
        return [_with_header_texts(item) for item in data]
    if not isinstance(data, dict):
        return data
    return {
        key: {name: _as_text(one) for name, one in value.items()}
        if key == "headers" and isinstance(value, dict)
        else _with_header_texts(value)
        for key, value in data.items()
    }


def _as_text(value: Any) -> Any:
    if isinstance(value, _Written):
        return value.text
    return str(value) if type(value) is int else value


def _yaml(text: str) -> Any:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check_keys(node, (), iter(range(_MOST_NODES)))
        _keep_header_texts(node)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _keep_header_texts(node: yaml.Node) -> None:
    """Make the values of headers texts: YAML would read 010 as 8, 1.10 as 1.1, 22:30 as 1350."""
    inner = list(node.value) if isinstance(node, yaml.SequenceNode) else []
    for key, value in node.value if isinstance(node, yaml.MappingNode) else []:
        inner.append(value)
        if key.value == "headers" and isinstance(value, yaml.MappingNode):
            for _, one in value.value:
                one.tag = _TEXT_TAG if one.tag in _NUMBER_TAGS else one.tag
    for one in inner:
        _keep_header_texts(one)


def _check_keys(node: yaml.Node, place: Place, left: Iterator[int]) -> None:
    """Refuse what PyYAML would take wrongly: a key given twice (the last wins), or no text.

    Aliases are followed as often as they are used, since whoever reads the data does so, too.
    """
    if next(left, None) is None:
        raise yaml.MarkedYAMLError(problem="there is too much in it", problem_mark=node.start_mark)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _check_keys(item, (*place, index), left)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            problem = _key_problem(key, seen, place)
            if problem:
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            _check_keys(value, (*place, key.value), left)


def _key_problem(key: yaml.Node, seen: set[str], place: Place) -> str:
    if not isinstance(key, yaml.ScalarNode):
        return (
            f"{show(place)}: unquoted braces and brackets are no text: "
            'write "http://{host}:31112", in quotes and with single braces'
        )
    if key.tag == "tag:yaml.org,2002:merge":
        return ""
    if key.value in seen:
        return f"the key {key.value!r} is given twice"
    seen.add(key.value)
    return ""


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
