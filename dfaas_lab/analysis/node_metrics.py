"""Means of a target's Prometheus metrics over a window: of the node, and by function."""

from __future__ import annotations

from typing import Any

import polars as pl

from dfaas_lab.analysis.scrapes import mean_of

NODE = ("cpu_cores", "cpu_fraction", "memory_bytes", "memory_fraction", "power_watts")
FUNCTION = ("cpu_cores", "memory_bytes", "power_watts")
_MEAN = ("cpu_fraction", "memory_fraction")


def node_means(frame: pl.DataFrame) -> dict[str, Any]:
    """Return the means over one window of the rows of one target.

    Args:
        frame: Rows of ``run.node_metrics`` (of one target and iteration) or of
            ``target.metrics()``.

    Returns:
        ``cpu_cores, cpu_fraction, memory_bytes, memory_fraction, power_watts`` (of several
        instances the sum, of fractions the mean); ``replicas``, the most of each function;
        ``functions``, for each function its ``cpu_cores, memory_bytes, power_watts``; ``reason``,
        why something is None.
    """
    means: dict[str, Any] = {name: _of_node(frame, name) for name in NODE}
    values = frame.drop_nulls("value")
    counts = values.filter(metric="replicas").drop_nulls("function").group_by("function").max()
    means["replicas"] = {
        name: int(value) for name, value in sorted(counts.select("function", "value").iter_rows())
    }
    names = frame.drop_nulls("function")["function"].unique().sort().to_list()
    means["functions"] = {
        name: {
            short: _mean(frame.filter(metric=f"function_{short}", function=name))
            for short in FUNCTION
        }
        for name in names
    }
    means["reason"] = _reason(frame)
    return means


def _of_node(frame: pl.DataFrame, metric: str) -> float | None:
    rows = frame.filter(metric=metric)
    by_instance = [_mean(part) for _, part in rows.group_by("instance")]
    found = [mean for mean in by_instance if mean is not None]
    if not found:
        return None
    return sum(found) / len(found) if metric in _MEAN else sum(found)


def _mean(rows: pl.DataFrame) -> float | None:
    points = rows.drop_nulls("value").sort("time").select("time", "value").iter_rows()
    return mean_of([(moment.timestamp(), value) for moment, value in points])


def _reason(frame: pl.DataFrame) -> str:
    """Why the node's own values are missing, where they are; else why those of functions are."""
    missing = frame.filter(frame["value"].is_null()).drop_nulls("reason")
    of_node = missing.filter(missing["metric"].is_in(NODE))
    of_functions = missing.filter(
        missing["metric"].is_in(["replicas", *(f"function_{name}" for name in FUNCTION)])
    )
    told = of_functions if of_node.is_empty() else of_node
    metrics = {
        reason: part["metric"].unique()
        for (reason,), part in told.group_by("reason", maintain_order=True)
    }
    if any(set(names) >= set(NODE) for names in metrics.values()):
        return str(next(iter(metrics)))
    return "; ".join(
        f"{', '.join(names.sort())}: {reason}" for reason, names in [*metrics.items()][:3]
    )
