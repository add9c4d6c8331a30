"""A warm-up, a trend and dependent iterations are told; what is steady gets no remark."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from dfaas_lab.analysis.stability import remarks_of, stability
from dfaas_lab.schemas import SUMMARY, TIMELINE

RANDOM = np.random.default_rng


def found(*iterations: np.ndarray, functions: int = 1) -> pl.DataFrame:
    """Of a run whose seconds had these medians, the same for each function."""
    summary: list[dict[str, Any]] = []
    timeline: list[dict[str, Any]] = []
    for number, seconds in enumerate(iterations, 1):
        for which in range(functions):
            own = {"target": "mid", "iteration": number, "function": f"f{which}"}
            median = float(np.median(seconds))
            summary.append(
                dict.fromkeys(SUMMARY) | own | {"status": "ok", "latency_ms_p50": median}
            )
            timeline += [
                dict.fromkeys(TIMELINE) | own | {"second": second, "latency_ms_p50": float(value)}
                for second, value in enumerate(seconds)
            ]
    return stability(pl.DataFrame(summary, schema=SUMMARY), pl.DataFrame(timeline, schema=TIMELINE))


def steady(seed: int, seconds: int = 30) -> np.ndarray:
    return RANDOM(seed).lognormal(2, 0.2, seconds)


def test_a_warm_up_is_proposed_and_what_follows_is_steady() -> None:
    warming = steady(1, 60) + 40 * np.exp(-np.arange(60) / 4)
    row = found(warming).row(0, named=True)
    assert 5 <= row["warmup_s"] <= 20
    assert row["steady"]
    assert row["remark"].startswith(f"the first {row['warmup_s']} s are a warm-up (MSER-5; median")
    assert "leave them out" in row["remark"]


def test_a_load_that_never_gets_steady_says_so() -> None:
    rising = steady(1) * np.linspace(1, 3, 30)
    frame = found(rising)
    assert frame["steady"].to_list() == [False]
    (remark,) = remarks_of(frame)
    assert remark.startswith("f0: its latency never gets steady: it rises by")


def test_a_trend_that_is_too_small_to_matter_is_not_told() -> None:
    frame = found(10 + np.linspace(0, 0.1, 60))
    assert frame["trend_p"][0] < 0.001
    assert frame["steady"].to_list() == [True]
    assert remarks_of(frame) == []


def test_iterations_that_depend_on_each_other_are_told() -> None:
    levels = np.cumsum(RANDOM(3).normal(0, 1, 20)) + 30
    frame = found(*(np.full(6, level) for level in levels))
    assert frame["iterations_lag1"][0] > 0.5
    assert "each iteration is like the one before it" in frame["remark"][0]
    drift = found(*(steady(n) * (1 + n / 10) for n in range(8)))
    assert "p50 rises by" in drift["remark"][0]
    assert "from the first iterations to the last" in drift["remark"][0]


@pytest.mark.parametrize(("iterations", "seconds", "functions"), [(1, 30, 1), (8, 10, 3)])
def test_steady_runs_get_a_remark_by_chance_only(
    iterations: int, seconds: int, functions: int
) -> None:
    told = [
        bool(remarks_of(found(*(steady(seed * 100 + n, seconds) for n in range(iterations)),
                              functions=functions)))
        for seed in range(200)
    ]  # fmt: skip
    assert np.mean(told) <= 0.06


def test_too_little_is_no_judgement() -> None:
    frame = found(np.array([5.0, 6.0]))
    assert frame.select("warmup_s", "steady", "remark").rows() == [(0, None, None)]
    assert found().is_empty()
