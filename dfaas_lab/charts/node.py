"""The chart of a node's metrics (Prometheus) over the time of a run."""

from __future__ import annotations

import altair as alt
import polars as pl

from dfaas_lab.charts import axes, figure

_MOST = 6  # lines of one metric: functions or instances
# By a part of the metric's name: the unit, its size in the metric's own, the least upper end.
_UNITS = {
    "fraction": ("%", 0.01, 1.0),
    "cores": ("cores", 1.0, 0.01),
    "watts": ("W", 1.0, 1.0),
    "rps": ("per second", 1.0, 1.0),
    "seconds": ("s", 1.0, 0.001),
    "replicas": ("replicas", 1.0, 1.0),
}
_BYTES = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def node_chart(metrics: pl.DataFrame, summary: pl.DataFrame | None = None) -> alt.ConcatChart:
    """Draw the metrics of a node, one panel each, with the iterations shaded behind them.

    Args:
        metrics: ``target.metrics(start, end)`` or ``run.node_metrics``.
        summary: ``run.summary``, for the iterations.

    >>> chart = node_chart(run.node_metrics, run.summary)
    """
    known = metrics.filter(pl.col("value").is_not_null() & pl.col("value").is_finite())
    if known.is_empty():
        return figure.page([], "Metrics of the node", [])
    began = known["time"].min()
    rows = known.with_columns(
        at=(pl.col("time") - began).dt.total_milliseconds() / 1000, group=_group(known)
    )
    loads = _loads(summary, began)
    last_s = max([1.0, *rows["at"].to_list(), *(load["end"] for load in loads)])
    names = rows["metric"].unique(maintain_order=True).to_list()[: figure.MAX_PANELS]
    groups = [str(one) for one in rows["group"].unique(maintain_order=True).to_list()][:_MOST]
    shown = _thinned(rows.filter(pl.col("group").is_in(groups)), last_s, len(names) * len(groups))
    charts = [_panel(name, shown.filter(metric=name), groups, loads, last_s) for name in names]
    notes = [
        "shaded: iterations" if loads else "",
        f"{_MOST} of {rows['group'].n_unique()} functions and instances are shown"
        if rows["group"].n_unique() > _MOST
        else "",
    ]
    return figure.page(charts, "Metrics of the node", notes)


def _thinned(rows: pl.DataFrame, last_s: float, lines: int) -> pl.DataFrame:
    """Of each line, in each part of the time, the lowest and the highest value; all, where few."""
    if rows.height <= figure.MAX_ROWS:
        return rows
    bins = max(10, figure.MAX_ROWS // (2 * lines))
    line = ["metric", "group", (pl.col("at") * bins / last_s).floor().alias("bin")]
    numbered = rows.with_row_index("row")
    kept = numbered.group_by(line).agg(
        low=pl.col("row").get(pl.col("value").arg_min()),
        high=pl.col("row").get(pl.col("value").arg_max()),
    )
    shown = pl.concat([kept["low"], kept["high"]])
    return numbered.filter(pl.col("row").is_in(shown.implode())).drop("row")


def _group(known: pl.DataFrame) -> pl.Expr:
    """What a line is of: a function, an instance where there are several, or the node."""
    several = known["instance"].drop_nulls().n_unique() > 1
    named = pl.coalesce("function", "instance") if several else pl.col("function")
    return named.fill_null("node")


def _loads(summary: pl.DataFrame | None, began: object) -> list[dict[str, float]]:
    if summary is None or summary.is_empty():
        return []
    spans = summary.group_by("iteration").agg(
        pl.col("started_at").min(), pl.col("duration_s").max().fill_null(0.0)
    )
    start = (pl.col("started_at") - pl.lit(began)).dt.total_milliseconds() / 1000
    return spans.select(start=start, end=start + pl.col("duration_s")).sort("start").to_dicts()


def _panel(
    name: str,
    rows: pl.DataFrame,
    groups: list[str],
    loads: list[dict[str, float]],
    last_s: float,
) -> figure.Drawn:
    unit, size, least = _unit(name, max([0.0, *rows["value"].to_list()]))
    rows = rows.with_columns(pl.col("value") / size)
    width = figure.width_of(2)
    time = axes.seconds_axis("time", last_s, wide=False)
    scale = alt.Scale(domain=[0, last_s], nice=False, clamp=True)
    x = alt.X("at:Q", scale=scale, axis=time)
    y = axes.up_from_0("value:Q", unit, max([least, *rows["value"].to_list()]), steps=4)
    line = alt.Chart(axes.inline(rows.select("at", "value", "group"))).mark_line(strokeWidth=1.8)
    drawn = line.encode(x, y, *figure.group_styles(groups), tooltip=["group:N", "at:Q", "value:Q"])
    band = alt.Chart(axes.inline(loads)).mark_rect(color="#7F9CD6", opacity=0.15)
    under = (
        [band.encode(alt.X("start:Q", scale=scale, axis=time), alt.X2("end:Q"))] if loads else []
    )
    title = figure.panel_title(name, "", width)
    return alt.layer(*under, drawn, title=title, width=width, height=120)


def _unit(name: str, highest: float) -> tuple[str, float, float]:
    """The unit of a metric's axis, its size in the metric's own, and the least that is drawn."""
    if name.endswith("bytes"):
        unit, size = next(((u, s) for u, s in _BYTES if highest >= s), ("bytes", 1.0))
        return unit, size, 1.0
    return next((unit for ending, unit in _UNITS.items() if ending in name), ("", 1.0, 1.0))
