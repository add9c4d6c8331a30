"""Metrics over exactly a window: what was before or after it never counts."""

from __future__ import annotations

import pytest

from dfaas_lab.analysis.scrapes import (
    Scrapes,
    Series,
    Window,
    increases,
    mean_of,
    missing_reason,
    rates,
    samples,
)


def counter(times: list[float], values: list[float], **labels: str) -> Series:
    return Series({"job": "node", "instance": "a", **labels}, list(zip(times, values, strict=True)))


def test_a_node_at_full_load_for_two_scrapes_shows_full_load() -> None:
    """Idle until 100, one core busy from 100 to 115, idle again; scraped every 5 s."""
    times = [float(t) for t in range(60, 161, 5)]
    busy = counter(times, [min(max(t - 100, 0), 15) for t in times])
    found = rates([busy], Scrapes(), Window(100, 115))
    assert found == [(105, 1.0), (110, 1.0), (115, 1.0)]
    assert mean_of(found) == 1.0


def test_edges_between_scrapes_never_reach_outside() -> None:
    times = [float(t) for t in range(60, 161, 5)]
    busy = counter(times, [20 * min(max(t - 101, 0), 13) for t in times])
    assert rates([busy], Scrapes(), Window(101, 114)) == [(110, 20.0)]


def test_too_few_scrapes_are_no_number() -> None:
    times = [85.0, 100.0, 115.0, 130.0]
    series = [counter(times, [0, 0, 30, 30])]
    window = Window(112, 114)
    assert rates(series, Scrapes(), window) == []
    assert samples(series, Scrapes(), window) == []
    assert (
        missing_reason(Scrapes().with_points(series), window) == "2 s of load, scraped every 15 s"
    )
    assert missing_reason(Scrapes(), window) == "2 s of load, not scraped"
    assert mean_of([]) is None


def test_a_reset_counts_from_zero() -> None:
    assert rates([counter([0, 5, 10], [100, 110, 5])], Scrapes(), Window(0, 10)) == [
        (5, 2.0),
        (10, 1.0),
    ]


def test_a_counter_that_begins_inside_began_at_zero() -> None:
    """The first 500 makes its series; what it counted before its first scrape is no less."""
    old = counter([0, 5, 10, 15], [0, 5, 10, 15], code="200")
    new = counter([10, 15], [50, 100], code="500")
    assert rates([old, new], Scrapes(), Window(0, 15)) == [(5, 1.0), (10, 11.0), (15, 11.0)]


def test_a_counter_that_nobody_could_see_before_has_no_first_rate() -> None:
    up = Series({"job": "node", "instance": "a"}, [(0, 0), (5, 0), (10, 1), (15, 1)])
    found = rates([counter([10, 15], [500, 505])], Scrapes.of([up]), Window(0, 15))
    assert found == [(15, 1.0)]


def test_a_scrape_that_was_missed_stretches_the_time_and_not_the_rate() -> None:
    assert rates([counter([0, 5, 15, 20], [0, 5, 15, 20])], Scrapes(), Window(0, 20)) == [
        (5, 1.0),
        (15, 1.0),
        (20, 1.0),
    ]


def test_several_sources_add_up_although_they_are_scraped_apart() -> None:
    one = counter([0, 5, 10], [0, 5, 10])
    two = counter([2, 7, 12], [0, 10, 20], instance="b")
    found = rates([one, two], Scrapes(), Window(0, 12))
    assert {value for _, value in found} == {3.0}


def test_gauges_are_added_or_the_largest_counts() -> None:
    gauges = [counter([0, 5], [1, 2]), counter([0, 5], [3, 1], code="x")]
    assert samples(gauges, Scrapes(), Window(0, 5)) == [(0, 4), (5, 3)]
    assert samples(gauges, Scrapes(), Window(0, 5), max) == [(0, 3), (5, 2)]
    assert samples(gauges, Scrapes(), Window(1, 4)) == []


@pytest.mark.parametrize(
    ("points", "mean"),
    [([(0, 4.0)], 4.0), ([(0, 1.0), (1, 2.0)], 1.5), ([(0, 1.0), (1, 1.0), (4, 3.0)], 2.0)],
)
def test_a_mean_is_over_time(points: list[tuple[float, float]], mean: float) -> None:
    assert mean_of(points) == pytest.approx(mean)


def test_an_increase_is_counted_between_the_scrapes_inside_for_each_source() -> None:
    times = [float(t) for t in range(0, 50, 5)]
    one = counter(times, [10 * t for t in times], code="200")
    also = counter([15.0, 20.0, 25.0], [3.0, 3.0, 7.0], code="500")  # it began between two scrapes
    other = counter([12.0, 22.0], [100.0, 4.0], instance="b")  # started anew in between
    found = increases([one, also, other], Scrapes(), Window(8, 26))
    assert [(one.window, one.value) for one in found] == [
        (Window(10, 25), 157.0),
        (Window(12, 22), 4.0),
    ]
    assert increases([one, other], Scrapes(), Window(13, 26)) == []  # of one there is a single one
