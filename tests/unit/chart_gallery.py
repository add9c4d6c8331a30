"""One of each figure, with many functions, long names, and values that are missing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache

import altair as alt
import polars as pl

from dfaas_lab import Linear, Overload, Plan
from dfaas_lab.charts import (
    comparison_chart,
    decomposition_chart,
    distribution_chart,
    node_chart,
    overlay_chart,
    rates_chart,
    run_chart,
    status_chart,
)
from dfaas_lab.charts.frontier import frontier_chart
from dfaas_lab.charts.over_campaign import campaign_chart
from dfaas_lab.schemas import REQUESTS
from tests.unit.campaign_frames import outcomes
from tests.unit.frames import summary, timeline


def requests_of(latencies: list[float], per_second: int) -> pl.DataFrame:
    """The requests of one iteration of one function."""
    began = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        {
            "run_id": "r1",
            "target": "mid",
            "iteration": 1,
            "function": "f",
            "started_at": began + timedelta(seconds=at / per_second),
            "latency_ms": latency,
            "failed": False,
            "http_status": 200,
        }
        for at, latency in enumerate(latencies)
    ]
    return pl.DataFrame(rows, schema=REQUESTS)


@cache
def every_chart() -> dict[str, Callable[[], alt.TopLevelMixin]]:
    """What draws one of each, with many functions and long names."""
    functions = ["f" * 40, "env"]
    requests = pl.concat(
        [
            requests_of([float(at % 50 + 1) for at in range(400)], 20).with_columns(
                function=pl.lit(name), target=pl.lit(target)
            )
            for name in functions
            for target in ("left", "right")
        ]
    )
    frames = pl.concat([summary(functions, target=one) for one in ("left", "right")])
    times = pl.concat([timeline(functions, target=one, seconds=400) for one in ("left", "right")])
    node = pl.DataFrame(
        {
            "time": [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=at) for at in range(9)],
            "metric": ["cpu_fraction"] * 9,
            "function": pl.Series([None] * 9, dtype=pl.String),
            "instance": ["10.0.0.60:9100"] * 9,
            "value": [at / 10 for at in range(9)],
        }
    )
    plan = Plan(["env", "figlet"], Linear(0, 200, 20), sizes=(1, 2))
    campaign = outcomes(plan)
    doubtful = pl.concat([summary(["f"], rate_rps=at, run_id=f"r{at:g}") for at in (5.0, 10.0)])
    unanswered = timeline(["f"], seconds=30).with_columns(
        latency_ms_p95=pl.when(pl.col("second") % 7 != 3).then(900.0 * (pl.col("second") + 1))
    )
    return {
        "run": lambda: run_chart(frames, times, requests),
        "one function": lambda: run_chart(summary(["f"]), timeline(["f"])),
        "rates": lambda: rates_chart(frames),
        "distribution": lambda: distribution_chart(requests),
        "distribution by target": lambda: distribution_chart(requests, by="target"),
        "overlay": lambda: overlay_chart(frames, times, by="target"),
        "status": lambda: status_chart(requests),
        "decomposition": lambda: decomposition_chart(requests.with_columns(waiting_ms=pl.lit(4.0))),
        "node": lambda: node_chart(node, frames),
        "doubtful": lambda: rates_chart(doubtful, doubtful=["r10"]),
        "seconds without an answer": lambda: run_chart(summary(["f"], seconds=30), unanswered),
        "campaign": lambda: campaign_chart(campaign, Overload(cpu_fraction=0.7)),
        "frontier": lambda: frontier_chart(campaign, "env", "figlet"),
        "comparison": lambda: comparison_chart(changes(4.0)),
    }


def changes(high: float) -> pl.DataFrame:
    """A comparison's frame with one change of 10 % and the upper end of its interval."""
    row = {"side_a": "a" * 24, "side_b": "b" * 24, "target": "mid", "function": "env"}
    row |= {"measure": "latency_ms_p95", "change": 0.1, "low": -0.1, "high": high, "differs": False}
    return pl.DataFrame([row])
