"""k6's samples.csv as one row per HTTP request, and the other samples. No names, no statistics.

The columns are read by name, for they depend on k6's version and on ``options.systemTags``; any
but the first three may be missing. The rows of one request stand next to each other and share
their time stamp (nanoseconds, the request's end), scenario, VU and VU iteration.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from dfaas_lab.errors import ResultsUnreadable

# k6's metric -> our column. k6 writes one row of each for every request, in one go.
PHASES = {
    "http_req_duration": "latency_ms",
    "http_req_blocked": "blocked_ms",
    "http_req_connecting": "connecting_ms",
    "http_req_tls_handshaking": "tls_ms",
    "http_req_sending": "sending_ms",
    "http_req_waiting": "waiting_ms",
    "http_req_receiving": "receiving_ms",
}
_HTTP = ("http_reqs", *PHASES, "http_req_failed")
# Without these a request's start and latency are not known: its rows were cut off.
_NEEDED = ("latency_ms", "blocked_ms", "sending_ms", "waiting_ms", "receiving_ms")
_EVENTS = ("dfaas_started", "dfaas_function_ms", "dfaas_answered", "dropped_iterations")
_BUILT_IN = ("vus", "vus_max", "iterations", "iteration_duration", "data_sent", "data_received")
_BLOCK = 1 << 26

_TYPES: dict[str, pl.DataType] = {
    "metric_name": pl.Categorical(),
    "timestamp": pl.Int64(),
    "metric_value": pl.Float64(),
    "check": pl.String(),
    "error_code": pl.Int32(),
    "expected_response": pl.Boolean(),
    "scenario": pl.Categorical(),
    "status": pl.Int32(),
    "vu": pl.Int32(),
    "iter": pl.Int64(),
    "extra_tags": pl.String(),
    "metadata": pl.String(),
}
_REQUIRED = ("metric_name", "timestamp", "metric_value")
_KEY = ("scenario", "vu", "iter", "timestamp")


@dataclass(frozen=True)
class Samples:
    """What k6 wrote.

    Args:
        requests: One row per HTTP request, in the file's order: ``row, scenario, vu, iter,
            timestamp, status, error_code, expected_response, extra_tags``, the phases, and
            ``failed`` (null where k6 does not say).
        events: The rows by which our script and k6 mark starts, answers and drops.
        others: The rows of a script's own metrics and checks.
    """

    requests: pl.DataFrame
    events: pl.DataFrame
    others: pl.DataFrame


def read_samples(path: Path) -> Samples:
    """Read a samples file; a last line or a last request that was cut off is left out.

    Args:
        path: What k6 wrote with ``--out csv=fileName=PATH,timeFormat=unix_nano``.

    Raises:
        ResultsUnreadable: There is no such file, or it is not k6's.
    """
    frame = _rows(path)
    metric = pl.col("metric_name")
    # Filtering once and then by kind: the many rows that nobody reads are never in memory.
    http = frame.filter(metric.is_in(_HTTP))
    rest = frame.filter(~metric.is_in(_HTTP))
    return Samples(
        requests=_requests(http),
        events=_with_vu(rest.filter(metric.is_in(_EVENTS))),
        others=rest.filter(~metric.is_in(_EVENTS)),
    )


def _rows(path: Path) -> pl.DataFrame:
    try:
        size = path.stat().st_size
        length = _whole_lines(path) if size else 0
        header = _header(path)
    except OSError as error:
        raise ResultsUnreadable(
            f"k6's samples cannot be read: {error}", hint="Look at k6's log: it may never have run."
        ) from error
    if not length and "metric_name,timestamp".startswith(header[:21]):
        return pl.DataFrame(schema=_TYPES).with_row_index("row")
    columns = header.split(",")
    if missing := [name for name in _REQUIRED if name not in columns]:
        raise ResultsUnreadable(
            f"{path.name} is no samples file of k6: it has no column {', '.join(missing)}",
            hint="k6 writes it with --out csv=fileName=samples.csv,timeFormat=unix_nano.",
        )
    try:
        return _scan(path, size, length, columns)
    except pl.exceptions.PolarsError as error:
        reason = str(error).partition("\n")[0]
        raise ResultsUnreadable(
            f"{path.name} is damaged: {reason}", hint="The raw file is kept: look at it."
        ) from error


def _scan(path: Path, size: int, length: int, columns: list[str]) -> pl.DataFrame:
    source: Path | bytes = path
    if length < size:
        with path.open("rb") as file:
            source = file.read(length)
    names = [name for name in _TYPES if name in columns]
    absent = [
        pl.lit(None, dtype).alias(name) for name, dtype in _TYPES.items() if name not in names
    ]
    return (
        pl.scan_csv(source, schema_overrides={name: _TYPES[name] for name in names})
        .filter(~pl.col("metric_name").is_in(_BUILT_IN))
        .select(names)
        .with_columns(absent)
        .collect()
        .with_row_index("row")
    )


def _header(path: Path) -> str:
    with path.open("rb") as file:
        return file.readline(4096).decode(errors="replace").rstrip("\r\n")


def _whole_lines(path: Path) -> int:
    """The length of the file up to its last whole line; a tag in quotes may hold line breaks."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        end = data.rfind(b"\n") + 1
        open_quote = _quotes(data, 0, end) % 2
        while open_quote and end:
            start = data.rfind(b"\n", 0, end - 1) + 1
            open_quote ^= _quotes(data, start, end) % 2
            end = start
        return end


