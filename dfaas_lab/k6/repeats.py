"""Finds requests that k6's HTTP client sent twice, by the bytes that were sent. Pure.

Go repeats a request whose kept connection was closed without an answer, if it may be repeated
(``net/http``, ``isReplayable``: by its method, or by an idempotency key), and tells nobody: k6
writes one request, and over TLS no handshake of it. But the bytes of both are in its ``data_sent``.
Over HTTP/2 Go repeats only what a server says that it has not begun.
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
# A client's part of a TLS handshake is 300 bytes or more. What TLS 1.3 adds to a request is 22.
_LEAST_HANDSHAKE, _LEAST_FOR_RECORD = 150, 22
_FAREWELLS = (0.0, 24.0, 31.0)  # what may be sent when a connection ends: TLS 1.3, 1.2

METRIC = "dfaas_repeats"
"""The metric of ``run.k6_metrics`` that counts them; without a row there were none."""


def repeats_of(samples: Samples, scenarios: Mapping[str, str], load: Load | None) -> pl.DataFrame:
    """Count them by function, as rows of ``k6_metrics``.

    All requests of a function have the same bytes. Of a script's requests, and over TLS where no
    kept connection was of use, only the gateway's own count tells (``gateway_count``).
    """
    functions = {share.function.name: share.function for share in load or ()}
    empty = dict.fromkeys(schemas.K6_METRICS)
    rows = [
        empty
        | {"scenario": scenario, "function": scenarios[scenario], "metric": METRIC}
        | {"samples": count, "sum": float(count)}
        for scenario, count in _counts(samples, scenarios, functions)
        if count
    ]
    return pl.DataFrame(rows, schema=schemas.K6_METRICS)


def _counts(
    samples: Samples, scenarios: Mapping[str, str], functions: Mapping[str, Function]
) -> Iterator[tuple[str, int]]:
    sent = samples.sent.filter(pl.col("bytes") > 0)
    for scenario in sorted(set(sent["scenario"].cast(pl.String).drop_nulls())):
        function = functions.get(scenarios.get(scenario, ""))
        if function is None or not _is_replayable(function):
            continue
        sizes = sent.filter(pl.col("scenario") == scenario)["bytes"].sort()
        requests = samples.requests.filter(pl.col("scenario") == scenario)
        if (requests["tls_ms"] > 0).any():
            unopened = requests.filter(tls_ms=0, status=0).height
            head = f"{function.method} {function.route} HTTP/1.1\r\nHost: \r\n\r\n"
            yield scenario, _over_tls(sizes, unopened, len(head) + _LEAST_FOR_RECORD)
        else:
            yield scenario, int(((sizes / sizes[0]).round() - 1).sum())


def _over_tls(sizes: pl.Series, unopened: int, least: int) -> int:
    """A repeat opens a connection: it has a handshake's bytes, and those of two requests.

    Args:
        sizes: Bytes sent by each VU iteration, in order.
        unopened: How many requests may have sent a part of a handshake only.
        least: Fewer bytes have no request of HTTP/1.1.
    """
    each = sizes[0]
    is_kept = sizes <= each + _LEAST_HANDSHAKE
    opened = sizes.filter(~is_kept)
    # Of HTTP/1.1 a function's requests have equal bytes, of HTTP/2 (which compresses) they do not.
    is_plain = each >= least and (sizes.filter(is_kept) - each).is_in(_FAREWELLS).all()
    if not is_plain or len(opened) <= unopened:
        return 0
    return int((opened - opened[unopened] - each).is_in(_FAREWELLS).sum())


def _is_replayable(function: Function) -> bool:
    return function.method in _SAFE or any(name.lower() in _KEYS for name in function.headers)
