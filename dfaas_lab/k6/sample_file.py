"""Reads the file of k6's samples: columns, types, whole lines. It knows no requests.

The columns are read by name, for they depend on k6's version and on ``options.systemTags``; any
but the first three may be missing.
"""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from dfaas_lab.errors import ResultsUnreadable

TYPES: dict[str, pl.DataType] = {
    "metric_name": pl.Categorical(),
    "timestamp": pl.Int64(),
    "metric_value": pl.Float64(),
    "check": pl.String(),
    "error_code": pl.Int32(),
    "expected_response": pl.Boolean(),
    "group": pl.Categorical(),
    "method": pl.Categorical(),
    "name": pl.String(),
    "url": pl.String(),
    "scenario": pl.Categorical(),
    "status": pl.Int32(),
    "vu": pl.Int32(),
    "iter": pl.Int64(),
    "extra_tags": pl.String(),
    "metadata": pl.String(),
}
_REQUIRED = ("metric_name", "timestamp", "metric_value")
TEXTS = ("name", "url", "extra_tags", "metadata")
# Many rows that nobody reads.
_BUILT_IN = ("vus", "vus_max", "iterations", "iteration_duration", "data_received")
_BLOCK = 1 << 26
_LONGEST_LINE = 1 << 16
_KEPT = "The raw file is kept: look at it."
# A year in milliseconds, and the year 2200: what is beyond is no measurement.
_MOST_MS = 3.2e10
_LATEST_NS = 7_258_118_400 * 10**9


def columns_of(path: Path) -> list[str]:
    """The header's columns; none where k6 was stopped before it wrote its header."""
    try:
        with path.open("rb") as file:
            header = file.readline(_LONGEST_LINE).decode(errors="replace")
    except OSError as error:
        raise ResultsUnreadable(
            f"k6's samples cannot be read: {error}", hint="Look at k6's log: it may never have run."
        ) from error
    columns = header.rstrip("\r\n").split(",")
    if not header.endswith("\n") and "metric_name,timestamp".startswith(header[:21]):
        return []
    if missing := [name for name in _REQUIRED if name not in columns]:
        raise ResultsUnreadable(
            f"{path.name} is no samples file of k6: it has no column {', '.join(missing)}",
            hint="k6 writes it with --out csv=fileName=samples.csv,timeFormat=unix_nano.",
        )
    return columns


def read_rows(path: Path, columns: list[str], bare: tuple[str, ...]) -> pl.DataFrame:
    """All rows but those nobody reads, with all columns of ``TYPES``.

    The rows of ``bare`` metrics are read without tags and metadata, which are most of the memory.

    Raises:
        ResultsUnreadable: The file is damaged.
    """
    if not columns:
        return pl.DataFrame(schema=TYPES).with_row_index("row")
    length, size = _whole_lines(path, len(columns)), path.stat().st_size
    with damage_told(path):
        try:
            return _scan(path, length, columns, bare)
        except pl.exceptions.PolarsError:
            # A tag in quotes may hold line breaks: the file may have been cut inside of one.
            exact = _whole_records(path, length)
            if exact == size:
                raise
            return _scan(path, exact, columns, bare)


def check_numbers(rows: pl.DataFrame, metrics: tuple[str, ...], path: Path) -> None:
    """Make sure that times and values are such as k6 measures: neither NaN nor beyond all bounds.

    Only k6's own ``metrics`` are looked at: what a script measures may be infinite.

    Raises:
        ResultsUnreadable: One is not, with its row.
    """
    value, moment = pl.col("metric_value"), pl.col("timestamp")
    possible = value.is_between(-_MOST_MS, _MOST_MS) & moment.is_between(0, _LATEST_NS)
    own = pl.col("metric_name").is_in(metrics)
    odd = rows.filter(own & (~possible.fill_null(value=False) | value.is_nan())).head(1)
    for row in odd.iter_rows(named=True):
        raise ResultsUnreadable(
            f"{path.name} is damaged: a sample of {row['metric_name']} is {row['metric_value']}, "
            f"at {row['timestamp']} ns",
            hint=_KEPT,
        )


@contextlib.contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Turn what polars and Python say of numbers that fit no frame into an error that says so."""
    try:
        yield
    except (pl.exceptions.PolarsError, ArithmeticError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ResultsUnreadable(f"{path.name} is damaged: {reason}", hint=_KEPT) from error


def _scan(path: Path, length: int, columns: list[str], bare: tuple[str, ...]) -> pl.DataFrame:
    source: Path | bytes = path
    if length < path.stat().st_size:
        with path.open("rb") as file:
            source = file.read(length)
    types = {name: dtype for name, dtype in TYPES.items() if name in columns}
    metric = pl.col("metric_name")
    return (
        pl.scan_csv(source, schema_overrides=types, glob=False)
        .filter(~metric.is_in(_BUILT_IN))
        .select(list(types))
        .with_columns(
            pl.when(~metric.is_in(bare)).then(pl.col(name)).alias(name)
            for name in TEXTS
            if name in types
        )
        .with_columns(
            pl.lit(None, dtype).alias(name) for name, dtype in TYPES.items() if name not in types
        )
        .collect()
        .with_row_index("row")
    )


def _whole_lines(path: Path, width: int) -> int:
    """The length of the file up to its last whole line, exactly where that line is a plain one."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        end = data.rfind(b"\n") + 1
        last = data[data.rfind(b"\n", 0, max(end - 1, 0)) + 1 : end]
    if b'"' in last or last.count(b",") != width - 1:
        return _whole_records(path, end)
    return end


def _whole_records(path: Path, end: int) -> int:
    """The same by counting the quotes of the whole file: inside of a record they are odd."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        inside = _quotes(data, 0, end) % 2
        while inside and end:
            start = data.rfind(b"\n", 0, end - 1) + 1
            inside ^= _quotes(data, start, end) % 2
            end = start
        return end


def _quotes(data: mmap.mmap, start: int, end: int) -> int:
    return sum(
        data[position : min(position + _BLOCK, end)].count(b'"')
        for position in range(start, end, _BLOCK)
    )
