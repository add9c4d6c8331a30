"""The frame of requests, from k6's samples: names, times, latencies, answers."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

import polars as pl

from dfaas_lab import schemas
from dfaas_lab.k6.samples import PHASES, Samples, with_vu

_TAG = r"(?s)(?:^|&)function=([^&]*)"
_PHASE = r"^::(setup|teardown)(?:::|$)"
_SERVED_BY = r"(?:^|&)served_by=([^&]*)"
_CALL_ID = r"(?:^|&)call_id=([^&]*)"
_KEY = ("scenario", "vu", "iter")
_NS_PER_MS = 1e6


def requests_of(samples: Samples, scenarios: dict[str, str]) -> pl.DataFrame:
    """Requests with the contract's columns but the key and those that a plan gives.

    ``sent_ns`` and ``timestamp`` are their start and end in nanoseconds; ``started_at`` is left to
    who knows the script's own marks.
    """
    status, error = pl.col("status"), pl.col("error_code")
    # k6 gives a request without a connection a duration of 0: that is no latency.
    answered = (status != 0) | (pl.col("latency_ms") > 0)
    measured = [
        pl.when(answered | (pl.col(name) > 0)).then(pl.col(name)).alias(name)
        for name in PHASES.values()
    ]
    took_ns = ((pl.col("latency_ms") + pl.col("blocked_ms")) * _NS_PER_MS).round().cast(pl.Int64)
    requests = named(samples.requests, scenarios).with_columns(
        status.fill_null(0),
        ended_at=time_of(pl.col("timestamp")),
        sent_ns=pl.col("timestamp") - took_ns,
        failed=pl.coalesce("failed", ~pl.col("expected_response"), (status == 0) | (status >= 400)),
    )
    requests = requests.with_columns(
        *measured,
        http_status=pl.when(status != 0).then(status),
        error_code=pl.when(error != 0).then(error),
        vu_iteration=pl.col("iter"),
    )
    return _with_true_starts(_with_answers(requests, samples.events), samples.events)


def time_of(nanoseconds: pl.Expr) -> pl.Expr:
    """k6's nanoseconds as a time."""
    return (nanoseconds // 1000).cast(schemas.TIME)


def _with_answers(requests: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Add what the answers' headers said: our script reports it in rows of their own.

    How long a function took is ``X-Duration-Seconds``. ``X-Start-Time``, which gateways send too,
    is a moment on another host's clock, known to half a second at best: it splits no latency.
    """
    answers = counted(events, "dfaas_function_ms", "dfaas_answered")
    timed = pl.col("metric_name") == "dfaas_function_ms"
    reports = with_vu(answers).select(
        "row",
        *_KEY,
        pl.when(timed).then(pl.col("metric_value")).alias("function_ms"),
        _decoded(pl.col("metadata").str.extract(_SERVED_BY)).alias("served_by"),
        _decoded(pl.col("metadata").str.extract(_CALL_ID)).alias("call_id"),
    )
    gateway = pl.col("latency_ms") - pl.col("function_ms")
    return _joined(requests, reports).with_columns(gateway_ms=pl.when(gateway >= 0).then(gateway))


def _decoded(texts: pl.Expr) -> pl.Expr:
    """Texts that the script percent-encoded; of most, nothing had to be."""

    def decode(encoded: pl.Series) -> pl.Series:
        odd = encoded.filter(encoded.str.contains("%", literal=True)).unique()
        return encoded.replace({raw: unquote(raw) for raw in odd}) if len(odd) else encoded

    return texts.map_batches(decode, return_dtype=pl.String)


def _joined(requests: pl.DataFrame, reports: pl.DataFrame) -> pl.DataFrame:
    """Join each request with the report on it, by VU and VU iteration."""
    if not (_repeated(requests) or _repeated(reports)):
        return requests.join(reports.drop("row"), on=_KEY, how="left")
    # Several requests in one iteration (redirects, a script's own): a report is on the last before.
    about = (
        reports.join_asof(
            requests.select("row", *_KEY, pl.col("row").alias("request")).sort("row"),
            on="row",
            by=list(_KEY),
            check_sortedness=False,
        )
        .group_by("request")
        .agg(pl.col("function_ms", "served_by", "call_id").drop_nulls().last())
    )
    return requests.join(about, left_on="row", right_on="request", how="left")


def _repeated(frame: pl.DataFrame) -> bool:
    return bool(frame.select(pl.struct(_KEY).n_unique()).item() < frame.height)


def _with_true_starts(requests: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Where no connection was made k6 tells no duration: there the script's own mark is the start.

    A connection that times out after 10 s would else seem to have begun at its end.
    """
    unknown = pl.col("latency_ms").is_null() & pl.col("blocked_ms").is_null()
    if not requests.select(unknown.any()).item():
        return requests
    marks = with_vu(counted(events, "dfaas_started")).select(
        *_KEY, pl.col("timestamp").alias("mark")
    )
    marks = marks.unique(_KEY, keep="first")
    mark = pl.when(unknown & (pl.col("mark") <= pl.col("timestamp"))).then(pl.col("mark"))
    return requests.join(marks, on=_KEY, how="left").with_columns(
        sent_ns=pl.coalesce(mark, "sent_ns")
    )


def expected_latencies(before: Mapping[str, float], requests: pl.DataFrame) -> dict[str, float]:
    """How long requests will keep their VUs, in seconds, by function: what an iteration showed.

    That is the mean of its worst second, from sent to ended; half of what was expected before
    where that is more. All requests count, also those that failed or ran into their time limit:
    each kept a VU. By Little's law a load needs its rate times this many VUs.

    Args:
        before: What was expected of the iteration.
        requests: Its ``function, started_at, ended_at``.
    """
    busy_s = (pl.col("ended_at") - pl.col("started_at")).dt.total_microseconds() / 1e6
    second = pl.col("started_at").dt.truncate("1s")
    worst = (
        requests.group_by("function", second)
        .agg(busy_s=busy_s.mean())
        .group_by("function")
        .agg(pl.col("busy_s").max())
        .drop_nulls()
    )
    return {**before, **{name: max(s, before.get(name, 0.0) / 2) for name, s in worst.rows()}}


def named(frame: pl.DataFrame, scenarios: dict[str, str]) -> pl.DataFrame:
    """Add the function's name: of the scenario, else of the tag, else the scenario's own.

    What a script's ``setup()`` and ``teardown()`` ask for is no load: k6 gives it no scenario, and
    here it has rows of its own, called so.
    """
    scenario = pl.col("scenario").cast(pl.String)
    name = scenario.replace_strict(scenarios, default=None, return_dtype=pl.String)
    if not set(frame["scenario"].unique()) <= scenarios.keys():
        name = pl.coalesce(
            name,
            pl.col("extra_tags").str.extract(_TAG),
            scenario,
            pl.col("group").cast(pl.String).str.extract(_PHASE),
            pl.lit("default"),
        )
    return frame.with_columns(name.alias("function"))


def counted(events: pl.DataFrame, *metrics: str) -> pl.DataFrame:
    """The rows of these metrics."""
    return events.filter(pl.col("metric_name").is_in(metrics))
