"""The lead of one clock over another, from what was seen of it."""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfaas_lab.analysis.clock_skew import gateway_skews
from dfaas_lab.clock import Reading, Skew, skew

leads = st.floats(-1000, 1000)
round_trips = st.floats(0, 0.3)
moments = st.lists(st.tuples(st.floats(0, 5), round_trips, st.floats(0, 1)), min_size=1, max_size=9)


@given(leads, moments, st.sampled_from([0.0, 1.0]))
def test_the_true_lead_is_always_within_what_is_said(
    lead: float, seen: list[tuple[float, float, float]], resolution: float
) -> None:
    readings = []
    for asked_at, round_trip, part in seen:
        at = asked_at + part * round_trip + lead  # when it was read, by its own time
        shown = math.floor(at) if resolution else at
        readings.append(Reading(asked_at, asked_at + round_trip, shown, resolution))
    found = skew(readings)
    assert found is not None
    assert abs(found.seconds - lead) <= found.uncertainty_s + 1e-9


def test_seconds_that_pass_while_we_look_narrow_it_down() -> None:
    lead = 90.3
    readings = [
        Reading(at, at, math.floor(at + lead), 1.0) for at in [index / 20 for index in range(24)]
    ]
    found = skew(readings)
    assert found is not None
    assert abs(found.seconds - lead) <= found.uncertainty_s <= 0.026


def test_a_clock_that_was_set_meanwhile_counts_as_it_is_now() -> None:
    found = skew([Reading(0, 0, 100.0), Reading(1, 1, 1.0)])
    assert found == Skew(0.0, 0.0)


def test_two_clocks_compared_with_ours() -> None:
    assert Skew(2.0, 0.5) - Skew(1.5, 0.25) == Skew(0.5, 0.75)
    assert skew([]) is None
    assert str(Skew(-90.0, 0.5)) == "-90.000 s (± 0.500 s)"


def _leads(rows: list[tuple[str, float, float]]) -> pl.DataFrame:
    """Return ``k6_metrics`` of iterations: the target, the least and the most lead in ms."""
    schema = ["target", "min", "max"]
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.with_columns(metric=pl.lit("dfaas_date_lead_ms"))


@given(leads, st.lists(st.floats(0, 5), min_size=1, max_size=20))
def test_a_gateways_lead_is_within_what_its_dates_allow(lead: float, moments: list[float]) -> None:
    seen = [(math.floor(at + lead) - at) * 1000 for at in moments]
    found = gateway_skews(_leads([("mid", value, value) for value in seen]))["mid"]
    assert abs(found.seconds - lead) <= found.uncertainty_s + 1e-6
    assert found.uncertainty_s <= 0.5 + 1e-6


def test_each_gateway_has_its_own_lead() -> None:
    found = gateway_skews(_leads([("b", 1200, 1500), ("a", -900, -100), ("b", 1100, 1900)]))
    assert {name: (s.seconds, s.uncertainty_s) for name, s in found.items()} == {
        "a": (pytest.approx(0.0), pytest.approx(0.1)),
        "b": (pytest.approx(2.0), pytest.approx(0.1)),
    }
    assert gateway_skews(_leads([("a", 0, 0)]).with_columns(metric=pl.lit("checks"))) == {}


def test_a_clock_that_was_set_meanwhile_is_in_between() -> None:
    assert gateway_skews(_leads([("a", 0, 5000)]))["a"] == Skew(3.0, 0.0)
