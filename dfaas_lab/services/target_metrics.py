"""What is asked of a target's Prometheus for a measurement, as one frame."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from dfaas_lab.services.prometheus import Prometheus

if TYPE_CHECKING:
    import polars as pl

# By metric: the expression. "{window}" must hold two scrapes or more, and so is four intervals
# (as Grafana's $__rate_interval). Names: OpenFaaS's gateway, Prometheus's node exporter.
EXPRESSIONS: Mapping[str, str] = {
    "invocations_rps": "sum by (function_name) (rate(gateway_function_invocation_total[{window}]))",
    "failed_rps": "sum by (function_name) "
    '(rate(gateway_function_invocation_total{code!~"2.."}[{window}]))',
    "gateway_seconds_mean": "sum by (function_name) (rate(gateway_functions_seconds_sum[{window}]))"
    " / sum by (function_name) (rate(gateway_functions_seconds_count[{window}]))",
    "replicas": "max by (function_name) (gateway_service_count)",
    "cpu_cores": 'sum by (instance) (rate(node_cpu_seconds_total{mode!="idle"}[{window}]))',
    "cpu_fraction": '1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[{window}]))',
    "memory_bytes": "sum by (instance) "
    "(node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes)",
    "memory_fraction": "1 - sum by (instance) (node_memory_MemAvailable_bytes)"
    " / sum by (instance) (node_memory_MemTotal_bytes)",
}
_DEFAULT_INTERVAL_S = 15.0
_DEFAULT_NAMESPACE = "openfaas-fn"


def target_metrics(
    prometheus: Prometheus,
    start: datetime,
    end: datetime,
    *,
    expressions: Mapping[str, str] = EXPRESSIONS,
) -> pl.DataFrame:
    """Return the target's own view of a while: ``time, metric, function, instance, value``.

    Args:
        prometheus: The target's Prometheus.
        start: From when on.
        end: Until when.
        expressions: PromQL by the name it gets; ``{window}`` is filled in.

    Returns:
        A row per metric, series and scrape. ``function`` or ``instance`` is null where a metric
        has none; ``value`` is null where nothing was measured; a metric that Prometheus does not
        have gives no row.

    Raises:
        MetricsError: Prometheus does not answer, or refuses an expression.
    """
    import polars as pl

    interval_s = prometheus.scrape_interval_s() or _DEFAULT_INTERVAL_S
    window = f"{round(interval_s * 4 * 1000)}ms"
    columns = {"function": "function_name", "instance": "instance"}
    frames = [_empty()]
    for metric, expression in expressions.items():
        found = prometheus.query_range(
            expression.replace("{window}", window), start=start, end=end, step_s=interval_s
        )
        labels = [
            (pl.col(label) if label in found.columns else pl.lit(None, pl.String)).alias(name)
            for name, label in columns.items()
        ]
        frames.append(found.select("time", pl.lit(metric).alias("metric"), *labels, "value"))
    # The gateway says "figlet.openfaas-fn" of what is called figlet everywhere else.
    name = pl.col("function").str.strip_suffix(f".{_DEFAULT_NAMESPACE}")
    return pl.concat(frames).with_columns(name).sort("metric", "function", "instance", "time")


def _empty() -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(
        schema={
            "time": pl.Datetime("us", "UTC"),
            "metric": pl.String,
            "function": pl.String,
            "instance": pl.String,
            "value": pl.Float64,
        }
    )
