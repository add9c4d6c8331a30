"""The frame ``outcomes``: summaries of a campaign's runs with the readings of the nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from dfaas_lab import schemas
from dfaas_lab.analysis.node_metrics import FUNCTION, NODE
from dfaas_lab.campaign.record import Attempt, LoadRecord, overloaded_loads
from dfaas_lab.campaign.settings import Settings, order_of
from dfaas_lab.load.dominance import Dominance
from dfaas_lab.load.plan import Plan, PlannedLoad
from dfaas_lab.status import COMPLETE

if TYPE_CHECKING:
    from dfaas_lab.store import Store

_OWN: dict[str, pl.DataType] = {
    "load_id": pl.String(),
    **{name: pl.Float64() for name in NODE},
    "replicas": pl.Int64(),
    "rest_s": pl.Float64(),
    "overloaded": pl.Boolean(),
    "reasons": pl.String(),
    "skipped": pl.Boolean(),
    **{f"idle_{name}": pl.Float64() for name in NODE},
    **{f"function_{name}": pl.Float64() for name in FUNCTION},
    "function_overloaded": pl.Boolean(),
    "doubts": pl.String(),
    "not_measured": pl.String(),
}
OUTCOMES = pl.Schema({**schemas.SUMMARY, **_OWN})
# Of an idle load, which needs no k6, these are known.
_COUNTS = ("requests", "failed", "dropped", "unfinished")
_JOINED = ["run_id", "run_iteration", "target", "function"]


def outcomes_of(
    store: Store,
    settings: Settings,
    plans: Mapping[str, Plan],
    known: Mapping[str, Mapping[str, LoadRecord]],
) -> pl.DataFrame:
    """Return the outcomes; see :attr:`dfaas_lab.Campaign.outcomes`.

    ``plans`` are by target, ``known`` records by target and load id.
    """
    own = [
        row
        for target, plan in plans.items()
        for row in _rows(target, plan, known.get(target, {}), settings)
    ]
    frame = pl.DataFrame(
        own,
        schema={
            **_OWN,
            "run_id": pl.String(),
            "run_iteration": pl.Int64(),
            "target": pl.String(),
            "iteration": pl.Int64(),
            "function": pl.String(),
            "own_rate_rps": pl.Float64(),
            "own_started_at": schemas.TIME,
            "own_status": pl.String(),
        },
        orient="row",
    )
    stored = set(store.run_ids())
    asked = frame["run_id"].drop_nulls().unique(maintain_order=True)
    runs = [run_id for run_id in asked if run_id in stored]
    gone = pl.col("run_id").is_not_null() & ~pl.col("run_id").is_in(runs)
    summary = (
        store.scan_summaries(runs).collect() if runs else pl.DataFrame(schema=schemas.SUMMARY)
    ).rename({"iteration": "run_iteration"})
    none = pl.when(pl.col("run_id").is_null() & (pl.col("own_status") == "ok")).then(0)
    joined = frame.join(summary, on=_JOINED, how="left", maintain_order="left").with_columns(
        rate_rps=pl.coalesce("rate_rps", "own_rate_rps"),
        started_at=pl.coalesce("started_at", "own_started_at"),
        duration_s=pl.coalesce("duration_s", pl.lit(settings.duration_s)),
        status=pl.when(pl.col("status").is_in(COMPLETE) & (pl.col("own_status") == "failed"))
        .then("own_status")
        .otherwise(pl.coalesce("status", "own_status")),
        not_measured=pl.when(gone)
        .then(pl.lit("its run is no longer in the store"))
        .otherwise("not_measured"),
        **{name: pl.coalesce(name, none) for name in _COUNTS},
    )
    return joined.select(pl.col(name).cast(kind) for name, kind in OUTCOMES.items())


def _rows(
    target: str, plan: Plan, records: Mapping[str, LoadRecord], settings: Settings
) -> Iterator[dict[str, Any]]:
    dominance = Dominance(plan, overloaded_loads(records.values()))
    # Most loads of a huge plan have nothing to tell.
    told = dominance.ruled_out()
    positions = (plan.position(record.load) for record in records.values())
    told[[index for index in positions if index is not None]] = True
    order = np.asarray(order_of(plan, settings.order, settings.seed))
    for index in order[told[order]]:
        load = plan[int(index)]
        stored = records.get(load.load_id)
        kept = stored.kept_attempts if stored is not None else []
        for attempt in kept:
            yield from _measured(target, load, attempt)
        below = dominance.below(int(index)) if not kept else None
        if below is not None:
            yield from _skipped(target, load, below)


def _measured(target: str, load: PlannedLoad, attempt: Attempt) -> Iterator[dict[str, Any]]:
    for function, rate in load.items():
        own = attempt.node.functions.get(function) or {}
        yield {
            "load_id": load.load_id,
            **{name: getattr(attempt.node, name) for name in NODE},
            "replicas": attempt.node.replicas.get(function),
            "rest_s": attempt.rest_s,
            "overloaded": attempt.overloaded,
            "reasons": "; ".join(attempt.reasons),
            "skipped": False,
            **{f"idle_{name}": getattr(attempt.idle, name) for name in NODE},
            **{f"function_{name}": own.get(name) for name in FUNCTION},
            "function_overloaded": attempt.functions.get(function, False),
            "doubts": "; ".join(attempt.doubts),
            "not_measured": attempt.node.reason or None,
            "run_id": attempt.run_id,
            "run_iteration": attempt.run_iteration,
            "target": target,
            "iteration": attempt.iteration,
            "function": function,
            "own_rate_rps": float(rate),
            "own_started_at": (
                datetime.fromisoformat(attempt.started_at) if attempt.started_at else None
            ),
            "own_status": "failed" if attempt.state == "failed" else "ok",
        }


def _skipped(target: str, load: PlannedLoad, below: PlannedLoad) -> Iterator[dict[str, Any]]:
    for function, rate in load.items():
        yield {
            "load_id": load.load_id,
            "reasons": f"{below} is overloaded, and this load is above it",
            "skipped": True,
            "target": target,
            "function": function,
            "own_rate_rps": float(rate),
        }
