"""Intervals cover what they promise; comparisons say what is so."""

from __future__ import annotations

import html
import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from dfaas_lab import schemas
from dfaas_lab.analysis.distributions import beta_quantile, student_quantile
from dfaas_lab.analysis.intervals import BOOTSTRAP_SE, BOOTSTRAP_T, mean_interval, ratio_interval
from dfaas_lab.analysis.rate_intervals import (
    BY_ITERATION,
    binomial_interval,
    rate_difference_interval,
    rate_interval,
)
from dfaas_lab.analysis.statistics import MEASURES, statistics
from dfaas_lab.comparison import compare
from dfaas_lab.errors import ConfigError
from tests.scenarios import scenarios

TRIALS = 400
# 95 % of 400 are 380; the standard deviation is 4.4, so a true 95 % leaves these bounds never.
ALMOST_95 = (0.915, 0.985)


@dataclass(frozen=True)
class Measured:
    id: str
    summary: pl.DataFrame
    requests: pl.DataFrame


def measured(
    id_: str = "run-a",
    *,
    iterations: int = 5,
    scale: float = 1.0,
    failing: float = 0.0,
    functions: tuple[str, ...] = ("figlet",),
    target: str = "mid",
    seed: int = 1,
    status: str = "ok",
    spread: float = 0.02,
) -> Measured:
    """A run whose iterations differ by ``spread``, with 200 requests each."""
    rng = np.random.default_rng(seed)
    requests, summary = [], []
    for iteration in range(1, iterations + 1):
        for function in functions:
            latency = rng.lognormal(2.3, 0.4, 200) * scale * np.exp(rng.normal(0, spread))
            failed = rng.random(200) < failing
            key = {"run_id": id_, "target": target, "iteration": iteration, "function": function}
            requests += [
                key | {"latency_ms": value, "response_ms": value * 1.02, "failed": bool(bad)}
                for value, bad in zip(latency, failed, strict=True)
            ]
            row = {
                f"{time}_p{q}": np.quantile(values, q / 100)
                for time, values in (("latency_ms", latency), ("response_ms", latency * 1.02))
                for q in (50, 90, 95, 99)
            }
            summary.append(
                key
                | row
                | {
                    "latency_ms_mean": latency.mean(),
                    "response_ms_mean": latency.mean() * 1.02,
                    "success_rate": 1 - failed.mean(),
                    "requests": 200,
                    "failed": int(failed.sum()),
                    "status": status,
                    "started_at": datetime(2026, 11, 23, tzinfo=UTC),
                }
            )
    return Measured(
        id_,
        pl.DataFrame(summary, schema=schemas.SUMMARY),
        pl.DataFrame(requests, schema=schemas.REQUESTS),
    )


def coverage(hits: list[bool]) -> float:
    return sum(hits) / len(hits)


@pytest.mark.parametrize("iterations", scenarios([3, 5, 7, 8, 20], [3]))
def test_intervals_of_a_mean_cover_it(iterations: int) -> None:
    # The p95 of 200 requests per iteration, the iterations themselves differing by 10 %.
    rng = np.random.default_rng(iterations)

    def p95s(count: int) -> np.ndarray:
        requests = rng.lognormal(2.3, 0.5, (count, 200)) * np.exp(rng.normal(0, 0.1, (count, 1)))
        return np.quantile(requests, 0.95, axis=1)

    truth = p95s(20_000).mean()
    hits = []
    for trial in range(TRIALS):
        got = mean_interval(p95s(iterations), confidence=0.95, seed=trial)
        hits.append(got.low <= truth <= got.high)
    assert ALMOST_95[0] <= coverage(hits) <= ALMOST_95[1]


