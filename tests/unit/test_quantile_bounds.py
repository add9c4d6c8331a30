"""What a quantile could be, had all that is missing been slowest; and when it means little."""

from __future__ import annotations

import polars as pl
import pytest

from dfaas_lab import schemas
from dfaas_lab.analysis.quantile_bounds import NEEDED, bounds_of

KEY = {"run_id": "r", "target": "mid", "iteration": 1, "function": "env"}


def _bounds(succeeded: int, failed: int, planned: int) -> dict[str, dict[str, object]]:
    summary = dict.fromkeys(schemas.SUMMARY) | KEY
    summary |= {"planned": planned, "requests": succeeded + failed}
    requests = [
        dict.fromkeys(schemas.REQUESTS) | KEY | {"failed": n >= succeeded, "response_ms": n + 1.0}
        for n in range(succeeded + failed)
    ]
    found = bounds_of(
        pl.DataFrame([summary], schema=schemas.SUMMARY),
        pl.DataFrame(requests, schema=schemas.REQUESTS),
    )
    return {row["quantile"]: row for row in found.iter_rows(named=True)}


def test_where_nothing_is_missing_the_bounds_are_one() -> None:
    for row in _bounds(1000, 0, 1000).values():
        assert row["response_ms_low"] == pytest.approx(row["response_ms_high"])
        assert row["remark"] is None


def test_what_failed_or_was_dropped_counts_as_slowest() -> None:
    found = _bounds(900, 40, 1000)
    assert found["p50"]["response_ms_low"] == pytest.approx(450.5)
    assert found["p50"]["response_ms_high"] == pytest.approx(500.5)
    assert found["p95"]["response_ms_high"] is None
    assert found["p95"]["response_ms_low"] == pytest.approx(855.05)


def test_without_any_success_nothing_is_known() -> None:
    for row in _bounds(0, 5, 10).values():
        assert (row["response_ms_low"], row["response_ms_high"]) == (None, None)
    assert _bounds(0, 0, 0)["p50"]["response_ms_low"] is None


@pytest.mark.parametrize(("name", "q"), [("p90", 0.9), ("p95", 0.95), ("p99", 0.99)])
def test_a_quantile_needs_as_many_requests_as_its_interval(name: str, q: float) -> None:
    needed = NEEDED[name]
    assert 1 - q**needed >= 0.975 > 1 - q ** (needed - 1)
    assert _bounds(needed, 0, needed)[name]["remark"] is None
    assert _bounds(needed - 1, 0, needed)[name]["remark"] is not None
