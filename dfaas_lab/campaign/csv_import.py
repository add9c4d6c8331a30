"""Reads the CSV files of existing analyses as outcomes; see ``csv_files`` for the format."""

from __future__ import annotations

import ast
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from dfaas_lab.campaign.csv_files import (
    FUNCTION,
    NODE,
    Row,
    is_rate,
    read_rows,
)
from dfaas_lab.campaign.outcomes import OUTCOMES
from dfaas_lab.errors import ConfigError, StoreError
from dfaas_lab.load.plan import PlannedLoad
from dfaas_lab.validation import local_path

# Older files have the mean latency in ns: 0.1 ms is as many ns as a minute and a half is ms.
_LEAST_NS = 1e5


def import_csv(folder: str | Path, *, target: str | None = None) -> pl.DataFrame:
    """Read such files, also those of existing tools, as outcomes.

    Args:
        folder: Holds ``index.csv``, which names the files of results (any number of further
            columns), or ``results.csv`` alone; and ``skipped.csv``, if there is one.
        target: What to call the node; None means the folder's name.

    Raises:
        ConfigError: There are no such files, or they have other columns.
    """
    where = local_path(folder, what="folder")
    name = where.resolve().name if target is None else target
    results = [row for file in _results_files(where) for row in read_rows(file)]
    factor = 1e-6 if _looks_ns(results) else 1.0
    seen: Counter[str] = Counter()
    rows = [one for row in results for one in _outcomes_of_row(row, name, seen, factor)]
    skipped = where / "skipped.csv"
    if skipped.exists():
        rows += [one for row in read_rows(skipped) for one in _skipped_of_row(row, name)]
    return pl.DataFrame(rows, schema=OUTCOMES, orient="row")


def _results_files(folder: Path) -> list[Path]:
    index = folder / "index.csv"
    files = [folder / "results.csv"]
    if index.exists():
        named = dict.fromkeys(row.get("results_file") or "results.csv" for row in _index(index))
        files = [_beside(folder, name) for name in named] or files
    missing = [file for file in files if not _is_there(file)]
    if missing and not (folder / "skipped.csv").exists():
        raise ConfigError(
            f"{missing[0]} is not there",
            hint="Give the folder that holds results.csv, or index.csv and the files it names.",
        )
    return [file for file in files if _is_there(file)]


def _index(path: Path) -> Iterator[Row]:
    for row in read_rows(path, ";"):
        try:
            ast.literal_eval(row["functions"]), ast.literal_eval(row["rates"])
        except (KeyError, ValueError, SyntaxError) as error:
            raise StoreError(f"{path} is no index of results: {error!r}", path=str(path)) from error
        yield row


def _is_there(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - of a name that is too long, pathlib raises


def _beside(folder: Path, name: str) -> Path:
    """A file that an index names: below its folder, also where the index came from elsewhere."""
    parts = Path(name.replace("\\", "/"))
    below = folder / parts
    inside = not parts.is_absolute() and ".." not in parts.parts and _is_there(below)
    return below if inside else folder / parts.name


def _looks_ns(rows: Iterable[Row]) -> bool:
    latencies = sorted(
        value
        for row in rows
        for column, text in row.items()
        if column.startswith("medium_latency_function_")
        and (value := _number(text)) is not None
        and value > 0
    )
    return bool(latencies) and latencies[len(latencies) // 2] >= _LEAST_NS


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _whole(text: str | None) -> int | None:
    value = _number(text)
    return None if value is None else round(value)


def _load_of_row(row: Row) -> PlannedLoad:
    rates = {
        column.removeprefix("rate_function_"): rate
        for column, text in row.items()
        if is_rate(column) and (rate := _whole(text)) is not None
    }
    if not rates:
        raise ConfigError(
            "a row of results names no rate",
            hint="The columns are those of dfaas tools: rate_function_NAME, success_rate_...",
        )
    return PlannedLoad(rates)


def _outcomes_of_row(
    row: Row, target: str, seen: Counter[str], latency_factor: float
) -> Iterator[dict[str, Any]]:
    load = _load_of_row(row)
    seen[load.load_id] += 1
    node = {outcome: _scaled(row.get(name), by) for name, (outcome, by) in NODE.items()}
    for name, rate in load.items():
        latency = _number(row.get(f"medium_latency_function_{name}"))
        own = {out: _scaled(row.get(column + name), by) for column, (out, by) in FUNCTION.items()}
        yield {
            "target": target,
            "iteration": seen[load.load_id],
            "function": name,
            "rate_rps": float(rate),
            "status": "ok",
            **own,
            "latency_ms_mean": None if latency is None else latency * latency_factor,
            "load_id": load.load_id,
            **node,
            "replicas": _whole(row.get(f"replica_{name}")),
            "rest_s": _number(row.get("rest_seconds")),
            "overloaded": bool(_whole(row.get("overloaded_node"))),
            "reasons": "",
            "skipped": False,
            "function_overloaded": bool(_whole(row.get(f"overloaded_function_{name}"))),
        }


def _scaled(text: str | None, factor: float) -> float | None:
    value = _number(text)
    return None if value is None else value / factor


def _skipped_of_row(row: Row, target: str) -> Iterator[dict[str, Any]]:
    load = _load_of_row(row)
    for name, rate in load.items():
        yield {
            "target": target,
            "function": name,
            "rate_rps": float(rate),
            "load_id": load.load_id,
            "skipped": True,
        }
