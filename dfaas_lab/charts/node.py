"""The figure of a node: what Prometheus measured while the load went on, on one time axis."""

from __future__ import annotations

import altair as alt
import polars as pl

from dfaas_lab.charts import axes
from dfaas_lab.charts import figure as parts

_MOST = 6  # lines of one metric: functions or instances


def node_chart(metrics: pl.DataFrame, summary: pl.DataFrame | None = None) -> alt.ConcatChart:
    """Draw the metrics of a node, one panel each, with the iterations shaded behind them.

    Args:
        metrics: ``target.metrics(start, end)`` or ``run.node_metrics``.
        summary: ``run.summary``, for the iterations.

    >>> chart = node_chart(run.node_metrics, run.summary)
    """
    known = metrics.filter(pl.col("value").is_not_null() & pl.col("value").is_finite())
    if known.is_empty():
        return parts.page([], "Metrics of the node", [])
    began = known["time"].min()
    rows = known.with_columns(
        at=(pl.col("time") - began).dt.total_milliseconds() / 1000,
        group=pl.coalesce("function", "instance").fill_null("node"),
    )
    loads = _loads(summary, began)
    last_s = max([1.0, *rows["at"].to_list(), *(load["end"] for load in loads)])
    names = rows["metric"].unique(maintain_order=True).to_list()[: parts.MAX_PANELS]
    charts = [_panel(name, rows.filter(metric=name), loads, last_s) for name in names]
    notes = ["shaded: iterations"] if loads else []
    return parts.page(charts, "Metrics of the node", notes)


def _loads(summary: pl.DataFrame | None, began: object) -> list[dict[str, float]]:
    if summary is None or summary.is_empty():
        return []
    spans = summary.group_by("iteration").agg(
        pl.col("started_at").min(), pl.col("duration_s").max().fill_null(0.0)
    )
    start = (pl.col("started_at") - pl.lit(began)).dt.total_milliseconds() / 1000
    return spans.select(start=start, end=start + pl.col("duration_s")).sort("start").to_dicts()


def _panel(
    name: str, rows: pl.DataFrame, loads: list[dict[str, float]], last_s: float
) -> parts.Drawn:
    groups = [str(one) for one in rows["group"].unique(maintain_order=True).to_list()][:_MOST]
    width = parts.width_of(2)
    time = axes.seconds_axis("time", last_s, wide=False)
    scale = alt.Scale(domain=[0, last_s], nice=False, clamp=True)
    x = alt.X("at:Q", scale=scale, axis=time)
    y = axes.up_from_0("value:Q", _unit(name), max([1e-6, *rows["value"].to_list()]), steps=4)
    line = alt.Chart(axes.inline(rows.select("at", "value", "group"))).mark_line(strokeWidth=1.8)
    drawn = line.encode(x, y, *parts.group_inks(groups), tooltip=["group:N", "at:Q", "value:Q"])
    band = alt.Chart(axes.inline(loads)).mark_rect(color="#7F9CD6", opacity=0.15)
    under = (
        [band.encode(alt.X("start:Q", scale=scale, axis=time), alt.X2("end:Q"))] if loads else []
    )
    title = parts.panel_title(name, "", width)
    return alt.layer(*under, drawn, title=title, width=width, height=120)


def _unit(name: str) -> str:
    units = {"fraction": "of 1", "bytes": "bytes", "cores": "cores", "watts": "W", "rps": "per s"}
    return next((unit for ending, unit in units.items() if name.endswith(ending)), "value")
