"""The manifest of a run: its format version, and how an older one is read. No frames, no policy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dfaas_lab.errors import StoreError
from dfaas_lab.store.files import errors_as_store_error, replace_file
from dfaas_lab.store.provenance import without_secrets

FORMAT = 1
NAME = "manifest.json"

# Ours has 8 levels; what goes through all of them must not end the process.
_DEEPEST = 50

Manifest = dict[str, Any]


def _from_0(old: Manifest) -> Manifest:
    """Format 0 had no ``format``, called the run's id ``id`` and had one ``target`` only."""
    new = {key: value for key, value in old.items() if key not in ("id", "target")}
    new["run_id"] = old.get("run_id", old.get("id"))
    new["targets"] = old.get("targets", [old["target"]] if "target" in old else [])
    return new


# Format -> what makes the next one of it. Only ever add: results outlive the program.
_MIGRATIONS: dict[int, Callable[[Manifest], Manifest]] = {0: _from_0}


def migrated(manifest: Manifest, path: Path) -> Manifest:
    """Return a manifest in the present format; what is on disk stays as it is.

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
    for step in range(version, FORMAT):
        manifest = _MIGRATIONS[step](manifest) | {"format": step + 1}
    return manifest


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
    with errors_as_store_error(path, "reading"):
        content = path.read_bytes()
    return migrated(parsed(content, path), path)


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


def write(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest of a run's folder."""
    replace_file(folder / NAME, dump(manifest))
