"""Finds requests that k6's HTTP client sent twice, by the bytes that were sent. Pure.

Go repeats a request whose kept connection was closed without an answer, if it may be repeated
(``net/http``, ``isReplayable``: by its method, or by an idempotency key), and tells nobody: k6
writes one request. But the bytes of both are in its ``data_sent``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
    rows = [] if is_encrypted else list(_rows(samples, scenarios, functions))
    return pl.DataFrame(rows, schema=schemas.K6_METRICS)


def _rows(
    samples: Samples, scenarios: Mapping[str, str], functions: Mapping[str, Function]
) -> Iterator[dict[str, object]]:
    reached = samples.requests.filter((pl.col("latency_ms") > 0) | (pl.col("status") != 0))
    sizes = samples.sent.sort("scenario").group_by("scenario", maintain_order=True)
    for (scenario,), sent in sizes:
        function = functions.get(scenarios.get(str(scenario), ""))
        if function is None or not _is_replayable(function):
            continue
        requests = reached.filter(pl.col("scenario") == scenario).height
        if count := _repeats(sent["bytes"], requests, len(function.body_bytes())):
            where = {"scenario": scenario, "function": function.name, "metric": METRIC}
            numbers = {"samples": count, "sum": float(count)}
            yield dict.fromkeys(schemas.K6_METRICS) | where | numbers


def _repeats(sizes: pl.Series, requests: int, body: int) -> int:
    """How many more were sent than the iterations that sent, and than the requests with an answer.

    On a busy host k6 counts bytes after it has their answer, so in the VU's next iteration: one has
    none then, and another those of two. An answer may also come before a long body was sent: a part
    is no measure of a request.

    Args:
        sizes: The bytes that each iteration sent.
        requests: How many requests reached the server.
        body: How many bytes the body has.
    """
    whole = sizes.filter(sizes > body).min()
    if not isinstance(whole, int | float):
        return 0
    sent = (sizes / whole).round()
    return max(int(sent.sum()) - max(requests, int((sent > 0).sum())), 0)


def _is_replayable(function: Function) -> bool:
    return function.method in _SAFE or any(name.lower() in _KEYS for name in function.headers)
