"""Functions in a manifest: written with each body once, and read back.

What may be secret is left out. A folder may have come in a stranger's archive: all that is read
is checked.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dfaas_lab.errors import ConfigError
from dfaas_lab.load import Function
from dfaas_lab.redaction import masked
from dfaas_lab.regular_file import read_regular
from dfaas_lab.secret import HIDDEN

Entry = Mapping[str, Any]

_BODY = re.compile(r"body-([0-9a-f]{32})")
_PLAIN = ("name", "method", "timeout", "max_rate", "image")


def described(functions: Iterable[Function]) -> list[dict[str, object]]:
    """Return functions for a manifest; a body is named by its digest."""
    return [
        {
            **{name: getattr(function, name) for name in _PLAIN},
            "path": masked(function.path),
            "headers": function.shown_headers(),
            "safe_headers": list(function.safe_headers),
            "body": _name(body) if (body := function.body_bytes()) else None,
            "asynchronous": function.asynchronous,
        }
        for function in functions
    ]


def bodies(functions: Iterable[Function]) -> dict[str, bytes]:
    """Return all bodies as they are sent, each once, by the name of its file."""
    sent = (function.body_bytes() for function in functions)
    return {_name(body): body for body in sent if body}


def functions_of(
    folder: Path, entries: Iterable[Entry], own: Mapping[str, Function]
) -> tuple[Function, ...]:
    """Return the functions that were stored.

    Args:
        folder: The run's, which holds the bodies.
        entries: As :func:`described` made them.
        own: A target's functions by name: what is not stored, since it may be secret, is theirs.

    Raises:
        ConfigError: Something that is not stored is not in ``own`` either, or they are damaged.
    """
    missing: list[str] = []
    try:
        functions = [
            Function(
                **{name: entry[name] for name in _PLAIN},
                path=_path(entry, own.get(entry["name"]), missing),
                headers=dict(_headers(entry, own.get(entry["name"]), missing)),
                safe_headers=entry["safe_headers"],
                body=_body(folder, entry["body"]),
                asynchronous=entry.get("asynchronous") is True,
            )
            for entry in entries
        ]
    except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        raise damaged(error) from error
    if missing:
        raise ConfigError(
            f"not stored, since they may be secret: {'; '.join(missing)}",
            hint="Give them to the target's functions of these names: "
            "Function(path=..., headers={...}).",
        )
    return tuple(functions)


def damaged(reason: Exception | str) -> ConfigError:
    """The error for a run that cannot be asked again."""
    said = reason if isinstance(reason, str) else repr(reason)
    return ConfigError(
        f"the run does not say all that was asked: {said}",
        hint="Its manifest is damaged, or an older dfaas_lab wrote it: measure it by run_k6().",
    )


def _headers(entry: Entry, own: Function | None, missing: list[str]) -> Iterator[tuple[str, str]]:
    known = {name.casefold(): value for name, value in own.headers.items()} if own else {}
    for name, value in entry["headers"].items():
        if value != HIDDEN:
            yield name, value
        elif name.casefold() in known:
            yield name, known[name.casefold()]
        else:
            missing.append(f"header {name} of {entry['name']}")


def _path(entry: Entry, own: Function | None, missing: list[str]) -> str:
    path: str = entry["path"]
    if HIDDEN not in path:
        return path
    if own is not None and masked(own.path) == path:
        return own.path
    missing.append(f"path {path} of {entry['name']}")
    return ""


def _body(folder: Path, name: str | None) -> bytes:
    if name is None:
        return b""
    body = read_regular(folder / name) if _BODY.fullmatch(name) else b""
    if _name(body) != name:
        raise ValueError(f"{name} is not the body that was sent")
    return body


def _name(body: bytes) -> str:
    return f"body-{hashlib.sha256(body).hexdigest()[:32]}"
