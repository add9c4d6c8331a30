"""The CSV files of existing analyses, written from outcomes and read back as outcomes.

``results.csv`` has one row per iteration: for each function, sorted, nine columns (empty where the
load does not have it), then ten of the node. ``skipped.csv`` has the loads that were not measured,
``index.csv`` (semicolons, Python literals) those that were. Lines end with CR LF. CPU is 100 times
cores, fractions are percent; other numbers are as in the outcomes.
"""

from __future__ import annotations

import ast
import csv
import io
import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import polars as pl

from dfaas_lab.campaign.outcomes import OUTCOMES
from dfaas_lab.errors import ConfigError, StoreError
from dfaas_lab.load.plan import PlannedLoad
from dfaas_lab.regular_file import read_regular
from dfaas_lab.status import COMPLETE
from dfaas_lab.store.files import errors_as_store_error, replace_file, safe_name
from dfaas_lab.validation import local_path

Row = dict[str, str]

# By the column's beginning (its end is the function's name): the outcome and its factor.
_FUNCTION: dict[str, tuple[str, float]] = {
    "success_rate_function_": ("success_rate", 1),
    "cpu_usage_function_": ("function_cpu_cores", 100),
    "ram_usage_function_": ("function_memory_bytes", 1),
    "power_usage_function_": ("function_power_watts", 1),
}
_NODE: dict[str, tuple[str, float]] = {
    "cpu_usage_idle_node": ("idle_cpu_cores", 100),
    "cpu_usage_node": ("cpu_cores", 100),
    "ram_usage_idle_node": ("idle_memory_bytes", 1),
    "ram_usage_node": ("memory_bytes", 1),
    "ram_usage_idle_node_percentage": ("idle_memory_fraction", 100),
    "ram_usage_node_percentage": ("memory_fraction", 100),
    "power_usage_idle_node": ("idle_power_watts", 1),
    "power_usage_node": ("power_watts", 1),
}
_NODE_COLUMNS = (*_NODE, "rest_seconds", "overloaded_node")
_COLUMNS_OF = (
    "function_",
    "rate_function_",
    *_FUNCTION,
    "replica_",
    "overloaded_function_",
    "medium_latency_function_",
)
_INDEX = ("functions", "rates", "results_file")
_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
# Older files have the mean latency in ns: 0.1 ms is as many ns as a minute and a half is ms.
_LEAST_NS = 1e5


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


