"""The charts of a campaign: what they show, also of little, and that they can be drawn."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
import vl_convert

from dfaas_lab import Exponential, Linear, Overload, Plan
from dfaas_lab.charts import campaign_chart, frontier_chart
from dfaas_lab.display.bundles import png, shown_width, spec_of
from dfaas_lab.errors import ConfigError
from tests.scenarios import scenarios
from tests.unit.campaign_frames import outcomes

PLAN = Plan(["env", "figlet"], Linear(0, 120, step=30), sizes=(1, 2))
WHOLE = outcomes(PLAN)


def _rows(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """All rows that a chart draws."""
    return [row for rows in spec.get("datasets", {}).values() for row in rows]


def _scales(spec: Any, channel: str) -> list[dict[str, Any]]:
    """The scales of a channel, wherever in a specification they are."""
    if isinstance(spec, list):
        return [scale for one in spec for scale in _scales(one, channel)]
    if not isinstance(spec, dict):
        return []
    own = [spec[channel]["scale"]] if "scale" in (spec.get(channel) or {}) else []
    return own + [scale for one in spec.values() for scale in _scales(one, channel)]


def test_a_campaign_is_drawn_with_its_limits() -> None:
    chart = campaign_chart(WHOLE, Overload(cpu_fraction=0.7))
    spec = chart.to_dict()
    rows = _rows(spec)
    assert {"limit": 70.0} in rows
    assert {"limit": 90.0} in rows
    assert {row["state"] for row in rows if "state" in row} == {"measured", "overloaded"}
    bands = [row for row in rows if row.get("kind") == "latency p95"]
    assert all(row["low"] <= row["value"] <= row["high"] for row in bands)
    # Only loads in which the function is alone: one point per rate.
    assert sorted({row["rate_rps"] for row in bands}) == [30.0, 60.0, 90.0, 120.0]
    assert len(vl_convert.vegalite_to_png(spec)) > 10_000


@pytest.mark.slow
def test_no_figure_of_a_campaign_is_wider_than_a_cell() -> None:
    both = pl.concat([WHOLE, outcomes(PLAN, target="heavy")])
    for chart in (campaign_chart(both, Overload()), frontier_chart(both, "env", "figlet")):
        assert shown_width(png(spec_of(chart))) <= 640


def test_a_rate_in_doubt_has_a_hollow_point() -> None:
    doubtful = pl.when(pl.col("rate_rps") == 60).then(pl.lit("late")).otherwise(pl.lit(""))
    spec = campaign_chart(WHOLE.with_columns(doubts=doubtful), None).to_dict()
    hollow = {row["rate_rps"] for row in _rows(spec) if row.get("doubtful")}
    assert hollow == {60.0}
    drawn = vl_convert.vegalite_to_svg(spec)
    assert "hollow: DOUBTFUL" in drawn
    assert "hollow" not in vl_convert.vegalite_to_svg(campaign_chart(WHOLE, None).to_dict())


def test_an_iteration_that_failed_is_in_no_mean() -> None:
    gone = pl.col("iteration") == 1
    broken = WHOLE.with_columns(
        status=pl.when(gone).then(pl.lit("failed")).otherwise("status"),
        success_rate=pl.when(gone).then(0.0).otherwise("success_rate"),
    )
    means = [
        row["value"]
        for frame in (broken, WHOLE)
        for row in _rows(campaign_chart(frame).to_dict())
        if "low" in row and row["kind"] == "success"
    ]
    assert means[: len(means) // 2] == means[len(means) // 2 :]


def test_rates_that_double_and_a_long_course_are_read_on_their_axes() -> None:
    plan = Plan(["env"], Exponential(2, 2, 6))
    drawn = campaign_chart(outcomes(plan, iterations=20), None)
    assert any(scale.get("base") == 2 for scale in _scales(drawn.to_dict(), "x"))
    assert "since the start (min:s)" in vl_convert.vegalite_to_svg(drawn.to_dict())


LITTLE = {
    "nothing": WHOLE.clear(),
    "no node": outcomes(PLAN, node=False, iterations=1),
    "all in doubt": WHOLE.with_columns(doubts=pl.lit("late"), overloaded=pl.lit(False)),
    "no latency": WHOLE.with_columns(
        status=pl.lit("failed"), latency_ms_p50=None, latency_ms_p95=None
    ),
    "skipped alone": WHOLE.filter("skipped"),
    "two targets": pl.concat([WHOLE, outcomes(PLAN, target="heavy")]),
}


@pytest.mark.parametrize("what", scenarios(LITTLE, ["nothing", "skipped alone"]))
def test_little_is_drawn_too(what: str) -> None:
    assert vl_convert.vegalite_to_svg(campaign_chart(LITTLE[what], Overload()).to_dict())


def test_a_large_campaign_stays_a_small_figure() -> None:
    frame = outcomes(Plan(["env", "figlet"], Linear(0, 200, step=2), sizes=(2, 2)), iterations=1)
    rows = _rows(campaign_chart(frame, Overload()).to_dict())
    assert len(rows) < 5_000
    # Of the few that are overloaded, none is left out.
    over = frame.filter("overloaded")["load_id"].n_unique()
    assert (
        len({row["load_id"] for row in rows if "load_id" in row and row["state"] == "overloaded"})
        == over
    )


def test_the_frontier_tells_states_by_signs() -> None:
    spec = frontier_chart(WHOLE, "env", "figlet").to_dict()
    cells = {(row["a"], row["b"]): row for row in _rows(spec)}
    assert len(cells) == 25
    assert cells[0.0, 0.0]["state"] == "measured"
    assert cells[120.0, 0.0]["state"] == "overloaded"
    assert cells[120.0, 120.0]["state"] == "skipped"
    drawn = vl_convert.vegalite_to_svg(spec)
    assert all(f">{state}<" in drawn for state in ("measured", "overloaded", "skipped"))
    shapes = next(scale["range"] for scale in _scales(spec, "shape"))
    assert len(set(shapes)) == 3


def test_a_frontier_needs_loads_of_both() -> None:
    with pytest.raises(ConfigError, match="sizes"):
        frontier_chart(outcomes(Plan(["env", "figlet"], [10])), "env", "figlet")
    with pytest.raises(ConfigError, match="no load"):
        frontier_chart(WHOLE, "env", "nobody")
    alone = outcomes(Plan(["env", "figlet"], [10]))
    drawn = frontier_chart(alone, "env", "figlet", planned=True).to_json()
    assert "nothing was measured" in drawn
