"""Reads a target's node: replicas from its gateway, the rest from its Prometheus.

Nothing here ends a campaign: what is not measured is null, and ``reason`` says why.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dfaas_lab.campaign.readings import NODE, Readings
from dfaas_lab.errors import DfaasLabError

if TYPE_CHECKING:
    import polars as pl

    from dfaas_lab.target import Target

log = logging.getLogger("dfaas_lab.campaign")

# An idle node is read over the seconds before now.
_IDLE_S = 10.0


def replicas(target: Target, names: Sequence[str]) -> dict[str, int]:
    """How many replicas these functions have now, as far as the gateway tells."""
    try:
        found = target.deployed()
    except DfaasLabError as error:
        log.info("%s: replicas are not known: %s", target.name, error.message)
        return {}
    counts = dict(zip(found["function"], found["replicas"], strict=True))
    return {name: int(counts[name]) for name in names if counts.get(name) is not None}


def idle_now(target: Target, names: Sequence[str]) -> Readings:
    """Read a node over the last seconds."""
    now = datetime.now(UTC)
    counts = replicas(target, names)
    return during(target, now - timedelta(seconds=_IDLE_S), now, names, counts)


def during(
    target: Target,
    start: datetime,
    end: datetime,
    names: Sequence[str],
    counts: dict[str, int],
) -> Readings:
    """Read a node over a window.

    Args:
        target: Whose node.
        start: The window's begin.
        end: Its end.
        names: The functions.
        counts: Their replicas, as the gateway told.
    """
    if target.prometheus is None:
        return Readings(replicas=counts, reason=f"{target.name} has no Prometheus")
    try:
        frame = target.metrics(start, end)
    except DfaasLabError as error:
        return Readings(replicas=counts, reason=error.message)
    return _of_frame(frame, names, counts)


def _of_frame(frame: pl.DataFrame, names: Sequence[str], counts: dict[str, int]) -> Readings:
    import polars as pl

    means = frame.group_by("metric", "function", maintain_order=True).agg(pl.col("value").mean())
    values = {(row[0], row[1]): row[2] for row in means.iter_rows()}
    node = {name: values.get((name, None)) for name in NODE}
    of_functions = {
        name: {
            metric: values.get((f"function_{metric}", name))
            for metric in ("cpu_cores", "memory_bytes", "power_watts")
        }
        for name in names
    }
    missing = [name for name in NODE if node[name] is None]
    reason = f"Prometheus has no {', '.join(missing)} in this window" if missing else ""
    most = frame.filter(pl.col("metric") == "replicas").group_by("function").agg(pl.max("value"))
    seen = {name: int(value) for name, value in most.iter_rows() if name and value is not None}
    both = {name: max(counts.get(name, 0), seen.get(name, 0)) for name in counts}
    return Readings(**node, replicas=both, functions=of_functions, reason=reason)
