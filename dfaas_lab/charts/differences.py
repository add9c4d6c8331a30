"""The chart of a comparison: a forest plot, each change with its interval."""

from __future__ import annotations

import altair as alt
import polars as pl

from dfaas_lab.charts import figure
from dfaas_lab.charts.axes import axis, inline
from dfaas_lab.charts.colours import P50, TEXT

_MOST_ROWS = 60
_WORDS = {"success_rate": "success (points)"}
_JUDGED = {True: "differs", False: "chance"}


def comparison_chart(frame: pl.DataFrame) -> alt.ConcatChart:
    """Draw a comparison: each change with its interval, filled where the sides differ.

    Args:
        frame: ``comparison.frame``.

    >>> chart = comparison_chart(compare(before, after).frame)
    """
    shown = _rows(frame.filter(pl.col("change").is_not_null()).head(_MOST_ROWS))
    notes = [
        "filled: differs, all intervals together; hollow: can be chance",
        "cross: no interval, so nothing is known" if "none" in shown["differs"] else "",
        "arrow: the interval goes on" if _beyond(shown, _ends(shown)).height else "",
        f"{_MOST_ROWS} of {frame.height} rows are shown" if frame.height > _MOST_ROWS else "",
    ]
    title = " and ".join(frame["side_b"].unique(maintain_order=True).to_list()) or "Nothing"
    against = frame["side_a"][0] if frame.height else "nothing"
    charts = [_forest(shown)] if shown.height else []
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
        differs=pl.col("differs").replace_strict(_JUDGED, default="none", return_dtype=pl.String),
    )


def _ends(rows: pl.DataFrame) -> tuple[float, float]:
    """The ends of the axis: all intervals, but none farther out than three times the changes."""
    changes = rows["change"].drop_nulls()
    most = 3 * max([10.0, *changes.abs().to_list()])
    low = min([0.0, *changes, *rows["low"].drop_nulls()])
    high = max([0.0, *changes, *rows["high"].drop_nulls()])
    return max(low, -most), min(high, most)


def _beyond(rows: pl.DataFrame, ends: tuple[float, float]) -> pl.DataFrame:
    """The intervals that go beyond the axis: at which end, and the sign for it."""
    low, high = ends
    out = [(pl.col("low") < low, low, "left"), (pl.col("high") > high, high, "right")]
    return pl.concat(
        rows.filter(where).select("row", at=pl.lit(end), sign=pl.lit(f"triangle-{side}"))
        for where, end, side in out
    )


def _forest(rows: pl.DataFrame) -> alt.LayerChart:
    ends = _ends(rows)
    names = alt.Axis(title=None, labelLimit=260, labelColor=TEXT)
    y = alt.Y("row:N", sort=rows["row"].to_list(), axis=names)
    base = alt.Chart(inline(rows)).encode(y)
    # Some room beside the outermost mark.
    room = 0.03 * (ends[1] - ends[0])
    scale = alt.Scale(domain=[ends[0] - room, ends[1] + room], nice=False, zero=False)
    across = axis("change (%)")
    intervals = base.mark_rule(color=P50.colour, clip=True).encode(
        x=alt.X("low:Q", axis=across, scale=scale), x2="high:Q"
    )
    points = base.mark_point(size=55, color=P50.colour, opacity=1, strokeWidth=1.5).encode(
        x=alt.X("change:Q", axis=across, scale=scale),
        fill=alt.condition("datum.differs == 'differs'", alt.value(P50.colour), alt.value("white")),
        shape=alt.condition("datum.differs == 'none'", alt.value("cross"), alt.value("circle")),
    )
    zero = alt.Chart(inline([{"x": 0}])).mark_rule(color=TEXT, strokeDash=[3, 3])
    arrows = alt.Chart(inline(_beyond(rows, ends))).mark_point(
        color=P50.colour, filled=True, size=40, opacity=1
    )
    layers = alt.LayerChart(
        layer=[
            zero.encode(alt.X("x:Q", scale=scale)),
            intervals,
            arrows.encode(alt.X("at:Q", scale=scale), y, shape=alt.Shape("sign:N", scale=None)),
            points,
        ]
    )
    chart: alt.LayerChart = layers.properties(width=300, height={"step": 18})
    return chart