@pytest.mark.parametrize("counts", scenarios([(3, 3), (3, 10), (10, 10)], [(3, 10)]))
def test_intervals_of_a_ratio_cover_it(counts: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(counts))
    hits = []
    for trial in range(TRIALS):
        a = rng.lognormal(0, 0.1, counts[0]) * 20
        b = rng.lognormal(0, 0.1, counts[1]) * 30
        ratio = ratio_interval(a, b, confidence=0.95, seed=trial)
        hits.append(ratio.low <= 1.5 <= ratio.high)
    assert ALMOST_95[0] <= coverage(hits) <= 0.995


def test_a_ratio_of_unequal_runs_has_the_degrees_of_the_one_that_spreads() -> None:
    # The slow run has the larger variance and, relative to its mean, nearly none.
    rng = np.random.default_rng(6)
    hits = []
    for trial in range(TRIALS):
        slow = 1000 * rng.lognormal(0, 0.01, 7)
        fast = rng.lognormal(0, 0.2, 3)
        got = ratio_interval(slow, fast, confidence=0.95, seed=trial)
        hits.append(got.low <= np.exp(0.02) / 1000 <= got.high)
    assert ALMOST_95[0] <= coverage(hits) <= ALMOST_95[1]


@pytest.mark.parametrize("others", [2, 5, 7, 19])
@pytest.mark.parametrize("outlier", [20.0, 100.0, 900.0, 1e9])
def test_one_outlier_gives_no_limits_that_cannot_be_believed(others: int, outlier: float) -> None:
    rng = np.random.default_rng(others)
    usual = rng.normal(11, 1, others + 1)
    hit = np.append(rng.normal(11, 1, others), outlier)
    for a, b in ((hit, usual), (usual, hit)):
        got = ratio_interval(a, b, confidence=0.95, seed=0)
        if outlier <= 20:
            assert got.low < 1 < got.high < 20  # one iteration of many can be chance
        if outlier >= 900:
            assert (got.low, got.high) == (None, None)
            assert got.method == "none: the iterations differ too much"
    assert mean_interval(hit, confidence=0.95, seed=0).high < 10 * hit.mean()


def test_iterations_that_are_equal_or_nothing_give_no_limits() -> None:
    equal = mean_interval(np.full(8, 3.0), confidence=0.95, seed=0)
    assert (equal.estimate, equal.low, equal.high) == (3, None, None)
    zeros, usual = np.array([0.0] * 7 + [5.0]), np.arange(10.0, 18.0)
    assert ratio_interval(zeros, usual, confidence=0.95, seed=0).low is None
    endless = mean_interval(np.array([1.0, 2.0, np.inf]), confidence=0.95, seed=0)
    assert (endless.estimate, endless.low, endless.high) == (np.inf, None, None)
    sure = ratio_interval(usual[:3], usual[:3], confidence=1 - 1e-12, seed=0)
    assert (sure.estimate, sure.low, sure.high) == (1, None, None)


@pytest.mark.parametrize("iterations", scenarios([3, 8, 20], [3]))
@pytest.mark.parametrize(
    "rate_and_spread",
    scenarios([(0.99, 0.0), (0.9, 0.0), (0.9, 0.02), (0.99, 0.005)], [(0.9, 0.02)]),
)
def test_intervals_of_a_success_rate_cover_it(
    iterations: int, rate_and_spread: tuple[float, float]
) -> None:
    rate, differ = rate_and_spread
    # 200 requests per iteration; where iterations differ, their rates are beta distributed.
    rng = np.random.default_rng(iterations)
    shape = (2 * TRIALS, iterations)
    size = 1 / differ - 1 if differ else 0
    truth = rng.beta(rate * size, (1 - rate) * size, shape) if size else np.full(shape, rate)
    made = [
        rate_interval(rates, 200 * iterations, confidence=0.95)
        for rates in rng.binomial(200, truth) / 200
    ]
    assert coverage([one.low <= rate <= one.high for one in made]) >= ALMOST_95[0]
    assert all(0 <= one.low < one.estimate <= one.high <= 1 for one in made)
    drawn = rng.binomial(200, truth) / 200
    requests = (200 * iterations, 200 * iterations)
    pairs = [
        rate_difference_interval(a, b, requests, confidence=0.95)
        for a, b in zip(drawn[::2], drawn[1::2], strict=True)
    ]
    assert coverage([one.low <= 0 <= one.high for one in pairs]) >= ALMOST_95[0]
    assert all(-1 <= one.low < one.estimate < one.high <= 1 for one in pairs)


