"""Comparisons judge all numbers together, say what spoils them, and know what blocks could show."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

from dfaas_lab.analysis.statistics import statistics
from dfaas_lab.comparison import compare, compare_blocks

TIMES = ("latency_ms_mean", *(f"latency_ms_p{q}" for q in (50, 90, 95, 99)))


@dataclass(frozen=True)
class Measured:
    id: str
    summary: pl.DataFrame


def summary(
    levels: np.ndarray, *, rate: float = 1.0, functions: int = 1, seed: int = 1, noise: float = 0.01
) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    rows = [
        {name: 10 * level * math.exp(random.normal(0, noise)) for name in TIMES}
        | {"target": "mid", "iteration": number, "function": f"f{function}", "requests": 200}
        | {"success_rate": rate, "status": "ok", "rate_rps": 5.0, "duration_s": 9.0}
        for number, level in enumerate(levels, 1)
        for function in range(functions)
    ]
    return pl.DataFrame(rows)


def test_the_limits_of_many_numbers_hold_together() -> None:
    few, many = (
        compare(
            Measured("a", summary(np.ones(6), functions=n)),
            Measured("b", summary(np.ones(6), functions=n, seed=2)),
        ).frame.row(0, named=True)
        for n in (1, 8)
    )
    assert few["high"] - few["low"] > few["alone_high"] - few["alone_low"]
    width = [row["high"] - row["low"] for row in (few, many)]
    assert width[1] > width[0] * 0.9


@pytest.mark.slow
def test_the_same_system_twice_seldom_differs() -> None:
    random = np.random.default_rng(3)
    claims = []
    for seed in range(60):
        runs = [
            Measured(name, summary(np.exp(random.normal(0, 0.1, 5)), functions=8, seed=seed + k))
            for k, name in ((0, "a"), (1000, "b"))
        ]
        claims.append(bool(compare(*runs).frame["differs"].any()))
    assert np.mean(claims) < 0.15


def test_drift_and_different_success_are_named() -> None:
    drifting = Measured("a", summary(1.1 ** np.arange(8)))
    failing = Measured("b", summary(np.ones(8), rate=0.6, seed=2))
    told = str(compare(drifting, failing))
    assert "p50 of f0 in a: it rises from iteration to iteration" in told
    assert "succeeded in 100.0% of requests in a and in 60.0% in b" in told
    assert "lab.run_interleaved()" in told
    assert "two runs" in told
    assert "slower" not in told


def test_sides_in_turn_are_not_deceived_by_drift() -> None:
    drift = 1.03 ** np.arange(40)
    a, b = drift[0::4].copy(), drift[1::4].copy()
    a[1::2], b[1::2] = b[1::2].copy(), a[1::2].copy()
    got = compare_blocks({"old": summary(a, noise=0.002), "new": summary(b, noise=0.002, seed=9)})
    assert not got.frame["differs"].any()
    assert "the same within" in str(got)
    assert "blocks could have shown a change of" in repr(got)
    assert "iteration to iteration" not in str(got)


def test_a_real_change_is_seen_in_turn_although_all_else_drifts() -> None:
    drift = 1.03 ** np.arange(20)
    got = compare_blocks({"old": summary(drift[0::2]), "new": summary(1.2 * drift[0::2], seed=9)})
    latencies = got.frame.filter(pl.col("measure") != "success_rate")
    assert latencies["differs"].all()
    assert latencies["change"].to_list() == pytest.approx([0.2] * 5, abs=0.02)


def test_power_says_what_more_blocks_would_give() -> None:
    random = np.random.default_rng(5)
    levels = np.exp(random.normal(0, 0.05, 10))
    row = compare_blocks(
        {"a": summary(levels), "b": summary(np.exp(random.normal(0, 0.05, 10)), seed=2)}
    ).power.row(1, named=True)
    assert row["blocks"] == 10
    assert 0.03 < row["detectable"] < 0.3
    assert 15 <= row["blocks_to_halve"] <= 40
    assert row["same_within"] > 0


def test_blocks_that_one_side_lacks_are_left_out() -> None:
    a, b = summary(np.ones(6)), summary(np.ones(6), seed=2)
    cut = b.with_columns(
        status=pl.when(pl.col("iteration") == 2).then(pl.lit("interrupted")).otherwise("status")
    )
    assert compare_blocks({"a": a, "b": cut}).power["blocks"].to_list() == [5] * 6


def test_several_sides_are_compared_with_the_first() -> None:
    sides = {name: summary(np.ones(5), seed=k) for k, name in enumerate(("x", "y", "z"))}
    got = compare_blocks(sides)
    assert set(got.frame.select("side_a", "side_b").rows()) == {("x", "y"), ("x", "z")}
    assert any(" on y [" in sentence for sentence in got.sentences)
    assert "numbers of f0 on y differ by " in str(got)


def test_a_comparison_has_a_chart() -> None:
    got = compare_blocks({"a": summary(np.ones(5)), "b": summary(2 * np.ones(5), seed=2)})
    drawn = got.chart().to_dict()
    assert "b compared with a" in str(drawn["title"])


def test_correlated_iterations_and_small_quantiles_are_remarked() -> None:
    random, level, levels = np.random.default_rng(2), 0.0, []
    for _ in range(21):
        level = 0.9 * level + random.normal(0, 0.1)
        levels.append(math.exp(level))
    frame = summary(np.array(levels)).with_columns(run_id=pl.lit("r"))
    requests = pl.DataFrame(
        {
            "run_id": "r", "target": "mid", "iteration": 1, "function": "f0",
            "latency_ms": np.arange(1.0, 101.0), "failed": False,
        }
    )  # fmt: skip
    got = {row["measure"]: row for row in statistics(requests, frame).iter_rows(named=True)}
    assert "like the one before it" in got["latency_ms_p50"]["remark"]
    assert "wider since neighbours are correlated" in got["latency_ms_p50"]["method"]
    assert "a p99 of 100 requests: its interval needs 368" in got["latency_ms_p99"]["remark"]
    assert (got["latency_ms_p99"]["pooled_low"], got["latency_ms_p99"]["pooled_high"]) == (
        None,
    ) * 2
    assert got["latency_ms_p50"]["pooled_low"] < 50.5 < got["latency_ms_p50"]["pooled_high"]


def test_what_does_not_differ_has_one_sentence_per_function() -> None:
    got = compare_blocks({"old": summary(np.ones(8)), "new": summary(np.ones(8), seed=2)})
    assert len(got.sentences) == got.frame.height
    (told,) = [line for line in str(got).splitlines() if "f0" in line]
    assert ", which can be chance: the same within " in told
    assert "these 8 blocks could have shown a change of " in told
    assert told.endswith(" more halve it")


def test_too_few_iterations_judge_nothing() -> None:
    """Of numbers without an interval nothing is known, and not that they can be chance."""
    told = str(compare(Measured("a", summary(np.ones(2))), Measured("b", summary(np.ones(2)))))
    assert "no number can be judged" in told
    assert "(no interval: fewer than 3 iterations)" in told
    assert "chance" not in told


@pytest.mark.parametrize(("level", "said"), [(1.0, "are the same"), (2.0, "differ by 100 %")])
@pytest.mark.parametrize("in_turn", [False, True])
def test_iterations_that_do_not_differ_have_no_interval(
    level: float, said: str, *, in_turn: bool
) -> None:
    a, b = summary(np.ones(5), noise=0), summary(np.full(5, level), noise=0)
    got = (
        compare_blocks({"a": a, "b": b}) if in_turn else compare(Measured("a", a), Measured("b", b))
    )
    (times,) = [line for line in str(got).splitlines() if line.startswith("5 numbers of f0")]
    assert said in times
    assert times.endswith("(no interval: the iterations do not differ)")


def test_a_function_that_is_slower_all_over_says_so_in_three_sentences() -> None:
    """The clearest first; five numbers differ alike."""
    runs = (Measured("a", summary(np.ones(8))), Measured("b", summary(np.full(8, 2.0), seed=2)))
    comparison = compare(*runs)
    assert comparison.frame["differs"].sum() == 5
    _, *told = str(comparison).split("\n")
    assert all(" of f0 is 9" in line or " of f0 is 10" in line for line in told[:2])
    assert told[2] == "3 more numbers of f0 differ, all higher (see frame)"
    assert [line for line in told[3:] if not line.startswith("Note")] == [comparison.sentences[-1]]


def test_limits_that_say_nothing_are_not_told_in_millions_of_percent() -> None:
    wild = np.exp(np.array([0.0, 5.0, -5.0]))
    got = compare_blocks({"old": summary(np.ones(3)), "new": summary(wild, seed=2)})
    text = " ".join((str(got), *got.sentences))
    assert "no limits within tenfold" in text
    assert "could have shown a change of over 1000 %" in text
    assert max(map(float, re.findall(r"([\d.]+) %", text))) <= 1000
