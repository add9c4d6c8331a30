"""Doubts about a run that come from its own frames: missing requests, lateness, answers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from dfaas_lab.analysis.doubt import Finding, Kind
from dfaas_lab.status import COMPLETE

_LATE_MS, _LATE_SHARE = 10.0, 0.1
# At a low rate a request that is little late may leave its second empty: k6 did not stand still.
_STALLED_MS = 100.0
_BLOCKED_MS, _BLOCKED_SHARE = 5.0, 0.1
_TLS_CODES = (1300, 1399)  # k6's error codes of TLS and of certificates

_STATUS = Kind("status", "ok", "Run it again; what was measured until then is stored.")
_DROPS = Kind(
    "drops",
    "0",
    "No VU was free, so nothing was sent: the numbers leave the worst moments out. Ask for less, "
    "or raise the function's time limit, by which the most VUs are reckoned.",
)
_IN_FLIGHT = Kind(
    "requests in flight at the end", "0", "They were cut off: let the run come to its end."
)
_NOT_ATTEMPTED = Kind(
    "requests not attempted", "0", "k6 ended before it came to them: look at k6.log."
)
_STARTED = Kind("requests started", "as planned", "Look at k6.log; run it again.")
_LATE = Kind(
    "requests sent late (generator CPU): p99 of the lateness",
    f"at most {_LATE_MS:g} ms or a tenth of the median response",
    "The generator could not keep the plan: stop other work there, or ask for less. response_ms "
    "holds the lateness, latency_ms does not.",
    "processor",
)
_STALLED = Kind(
    "seconds with under half of what was planned (generator CPU)",
    "0",
    "k6 stood still and caught up in bursts: stop other work on the generator, and run it again.",
    "processor",
)
_BLOCKED = Kind(
    "time blocked before sending, mean",
    f"at most {_BLOCKED_MS:g} ms or a tenth of the response",
    "Callers waited for a connection: read response_ms, for latency_ms leaves it out. Each of k6's "
    "VUs opens one of its own with its first request: a longer load has fewer such requests.",
)
_REDIRECTED = Kind(
    "answers that redirect",
    "none, or not all",
    "The functions never ran: give the gateway's final URL (https://...).",
)
_TLS = Kind(
    "requests without a trusted TLS connection",
    "0",
    "Give Target(ca=...) the gateway's authority, or correct the gateway's name.",
    "generator",
)
_REPEATED = Kind(
    "requests that k6's HTTP client sent again by itself",
    "0",
    "The gateway closed kept connections without an answer, and got more requests than there are "
    "rows: look at its idle time-out and its log.",
)
_COUNTED = Kind(
    "requests that the gateway counted",
    "those that were sent",
    "More: k6's HTTP client repeated some, or somebody else asks the same functions. Fewer: "
    "something in between answered, or the gateway was started anew.",
)


def repeats_of(k6_metrics: pl.DataFrame) -> Iterator[Finding]:
    """Requests that the client repeated: the server saw more than was planned."""
    for row in k6_metrics.filter(metric="dfaas_repeats").iter_rows(named=True):
        yield _finding(_REPEATED, str(row["samples"]), row)


def findings_of(
    summary: pl.DataFrame,
    timeline: pl.DataFrame | None,
    answers: pl.DataFrame | None,
) -> Iterator[Finding]:
    """What speaks against the numbers, kind by kind; ``answers`` are of :func:`answers_of`."""
    rows = list(summary.iter_rows(named=True))
    yield from _of_status(rows)
    for row in rows:
        for kind, measured in _of_row(row):
            yield _finding(kind, measured, row)
    if timeline is not None:
        for row in _stalled(summary, timeline).iter_rows(named=True):
            yield _finding(_STALLED, f"{row['stalled']} of {row['seconds']}", row)
    if answers is not None:
        for row in answers.iter_rows(named=True):
            for kind, measured in _of_answers(row):
                yield _finding(kind, measured, row)


def answers_of(requests: pl.LazyFrame) -> pl.DataFrame:
    """What the answers of each iteration and function were, in counts and means.

    Returns:
        ``target, iteration, function, requests, redirects, untrusted`` (no TLS connection),
        ``blocked_ms`` and ``response_ms`` (means of successful requests).
    """
    status, well = pl.col("http_status"), ~pl.col("failed")
    return (
        requests.group_by("target", "iteration", "function")
        .agg(
            requests=pl.len(),
            redirects=(status.is_between(300, 399) & (status != 304)).sum(),
            untrusted=pl.col("error_code").is_between(*_TLS_CODES).sum(),
            blocked_ms=pl.col("blocked_ms").filter(well).mean(),
            response_ms=pl.col("response_ms").filter(well).mean(),
        )
        .sort("target", "iteration", "function")
        .collect()
    )


def _finding(kind: Kind, measured: str, row: Mapping[str, Any]) -> Finding:
    return Finding(kind, measured, row["target"], row["iteration"], row["function"])


def _of_status(rows: list[dict[str, Any]]) -> Iterator[Finding]:
    """An iteration's status is that of all its functions: it is told once.

    How far it came is told by the function that says least: a slow one counts its last interval as
    run, though it ended within it.
    """
    told: dict[tuple[str, int], tuple[str, list[tuple[float, str]]]] = {}
    for row in rows:
        if row["status"] not in COMPLETE:
            _, ran = told.setdefault((row["target"], row["iteration"]), (str(row["status"]), []))
            ran.extend(_how_far(row))
    for (target, iteration), (status, ran) in told.items():
        how_far = f" ({min(ran)[1]})" if ran else ""
        yield Finding(_STATUS, status + how_far, target, iteration)


def _how_far(row: Mapping[str, Any]) -> list[tuple[float, str]]:
    """How long the load ran, also in words: ``3.1 s of 10 s``; empty where it is not known."""
    started, achieved, duration_s = row["started"], row["achieved_rps"], row["duration_s"]
    if not started or not achieved or duration_s is None:
        return []
    ran_s = started / achieved
    return [(ran_s, f"{ran_s:.3g} s of {duration_s:g} s")]


def _of_row(row: Mapping[str, Any]) -> Iterator[tuple[Kind, str]]:
    if row["dropped"]:
        yield _DROPS, str(row["dropped"])
    if row["unfinished"]:
        yield _IN_FLIGHT, str(row["unfinished"])
    if row["status"] in COMPLETE:
        yield from _of_books(row)
    if row["gateway_difference"]:
        yield _COUNTED, f"{row['gateway_count']} of {row['started']}"
    late_ms = row["late_ms_p99"]
    if late_ms is not None:
        limit_ms = max(_LATE_MS, _LATE_SHARE * (row["response_ms_p50"] or 0.0))
        if late_ms > limit_ms:
            yield _LATE, f"{late_ms:.0f} ms"


def _of_books(row: Mapping[str, Any]) -> Iterator[tuple[Kind, str]]:
    planned = row["planned"]
    if planned is None:
        yield from _of_older_books(row)
        return
    if row["not_attempted"]:
        yield _NOT_ATTEMPTED, f"{row['not_attempted']} of {planned}"
    attempted = row["started"] + row["dropped"]
    if attempted > planned:
        yield _STARTED, f"{attempted}, planned {planned}"


def _of_older_books(row: Mapping[str, Any]) -> Iterator[tuple[Kind, str]]:
    """Of a run that was stored before each request was planned: k6's own plus or minus 1."""
    if row["rate_rps"] is None or row["duration_s"] is None or row["requests"] is None:
        return
    asked = row["rate_rps"] * row["duration_s"]
    got = row["requests"] + (row["unfinished"] or 0)
    if abs(got - asked) > 1.0 + 1e-9 or (asked >= 1 - 1e-9 and not got):
        yield _STARTED, f"{got}, asked {asked:g}"