def test_one_failing_iteration_of_many_is_no_certainty() -> None:
    got = rate_interval(np.array([1.0] * 7 + [0.9]), 1600, confidence=0.95)
    assert got.low < 0.95 < got.estimate < got.high < 1


def test_two_perfect_runs_still_leave_a_doubt() -> None:
    row = compare(measured(), measured("run-b", seed=2)).frame.row(-1, named=True)
    assert (row["measure"], row["change"], row["differs"]) == ("success_rate", 0, False)
    assert row["low"] == -row["high"] < row["alone_low"] < 0


def test_the_confidence_that_is_asked_for_is_given() -> None:
    rng = np.random.default_rng(1)
    hits = []
    for trial in range(TRIALS):
        got = mean_interval(rng.normal(10, 1, 6), confidence=0.8, seed=trial)
        hits.append(got.low <= 10 <= got.high)
    assert 0.74 <= coverage(hits) <= 0.86


def test_students_t_is_that_of_the_tables() -> None:
    table = {(0.975, 1): 12.706, (0.975, 2): 4.303, (0.95, 3): 2.353, (0.995, 7): 3.499,
             (0.975, 30): 2.042}  # fmt: skip
    for (probability, degrees), t in table.items():
        assert student_quantile(probability, degrees) == pytest.approx(t, abs=5e-4)
    assert student_quantile(0.975, 1e6) == pytest.approx(1.95996, abs=1e-5)
    assert student_quantile(0.975, 2) > student_quantile(0.975, 2.5) > student_quantile(0.975, 3)


def test_beta_quantiles_are_those_of_order_statistics() -> None:
    # P(beta(a, b) <= x) is P(binomial(a + b - 1, x) >= a) where both are whole.
    x = beta_quantile(0.3, 4, 7)
    at_least = sum(math.comb(10, k) * x**k * (1 - x) ** (10 - k) for k in range(4, 11))
    assert at_least == pytest.approx(0.3)
    assert beta_quantile(0.3, 5e5, 5e5) == pytest.approx(0.5, abs=1e-3)


def test_the_exact_binomial_interval_is_exact() -> None:
    low, high = binomial_interval(300, 300, confidence=0.95)
    assert high == 1
    assert low**300 == pytest.approx(0.025)
    assert binomial_interval(0, 300, confidence=0.95) == (0, pytest.approx(1 - low))


def test_statistics_are_means_over_iterations_beside_pooled_ones() -> None:
    run = measured(iterations=4)
    got = statistics(run.requests, run.summary)
    assert got["measure"].to_list() == list(MEASURES)
    p95 = got.row(3, named=True)
    assert p95["estimate"] == pytest.approx(run.summary["latency_ms_p95"].mean())
    assert p95["pooled"] == pytest.approx(np.quantile(run.requests["latency_ms"], 0.95))
    assert p95["low"] < p95["estimate"] < p95["high"]
    assert (p95["iterations"], p95["method"]) == (4, BOOTSTRAP_SE)
    many = measured(iterations=8, seed=2)
    assert statistics(many.requests, many.summary)["method"][0] == BOOTSTRAP_T


def test_the_same_seed_gives_the_same_intervals() -> None:
    run = measured(iterations=9)
    one, two = (statistics(run.requests, run.summary, seed=7) for _ in range(2))
    assert one.equals(two)
    assert not one.equals(statistics(run.requests, run.summary, seed=8))


