"""Runs as a frame: one row each, also where a manifest cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dfaas_lab.errors import StoreError

if TYPE_CHECKING:
    import polars as pl

    from dfaas_lab.store.folder import RunFolder


def of(folders: Iterable[RunFolder]) -> pl.DataFrame:
    """Return one row per run: see :meth:`dfaas_lab.store.Store.runs`."""
    import polars as pl

    from dfaas_lab import schemas

    schema = {
        "run_id": pl.String(),
        "created_at": schemas.TIME,
        "label": pl.String(),
        "status": pl.String(),
        "targets": pl.List(pl.String()),
        "iterations": pl.Int64(),
        "path": pl.String(),
        "problem": pl.String(),
    }
    return pl.DataFrame([_row(folder) for folder in folders], schema=schema)


def _row(folder: RunFolder) -> dict[str, object]:
    row: dict[str, object] = {"run_id": folder.run_id, "path": str(folder.path)}
    try:
        entries = folder.read()
    except StoreError as error:
        return row | {"iterations": len(folder.iterations()), "problem": error.message}
    odd = [name for name, kind in _KINDS.items() if not kind(entries.get(name))]
    said = {name: None if name in odd else entries.get(name) for name in _KINDS}
    return row | {
        **{name: _shown(entry) for name, entry in said.items()},
        "created_at": _moment(said["created_at"]),
        "iterations": len(folder.finished(said["targets"] or ())),
        "problem": f"its manifest has an odd {' and '.join(odd)}" if odd else None,
    }


def _is_text(entry: object) -> bool:
    return entry is None or isinstance(entry, str)


def _is_texts(entry: object) -> bool:
    return entry is None or (isinstance(entry, list) and all(isinstance(e, str) for e in entry))


def _is_moment(entry: object) -> bool:
    try:
        _moment(entry)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _shown(entry: Any) -> Any:
    """A text without lone surrogates (of a file's name), which no frame can hold."""
    if isinstance(entry, list):
        return [_shown(one) for one in entry]
    return entry.encode(errors="replace").decode() if isinstance(entry, str) else entry


def _moment(entry: Any) -> datetime | None:
    if entry is None:
        return None
    moment = datetime.fromisoformat(entry)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


# A manifest may have been edited, or have come from elsewhere: a row for it all the same.
_KINDS: dict[str, Callable[[object], bool]] = {
    "created_at": _is_moment,
    "label": _is_text,
    "status": _is_text,
    "targets": _is_texts,
}
