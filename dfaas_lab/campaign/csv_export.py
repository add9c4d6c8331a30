"""Writes outcomes as the CSV files of existing analyses; see ``csv_files`` for the format."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from dfaas_lab.campaign.csv_files import (
    COLUMNS_OF,
    FUNCTION,
    INDEX,
    NODE,
    NODE_COLUMNS,
    Row,
    is_rate,
    read_rows,
)
from dfaas_lab.load.plan import PlannedLoad
from dfaas_lab.status import COMPLETE
from dfaas_lab.store.files import errors_as_store_error, replace_file, safe_name
from dfaas_lab.validation import local_path

_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")


def export_csv(
    outcomes: pl.DataFrame, folder: str | Path, *, functions: Iterable[str] = ()
) -> list[Path]:
    """Write outcomes as ``results.csv, skipped.csv, index.csv``; return the paths.

    What the folder has already stays, and is not added again. Of several targets each has a folder
    of its own below.

    Args:
        outcomes: As ``campaign.outcomes``, or as :func:`import_csv` gives.
        folder: Where to; made if it is not there.
        functions: Functions that have columns also where no load has them.
    """
    where = local_path(folder, what="folder")
    targets = outcomes["target"].unique(maintain_order=True).to_list()
    if len(targets) < 2:
        return _export_one(outcomes, where, functions)
    return [
        path
        for target in targets
        for path in _export_one(
            outcomes.filter(target=target), where / safe_name(target), functions
        )
    ]


def _export_one(outcomes: pl.DataFrame, folder: Path, functions: Iterable[str]) -> list[Path]:
    with errors_as_store_error(folder, "writing"):
        folder.mkdir(parents=True, exist_ok=True)
    names = sorted({*functions, *outcomes["function"]})
    # An iteration that failed has no row; a load of which all failed is skipped.
    measured = outcomes.filter(~pl.col("skipped") & pl.col("status").is_in(COMPLETE))
    rows = [_result_row(group) for group in _grouped(measured, ["load_id", "iteration"])]
    loads = [_load_of(group) for group in _grouped(measured, ["load_id"])]
    others = outcomes.join(measured, on="load_id", how="anti", maintain_order="left")
    skipped = [_load_of(group) for group in _grouped(others, ["load_id"])]
    index = [
        dict(zip(INDEX, (str(list(load)), str(list(load.values())), "results.csv"), strict=True))
        for load in loads
    ]
    return [
        _merge(folder / "results.csv", rows, names, COLUMNS_OF, NODE_COLUMNS),
        _merge(folder / "skipped.csv", map(_skipped_row, skipped), names, COLUMNS_OF[:2]),
        _merge(folder / "index.csv", index, more=INDEX, delimiter=";"),
    ]


def _grouped(frame: pl.DataFrame, by: list[str]) -> Iterator[list[dict[str, Any]]]:
    for _, group in frame.group_by(by, maintain_order=True):
        yield group.rows(named=True)


def _load_of(rows: Iterable[Mapping[str, Any]]) -> PlannedLoad:
    return PlannedLoad({row["function"]: round(row["rate_rps"]) for row in rows})


def _result_row(rows: list[dict[str, Any]]) -> Row:
    found: Row = {}
    for row in rows:
        name = row["function"]
        found[f"function_{name}"] = _no_formula(name)
        found[f"rate_function_{name}"] = str(round(row["rate_rps"]))
        for column, (outcome, factor) in FUNCTION.items():
            found[column + name] = _decimals(row[outcome], factor)
        found[f"replica_{name}"] = "nan" if row["replicas"] is None else str(row["replicas"])
        found[f"overloaded_function_{name}"] = str(int(bool(row["function_overloaded"])))
        found[f"medium_latency_function_{name}"] = _short(row["latency_ms_mean"])
    first = rows[0]
    for column, (outcome, factor) in NODE.items():
        found[column] = _decimals(first[outcome], factor)
    return found | {
        "rest_seconds": _short(first["rest_s"]),
        "overloaded_node": str(int(bool(first["overloaded"]))),
    }


def _skipped_row(load: PlannedLoad) -> Row:
    names = {f"function_{name}": _no_formula(name) for name in load}
    return names | {f"rate_function_{name}": str(rate) for name, rate in load.items()}


def _no_formula(name: str) -> str:
    """A name that came in a stranger's file must not begin a formula in a spreadsheet."""
    return f"'{name}" if name.lstrip()[:1] in _FORMULA else name


def _decimals(value: float | None, factor: float = 1) -> str:
    return "nan" if value is None or math.isnan(value) else f"{value * factor:.3f}"


def _short(value: float | None) -> str:
    """As ``_decimals``, but a whole number as existing tools write it: without decimals."""
    return str(int(value)) if value is not None and value == round(value) else _decimals(value)


def _merge(
    path: Path,
    rows: Iterable[Row],
    names: Sequence[str] = (),
    of_each: Sequence[str] = (),
    more: Sequence[str] = (),
    *,
    delimiter: str = ",",
) -> Path:
    """Write a file with what it has and what is new; equal rows are counted, not added again."""
    old = list(read_rows(path, delimiter)) if path.exists() else []
    before = {column for row in old for column in row}
    own = {column.removeprefix("rate_function_") for column in before if is_rate(column)}
    ours = [*(column + name for name in sorted({*names, *own}) for column in of_each), *more]
    # Further columns are another tool's: an equal row of ours does not have them.
    columns = ours + [column for row in old[:1] for column in row if column not in ours]
    left = Counter(_key(row, ours) for row in old)
    new = []
    for row in rows:
        key = _key(row, ours)
        if left[key]:
            left[key] -= 1
        else:
            new.append(row)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", delimiter=delimiter)
    writer.writeheader()
    writer.writerows([*old, *new])
    content = text.getvalue().encode()
    if not path.is_file() or path.read_bytes() != content:
        replace_file(path, content)
    return path


def _key(row: Row, columns: Sequence[str]) -> tuple[str, ...]:
    return tuple(row.get(column, "") for column in columns)
