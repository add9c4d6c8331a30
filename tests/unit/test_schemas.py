"""The frames' columns, word for word, and their types: notebooks and papers depend on them."""

from __future__ import annotations

import polars as pl

from dfaas_lab import schemas

COUNTS = ("requests", "dropped", "unfinished", "iteration", "second", "http_status", "planned",
          "started", "not_attempted", "succeeded", "gateway_count",
          "gateway_difference")  # fmt: skip
WHERE = ["run_id", "target", "iteration", "function"]


def test_the_columns_are_those_that_users_were_promised() -> None:
    latencies = ["mean", "min", "p50", "p90", "p95", "p99", "max"]
    assert list(schemas.SUMMARY) == [
        *WHERE,
        *("rate_rps", "started_at", "duration_s", "requests", "failed", "dropped", "unfinished"),
        *("achieved_rps", "success_rate"),
        *(f"latency_ms_{name}" for name in latencies),
        "status",
        *("planned", "started", "not_attempted", "succeeded"),
        *(f"response_ms_{name}" for name in latencies),
        *("failed_latency_ms_p50", "late_ms_p99", "late_ms_max"),
        *("gateway_count", "gateway_difference"),
    ]
    assert list(schemas.REQUESTS) == [
        *WHERE,
        *("started_at", "ended_at", "latency_ms", "blocked_ms", "connecting_ms", "tls_ms"),
        *("sending_ms", "waiting_ms", "receiving_ms", "function_ms", "gateway_ms", "http_status"),
        *("failed", "error_code", "served_by", "vu", "vu_iteration"),
        *("planned_at", "late_ms", "response_ms", "call_id"),
        *("name", "method", "group", "tags"),
    ]
    assert list(schemas.TIMELINE) == [
        *WHERE,
        *("second", "requests", "failed", "dropped", "latency_ms_p50", "latency_ms_p95"),
        *("unfinished", "latency_ms_max", "late_ms_max"),
    ]


def test_their_types_follow_from_their_names() -> None:
    for schema in (schemas.SUMMARY, schemas.REQUESTS, schemas.TIMELINE):
        for name, dtype in schema.items():
            if name.endswith("_at"):
                assert dtype == pl.Datetime("us", "UTC"), name
            elif "_ms" in name or name.endswith(("_rps", "_rate", "_s")):
                assert dtype == pl.Float64, name
            elif name in COUNTS:
                assert dtype.is_integer(), name
