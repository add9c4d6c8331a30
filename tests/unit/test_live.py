"""What is shown of a run while it goes on: bins and numbers from k6's samples."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfaas_lab.execution.target_run import _elapsed
from dfaas_lab.k6.live import MOST_BINS, Latencies, LiveSeries, Row

S = 10**9
T0 = 1_795_628_096 * S


def request(ended_s: float, latency_ms: float = 5.0, *, failed: bool = False) -> list[Row]:
    """The rows of a request that are read, as k6 writes them."""
    time_ns = T0 + round(ended_s * S)
    return [("http_req_duration", time_ns, latency_ms), ("http_req_failed", time_ns, float(failed))]


def series(*rows: list[Row], total_s: float = 10.0) -> LiveSeries:
    made = LiveSeries(total_s)
    made.begin(0.0, total_s).add(row for some in rows for row in some)
    return made


def test_rate_latency_failures_and_drops_of_the_iteration_so_far() -> None:
    slow = [request(n / 20, 100.0) for n in range(10)]
    fast = [request(0.5 + n / 20, 4.0, failed=n % 10 == 0) for n in range(90)]
    dropped = [("dropped_iterations", T0 + 2 * S, 1.0)] * 3
    found = series(*slow, *fast, dropped).numbers()
    assert found.rate_rps == pytest.approx(20, abs=1)
    assert found.p50_ms == pytest.approx(4.0, rel=0.01)
    assert found.p95_ms == pytest.approx(100.0, rel=0.01)
    assert (found.failed, found.dropped) == (9, 3)


def test_nothing_is_known_before_the_first_second_is_over() -> None:
    assert series().numbers().rate_rps is None
    assert series(request(0.2)).numbers().rate_rps is None
    assert series(request(0.2)).points() == []


def test_latencies_are_of_successful_requests() -> None:
    found = series(*[request(10 + n / 10, 9_999.0, failed=True) for n in range(30)], total_s=20)
    assert found.numbers().p95_ms is None
    assert found.points()[11].p95_ms is None
    assert found.points()[11].failed_rps == 10  # ten seconds after the first was sent


def test_a_request_is_counted_where_the_script_has_no_such_metric_as_failures() -> None:
    rows = [request(n / 10)[:1] for n in range(30)]
    found = series(*rows)
    assert found.numbers().failed == 0
    assert found.points()[1].rate_rps == 10


def test_time_goes_on_where_nothing_is_answered() -> None:
    found = series(*[request(n / 10) for n in range(20)], [("vus", T0 + 9 * S, 3.0)])
    assert found.numbers().rate_rps == 0
    assert [point.start_s for point in found.points()] == list(range(9))


def test_iterations_follow_one_another() -> None:
    found = LiveSeries(10.0)
    first = found.begin(0.0, 5.0)
    first.add(row for n in range(48) for row in request(n / 10, failed=n == 0))
    again = found.begin(5.0, 5.0)
    first.add([*request(4.8), *request(4.9), *request(7.0)])  # read late; the last after the load
    again.add([("vus", T0 + 99 * S, 1.0), *request(100.0), ("vus", T0 + 103 * S, 1.0)])
    assert found.numbers().failed == 0
    assert [round(point.rate_rps) for point in found.points()] == [10, 10, 10, 10, 10, 1, 0, 0]


def test_what_was_not_measured_is_no_zero() -> None:
    found = LiveSeries(20.0)
    found.begin(0.0, 5.0).add(row for n in range(30) for row in request(n / 10))  # then cut off
    found.begin(10.0, 5.0).add(row for n in range(30) for row in request(n / 10))
    assert [point.start_s for point in found.points()] == [0, 1, 2, 10, 11, 12]
    assert {round(point.rate_rps) for point in found.points()} <= {10, 11}


def test_a_long_run_has_no_more_bins_than_a_figure_has_room_for() -> None:
    found = series(*[request(float(n)) for n in range(0, 40_000, 7)], total_s=0.0)
    assert len(found.points()) <= MOST_BINS
    assert found.points()[3].width_s == 256
    assert sum(point.rate_rps * 256 for point in found.points()) == pytest.approx(5714, abs=40)
    assert found.numbers().rate_rps is not None


@given(st.lists(st.floats(0.01, 60_000), min_size=1, max_size=300))
def test_a_quantile_is_one_of_the_latencies_to_a_percent(values: list[float]) -> None:
    counted = Latencies()
    for value in random.Random(1).sample(values, len(values)):
        counted.add(value)
    for share in (0.5, 0.95, 1.0):
        found = counted.quantile(share)
        assert found is not None
        assert any(value == pytest.approx(found, rel=0.01) for value in values)
    assert counted.quantile(1.0) == pytest.approx(max(values), rel=0.01)


def test_a_script_that_says_no_duration_has_its_time_alone() -> None:
    assert _elapsed(12.4, 60.0) == "12 of 1 min"
    assert _elapsed(61.0, 60.0) == "60 of 1 min"
    assert _elapsed(75.2, 0.0) == "1 min 15 s"
