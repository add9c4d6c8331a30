"""The manifest of a run: its format, its schema, and how an older one is read.

A manifest may have been edited, or have come in a stranger's archive: what is read is checked by a
schema. What it says of what was asked (``orders``) is checked in ``spec.manifest``.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from dfaas_lab.errors import StoreError
from dfaas_lab.regular_file import read_regular
from dfaas_lab.store.files import errors_as_store_error
from dfaas_lab.store.provenance import without_secrets

FORMAT = 2
NAME = "manifest.json"

# Ours has 8 levels; what goes through all of them must not end the process.
_DEEPEST = 50

Manifest = dict[str, Any]


def _text(entry: object) -> object:
    """A text without lone surrogates (of a file's name), which no frame can hold."""
    return entry.encode(errors="replace").decode() if isinstance(entry, str) else entry


def _moment(entry: object) -> object:
    if entry is None:
        return None
    try:
        moment = datetime.fromisoformat(entry)  # type: ignore[arg-type]
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (TypeError, OverflowError) as error:
        raise ValueError(str(error)) from error  # pydantic's way to be told


_Text = Annotated[str, BeforeValidator(_text)]


class Head(BaseModel):
    """What a manifest says of a run as a whole; None where it does not, or says something odd."""

    model_config = ConfigDict(strict=True, frozen=True)

    created_at: Annotated[datetime | None, BeforeValidator(_moment)] = None
    label: _Text | None = None
    status: _Text | None = None
    targets: list[_Text] | None = None


def head_of(manifest: Manifest) -> tuple[Head, tuple[str, ...]]:
    """Return what a manifest says of its run, and the names of entries that are odd."""
    entries = {name: manifest.get(name) for name in Head.model_fields}
    try:
        return Head.model_validate(entries), ()
    except ValidationError as error:
        found = {str(one["loc"][0]) for one in error.errors(include_url=False)}
    odd = tuple(name for name in entries if name in found)
    return Head.model_validate({n: entry for n, entry in entries.items() if n not in odd}), odd


def _from_0(old: Manifest) -> Manifest:
    """Format 0 had no ``format``, called the run's id ``id`` and had one ``target`` only."""
    new = {key: value for key, value in old.items() if key not in ("id", "target")}
    new["run_id"] = old.get("run_id", old.get("id"))
    new["targets"] = old.get("targets", [old["target"]] if "target" in old else [])
    return new


def migrated(manifest: Manifest, path: Path) -> Manifest:
    """Return a manifest in the present format; what is on disk stays as it is.

    Results outlive the program: a format that once was is read for ever. Those of 1 and 2 differ
    in their folders only, and ``RunFolder`` reads both.

    Raises:
        StoreError: It was written by a newer dfaas_lab, or is none.
    """
    version = manifest.get("format", 0)
    if not isinstance(version, int) or version < 0:
        raise StoreError(f"{path} is no manifest: format {version!r}", path=str(path))
    if version > FORMAT:
        raise StoreError(
            f"{path} was written by a newer dfaas_lab: format {version}, this one reads {FORMAT}",
            path=str(path),
            hint="Update dfaas_lab to read it: pip install --upgrade dfaas-lab",
        )
    return (_from_0(manifest) if version == 0 else manifest) | {"format": FORMAT}


def dump(manifest: Manifest) -> bytes:
    """Return a manifest as it is written: readable by people and any JSON reader, no secrets."""
    content = without_secrets(manifest | {"format": FORMAT})
    try:
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise StoreError(
            f"the manifest holds what JSON has no word for: {error}", path=NAME
        ) from error
    # Lone surrogates (file names) have no UTF-8: they are written as JSON's own escapes.
    return (text + "\n").encode("utf-8", errors="backslashreplace")


def load(folder: Path) -> Manifest:
    """Read the manifest of a run's folder, in the present format."""
    path = folder / NAME
    return migrated(read_entries(path), path)


def read_entries(path: Path) -> dict[str, Any]:
    """Return what a file of JSON says, as :func:`parsed`."""
    with errors_as_store_error(path, "reading"):
        content = read_regular(path)
    return parsed(content, path)


@contextlib.contextmanager
def damage_as_store_error(path: Path) -> Iterator[None]:
    """Tell entries that are missing, or of a wrong kind, with the file that has them."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(
            f"{path} is damaged: {error!r}",
            path=str(path),
            hint="Bring it back from a copy, or move it away: then that is measured anew.",
        ) from error


def parsed(content: bytes, path: Path) -> Manifest:
    """Return what a file of JSON says; it may be a stranger's.

    Raises:
        StoreError: It is damaged, or holds something else.
    """
    try:
        entries = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path} is damaged: {error}", path=str(path)) from error
    if not isinstance(entries, dict):
        raise StoreError(f"{path} is damaged: it holds no entries", path=str(path))
    if _deeper_than(_DEEPEST, entries):
        raise StoreError(f"{path} is damaged: it is nested too deep", path=str(path))
    return entries


def _deeper_than(levels: int, entries: Any) -> bool:
    level = [entries]
    for _ in range(levels):
        level = [
            inner
            for entry in level
            if isinstance(entry, dict | list)
            for inner in (entry.values() if isinstance(entry, dict) else entry)
        ]
    return bool(level)