@pytest.mark.parametrize("iterations", [1, 2])
def test_too_few_iterations_give_no_interval_and_say_so(iterations: int) -> None:
    run = measured(iterations=iterations)
    got = statistics(run.requests, run.summary)
    assert got["low"].null_count() == got["high"].null_count() == got.height
    assert got["estimate"].null_count() == 0
    assert set(got["method"]) == {"none: fewer than 3 iterations"}


def test_iterations_that_were_cut_short_are_left_out() -> None:
    whole, cut = measured(iterations=3), measured(iterations=3, status="interrupted", seed=2)
    cut_later = cut.summary.with_columns(iteration=pl.col("iteration") + 3)
    requests = pl.concat(
        [whole.requests, cut.requests.with_columns(iteration=pl.col("iteration") + 3)]
    )
    got = statistics(requests, pl.concat([whole.summary, cut_later]))
    assert got.equals(statistics(whole.requests, whole.summary))


def test_perfect_iterations_still_leave_a_doubt() -> None:
    run = measured(iterations=3)
    rate = statistics(run.requests, run.summary).row(-1, named=True)
    assert (rate["measure"], rate["estimate"], rate["high"]) == ("success_rate", 1, 1)
    assert rate["low"] == pytest.approx(0.025 ** (1 / 3))  # the iterations are what is repeated
    assert (rate["method"], rate["unit"]) == (BY_ITERATION, "iteration")


def test_limits_stay_where_the_measure_lives() -> None:
    run = measured(iterations=3, failing=0.005)
    got = statistics(run.requests, run.summary)
    assert got.filter(pl.col("measure") == "success_rate")["high"][0] <= 1
    assert got["low"].min() >= 0


def test_a_function_without_a_latency_has_nulls() -> None:
    run = measured(iterations=3)
    nothing = run.summary.with_columns(pl.lit(None, pl.Float64).alias(name) for name in MEASURES)
    got = statistics(run.requests.clear(), nothing)
    assert got["iterations"].to_list() == [0] * len(MEASURES)
    assert got["estimate"].null_count() == len(MEASURES)


def test_an_empty_run_has_empty_statistics() -> None:
    run = measured(iterations=1)
    assert statistics(run.requests.clear(), run.summary.clear()).is_empty()


@pytest.mark.parametrize("confidence", [0, 1, 95, float("nan")])
def test_a_confidence_that_is_none_is_refused(confidence: float) -> None:
    run = measured()
    with pytest.raises(ConfigError, match="confidence"):
        statistics(run.requests, run.summary, confidence=confidence)
    with pytest.raises(ConfigError, match="confidence"):
        compare(run, run, confidence=confidence)


def sentences(a: Measured, b: Measured) -> dict[str, str]:
    got = compare(a, b)
    return dict(zip(got.frame["measure"], got.sentences, strict=True))


def test_a_difference_is_told_in_a_sentence() -> None:
    a, b = measured(), measured("run-b", scale=1.5, seed=2)
    p95 = compare(a, b).frame.row(3, named=True)
    assert p95["low"] < 0.5 < p95["high"]
    assert p95["alone_low"] > max(p95["low"], 0.3)
    change, low, high = (round(p95[name] * 100) for name in ("change", "low", "high"))
    told = sentences(a, b)["latency_ms_p95"]
    assert told == f"p95 of figlet is {change} % higher [{low} %, {high} %]"
    back = sentences(b, a)["latency_ms_p95"]
    assert back.startswith("p95 of figlet is 3")
    assert " % lower [" in back
    assert "chance" not in told + back


def test_what_can_be_chance_is_said_to_be() -> None:
    a, b = measured(seed=1, spread=0.1), measured("run-b", seed=2, spread=0.1)
    assert sentences(a, b)["latency_ms_mean"].endswith("which can be chance")


def test_a_success_rate_differs_by_points() -> None:
    a, b = measured(), measured("run-b", failing=0.2, seed=3)
    assert sentences(a, b)["success_rate"].startswith("success rate of figlet is ")
    row = compare(a, b).frame.row(-1, named=True)
    assert row["change"] == pytest.approx(-0.2, abs=0.03)
    assert row["low"] < -0.2 < row["high"] < -0.1
    assert " points lower [" in sentences(a, b)["success_rate"]


