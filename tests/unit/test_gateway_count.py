"""What a gateway counted against the rows of a load: only what cannot be explained differs."""

from __future__ import annotations

import polars as pl
import pytest

from dfaas_lab.analysis.gateway_count import GatewayCount, gateway_count
from dfaas_lab.analysis.scrapes import Increase, Window


def rows(*statuses: tuple[float, int | None]) -> pl.DataFrame:
    """Requests by their end and status; one without a status ran into its time limit."""
    schema = {"ended_s": pl.Float64, "http_status": pl.Int32}
    return pl.DataFrame(statuses, schema=schema, orient="row").with_columns(latency_ms=1000.0)


TEN = [(100.0 + at, 200) for at in range(10)]
BETWEEN = Window(101.5, 107.5)  # 6 of the ten ended in between


@pytest.mark.parametrize(
    ("statuses", "unfinished", "counted", "found"),
    [
        (TEN, 0, 6, (10, 0)),
        (TEN, 0, 9, (13, 3)),  # somebody else asked, or the client repeated
        (TEN, 0, 4, (8, -2)),
        (TEN[:-2], 0, 6, (8, 0)),
        ([*TEN, (104.2, None)], 0, 6, (10, 0)),  # a time limit: counted as 502, or never
        ([*TEN, (104.2, None)], 0, 7, (11, 0)),
        ([*TEN, (104.2, None)], 0, 8, (12, 1)),
        ([*TEN, (109.5, None)], 0, 6, (11, 0)),  # after the last scrape: it was sent
        (TEN, 2, 8, (12, 0)),
        ([*TEN, (104.2, 404)], 0, 6, (10, 0)),  # of no such function
        ([(101.45, 200), *TEN], 0, 7, (11, 0)),  # at the edge: before the scrape, or after it
        ([(101.45, 200), *TEN], 0, 6, (11, 0)),
        ([], 0, 5, (5, 5)),  # it was not asked for at all
        ([], 0, 0, (0, 0)),
    ],
)
def test_the_count_is_of_the_whole_load(
    statuses: list[tuple[float, int | None]], unfinished: int, counted: int, found: tuple[int, int]
) -> None:
    got = gateway_count(rows(*statuses), unfinished, [Increase(BETWEEN, float(counted))], 0.1)
    assert got == GatewayCount(*found)


def test_a_request_without_a_connection_was_counted_by_nobody() -> None:
    refused = pl.lit(None, pl.Float64)
    late = rows((109.5, None)).with_columns(latency_ms=refused)
    found = gateway_count(pl.concat([rows(*TEN), late]), 0, [Increase(BETWEEN, 6.0)], 0.1)
    assert found == GatewayCount(10, 0)


def test_gateways_that_are_scraped_apart_leave_more_open() -> None:
    counted = [Increase(Window(101.5, 107.5), 3.0), Increase(Window(102.5, 108.5), 4.0)]
    assert gateway_count(rows(*TEN), 0, counted, 0.1) == GatewayCount(10, 0)
    counted[0] = Increase(counted[0].window, 6.0)
    assert gateway_count(rows(*TEN), 0, counted, 0.1) == GatewayCount(13, 3)


def test_without_two_scrapes_nothing_is_counted() -> None:
    assert gateway_count(rows(*TEN), 0, [], 0.1) is None
