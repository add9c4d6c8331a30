"""The listing of runs as a frame: one row each, also of a damaged run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeGuard

import polars as pl

from dfaas_lab import schemas
from dfaas_lab.display import words
from dfaas_lab.errors import StoreError
from dfaas_lab.printable import printable
from dfaas_lab.store.manifest import head_of

if TYPE_CHECKING:
    from dfaas_lab.store.folder import RunFolder


def of(folders: Iterable[RunFolder]) -> pl.DataFrame:
    """Return one row per run: see :meth:`dfaas_lab.store.Store.runs`."""
    schema = {
        "run_id": pl.String(),
        "created_at": schemas.TIME,
        "label": pl.String(),
        "status": pl.String(),
        "targets": pl.List(pl.String()),
        "iterations": pl.Int64(),
        "path": pl.String(),
        "problem": pl.String(),
        "load": pl.String(),
        "duration_s": pl.Float64(),
        "requests": pl.Int64(),
        "verdict": pl.String(),
        "latency_ms_p95": pl.Float64(),
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
        **_asked(entries.get("orders")),
        **_outcome(entries.get("outcome")),
    }


def _asked(orders: object) -> dict[str, object]:
    """The load and duration of the first target; nothing where the manifest is odd or old."""
    first = next(iter(orders.values()), None) if isinstance(orders, dict) else None
    if not isinstance(first, dict):
        return {}
    load, duration_s, script = (first.get(name) for name in ("load", "duration_s", "script"))
    if not isinstance(load, dict) or not all(_is_number(rate) for rate in load.values()):
        said = printable(script) if isinstance(script, str) else None
    else:
        said = printable(words.rates({str(name): rate for name, rate in load.items()}))
    return {"load": said, "duration_s": float(duration_s) if _is_number(duration_s) else None}


def _outcome(outcome: object) -> dict[str, object]:
    if not isinstance(outcome, dict):
        return {}
    requests, p95, verdict = (
        outcome.get(name) for name in ("requests", "latency_ms_p95", "verdict")
    )
    return {
        "requests": requests if isinstance(requests, int) else None,
        "latency_ms_p95": float(p95) if _is_number(p95) else None,
        "verdict": printable(verdict) if isinstance(verdict, str) else None,
    }


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
