"""Correlation, trend and warm-up of a series, and quantiles of sorted values."""

from __future__ import annotations

import numpy as np
import pytest

from dfaas_lab.analysis.order_statistics import quantile_interval, values_needed
from dfaas_lab.analysis.trend import inflation, lag1, trend, warmup_length


def correlated(n: int, r: float, seed: int = 0) -> np.ndarray:
    random, values = np.random.default_rng(seed), [0.0]
    for _ in range(n + 50):
        values.append(r * values[-1] + random.normal(0, 1))
    return 10 + np.array(values[-n:])


def test_a_correlation_of_neighbours_is_found_and_chance_is_not() -> None:
    assert lag1(correlated(60, 0.7)).p < 0.001
    found = [lag1(correlated(21, 0.0, seed)).p < 0.05 for seed in range(300)]
    assert 0.01 < np.mean(found) < 0.09
    assert lag1(np.arange(7.0)) is None
    assert lag1(np.full(20, 3.0)) is None


def test_a_correlation_widens_a_variance_and_never_narrows_it() -> None:
    assert inflation(correlated(60, 0.7)) > 3
    assert inflation(np.tile([1.0, 2.0], 20)) == 1
    assert inflation(np.arange(5.0)) == 1


@pytest.mark.parametrize(("values", "way"), [([1, 2, 3, 3, 5, 9], 1), ([9, 4, 3, 3, 2, 1], -1)])
def test_a_trend_has_its_direction(values: list[float], way: int) -> None:
    found = trend(np.array(values, dtype=float))
    assert found.value * way > 0.9
    assert found.p < 0.02


def test_a_trend_that_chance_gives_is_no_trend() -> None:
    random = np.random.default_rng(1)
    found = [trend(random.normal(0, 1, 10)).p < 0.05 for _ in range(300)]
    assert 0.01 < np.mean(found) < 0.09
    assert trend(np.array([1.0, 2.0])) is None
    assert trend(np.array([1.0, np.nan, 2, 3, 4, 5])) is None


def test_a_warmup_is_proposed_where_there_is_one() -> None:
    random = np.random.default_rng(1)
    steady = random.normal(10, 1, 60)
    warming = steady + 40 * np.exp(-np.arange(60) / 4)
    assert 5 <= warmup_length(warming) <= 20
    assert warmup_length(np.full(60, 10.0)) == 0
    assert warmup_length(np.arange(4.0)) == 0


def test_order_statistics_enclose_the_quantile_as_often_as_they_say() -> None:
    random = np.random.default_rng(1)
    hits = []
    for _ in range(300):
        low, high = quantile_interval(random.exponential(1, 500), 0.95)
        hits.append(low <= -np.log(0.05) <= high)
    assert np.mean(hits) >= 0.91


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.95, 0.99])
def test_one_value_less_than_needed_gives_no_interval(quantile: float) -> None:
    needed = values_needed(quantile)
    values = np.arange(float(needed))
    assert quantile_interval(values[1:], quantile) is None
    low, high = quantile_interval(values, quantile)
    assert 0 <= low < high == needed - 1
