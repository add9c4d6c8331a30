"""How fast a million loads are enumerated and pruned, and in how much memory. ``make bench``."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from dfaas_lab import Linear, Plan
from dfaas_lab.load.dominance import Dominance

MOST_GROWTH = 3.0
LIMIT_MB = 60.0


@pytest.mark.parametrize(
    ("functions", "last", "fewer"),
    [(1, 999_999, 99_999), (2, 999, 315), (3, 99, 45), (6, 9, 5)],
    ids=lambda value: str(value),
)
def test_a_million_loads_cost_each_what_fewer_cost(functions: int, last: int, fewer: int) -> None:
    few_s, many_s = (_each_s(functions, one) for one in (fewer, last))
    assert many_s <= MOST_GROWTH * few_s


def _each_s(functions: int, last: int) -> float:
    """How long one load takes to be enumerated and pruned."""
    begun = time.perf_counter()
    plan = Plan(
        [f"f{number}" for number in range(functions)],
        Linear(0, last, step=1),
        sizes=(functions, functions),
    )
    assert len(plan) == (last + 1) ** functions
    made = time.perf_counter()
    # A node that is overloaded from half the sum of all rates on: the largest frontier there is.
    limit = functions * last // 2
    dominance, measured, skipped, overloaded = Dominance(plan), 0, 0, 0
    for index, load in enumerate(plan):
        if dominance.below(index) is not None:
            skipped += 1
            continue
        measured += 1
        if sum(load.values()) >= limit:
            overloaded += 1
            dominance.add(load)
    seconds = time.perf_counter() - made
    assert measured + skipped == len(plan)
    print(
        f"\n{functions} functions, {len(plan):,} loads: made in {made - begun:.3f} s; "
        f"enumerated and pruned in {seconds:.1f} s: {measured:,} measured, {skipped:,} skipped, "
        f"{overloaded:,} overloaded"
    )
    return seconds / len(plan)


def test_memory_stays_flat() -> None:
    plan = Plan(["a", "b", "c"], Linear(0, 99, step=1), sizes=(3, 3))
    tracemalloc.start()
    dominance = Dominance(plan)
    dominance.add({"a": 50, "b": 50, "c": 50})
    count = sum(1 for _ in plan)
    assert plan.totals().max() == 297
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    print(f"\n{count:,} loads: {peak:.1f} MB at most")
    assert peak < LIMIT_MB
