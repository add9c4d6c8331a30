"""Rates, plans and dominance, against brute-force models."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import random
import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfaas_lab import Custom, Exponential, Function, Linear, Plan, Random
from dfaas_lab.errors import ConfigError
from dfaas_lab.load.dominance import Dominance
from dfaas_lab.load.plan import PlannedLoad
from dfaas_lab.load.rates import rates_of
from tests.unit.campaign_frames import dominates


def test_a_grid_ends_at_its_maximum_only_if_it_falls_on_it() -> None:
    assert list(Linear(0, 30, 10)) == [0, 10, 20, 30]
    assert list(Linear(0, 35, step=10)) == [0, 10, 20, 30]
    assert list(Linear(5, 5)) == [5]
    assert list(Linear()) == list(range(0, 201, 10))


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        (Exponential(), [1, 2, 4, 8, 16, 32, 64, 128, 256]),
        (Exponential(base=3, min_power=1, max_power=3), [3, 9, 27]),
        (Exponential(max_rate=100), [1, 2, 4, 8, 16, 32, 64]),
        (Exponential(max_rate=64), [1, 2, 4, 8, 16, 32, 64]),
        (Exponential(max_power=1000, max_rate=5), [1, 2, 4]),
        (Custom([50, 5, 50, 0]), [0, 5, 50]),
        (Custom(np.array([3, 1])), [1, 3]),
        (Custom([20.0]), [20]),
    ],
)
def test_powers_and_lists(rates: Any, expected: list[int]) -> None:
    assert list(rates) == list(rates.values) == expected
    assert len(rates) == len(expected)


def test_a_random_sample_is_pythons_and_can_be_drawn_again() -> None:
    drawn = Random(10, 200, count=10, seed=7)
    assert list(drawn) == sorted(random.Random(7).sample(range(10, 201), 10))
    free = Random(10, 200, count=10)
    assert list(free) == list(free) == list(Random(10, 200, count=10, seed=free.seed))
    assert isinstance(free.seed, int)


def test_the_whole_range_is_taken_where_more_are_asked_for() -> None:
    assert list(Random(1, 4, count=10, seed=1)) == [1, 2, 3, 4]
    assert list(Random(1, 4, count=4, seed=1)) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Linear(10, 0), "below"),
        (lambda: Linear(step=0), "too low"),
        (lambda: Linear(-1, 5), "too low"),
        (lambda: Linear(0, 2.5), "whole"),  # type: ignore[arg-type]
        (lambda: Linear(0, True), "whole"),
        (lambda: Linear(0, "9"), "whole"),  # type: ignore[arg-type]
        (lambda: Linear(0, 10**9), "more than any generator"),
        (lambda: Exponential(base=1), "too low"),
        (lambda: Exponential(min_power=3, max_power=2), "below"),
        (lambda: Exponential(max_power=60), "more than any generator"),
        (lambda: Exponential(min_power=4, max_rate=5), "above max_rate"),
        (lambda: Random(5, 1), "below"),
        (lambda: Random(count=0), "too low"),
        (lambda: Random(seed="x"), "whole"),  # type: ignore[arg-type]
        (lambda: Custom([]), "no rate"),
        (lambda: Custom([-1]), "too low"),
        (lambda: Custom([1.5]), "whole"),  # type: ignore[list-item]
        (lambda: Custom("12"), "no list"),  # type: ignore[arg-type]
        (lambda: Custom(5), "no list"),  # type: ignore[arg-type]
        (lambda: Custom([float("nan")]), "whole"),  # type: ignore[list-item]
        (lambda: rates_of({"type": "cubic"}), "unknown rates"),
        (lambda: rates_of({"type": "linear", "stp": 1}), "stp"),
        (lambda: Plan([], [1]), "no load"),
        (lambda: Plan(["a", "a"], [1]), "twice"),
        (lambda: Plan(["a"], [1], sizes=(2, 3)), "no load"),
        (lambda: Plan(["a"], [1], sizes=(0, 1)), "sizes"),
        (lambda: Plan(["a"], [1], sizes=(2, 1)), "sizes"),
        (lambda: Plan(["a"], [1], sizes=1), "sizes"),  # type: ignore[arg-type]
        (lambda: Plan([Function("a", max_rate=1)], [5]), "no load"),
        (lambda: Plan(["A_b"], [1]), "no function name"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(make: Any, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        make()


def test_combinations_come_by_size_then_by_name_and_the_last_rate_varies_fastest() -> None:
    plan = Plan(["figlet", "env"], Linear(0, 10), sizes=(1, 2))
    assert [dict(load) for load in plan] == [
        {"env": 0},
        {"env": 10},
        {"figlet": 0},
        {"figlet": 10},
        {"env": 0, "figlet": 0},
        {"env": 0, "figlet": 10},
        {"env": 10, "figlet": 0},
        {"env": 10, "figlet": 10},
    ]
    assert len(Plan(["figlet", "env"], Linear(0, 200, step=20), sizes=(1, 2))) == 11 + 11 + 121


def test_a_load_has_the_id_that_existing_tools_give_it() -> None:
    load = next(iter(Plan(["figlet", "env"], [20], sizes=(2, 2))))
    expected = hashlib.sha256(b"env:20|figlet:20").hexdigest()[:12]
    assert load.load_id == expected
    assert PlannedLoad({"figlet": 20, "env": 20}) == load == {"figlet": 20, "env": 20}
    assert hash(PlannedLoad({"figlet": 20, "env": 20})) == hash(load)
    assert not load.idle
    assert PlannedLoad({"env": 0}).idle


def test_a_functions_own_maximum_cuts_its_rates_and_one_without_rates_is_told() -> None:
    slow, none = Function("slow", max_rate=15), Function("none", max_rate=5)
    with pytest.warns(UserWarning, match="none is in no load: its max_rate 5") as told:
        plan = Plan([slow, none, "env"], Linear(10, 30), sizes=(1, 2))
    assert told[0].filename == __file__
    assert plan.without_rates == ("none",)
    assert plan.rates_of("slow") == (10,)
    assert [dict(load) for load in plan] == [
        {"env": 10},
        {"env": 20},
        {"env": 30},
        {"slow": 10},
        *({"env": rate, "slow": 10} for rate in (10, 20, 30)),
    ]


def test_a_target_may_cut_a_plan_further() -> None:
    plan = Plan(["a", Function("b", max_rate=20)], Linear(10, 40))
    assert plan.limited([Function("a"), Function("b", max_rate=30)]) is plan
    cut = plan.limited([Function("a", max_rate=10), Function("b", max_rate=10)])
    assert [dict(load) for load in cut] == [{"a": 10}, {"b": 10}]


NAMES = ["a", "b", "c", "d"]
RATES = st.lists(st.integers(0, 40), min_size=1, max_size=5)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    caps = [draw(st.one_of(st.none(), st.integers(1, 40))) for _ in names]
    low = draw(st.integers(1, len(names)))
    high = draw(st.integers(low, 5))
    functions = [Function(name, max_rate=cap) for name, cap in zip(names, caps, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return Plan(functions, draw(RATES), sizes=(low, high))
        except ConfigError:
            return Plan(names, [1, 2])


def model(plan: Plan) -> list[dict[str, int]]:
    """The loads of a plan, made as the existing tools make them."""
    low, high = plan.sizes
    return [
        dict(zip(names, rates, strict=True))
        for size in range(low, high + 1)
        for names in itertools.combinations(sorted(plan.functions), size)
        for rates in itertools.product(*(plan.rates_of(name) for name in names))
    ]


@given(plans())
def test_a_plan_is_its_model_by_iteration_by_index_and_by_search(plan: Plan) -> None:
    expected = model(plan)
    assert [dict(load) for load in plan] == expected
    assert len(plan) == len(expected)
    assert [dict(plan[index]) for index in range(len(plan))] == expected
    assert [plan.position(load) for load in expected] == list(range(len(expected)))
    assert plan.totals().tolist() == [sum(load.values()) for load in expected]
    assert plan[-1] == expected[-1]
    assert [dict(load) for load in plan[1:3]] == expected[1:3]
    assert Plan.from_described(json.loads(json.dumps(plan.described()))) == plan


@given(plans(), st.data())
def test_what_is_ruled_out_is_what_the_definition_says(plan: Plan, data: st.DataObject) -> None:
    found = data.draw(st.lists(st.integers(0, len(plan) - 1), max_size=6))
    dominance = Dominance(plan)
    for index in found:
        dominance.add(plan[index])
    overloaded = [plan[index] for index in found]
    for index, load in enumerate(plan):
        below = dominance.below(index)
        assert (below is not None) == any(dominates(low, load) for low in overloaded), load
        assert below is None or dominates(below, load)


def test_a_load_outside_the_plan_rules_out_too() -> None:
    plan = Plan(["a", "b"], Linear(0, 20), sizes=(1, 2))
    dominance = Dominance(plan)
    dominance.add({"a": 5})
    ruled = [dict(load) for at, load in enumerate(plan) if dominance.below(at)]
    assert ruled == [load for load in model(plan) if load.get("a", 0) > 5]
    other = Dominance(plan)
    other.add({"elsewhere": 5})
    assert not any(other.below(at) for at in range(len(plan)))


def test_a_search_for_what_is_not_there() -> None:
    plan = Plan(["a", "b"], [1, 2])
    assert {"a": 1} in plan
    assert {"a": 3} not in plan
    assert {"a": 1, "b": 1} not in plan
    assert "a" not in plan
    with pytest.raises(IndexError):
        plan[4]


def test_a_plan_of_many_combinations_is_as_lazy_as_one_of_many_rates() -> None:
    names = [f"f{number:02}" for number in range(30)]
    tracemalloc.start()
    plan = Plan(names, Linear(), sizes=(1, 7))
    assert len(plan) == sum(math.comb(30, size) * 21**size for size in range(1, 8))
    assert plan[0] == {"f00": 0}
    assert plan[-1] == dict.fromkeys(names[-7:], 200)
    assert next(iter(plan)) == plan[0]
    assert "2,804,011 combinations" in plan._repr_html_()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
    with pytest.raises(ConfigError, match="more than can be counted"):
        Plan(names, Linear(), sizes=(1, 15))
