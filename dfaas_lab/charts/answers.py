"""Charts of requests by HTTP status, and of how the time of a request is made up."""

from __future__ import annotations

import altair as alt
import polars as pl

from dfaas_lab.charts import axes, colours, figure

_CLASSES = {
    "2xx": "#A6CEE3",
    "3xx": "#B9A6D9",
    "4xx": "#E07800",
    "5xx": "#C62828",
    "no answer": "#333333",
}
_PARTS = {
    "late_ms": "late",
    "blocked_ms": "blocked (connecting, TLS)",
    "sending_ms": "sending",
    "waiting_ms": "waiting",
    "receiving_ms": "receiving",
}
_HUES = dict(
    zip(_PARTS.values(), ("#333333", "#A3307F", "#E07800", "#0B3C7D", "#7F9CD6"), strict=True)
)


def status_chart(requests: pl.DataFrame) -> alt.ConcatChart:
    """Draw how many requests had which HTTP status; "no answer" is an error of the network.

    Args:
        requests: ``run.requests``.

    >>> chart = status_chart(run.requests)
    """
    status = pl.col("http_status")
    texts = {"kind": (status // 100).cast(pl.String) + "xx", "status": status.cast(pl.String)}
    counts = (
        requests.with_columns(**texts)
        .with_columns(pl.col(*texts).fill_null("no answer"))
        .group_by("target", "function", "kind", "status")
        .agg(requests=pl.len())
        .sort("kind", "status")
    )
    shown, width, others = figure.shown(requests)
    charts = [_bars(panel.title, panel.of(counts), width) for panel in shown]
    notes = [f"{requests.height:,} requests", others]
    return figure.page(charts, "Requests by HTTP status", notes if charts else [])


def _bars(title: str, counts: pl.DataFrame, width: int) -> figure.Drawn:
    x = axes.up_from_0("requests:Q", "requests", max([1.0, *counts["requests"].to_list()]), steps=3)
    across = alt.X("requests:Q", axis=x["axis"], scale=x["scale"])
    y = alt.Y("status:N", sort=None, axis=axes.axis(None, values=None))
    bars = alt.Chart(axes.inline(counts.drop("target", "function")))
    drawn = bars.mark_bar(height=14).encode(
        across, y, figure.colour(_CLASSES), tooltip=["status:N", "requests:Q"]
    )
    number = bars.mark_text(align="left", dx=4, color=colours.TEXT, fontSize=10)
    return alt.layer(
        drawn,
        number.encode(across, y, text=alt.Text("requests:Q", format=",")),
        title=figure.panel_title(title, "", width),
        width=width,
        height=alt.Step(20),
    )


def decomposition_chart(requests: pl.DataFrame) -> alt.ConcatChart:
    """Draw what the time of successful requests was spent on, typical and slow ones apart.

    Args:
        requests: ``run.requests``.

    >>> chart = decomposition_chart(run.requests)
    """
    good = requests.filter(~pl.col("failed"))
    shown, width, others = figure.shown(good)
    charts = [_stack(panel.title, panel.of(good), width) for panel in shown]
    notes = [
        "means of the successful requests between two percentiles of their response",
        others,
    ]
    return figure.page(charts, "What the time was spent on", notes if charts else [])


def _stack(title: str, rows: pl.DataFrame, width: int) -> alt.Chart:
    """Stack the parts for the typical requests and for the slow ones, which differ in kind."""
    whole = pl.sum_horizontal(pl.col(list(_PARTS)).fill_null(0.0))
    ranked = rows.with_columns(whole=whole).with_columns(
        at=pl.col("whole").rank("ordinal") / pl.len()
    )
    fastest, middle, slowest = order = ["fastest half", "p50 to p95", "slowest 5 %"]
    band = figure.first_true({fastest: pl.col("at") <= 0.5, middle: pl.col("at") <= 0.95}, slowest)
    means = ranked.group_by(band=band).agg(pl.col(list(_PARTS)).mean())
    stacked = figure.long(means, ["band"], _PARTS).filter(pl.col("value").is_not_null())
    highest = stacked.group_by("band").agg(pl.col("value").sum())["value"].max()
    y = axes.up_from_0("value:Q", "time (ms)", highest if isinstance(highest, float) else 1.0)
    place = pl.col("kind").replace_strict({kind: at for at, kind in enumerate(_HUES)})
    chart = alt.Chart(
        axes.inline(stacked.with_columns(at=place)),
        title=figure.panel_title(title, "", width),
        width=width,
        height=180,
    )
    labels = alt.Axis(title=None, labelAngle=0, labelColor=colours.TEXT, domainColor=colours.FAINT)
    drawn: alt.Chart = chart.mark_bar(stroke="white", strokeWidth=0.4).encode(
        alt.X("band:N", sort=order, axis=labels),
        y,
        figure.colour(_HUES),
        alt.Order("at:Q"),
        tooltip=["band:N", "kind:N", alt.Tooltip("value:Q", title="ms", format=",.2f")],
    )
    return drawn
