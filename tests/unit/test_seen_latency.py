"""How many VUs an iteration kept busy, and what the next one expects of that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from dfaas_lab.k6.requests import expected_latencies
from dfaas_lab.schemas import TIME

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_worst_second_counts_with_all_its_requests() -> None:
    busy_s = {"env": [0.1] * 10 + [1.0, 3.0] * 5, "once": [10.0]}  # a second each, then the worst
    rows = [
        (name, began := START + timedelta(milliseconds=100 * number), began + timedelta(seconds=s))
        for name, all_s in busy_s.items()
        for number, s in enumerate(all_s)
    ]
    schema = {"function": pl.String, "started_at": TIME, "ended_at": TIME}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    assert expected_latencies({}, frame) == pytest.approx({"env": 2.0, "once": 10.0})
    assert expected_latencies({}, frame.clear()) == {}


def test_what_is_expected_falls_slowly() -> None:
    expected = {"env": 0.1, "figlet": 1.0}
    for seen_s in (8.0, 0.1, 0.1):
        end = START + timedelta(seconds=seen_s)
        row = {"function": "env", "started_at": START, "ended_at": end}
        expected = expected_latencies(expected, pl.DataFrame([row]))
    assert expected == {"env": 2.0, "figlet": 1.0}
