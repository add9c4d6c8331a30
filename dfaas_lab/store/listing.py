"""Runs as a frame: one row each, also where a manifest cannot be read."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

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
    row: dict[str, object] = {
        "run_id": folder.run_id,
        "iterations": len(folder.iterations()),
        "path": str(folder.path),
    }
    try:
        entries = folder.read()
    except StoreError as error:
        return row | {"problem": error.message}
    created = entries.get("created_at")
    return row | {
        "created_at": datetime.fromisoformat(created) if created else None,
        "label": entries.get("label"),
        "status": entries.get("status"),
        "targets": entries.get("targets"),
    }