def _of_answers(row: Mapping[str, Any]) -> Iterator[tuple[Kind, str]]:
    if row["redirects"] and row["redirects"] == row["requests"]:
        yield _REDIRECTED, f"all {row['redirects']}"
    if row["untrusted"]:
        yield _TLS, f"{row['untrusted']} of {row['requests']}"
    blocked_ms, response_ms = row["blocked_ms"], row["response_ms"]
    known = blocked_ms is not None and response_ms is not None
    if known and blocked_ms > max(_BLOCKED_MS, _BLOCKED_SHARE * response_ms):
        yield _BLOCKED, f"{blocked_ms:.0f} of {response_ms:.0f} ms"


def _stalled(summary: pl.DataFrame, timeline: pl.DataFrame) -> pl.DataFrame:
    """How many seconds had under half of what was planned, of iterations that came to their end."""
    key = ["target", "iteration", "function"]
    asked = summary.filter(pl.col("status").is_in(COMPLETE), pl.col("planned") > 0)
    second, rate = pl.col("second"), pl.col("rate_rps")
    until = ((second + 1) * rate - 1e-9).ceil().clip(upper_bound=pl.col("planned"))
    planned = until - (second * rate - 1e-9).ceil().clip(upper_bound=pl.col("planned"))
    attempted = pl.sum_horizontal("requests", "dropped", "unfinished")
    late_ms = pl.max_horizontal("late_ms_max", pl.col("late_ms_max").shift(-1).over(key))
    stood = late_ms.is_null() | (late_ms > _STALLED_MS)
    return (
        timeline.join(asked.select(*key, "rate_rps", "planned"), on=key, maintain_order="left")
        .with_columns(due=planned, attempted=attempted, stood=stood)
        .filter(pl.col("due") > 0)
        .group_by(key, maintain_order=True)
        .agg(
            stalled=(pl.col("stood") & (pl.col("attempted") < pl.col("due") / 2)).sum(),
            seconds=pl.len(),
        )
        .filter(pl.col("stalled") > 0)
    )
