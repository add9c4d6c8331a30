"""Parquet files of frames: written, read (older forms, too), scanned and exported."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import polars as pl

from dfaas_lab.errors import StoreError
from dfaas_lab.store.files import beside, errors_as_store_error

# A stored request takes 30 bytes or more, a quiet second of a timeline 1; a bomb 1/1000.
_FREE_ROWS = 1_000_000
# Spreadsheets look behind blanks, too.
_FORMULA = r"^[\s\x00-\x1f]*[=+\-@\u{ff1d}\u{ff0b}\u{ff0d}\u{ff20}]|^[\t\r]"
_ROWS_PER_BYTE = 2
_STRANGE = "It is not what dfaas_lab stored. Ask who made it."


def packed(frame: pl.DataFrame) -> bytes:
    """Return the content of a frame's file.

    Polars tells of a full disk as of a damaged file (ComputeError): it writes no file itself.
    """
    content = io.BytesIO()
    frame.write_parquet(content, compression="zstd", compression_level=3)
    return content.getvalue()


def read(files: Sequence[Path], schema: pl.Schema) -> pl.DataFrame:
    """Read files into one frame; a column that an older version did not store is null.

    Raises:
        StoreError: A file is damaged.
    """
    if not files:
        return pl.DataFrame(schema=schema)
    whole = _read_at_once(files, schema)
    if whole is not None:
        return whole
    frames = []
    rows = 0
    for place, file in enumerate(files, start=1):
        with _as_store_error(file):
            wanted = _lazy(file)
            rows += _height(wanted)
            _check_rows(rows, files[:place])
            frames.append(_shaped(wanted.select(_flat(wanted, file, schema)).collect(), schema))
    return pl.concat(frames)


def _read_at_once(files: Sequence[Path], schema: pl.Schema) -> pl.DataFrame | None:
    """Read files that all have exactly this schema; None where they must be looked at one by one.

    That takes 1.5 ms each, and is for older, damaged and too large ones.
    """
    try:
        whole = pl.scan_parquet(list(files), schema=schema, hive_partitioning=False, glob=False)
        few = whole.select(pl.len()).collect().item() <= _FREE_ROWS
        return whole.collect() if few else None
    except (OSError, pl.exceptions.PolarsError):
        return None


def check(file: Path, schema: pl.Schema) -> None:
    """Look at the end of a file, where Parquet says what is in it: whether it can be scanned.

    Raises:
        StoreError: The file is damaged, or would be far more rows than it can hold.
    """
    with _as_store_error(file):
        scan = _lazy(file)
        _check_rows(_height(scan), [file])
        there = scan.collect_schema()
    odd = [name for name in schema if there.get(name, schema[name]) != schema[name]]
    if odd:
        raise StoreError(
            f"the stored {file.stem} has {there[odd[0]]} in {odd[0]}", path=str(file), hint=_STRANGE
        )


def scan(files: Sequence[Path], schema: pl.Schema) -> pl.LazyFrame:
    """Scan files as one frame, read only when and where needed."""
    if not files:
        return pl.LazyFrame(schema=schema)
    # The files hold the key columns themselves; the folders' names add nothing.
    return pl.scan_parquet(
        list(files),
        hive_partitioning=False,
        glob=False,  # a store below "thesis [2026]" is no pattern
        schema=schema,
        missing_columns="insert",
        extra_columns="ignore",
    )


def export(scan: pl.LazyFrame, folder: Path, name: str, format_: Literal["csv", "parquet"]) -> Path:
    """Write a scan into one file, whole or not at all, without holding it in memory.

    Returns:
        The file's path.

    Raises:
        StoreError: It cannot be written, or what is scanned is damaged.
    """
    path = folder / f"{name}.{format_}"
    with errors_as_store_error(folder, "exporting to"):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with beside(path) as part:
            if format_ == "csv":
                without_formulas(scan).sink_csv(part)
            else:
                scan.sink_parquet(part)
    except pl.exceptions.PolarsError as error:
        raise StoreError(
            f"exporting to {path} failed: {error}",
            path=str(path),
            hint="Is the disk full? What was stored before is unharmed.",
        ) from error
    return path


def without_formulas(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Put an apostrophe before texts that a spreadsheet would run as a formula.

    Names and tags come from scripts, answers and archives of others
    (https://owasp.org/www-community/attacks/CSV_Injection).
    """
    return frame.with_columns(pl.col(pl.String).str.replace(_FORMULA, "'$0"))


@contextlib.contextmanager
def _as_store_error(file: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        raise StoreError(
            f"the stored {file.stem} cannot be read: {error}",
            path=str(file),
            hint=f"The raw files beside it may still be good: {file.parent}",
        ) from error


def _lazy(file: Path) -> pl.LazyFrame:
    return pl.scan_parquet(file, hive_partitioning=False, glob=False)


def _height(scan: pl.LazyFrame) -> int:
    """The number of rows, as the end of the file says."""
    return int(scan.select(pl.len()).collect().item())


def _flat(scan: pl.LazyFrame, file: Path, schema: pl.Schema) -> list[str]:
    """The columns of a file that are ours; a list in one row can hold more than all rows."""
    there = scan.collect_schema()
    nested = [name for name in schema if name in there and there[name].is_nested()]
    if nested:
        raise StoreError(
            f"the stored {file.stem} has lists in {nested[0]}, which no measurement has",
            path=str(file),
            hint=_STRANGE,
        )
    return [name for name in schema if name in there]


def _check_rows(rows: int, files: Sequence[Path]) -> None:
    """Refuse files that would unpack to far more rows than anything measured can."""
    size = sum(file.stat().st_size for file in files) if rows > _FREE_ROWS else 0
    most = _FREE_ROWS + _ROWS_PER_BYTE * size
    if rows > most:
        raise StoreError(
            f"the stored {files[-1].stem} would be {rows:,} rows out of {size:,} bytes; no "
            f"measurement of that size has more than {most:,}",
            path=str(files[-1]),
            hint=_STRANGE,
        )


def _shaped(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """Give a frame exactly these columns; what an older version did not store is null."""
    if frame.schema == schema:
        return frame
    return frame.select(
        (pl.col(name) if name in frame.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in schema.items()
    )
