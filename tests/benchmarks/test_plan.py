"""How fast a million loads are enumerated and pruned, and in how much memory. ``make bench``."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from dfaas_lab import Linear, Plan
from dfaas_lab.load.dominance import Dominance

LIMIT_S = 20.0
LIMIT_MB = 60.0


@pytest.mark.parametrize(
    ("functions", "last"), [(1, 999_999), (2, 999), (3, 99), (6, 9)], ids=lambda value: str(value)
)
def test_a_million_loads(functions: int, last: int) -> None:
    begun = time.perf_counter()
    plan = Plan(
        [f"f{number}" for number in range(functions)],
        Linear(0, last, step=1),
        sizes=(functions, functions),
    )
    assert len(plan) == 1_000_000
    made = time.perf_counter()
    # A node that is overloaded from half the sum of all rates on: the largest frontier there is.
    limit = functions * last // 2
    dominance, measured, skipped = Dominance(plan), 0, 0
    for index, load in enumerate(plan):
        if dominance.below(index) is not None:
            skipped += 1
            continue
        measured += 1
        if load.total_rps >= limit:
            dominance.add(load)
    seconds = time.perf_counter() - made
    assert measured + skipped == len(plan)
    print(
        f"\n{functions} functions: made in {made - begun:.3f} s; enumerated and pruned in "
        f"{seconds:.1f} s: {measured:,} measured, {skipped:,} skipped, "
        f"{len(dominance.overloaded):,} overloaded"
    )
    assert seconds < LIMIT_S


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
