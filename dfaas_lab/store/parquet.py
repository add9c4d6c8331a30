"""Frames as Parquet files: written, read in older forms too, scanned and exported."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dfaas_lab.errors import StoreError
from dfaas_lab.store.files import errors_as_store_error

if TYPE_CHECKING:
    import polars as pl


def write(frame: pl.DataFrame, path: Path) -> None:
    """Write a frame; a full disk is an OSError."""
    # Through memory: polars tells of a full disk as of a damaged file (ComputeError).
    packed = io.BytesIO()
    frame.write_parquet(packed, compression="zstd", compression_level=3)
    path.write_bytes(packed.getbuffer())


def read(files: Sequence[Path], schema: pl.Schema) -> pl.DataFrame:
    """Read files into one frame; a column that an older version did not store is null.

    Raises:
        StoreError: A file is damaged.
    """
    import polars as pl

    frames = []
    for file in files:
        try:
            frame = pl.read_parquet(file, hive_partitioning=False)
            frames.append(_shaped(frame, schema))
        except (OSError, pl.exceptions.PolarsError) as error:
            raise StoreError(
                f"the stored {file.stem} cannot be read: {error}",
                path=str(file),
                hint=f"The raw files beside it may still be good: {file.parent}",
            ) from error
    return pl.concat(frames) if frames else pl.DataFrame(schema=schema)


def scan(files: Sequence[Path], schema: pl.Schema) -> pl.LazyFrame:
    """Scan files as one frame, read only when and where needed."""
    import polars as pl

    if not files:
        return pl.LazyFrame(schema=schema)
    # The files hold the key columns themselves; the folders' names add nothing.
    return pl.scan_parquet(
        list(files),
        hive_partitioning=False,
        schema=schema,
        missing_columns="insert",
        extra_columns="ignore",
    )


def export(scan: pl.LazyFrame, folder: Path, name: str, format_: Literal["csv", "parquet"]) -> Path:
    """Write a scan into one file, without holding it in memory; return its path.

    Raises:
        StoreError: It cannot be written, or what is scanned is damaged.
    """
    import polars as pl

    path = folder / f"{name}.{format_}"
    try:
        with errors_as_store_error(folder, "exporting to"):
            folder.mkdir(parents=True, exist_ok=True)
            scan.sink_csv(path) if format_ == "csv" else scan.sink_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise StoreError(
            f"exporting to {path} failed: {error}",
            path=str(path),
            hint="Is the disk full? What was stored before is unharmed.",
        ) from error
    return path


def _shaped(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """Give a frame exactly these columns; what an older version did not store is null."""
    import polars as pl

    if frame.schema == schema:
        return frame
    return frame.select(
        (pl.col(name) if name in frame.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in schema.items()
    )