def import_csv(
    folder: str | Path, *, target: str | None = None, latency: Literal["auto", "ms", "ns"] = "auto"
) -> pl.DataFrame:
    """Read such files, also those of existing tools, as outcomes.

    Args:
        folder: Holds ``index.csv``, which names the files of results (any number of further
            columns), or ``results.csv`` alone; and ``skipped.csv``, if there is one.
        target: What to call the node; None means the folder's name.
        latency: The unit of the mean latency; ``"auto"`` takes values from 100,000 on for ns.

    Raises:
        ConfigError: There are no such files, or they have other columns.
    """
    where = local_path(folder, what="folder")
    name = where.resolve().name if target is None else target
    results = [row for file in _results_files(where) for row in _read(file)]
    in_ns = latency == "ns" or (latency == "auto" and _looks_ns(results))
    seen: Counter[str] = Counter()
    rows = [
        one for row in results for one in _outcomes_of_row(row, name, seen, 1e-6 if in_ns else 1.0)
    ]
    skipped = where / "skipped.csv"
    if skipped.exists():
        rows += [one for row in _read(skipped) for one in _skipped_of_row(row, name)]
    return pl.DataFrame(rows, schema=OUTCOMES, orient="row")


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
        dict(zip(_INDEX, (str(list(load)), str(list(load.values())), "results.csv"), strict=True))
        for load in loads
    ]
    return [
        _merge(folder / "results.csv", rows, _results_header, names),
        _merge(folder / "skipped.csv", map(_skipped_row, skipped), _skipped_header, names),
        _merge(folder / "index.csv", index, lambda _: list(_INDEX), (), delimiter=";"),
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
        for column, (outcome, factor) in _FUNCTION.items():
            found[column + name] = _decimals(row[outcome], factor)
        found[f"replica_{name}"] = "nan" if row["replicas"] is None else str(row["replicas"])
        found[f"overloaded_function_{name}"] = str(int(bool(row["function_overloaded"])))
        found[f"medium_latency_function_{name}"] = _short(row["latency_ms_mean"])
    first = rows[0]
    for column, (outcome, factor) in _NODE.items():
        found[column] = _decimals(first[outcome], factor)
    return found | {
        "rest_seconds": _short(first["rest_s"]),
        "overloaded_node": str(int(bool(first["overloaded"]))),
    }


def _skipped_row(load: PlannedLoad) -> Row:
    return {
        column: value
        for name, rate in load.items()
        for column, value in (
            (f"function_{name}", _no_formula(name)),
            (f"rate_function_{name}", str(rate)),
        )
    }


def _no_formula(name: str) -> str:
    """A name that came in a stranger's file must not begin a formula in a spreadsheet."""
    return f"'{name}" if name.lstrip()[:1] in _FORMULA else name


def _decimals(value: float | None, factor: float = 1) -> str:
    return "nan" if value is None or math.isnan(value) else f"{value * factor:.3f}"


def _short(value: float | None) -> str:
    """As ``_decimals``, but a whole number as existing tools write it: without decimals."""
    return str(int(value)) if value is not None and value == round(value) else _decimals(value)


def _results_header(names: Sequence[str]) -> list[str]:
    return [column + name for name in names for column in _COLUMNS_OF] + list(_NODE_COLUMNS)


def _skipped_header(names: Sequence[str]) -> list[str]:
    return [column + name for name in names for column in ("function_", "rate_function_")]


def _merge(
    path: Path,
    rows: Iterable[Row],
    header: Callable[[Sequence[str]], list[str]],
    names: Sequence[str],
    *,
    delimiter: str = ",",
) -> Path:
    """Write a file with what it has and what is new; equal rows are counted, not added again."""
    old = list(_read(path, delimiter)) if path.exists() else []
    before = {column for row in old for column in row}
    own = {column.removeprefix("rate_function_") for column in before if _is_rate(column)}
    ours = header(sorted({*names, *own}))
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


def _is_rate(column: str) -> bool:
    return column.startswith("rate_function_")


def _key(row: Row, columns: Sequence[str]) -> tuple[str, ...]:
    return tuple(row.get(column, "") for column in columns)


def _read(path: Path, delimiter: str = ",") -> Iterator[Row]:
    """The rows of a file; one that has more or fewer columns than the header is told and left."""
    with errors_as_store_error(path, "reading"):
        content = read_regular(path, most_bytes=256 << 20).decode("utf-8-sig")
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter)
    header = next(reader, [])
    for row in reader:
        if len(row) == len(header):
            yield dict(zip(header, row, strict=True))
        elif row:
            warnings.warn(
                f"{path}, line {reader.line_num}: {len(row)} columns in the place of "
                f"{len(header)}: left out",
                stacklevel=2,
            )


def _results_files(folder: Path) -> list[Path]:
    index = folder / "index.csv"
    files = [folder / "results.csv"]
    if index.exists():
        named = dict.fromkeys(row.get("results_file") or "results.csv" for row in _index(index))
        files = [_beside(folder, name) for name in named] or files
    missing = [file for file in files if not file.exists()]
    if missing and not (folder / "skipped.csv").exists():
        raise ConfigError(
            f"{missing[0]} is not there",
            hint="Give the folder that holds results.csv, or index.csv and the files it names.",
        )
    return [file for file in files if file.exists()]


def _index(path: Path) -> Iterator[Row]:
    for row in _read(path, ";"):
        try:
            ast.literal_eval(row["functions"]), ast.literal_eval(row["rates"])
        except (KeyError, ValueError, SyntaxError) as error:
            raise StoreError(f"{path} is no index of results: {error!r}", path=str(path)) from error
        yield row


def _beside(folder: Path, name: str) -> Path:
    """A file that an index names: below its folder, also where the index came from elsewhere."""
    parts = Path(name.replace("\\", "/"))
    below = folder / parts
    inside = not parts.is_absolute() and ".." not in parts.parts and below.exists()
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
        if _is_rate(column) and (rate := _whole(text)) is not None
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
    node = {outcome: _scaled(row.get(name), by) for name, (outcome, by) in _NODE.items()}
    for name, rate in load.items():
        latency = _number(row.get(f"medium_latency_function_{name}"))
        own = {out: _scaled(row.get(column + name), by) for column, (out, by) in _FUNCTION.items()}
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
