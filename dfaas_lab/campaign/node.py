"""Reads the state of a node: replicas from its gateway, the rest from its Prometheus.

Nothing here ends a campaign: what is not measured is null, and ``reason`` says why.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from dfaas_lab.analysis.node_metrics import NODE, node_means
from dfaas_lab.campaign.readings import Readings
from dfaas_lab.errors import DfaasLabError
from dfaas_lab.execution.node_metrics import NodeMetrics, node_metrics_of
from dfaas_lab.retry import uninterrupted

if TYPE_CHECKING:
    import polars as pl

    from dfaas_lab.run import Run
    from dfaas_lab.target import Target

log = logging.getLogger("dfaas_lab.campaign")


@uninterrupted
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
    """Read a node as its latest scrapes show it."""
    return _asked(target, names, lambda metrics: metrics.now())


def during(target: Target, start: datetime, end: datetime, names: Sequence[str]) -> Readings:
    """Read a node over exactly a window, as means."""
    return _asked(target, names, lambda metrics: metrics.between(start, end))


def of_iteration(target: Target, run: Run, iteration: int, names: Sequence[str]) -> Readings:
    """Read a node over exactly the load of a run's iteration, as means."""
    rows = run.node_metrics.filter(target=target.name, iteration=iteration)
    counts = replicas(target, names)
    if rows.is_empty():
        reason = "nothing was measured" if target.prometheus else _without(target)
        return Readings(replicas=counts, reason=reason)
    return _means(rows, names, counts)


@uninterrupted
def _asked(
    target: Target, names: Sequence[str], ask: Callable[[NodeMetrics], pl.DataFrame]
) -> Readings:
    counts = replicas(target, names)
    metrics = node_metrics_of(target._session)
    if metrics is None:
        return Readings(replicas=counts, reason=_without(target))
    try:
        return _means(ask(metrics), names, counts)
    except DfaasLabError as error:
        return Readings(replicas=counts, reason=error.message)


def _means(frame: pl.DataFrame, names: Sequence[str], counts: Mapping[str, int]) -> Readings:
    means = node_means(frame)
    # The gateway tells what is there now, Prometheus the most within the window.
    most = {
        name: max(counts.get(name, 0), means["replicas"].get(name, 0))
        for name in names
        if name in counts or name in means["replicas"]
    }
    functions = {name: own for name, own in means["functions"].items() if name in names}
    missing = [name for name in NODE if means[name] is None]
    absent = f"Prometheus has no {', '.join(missing)}" if missing else ""
    reason = means["reason"] or absent
    return Readings(**{**means, "replicas": most, "functions": functions, "reason": reason})


def _without(target: Target) -> str:
    return f"{target.name} has no Prometheus"
