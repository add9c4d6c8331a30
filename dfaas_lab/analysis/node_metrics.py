"""Means of a target's Prometheus metrics over a window: per iteration, node and function."""

from __future__ import annotations

from typing import Any

import polars as pl

from dfaas_lab.analysis.scrapes import mean_of

NODE = ("cpu_cores", "cpu_fraction", "memory_bytes", "memory_fraction", "power_watts")
FUNCTION = {
    "cpu_cores": "function_cpu_cores",
    "memory_bytes": "function_memory_bytes",
    "power_watts": "function_power_watts",
}
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
            short: _mean(frame.filter(metric=metric, function=name))
            for short, metric in FUNCTION.items()
        }
        for name in names
    }
    means["reason"] = _reason(frame)
    return means


def iteration_means(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the means of ``run.node_metrics``: a row per target, iteration and function.

    Returns:
        ``target, iteration, function, cpu_cores, cpu_fraction, memory_bytes, memory_fraction,
        power_watts, replicas, function_cpu_cores, function_memory_bytes, function_power_watts,
        reason``. Where nothing is known of any function, one row with a null function.
    """
    rows: list[dict[str, Any]] = []
    for (target, iteration), part in frame.group_by("target", "iteration", maintain_order=True):
        means = node_means(part)
        for name in sorted({*means["functions"], *means["replicas"]}) or [None]:
            own = means["functions"].get(name, {})
            rows.append(
                {"target": target, "iteration": iteration, "function": name}
                | {column: means[column] for column in NODE}
                | {"replicas": means["replicas"].get(name)}
                | {column: own.get(short) for short, column in FUNCTION.items()}
                | {"reason": means["reason"] or None}
            )
    schema = {
        "target": pl.String,
        "iteration": pl.Int64,
        "function": pl.String,
        **dict.fromkeys(NODE, pl.Float64),
        "replicas": pl.Int64,
        **dict.fromkeys(FUNCTION.values(), pl.Float64),
        "reason": pl.String,
    }
    return pl.DataFrame(rows, schema=schema).sort("target", "iteration", "function")


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
    """Why the node's own values are missing, where they are; else why others are."""
    missing = frame.filter(frame["value"].is_null()).drop_nulls("reason")
    of_node = missing.filter(missing["metric"].is_in(NODE))
    told = missing if of_node.is_empty() else of_node
    metrics = {
        reason: part["metric"].unique()
        for (reason,), part in told.group_by("reason", maintain_order=True)
    }
    if any(set(names) >= set(NODE) for names in metrics.values()):
        return str(next(iter(metrics)))
    return "; ".join(
        f"{', '.join(names.sort())}: {reason}" for reason, names in [*metrics.items()][:3]
    )
