"""The instrument's share of each number: lateness, the wait for a processor, the clock's step."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from dfaas_lab.analysis.error_budget import error_budget, remarks_of
from dfaas_lab.schemas import REQUESTS, SUMMARY

START = datetime(2026, 1, 1, tzinfo=UTC)
KEY = {"target": "mid", "iteration": 1, "function": "env"}


def budget(
    late_ms: list[float], *, latency_ms: float = 20.0, step_us: int = 1, **host: float | None
) -> pl.DataFrame:
    rows: list[dict[str, Any]] = []
    for number, late in enumerate(late_ms):
        planned = START + timedelta(milliseconds=20 * number)
        sent_us = round((20_000 * number + 1_000 * late) / step_us) * step_us
        sent = START + timedelta(microseconds=sent_us)
        times = {"started_at": sent, "ended_at": sent + timedelta(milliseconds=latency_ms)}
        own = {"planned_at": planned, "late_ms": late, "response_ms": late + latency_ms}
        rows.append(dict.fromkeys(REQUESTS) | KEY | times | own | {"failed": False})
    requests = pl.DataFrame(rows, schema=REQUESTS)
    response = requests["response_ms"]
    summary = dict.fromkeys(SUMMARY) | KEY | {
        "latency_ms_p50": latency_ms,
        "response_ms_p50": response.quantile(0.5, "linear"),
        "response_ms_p95": response.quantile(0.95, "linear"),
    }  # fmt: skip
    waits = {"cpu_wait_ms": host.get("wait"), "cpu_wait_ms_max": host.get("wait_max")}
    return error_budget(
        pl.DataFrame([summary], schema=SUMMARY),
        requests,
        pl.DataFrame(
            [{"target": "mid", "iteration": 1, **waits}],
            schema={"target": pl.String, "iteration": pl.Int64} | dict.fromkeys(waits, pl.Float64),
        ),
    )


def of(frame: pl.DataFrame, number: str) -> dict[str, Any]:
    return frame.row(by_predicate=pl.col("number") == number, named=True)


def test_what_was_sent_on_time_by_a_free_processor_is_the_nodes_own() -> None:
    found = budget([0.013] * 100, wait=1.0, wait_max=2.0)
    assert set(found["number"]) == {"latency_ms_p50", "response_ms_p50", "response_ms_p95"}
    assert not found["marked"].any()
    assert of(found, "latency_ms_p50")["instrument_ms"] == pytest.approx(1 / 50 + 0.001, rel=0.05)
    assert remarks_of(found) == []


def test_no_more_than_all_of_a_number_is_the_generators_own() -> None:
    found = budget([0.013] * 100, latency_ms=5.0, wait=1000.0, wait_max=1000.0)
    assert remarks_of(found)[0].startswith("up to all of 5 ms of latency_ms_p50 of env")


def test_lateness_is_in_the_response_and_not_in_the_latency() -> None:
    """Ten of a hundred were 8 ms late: the p95 has it, the median has not."""
    found = budget([8.013 if number % 10 == 0 else 0.013 for number in range(100)])
    assert of(found, "latency_ms_p50")["late_ms"] == 0
    assert of(found, "response_ms_p50")["late_ms"] == pytest.approx(0.013)
    p95 = of(found, "response_ms_p95")
    assert p95["late_ms"] == pytest.approx(8.013)
    assert p95["share"] == pytest.approx(8.014 / 28.013)
    assert found.filter("marked")["number"].to_list() == ["response_ms_p95"]
    (remark,) = remarks_of(found)
    assert remark.startswith("up to 8 of 28 ms of response_ms_p95 of env (iteration 1) may be")


def test_the_worst_second_counts_for_the_tail_only() -> None:
    found = budget([0.013] * 100, wait=10.0, wait_max=500.0)
    assert of(found, "response_ms_p50")["wait_ms"] == pytest.approx(0.2, rel=0.05)
    assert of(found, "response_ms_p95")["wait_ms"] == pytest.approx(10, rel=0.05)
    assert found.filter("marked")["number"].to_list() == ["response_ms_p95"]


def test_a_clock_of_coarse_steps_is_seen_in_its_times() -> None:
    found = budget([0.0] * 100, latency_ms=30.0, step_us=10_000)
    assert of(found, "latency_ms_p50")["clock_ms"] == 10.0
    assert of(found, "latency_ms_p50")["marked"]


def test_a_host_that_told_nothing_leaves_its_part_out() -> None:
    assert of(budget([0.013] * 10), "latency_ms_p50")["wait_ms"] is None


def test_nothing_measured_has_no_budget() -> None:
    hosts = pl.DataFrame(
        schema={"target": pl.String, "iteration": pl.Int64}
        | dict.fromkeys(("cpu_wait_ms", "cpu_wait_ms_max"), pl.Float64)
    )
    empty = error_budget(pl.DataFrame(schema=SUMMARY), pl.DataFrame(schema=REQUESTS), hosts)
    assert empty.is_empty()
