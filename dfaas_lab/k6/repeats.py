"""Finds requests that k6's HTTP client sent twice, by the bytes that were sent. Pure.

Go repeats a request whose kept connection was closed without an answer, if it may be repeated
(``net/http``, ``isReplayable``: by its method, or by an idempotency key), and tells nobody: k6
writes one request. But the bytes of both are in its ``data_sent``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl

from dfaas_lab import schemas

if TYPE_CHECKING:
    from dfaas_lab.k6.samples import Samples
    from dfaas_lab.load import Function, Load

_SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")
_KEYS = ("idempotency-key", "x-idempotency-key")

METRIC = "dfaas_repeats"
"""The metric of ``run.k6_metrics`` that counts them; without a row there were none."""


def repeats_of(samples: Samples, scenarios: Mapping[str, str], load: Load | None) -> pl.DataFrame:
    """Count them by function, as rows of ``k6_metrics``.

    All requests of a function have the same bytes. TLS adds its own, by the connection: there, and
    of a script's requests, only the gateway's own count tells (``gateway_count``).
    """
    is_encrypted = bool((samples.requests["tls_ms"] > 0).any())
    functions = {share.function.name: share.function for share in load or ()}
    rows = [] if is_encrypted else _rows(samples.sent, scenarios, functions)
    return pl.DataFrame(rows, schema=schemas.K6_METRICS)


def _rows(
    sent: pl.DataFrame, scenarios: Mapping[str, str], functions: Mapping[str, Function]
) -> list[dict[str, object]]:
    size = pl.col("bytes")
    found = (
        sent.filter(size > 0)
        .group_by("scenario")
        .agg(repeats=((size / size.min()).round() - 1).sum())
        .sort("scenario")
    )
    empty = dict.fromkeys(schemas.K6_METRICS)
    return [
        empty
        | {"scenario": scenario, "function": scenarios[scenario], "metric": METRIC}
        | {"samples": int(count), "sum": count}
        for scenario, count in found.rows()
        if count and _is_replayable(functions.get(scenarios.get(scenario, "")))
    ]


def _is_replayable(function: Function | None) -> bool:
    if function is None:
        return False
    return function.method in _SAFE or any(name.lower() in _KEYS for name in function.headers)
