"""Outcomes of a campaign that was never run: made from a model of a node."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from dfaas_lab import Plan
from dfaas_lab.campaign.outcomes import OUTCOMES
from dfaas_lab.load.dominance import Dominance


def dominates(overloaded: Mapping[str, int], load: Mapping[str, int]) -> bool:
    """Whether a load asks at least as much of every function (absent: 0), and more of one."""
    pairs = [(overloaded.get(name, 0), load.get(name, 0)) for name in {*overloaded, *load}]
    return all(low <= high for low, high in pairs) and any(low < high for low, high in pairs)


def outcomes(
    plan: Plan,
    *,
    target: str = "mid",
    iterations: int = 3,
    capacity: float = 100.0,
    node: bool = True,
    seed: int = 1,
) -> pl.DataFrame:
    """A node that is overloaded when the sum of its rates is above its capacity."""
    chance, now = random.Random(seed), datetime(2026, 11, 25, 9, tzinfo=UTC)
    dominance, rows = Dominance(plan), []
    for index, load in enumerate(plan):
        if dominance.below(index) is not None:
            rows += [_row(target, load, name, skipped=True, reasons="below") for name in load]
            continue
        total_rps = sum(load.values())
        share = total_rps / capacity
        for iteration in range(1, iterations + 1):
            success = min(1.0, 1 / share if share else 1.0)
            latency = 8.0 / max(0.05, 1 - share) if share < 1 else 200 * share
            for name, rate in load.items():
                noise = chance.uniform(0.9, 1.2)
                rows.append(
                    _row(
                        target,
                        load,
                        name,
                        iteration=iteration,
                        started_at=now,
                        requests=rate * 30,
                        success_rate=success if rate else None,
                        latency_ms_mean=latency * noise if rate else None,
                        latency_ms_p50=latency * noise if rate else None,
                        latency_ms_p95=latency * noise * 2.5 if rate else None,
                        status="ok",
                        cpu_cores=4 * min(1.0, share) if node else None,
                        cpu_fraction=min(1.0, share) if node else None,
                        memory_bytes=2e9 + 1e7 * total_rps if node else None,
                        memory_fraction=0.25 + total_rps / 800 if node else None,
                        idle_cpu_cores=0.2 if node else None,
                        replicas=1,
                        rest_s=chance.uniform(0, 15),
                        overloaded=success < 0.95,
                        function_overloaded=success < 0.9,
                        reasons="",
                        skipped=False,
                        doubts="",
                        not_measured=None if node else "mid has no Prometheus",
                    )
                )
            now += timedelta(seconds=36)
        if total_rps > capacity / 0.95:
            dominance.add(load)
    return pl.DataFrame(rows, schema=OUTCOMES, orient="row")


def _row(target: str, load: Any, name: str, **values: Any) -> dict[str, Any]:
    own = {"target": target, "load_id": load.load_id, "function": name}
    return own | {"rate_rps": float(load[name])} | values
