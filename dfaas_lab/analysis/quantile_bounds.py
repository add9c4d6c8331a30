"""Bounds of quantiles where requests are missing, and quantiles of too few requests. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator

import polars as pl

NEEDED = {"p90": 36, "p95": 72, "p99": 368}
"""How many requests a quantile needs for a two-sided 95 % interval by order statistics.

The interval of the quantile q has a finite upper end only where the largest of n values is above it
with 97.5 %: ``1 - q ** n >= 0.975`` (David and Nagaraja, Order Statistics, 7.1).
"""

_QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


def too_few(summary: pl.DataFrame) -> Iterator[str]:
    """A remark on each quantile that some iteration has too few successful requests for."""
    for name, needed in NEEDED.items():
        value = pl.col(f"response_ms_{name}").fill_null(pl.col(f"latency_ms_{name}"))
        succeeded = pl.coalesce("succeeded", pl.col("requests") - pl.col("failed"))
        rows = summary.filter(value.is_not_null()).filter(succeeded < needed)
        for (function,), mine in rows.group_by("function", maintain_order=True):
            least = mine.select(succeeded.min()).item()
            requests = "request" if least == 1 else "requests"
            yield f"{name} of {function} is of {least} {requests} (it needs {needed})"


def bounds_of(summary: pl.DataFrame, requests: pl.DataFrame) -> pl.DataFrame:
    """The quantiles of the response as measured, and with all that is missing as slowest.

    Returns:
        One row per iteration, function and quantile (``p50, p90, p95, p99``): ``run_id, target,
        iteration, function, quantile, asked`` (how many requests were planned), ``succeeded``,
        ``response_ms_low`` (of successful requests, as in the summary), ``response_ms_high`` (all
        that was dropped, not attempted, unfinished or failed counted as slowest; null where that
        has no bound) and ``remark`` (null where the quantile has enough requests).
    """
    key = ["run_id", "target", "iteration", "function"]
    well = requests.filter(~pl.col("failed"))
    values = {
        tuple(name): frame["response_ms"].drop_nulls().sort() for name, frame in well.group_by(key)
    }
    rows = []
    for row in summary.iter_rows(named=True):
        place = {name: row[name] for name in key}
        mine = values.get(tuple(place.values()), pl.Series(dtype=pl.Float64))
        asked = max(row["planned"] or 0, row["requests"] or 0)
        for name, q in _QUANTILES.items():
            few = len(mine) < NEEDED.get(name, 0)
            rows.append(
                place
                | {
                    "quantile": name,
                    "asked": asked,
                    "succeeded": len(mine),
                    "response_ms_low": mine.quantile(q, "linear") if len(mine) else None,
                    "response_ms_high": _high(mine, asked, q),
                    "remark": f"of {len(mine)} requests; needs {NEEDED[name]}" if few else None,
                }
            )
    texts = dict.fromkeys(["run_id", "target", "function", "quantile", "remark"], pl.String)
    numbers = dict.fromkeys(["response_ms_low", "response_ms_high"], pl.Float64)
    counts = dict.fromkeys(["iteration", "asked", "succeeded"], pl.Int64)
    columns = [*key, "quantile", "asked", "succeeded", *numbers, "remark"]
    types = texts | numbers | counts
    return pl.DataFrame(rows, schema={name: types[name] for name in columns})


def _high(values: pl.Series, asked: int, q: float) -> float | None:
    """The quantile of the sorted values and of as many infinite ones as are missing."""
    place = (max(asked, len(values)) - 1) * q
    low, high = math.floor(place), math.ceil(place)
    if not len(values) or high >= len(values):
        return None
    return float(values[low] + (values[high] - values[low]) * (place - low))
