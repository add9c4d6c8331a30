"""Splits k6's samples into one row per HTTP request, and the other samples.

The rows of one request are neighbours, with the same time stamp (nanoseconds, the request's end),
scenario, VU and VU iteration.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from dfaas_lab.k6.sample_file import TEXTS, check_numbers, columns_of, read_rows

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
# In k6's order; the texts of the first row are those of all.
_HTTP = ("http_reqs", *PHASES, "http_req_failed")
# Without these a request's start and latency are not known: its rows were cut off.
_NEEDED = ("latency_ms", "blocked_ms", "sending_ms", "waiting_ms", "receiving_ms")
_EVENTS = ("dfaas_started", "dfaas_function_ms", "dfaas_answered", "dropped_iterations")

_SENT = "data_sent"
_NONE = 2**32 - 1
_KEY = ("scenario", "vu", "iter", "timestamp")


@dataclass(frozen=True)
class Samples:
    """What k6 wrote.

    Args:
        requests: One row per HTTP request, in the file's order: ``row, scenario, vu, iter,
            timestamp, status, error_code, expected_response, group, method``, the texts ``name,
            url, extra_tags, metadata``, the phases, and ``failed`` (null where k6 does not say).
        events: The rows by which our script and k6 mark starts, answers and drops.
        others: The rows of a script's own metrics and checks.
        sent: How many bytes each iteration sent: ``scenario, bytes``.
    """

    requests: pl.DataFrame
    events: pl.DataFrame
    others: pl.DataFrame
    sent: pl.DataFrame


def read_samples(path: Path) -> Samples:
    """Read what k6 wrote with ``--out csv=fileName=PATH,timeFormat=unix_nano``.

    A last line or a last request that was cut off is left out.

    Raises:
        ResultsUnreadable: There is no such file, or it is not k6's.
    """
    columns = columns_of(path)
    rows = read_rows(path, columns, bare=(*_HTTP[1:], _SENT))
    check_numbers(rows, (*_HTTP, *_EVENTS), path)
    is_http = rows["metric_name"].is_in(_HTTP)
    http, rest = rows.filter(is_http).drop("check"), rows.filter(~is_http)
    del rows  # It is most of the memory.
    requests = _by_position(http)
    if requests is None:
        rows = read_rows(path, columns, bare=())
        requests = _by_key(with_vu(rows.filter(pl.col("metric_name").is_in(_HTTP)).drop("check")))
    is_sent = rest["metric_name"] == _SENT
    sent = rest.filter(is_sent).select("scenario", bytes="metric_value")
    rest = rest.filter(~is_sent)
    is_event = rest["metric_name"].is_in(_EVENTS)
    return Samples(_finish(requests), rest.filter(is_event), rest.filter(~is_event), sent)


def with_vu(frame: pl.DataFrame) -> pl.DataFrame:
    """Take ``vu`` and ``iter`` from the metadata, where they stand in either order."""
    metadata = pl.col("metadata")
    return frame.with_columns(
        pl.coalesce("vu", metadata.str.extract(r"(?:^|&)vu=(\d+)").cast(pl.Int32)),
        pl.coalesce("iter", metadata.str.extract(r"(?:^|&)iter=(\d+)").cast(pl.Int64)),
    )


def _by_position(http: pl.DataFrame) -> pl.DataFrame | None:
    """One row per request where all follow one pattern, as k6 writes them; else None.

    This is why a million requests take seconds: no row is compared but with its neighbours.
    """
    metrics = http["metric_name"]
    pattern = metrics.unique(maintain_order=True).cast(pl.String).to_list()
    if not pattern:
        return _by_key(http)
    if pattern[0] != _HTTP[0]:
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
    # Not head.gather_every(), which takes ten times as long.
    requests = head.select(pl.all().gather_every(width)).with_columns(
        pl.Series(name, values[:, pattern.index(name)])
        if name in pattern
        else pl.lit(None, pl.Float64).alias(name)
        for name in _HTTP
    )
    requests = with_vu(requests)
    if cut_off.is_empty():
        return requests
    last = _by_key(with_vu(cut_off.with_columns(pl.col(TEXTS).forward_fill())))
    return pl.concat([requests, last], how="diagonal")


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
            "group",
            "method",
            *TEXTS,
            *PHASES.values(),
            failed=pl.col("http_req_failed") != 0,
        )
    )