def test_two_iterations_are_compared_without_an_interval() -> None:
    a, b = measured(iterations=2), measured("run-b", scale=2, seed=2)
    assert sentences(a, b)["latency_ms_p50"].endswith("(no interval: fewer than 3 iterations)")


def test_nodes_are_compared_by_function_and_several_targets_by_both() -> None:
    a, b = measured(functions=("figlet", "env")), measured("run-b", target="high", seed=2)
    assert set(compare(a, b).frame["function"]) == {"figlet"}
    assert compare(a, b).frame["target"].null_count() == len(MEASURES)
    both = pl.concat([a.summary, measured(target="high", seed=3).summary])
    got = compare(Measured("both", both, a.requests), b).frame
    assert got.select("target", "function").unique().rows() == [("high", "figlet")]


def shown(a: Measured, b: Measured) -> str:
    """What both the text and the notebook say."""
    got = compare(a, b)
    assert all(remark in html.unescape(got._repr_html_()) for remark in got.remarks)
    assert all(remark in str(got) for remark in got.remarks)
    return " / ".join(got.remarks)


def test_what_cannot_be_compared_is_said() -> None:
    a = measured(functions=("figlet", "env"))
    assert shown(a, measured("run-b", functions=("figlet", "env"), seed=2)) == ""
    b = measured("run-b", functions=("figlet", "cows"), seed=2)
    assert shown(a, b) == "env was measured in run-a only / cows was measured in run-b only"
    other = measured("run-b", functions=("cows",))
    assert shown(a, other).startswith("nothing can be compared: no function")
    cut = measured("run-b", functions=("figlet", "env"), status="interrupted")
    assert shown(a, cut).startswith("nothing can be compared")


def test_what_was_asked_differently_is_said() -> None:
    def asked(run: Measured, rate_rps: float | None, duration_s: float) -> Measured:
        terms = {"rate_rps": pl.lit(rate_rps, pl.Float64), "duration_s": pl.lit(duration_s)}
        return Measured(run.id, run.summary.with_columns(**terms), run.requests)

    a, b = asked(measured(), 20, 5), asked(measured("run-b", seed=2), 20, 5)
    assert shown(a, b) == ""
    assert "20 requests/s in run-a, 50 requests/s in run-b" in shown(a, asked(b, 50, 5))
    assert "unknown requests/s in run-b" in shown(a, asked(b, None, 5))
    assert "the duration of figlet differs" in shown(a, asked(b, 20, 30))
    assert "5 s in run-a, 30 s in run-b" in shown(a, asked(b, 20, 30))
    nothing = b.summary.with_columns(latency_ms_mean=pl.lit(None, pl.Float64))
    assert "no latency of figlet" in shown(a, Measured("run-b", nothing, b.requests))


def test_a_comparison_sends_no_escape_sequence_to_a_terminal() -> None:
    evil = "\x1b[2J"
    got = compare(measured(functions=(evil,)), measured(functions=(evil, "env" + evil), seed=2))
    assert "\x1b" not in str(got) + got._repr_html_()


def test_the_text_is_escaped_in_a_notebook() -> None:
    evil = "<script>alert(1)</script>"
    a, b = measured(functions=(evil,)), measured(evil, functions=(evil,), seed=2)
    shown = compare(a, b)._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


def test_no_difference_in_any_order_of_rows() -> None:
    a, b = measured(functions=("figlet", "env")), measured("run-b", functions=("figlet", "env"))
    shuffled = b.summary.sample(fraction=1, shuffle=True, seed=random.Random(1).randint(0, 9))
    one = compare(a, b).frame.sort("function", "measure")
    two = compare(a, Measured("run-b", shuffled, b.requests)).frame
    assert one["change"].to_list() == pytest.approx(
        two.sort("function", "measure")["change"].to_list()
    )
