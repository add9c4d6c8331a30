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
_LONGEST_LINE = 1 << 16

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
_TEXTS = ("extra_tags", "metadata")
# The first row of a request, as k6 writes it.
_TEXTS_AT = "http_reqs"
_NONE = 2**32 - 1
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
    columns = _columns(path)
    rows = _rows(path, columns, texts_of=(_TEXTS_AT,))
    is_http = rows["metric_name"].is_in(_HTTP)
    http, rest = rows.filter(is_http).drop("check"), rows.filter(~is_http)
    del rows  # It is most of the memory.
    requests = _by_position(http)
    if requests is None:
        rows = _rows(path, columns, texts_of=_HTTP)
        requests = _by_key(with_vu(rows.filter(pl.col("metric_name").is_in(_HTTP)).drop("check")))
    is_event = rest["metric_name"].is_in(_EVENTS)
    return Samples(_finish(requests), rest.filter(is_event), rest.filter(~is_event))


def with_vu(frame: pl.DataFrame) -> pl.DataFrame:
    """Take ``vu`` and ``iter`` from the metadata, where they stand in either order."""
    metadata = pl.col("metadata")
    return frame.with_columns(
        pl.coalesce("vu", metadata.str.extract(r"(?:^|&)vu=(\d+)").cast(pl.Int32)),
        pl.coalesce("iter", metadata.str.extract(r"(?:^|&)iter=(\d+)").cast(pl.Int64)),
    )


def _columns(path: Path) -> list[str]:
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


def _rows(path: Path, columns: list[str], texts_of: tuple[str, ...]) -> pl.DataFrame:
    """All rows but those nobody reads, with all columns of ``_TYPES``.

    Args:
        path: The file.
        columns: Its header.
        texts_of: The HTTP metrics whose rows keep their texts. They are alike in the rows of one
            request, and most of the memory.
    """
    if not columns:
        return pl.DataFrame(schema=_TYPES).with_row_index("row")
    length, size = _whole_lines(path, len(columns)), path.stat().st_size
    try:
        try:
            return _scan(path, length, columns, texts_of)
        except pl.exceptions.PolarsError:
            # A tag in quotes may hold line breaks: the file may have been cut inside of one.
            exact = _whole_records(path, length)
            if exact == size:
                raise
            return _scan(path, exact, columns, texts_of)
    except pl.exceptions.PolarsError as error:
        reason = str(error).partition("\n")[0]
        raise ResultsUnreadable(
            f"{path.name} is damaged: {reason}", hint="The raw file is kept: look at it."
        ) from error


def _scan(path: Path, length: int, columns: list[str], texts_of: tuple[str, ...]) -> pl.DataFrame:
    source: Path | bytes = path
    if length < path.stat().st_size:
        with path.open("rb") as file:
            source = file.read(length)
    types = {name: dtype for name, dtype in _TYPES.items() if name in columns}
    metric = pl.col("metric_name")
    bare = [name for name in _HTTP if name not in texts_of]
    return (
        pl.scan_csv(source, schema_overrides=types)
        .filter(~metric.is_in(_BUILT_IN))
        .select(list(types))
        .with_columns(
            pl.when(~metric.is_in(bare)).then(pl.col(name)).alias(name)
            for name in _TEXTS
            if name in types
        )
        .with_columns(
            pl.lit(None, dtype).alias(name) for name, dtype in _TYPES.items() if name not in types
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


def _by_position(http: pl.DataFrame) -> pl.DataFrame | None:
    """One row per request where all follow one pattern, as k6 writes them; else None.

    This is why a million requests take seconds: no row is compared but with its neighbours.
    """
    metrics = http["metric_name"]
    pattern = metrics.unique(maintain_order=True).cast(pl.String).to_list()
    if not pattern:
        return _by_key(http)
    if pattern[0] != _TEXTS_AT:
        return None
    width = len(pattern)
    whole = http.height - http.height % width
    head, cut_off = http.head(whole), http.tail(http.height - whole)
    if not all(_repeats(head[name].to_physical(), width) for name in ("timestamp", "scenario")):
        return None
    codes = head["metric_name"].to_physical().to_numpy().reshape(-1, width)
    if not (codes == metrics.to_physical().head(width).to_numpy()).all():
        return None
    values = head["metric_value"].to_numpy().reshape(-1, width)
    requests = head.gather_every(width).with_columns(
        pl.Series(name, values[:, pattern.index(name)])
        if name in pattern
        else pl.lit(None, pl.Float64).alias(name)
        for name in _HTTP
    )
    last = _by_key(with_vu(cut_off.with_columns(pl.col(_TEXTS).forward_fill())))
    return pl.concat([with_vu(requests), last], how="diagonal")


def _repeats(column: pl.Series, width: int) -> bool:
    rows = column.fill_null(_NONE).to_numpy().reshape(-1, width)
    return bool((rows == rows[:, :1]).all())


def _by_key(http: pl.DataFrame) -> pl.DataFrame:
    """One row per request, its rows in any order; those of one key (a batch) are counted apart."""
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


def _finish(requests: pl.DataFrame) -> pl.DataFrame:
    return (
        requests.rename(PHASES)
        .filter(pl.all_horizontal(pl.col(_NEEDED).is_not_null()))
        .select(
            "row",
            *_KEY,
            "status",
            "error_code",
            "expected_response",
            "extra_tags",
            *PHASES.values(),
            failed=pl.col("http_req_failed") != 0,
        )
    )