def _quotes(data: mmap.mmap, start: int, end: int) -> int:
    return sum(
        data[position : min(position + _BLOCK, end)].count(b'"')
        for position in range(start, end, _BLOCK)
    )


def _requests(http: pl.DataFrame) -> pl.DataFrame:
    """One row per request: by position where the rows follow k6's pattern, else by their key."""
    metrics = http.get_column("metric_name").unique(maintain_order=True)
    width = max(len(metrics), 1)
    whole = http.height - http.height % width
    head, tail = http.head(whole), http.tail(http.height - whole)
    wide = _by_position(head, width)
    if wide is None:
        return _finish(_by_key(_with_vu(http)))
    if tail.is_empty():
        return _finish(_with_vu(wide))
    return _finish(pl.concat([_with_vu(wide), _by_key(_with_vu(tail))], how="diagonal"))


def _by_position(http: pl.DataFrame, width: int) -> pl.DataFrame | None:
    first = http.gather_every(width)
    pattern = http.head(width).get_column("metric_name")
    values = {}
    for offset, name in enumerate(pattern.cast(pl.String)):
        part = http.gather_every(width, offset) if offset else first
        same = (
            (part["metric_name"] == pattern[offset])
            & (part["timestamp"] == first["timestamp"])
            & part["scenario"].eq_missing(first["scenario"])
        )
        if name in values or not same.all():
            return None
        values[name] = part.get_column("metric_value")
    return first.with_columns(
        values[name].alias(name) if name in values else pl.lit(None, pl.Float64).alias(name)
        for name in _HTTP
    )


def _by_key(http: pl.DataFrame) -> pl.DataFrame:
    """Join rows in any order; requests of one key (a batch) are told apart by counting."""
    nth = pl.int_range(pl.len()).over(*_KEY, "metric_name").alias("nth")
    value = pl.col("metric_value")
    return (
        http.with_columns(nth)
        .group_by(*_KEY, "nth", maintain_order=True)
        .agg(
            pl.exclude("metric_value").first(),
            *(value.filter(pl.col("metric_name") == name).first().alias(name) for name in _HTTP),
        )
    )


def _with_vu(frame: pl.DataFrame) -> pl.DataFrame:
    """Take ``vu`` and ``iter`` from the metadata, where they stand in either order."""
    metadata = pl.col("metadata")
    return frame.with_columns(
        pl.coalesce("vu", metadata.str.extract(r"(?:^|&)vu=(\d+)").cast(pl.Int32)),
        pl.coalesce("iter", metadata.str.extract(r"(?:^|&)iter=(\d+)").cast(pl.Int64)),
    )


def _finish(wide: pl.DataFrame) -> pl.DataFrame:
    return (
        wide.rename(PHASES)
        .with_columns(failed=pl.col("http_req_failed") != 0)
        .filter(pl.all_horizontal(pl.col(_NEEDED).is_not_null()))
        .select(
            "row",
            *_KEY,
            "status",
            "error_code",
            "expected_response",
            "extra_tags",
            "failed",
            *PHASES.values(),
        )
    )
