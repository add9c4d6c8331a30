"""Adds the gateway's request counts to the summary of a stored iteration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from dfaas_lab.analysis.gateway_count import GatewayCount, gateway_count
from dfaas_lab.schemas import REQUESTS, SUMMARY
from dfaas_lab.store import parquet
from dfaas_lab.store.files import replace_file

if TYPE_CHECKING:
    from dfaas_lab.execution.node_metrics import LoadMetrics


def store_gateway_counts(part: Path, found: LoadMetrics) -> dict[str, int | None]:
    """Fill ``gateway_count`` and ``gateway_difference`` in; return the counts by function.

    A script of the user's own names its requests as it likes: of it nothing is filled in.
    """
    summary = parquet.read([part / "summary.parquet"], SUMMARY)
    if summary["rate_rps"].null_count():
        return {}
    ended_s = pl.col("ended_at").dt.timestamp("us") / 1e6
    scan = parquet.scan([part / "requests.parquet"], REQUESTS)
    requests = scan.select("function", "http_status", "latency_ms", ended_s=ended_s).collect()
    counts = {
        function: gateway_count(
            requests.filter(function=function),
            unfinished or 0,
            found.requests.get(function, ()),
            found.slack_s,
        )
        for function, unfinished in summary.select("function", "unfinished").iter_rows()
    }
    if any(counts.values()):
        filled = summary.with_columns(
            _column(summary, counts, "gateway_count", "requests"),
            _column(summary, counts, "gateway_difference", "difference"),
        )
        replace_file(part / "summary.parquet", parquet.packed(filled))
    return {name: None if count is None else count.requests for name, count in counts.items()}


def _column(
    summary: pl.DataFrame, counts: dict[str, GatewayCount | None], column: str, name: str
) -> pl.Series:
    values = [getattr(counts[function], name, None) for function in summary["function"]]
    return pl.Series(column, values, dtype=SUMMARY[column])
