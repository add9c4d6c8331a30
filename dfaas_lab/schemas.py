"""The schemas of all frames: their columns and types."""

from __future__ import annotations

import polars as pl

TIME = pl.Datetime("us", "UTC")

# Every frame begins with what tells its rows apart from those of other runs.
_KEY: dict[str, pl.DataType] = {
    "run_id": pl.String(),
    "target": pl.String(),
    "iteration": pl.Int64(),
}


def _times(name: str) -> dict[str, pl.DataType]:
    kinds = ("mean", "min", "p50", "p90", "p95", "p99", "max")
    return {f"{name}_{kind}": pl.Float64() for kind in kinds}


SUMMARY = pl.Schema(
    _KEY
    | {
        "function": pl.String(),
        "rate_rps": pl.Float64(),
        "started_at": TIME,
        "duration_s": pl.Float64(),
        "requests": pl.Int64(),
        "failed": pl.Int64(),
        "dropped": pl.Int64(),
        "unfinished": pl.Int64(),
        "achieved_rps": pl.Float64(),
        "success_rate": pl.Float64(),
        **_times("latency_ms"),
        "status": pl.String(),
        "planned": pl.Int64(),
        "started": pl.Int64(),
        "not_attempted": pl.Int64(),
        "succeeded": pl.Int64(),
        **_times("response_ms"),
        "failed_latency_ms_p50": pl.Float64(),
        "late_ms_p99": pl.Float64(),
        "late_ms_max": pl.Float64(),
        "gateway_count": pl.Int64(),
        "gateway_difference": pl.Int64(),
    }
)

REQUESTS = pl.Schema(
    _KEY
    | {
        "function": pl.String(),
        "started_at": TIME,
        "ended_at": TIME,
        "latency_ms": pl.Float64(),
        "blocked_ms": pl.Float64(),
        "connecting_ms": pl.Float64(),
        "tls_ms": pl.Float64(),
        "sending_ms": pl.Float64(),
        "waiting_ms": pl.Float64(),
        "receiving_ms": pl.Float64(),
        "function_ms": pl.Float64(),
        "gateway_ms": pl.Float64(),
        "http_status": pl.Int32(),
        "failed": pl.Boolean(),
        "error_code": pl.Int32(),
        "served_by": pl.String(),
        "vu": pl.Int32(),
        "vu_iteration": pl.Int64(),
        "planned_at": TIME,
        "late_ms": pl.Float64(),
        "response_ms": pl.Float64(),
        "call_id": pl.String(),
        "name": pl.String(),
        "method": pl.String(),
        "group": pl.String(),
        "tags": pl.String(),
    }
)

TIMELINE = pl.Schema(
    _KEY
    | {
        "function": pl.String(),
        "second": pl.Int64(),
        "requests": pl.Int64(),
        "failed": pl.Int64(),
        "dropped": pl.Int64(),
        "latency_ms_p50": pl.Float64(),
        "latency_ms_p95": pl.Float64(),
        "unfinished": pl.Int64(),
        "latency_ms_max": pl.Float64(),
        "late_ms_max": pl.Float64(),
    }
)

# What a script measures beside HTTP: its own metrics, and its checks (one row for each name).
K6_METRICS = pl.Schema(
    _KEY
    | {
        "scenario": pl.String(),
        "function": pl.String(),
        "metric": pl.String(),
        "check": pl.String(),
        "samples": pl.Int64(),
        "sum": pl.Float64(),
        "mean": pl.Float64(),
        "min": pl.Float64(),
        "max": pl.Float64(),
        "p50": pl.Float64(),
        "p95": pl.Float64(),
        "last": pl.Float64(),
        "group": pl.String(),
        "tags": pl.String(),
    }
)

# What a target's Prometheus measured of an iteration; a reason stands where there is no value.
NODE_METRICS = pl.Schema(
    {
        "target": pl.String(),
        "iteration": pl.Int64(),
        "time": TIME,
        "metric": pl.String(),
        "function": pl.String(),
        "instance": pl.String(),
        "value": pl.Float64(),
        "reason": pl.String(),
    }
)
