"""Runs as a frame: one row each, also where a manifest cannot be read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dfaas_lab.errors import StoreError
from dfaas_lab.store.manifest import head_of

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
    head, odd = head_of(entries)
    return row | {
        **dict(head),
        "iterations": len(folder.finished(head.targets or ())),
        "problem": f"its manifest has an odd {' and '.join(odd)}" if odd else None,
    }
