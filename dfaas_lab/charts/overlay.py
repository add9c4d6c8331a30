"""The chart of several runs or targets in one panel, on the same axes."""

from __future__ import annotations

import altair as alt
import polars as pl

from dfaas_lab.charts import axes, figure
from dfaas_lab.charts.axes import LatencyAxis
from dfaas_lab.charts.binned import SERIES, binned, planned, seconds_per_point, within

_KINDS = {"latency_ms_p50": "p50", "latency_ms_p95": "p95"}


def overlay_chart(
    summary: pl.DataFrame, timeline: pl.DataFrame, *, by: str = "target"
) -> alt.ConcatChart:
    """Draw latency over time for several targets or runs, in one panel for each function.

    Args:
        summary: The summaries of the runs, one below the other.
        timeline: Their timelines.
        by: The column of both frames that tells the lines apart: ``target``, ``run_id``, or one of
            your own (``with_columns(label=...)``).

    >>> summary = pl.concat([before.summary, after.summary])
    >>> timeline = pl.concat([before.timeline, after.timeline])
    >>> chart = overlay_chart(summary, timeline, by="run_id")
    """
    loaded = summary.filter(pl.col("rate_rps").is_null() | (pl.col("rate_rps") > 0))
    inside, _ = within(timeline, loaded)
    names = loaded["function"].unique(maintain_order=True).to_list()[: figure.MAX_PANELS]
    groups = [str(one) for one in loaded[by].unique(maintain_order=True).to_list()]
    bin_s = seconds_per_point(inside, max(len(names) * len(groups), 1))
    rows = {
        name: pl.concat(
            [
                _medians(inside.filter(of), loaded.filter(of), group, bin_s)
                for group in groups
                for of in [(pl.col(by) == group) & (pl.col("function") == name)]
            ]
        )
        for name in names
    }
    width = figure.width_of(len(names))
    values = pl.concat([pl.Series(dtype=pl.Float64), *(frame["value"] for frame in rows.values())])
    log = axes.spans_decades(rows.values(), ["value"])
    axis = LatencyAxis.over(values, log=log)
    charts = [_panel(name, frame, groups, axis, width) for name, frame in rows.items()]
    notes = [
        "medians over the iterations",
        "thick: p50, thin: p95, of successful requests",
        f"each point is {bin_s} s: its largest second" if bin_s > 1 else "",
    ]
    title = f"Latency over time, by {by.removesuffix('_id')}"
    return figure.page(charts, title, notes if charts else [])


def _medians(timeline: pl.DataFrame, summary: pl.DataFrame, group: str, bin_s: int) -> pl.DataFrame:
    rows = binned(planned(timeline, summary), summary, None, bin_s)
    iterations = rows.select(SERIES).n_unique()
    timed = rows.with_columns(middle=(pl.col("start") + pl.col("end")) / 2)
    whole = pl.col("value").count() == iterations
    return (
        figure.long(timed, ["series", "middle"], _KINDS)
        .group_by("middle", "kind")
        .agg(value=pl.when(whole).then(pl.col("value").median()))
        .with_columns(group=pl.lit(group))
        .sort("kind", "middle")
    )


def _panel(
    name: str, rows: pl.DataFrame, groups: list[str], axis: LatencyAxis, width: int
) -> figure.Drawn:
    last_s = max([1.0, *rows["middle"].to_list()]) + 0.5
    time = axes.seconds_axis("time in the iteration", last_s, wide=width > 300)
    x = alt.X("middle:Q", scale=alt.Scale(domain=[0, last_s], nice=False), axis=time)
    tooltip = [
        alt.Tooltip("group:N", title="of"),
        alt.Tooltip("kind:N", title="what"),
        alt.Tooltip("value:Q", title="ms", format=",.1f"),
    ]
    lines = [
        alt.Chart(axes.inline(rows.filter(kind=kind)))
        .mark_line(strokeWidth=thick, point={"size": 12, "filled": True})
        .encode(x, axis.y(), *figure.group_styles(groups), tooltip=tooltip)
        for kind, thick in (("p50", 2.4), ("p95", 1.2))
    ]
    return alt.layer(
        *lines, title=figure.panel_title(str(name), "", width), width=width, height=190
    )
