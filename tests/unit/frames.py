"""Frames of the contract, made up: for what draws or prints them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl

from dfaas_lab.schemas import SUMMARY, TIMELINE


def summary(
    functions: Sequence[str] = ("figlet", "env"),
    *,
    iterations: int = 2,
    rate_rps: float | None = 20.0,
    seconds: int = 5,
    target: str = "mid",
    run_id: str = "r1",
    **changes: Any,
) -> pl.DataFrame:
    """Return a summary with a row per iteration and function."""
    rows = [
        {
            "run_id": run_id,
            "target": target,
            "iteration": iteration,
            "function": function,
            "rate_rps": rate_rps,
            "started_at": datetime(2026, 1, 1, tzinfo=UTC),
            "duration_s": float(seconds),
            "requests": 100,
            "failed": 0,
            "dropped": 0,
            "unfinished": 0,
            "achieved_rps": 100 / seconds,
            "success_rate": 1.0,
            "latency_ms_mean": 5.0 + place,
            "latency_ms_min": 2.0,
            "latency_ms_p50": 4.0 + place + iteration / 10,
            "latency_ms_p90": 7.0 + place,
            "latency_ms_p95": 8.0 + place,
            "latency_ms_p99": 9.0 + place,
            "latency_ms_max": 12.0 + place,
            "status": "ok",
            **changes,
        }
        for iteration in range(1, iterations + 1)
        for place, function in enumerate(functions)
    ]
    return pl.DataFrame(rows, schema=SUMMARY)


def timeline(
    functions: Sequence[str] = ("figlet", "env"),
    *,
    iterations: int = 2,
    seconds: int = 5,
    target: str = "mid",
    run_id: str = "r1",
    **changes: Any,
) -> pl.DataFrame:
    """Return a timeline with a row per iteration, function and second."""
    rows = [
        {
            "run_id": run_id,
            "target": target,
            "iteration": iteration,
            "function": function,
            "second": second,
            "requests": 20,
            "failed": 0,
            "dropped": 0,
            "latency_ms_p50": 4.0 + second % 3,
            "latency_ms_p95": 8.0 + second % 3,
            **changes,
        }
        for iteration in range(1, iterations + 1)
        for function in functions
        for second in range(seconds)
    ]
    return pl.DataFrame(rows, schema=TIMELINE)
