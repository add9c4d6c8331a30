"""The forest plot of a comparison: each change with its interval."""

from __future__ import annotations

import altair as alt
import polars as pl

from dfaas_lab.charts import figure

_MOST_ROWS = 60
_WORDS = {"success_rate": "success (points)"}


def comparison_chart(frame: pl.DataFrame) -> alt.ConcatChart:
    """Draw a comparison: each change with its interval, filled where the sides differ.

    Args:
        frame: ``comparison.frame``.

    >>> chart = comparison_chart(compare(before, after).frame)
    """
    shown = frame.filter(pl.col("change").is_not_null()).head(_MOST_ROWS)
    notes = [
        "filled: differs, all intervals together; hollow: can be chance",
        f"{_MOST_ROWS} of {frame.height} rows are shown" if frame.height > _MOST_ROWS else "",
    ]
    title = " and ".join(frame["side_b"].unique(maintain_order=True).to_list()) or "Nothing"
    against = frame["side_a"][0] if frame.height else "nothing"
    charts = [_forest(_rows(shown))] if shown.height else []
    return figure.page(charts, f"{title} compared with {against}", notes)


def _rows(frame: pl.DataFrame) -> pl.DataFrame:
    several = frame["side_b"].n_unique() > 1
    words = [
        " · ".join(
            part
            for part in (
                row["side_b"] if several else None,
                row["target"],
                row["function"],
                _WORDS.get(row["measure"], row["measure"].replace("_ms_", " ").replace("_", " ")),
            )
            if part
        )
        for row in frame.iter_rows(named=True)
    ]
    return frame.select(
        row=pl.Series(words, dtype=pl.String),
        change=100 * pl.col("change"),
        low=100 * pl.col("low"),
        high=100 * pl.col("high"),
        differs=pl.when(pl.col("differs")).then(pl.lit("differs")).otherwise(pl.lit("chance")),
    )


def _forest(rows: pl.DataFrame) -> alt.LayerChart:
    base = alt.Chart(figure.inline(rows)).encode(
        y=alt.Y(
            "row:N", sort=None, axis=alt.Axis(title=None, labelLimit=260, labelColor=figure.INK)
        )
    )
    across = figure.axis("change (%)")
    intervals = base.mark_rule(color=figure.BLUE).encode(
        x=alt.X("low:Q", axis=across, scale=alt.Scale(zero=False)), x2="high:Q"
    )
    points = base.mark_point(size=55, color=figure.BLUE, opacity=1, strokeWidth=1.5).encode(
        x=alt.X("change:Q", axis=across),
        fill=alt.condition(
            "datum.differs == 'differs'", alt.value(figure.BLUE), alt.value("white")
        ),
    )
    zero = alt.Chart(figure.inline([{"x": 0}])).mark_rule(color=figure.INK, strokeDash=[3, 3])
    layers = alt.LayerChart(layer=[zero.encode(x="x:Q"), intervals, points])
    chart: alt.LayerChart = layers.properties(width=300, height={"step": 18})
    return chart
