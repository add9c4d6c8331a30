"""The chart of the overload frontier of two functions: measured, overloaded and skipped loads."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from dfaas_lab.charts import axes, figure
from dfaas_lab.charts.colours import TEXT
from dfaas_lab.errors import ConfigError
from dfaas_lab.status import COMPLETE

# A sign for each state: told apart without colour, and by lightness in print.
_SIGNS = {
    "measured": ("circle", "#DCEAF7"),
    "overloaded": ("cross", "#E5926A"),
    "doubtful": ("triangle-up", "#E8CBE4"),
    "failed": ("diamond", "#BBBBBB"),
    "skipped": ("M-1,-0.2h2v0.4h-2Z", "#F2F2F2"),
}


def frontier_chart(
    outcomes: pl.DataFrame, a: str, b: str, *, planned: bool = False
) -> alt.ConcatChart:
    """Draw which loads of two functions were measured, overloaded or ruled out, as a grid.

    Args:
        outcomes: ``campaign.outcomes``.
        a: The function on the x axis.
        b: The function on the y axis.
        planned: Whether such loads are planned; the figure says where none was measured yet.

    Raises:
        ConfigError: No load has both, and no other function.

    >>> chart = frontier_chart(campaign.outcomes, "env", "figlet")
    """
    cells = _cells(outcomes, a, b)
    if a == b or (cells.is_empty() and not planned):
        raise ConfigError(
            f"no load of this campaign has rates of {a} and {b} and of no other function",
            hint=f"Its functions are: {', '.join(sorted(outcomes['function'].unique()))}; sizes "
            "of the plan must include 2.",
        )
    charts = [
        _grid(target, cells.filter(pl.col("target") == target), a, b)
        for target in cells["target"].unique(maintain_order=True)
    ]
    skipped = "skipped" in cells["state"]
    notes = ["skipped: above an overloaded load, so not measured" if skipped else ""]
    return figure.page(charts, f"Overload frontier of {a} and {b}", notes)


def _cells(outcomes: pl.DataFrame, a: str, b: str) -> pl.DataFrame:
    """One row per target and load: the two rates, and the load's state."""
    rate = pl.col("rate_rps")
    both = outcomes.group_by("target", "load_id", maintain_order=True).agg(
        rate.filter(pl.col("function") == a).first().fill_null(0.0).alias("a"),
        rate.filter(pl.col("function") == b).first().fill_null(0.0).alias("b"),
        pl.col("function").is_in([a, b]).any().alias("named"),
        rate.filter(~pl.col("function").is_in([a, b])).sum().alias("others"),
        (pl.col("overloaded").fill_null(False).mean() > 0.5).alias("overloaded"),
        pl.col("skipped").all().alias("skipped"),
        (pl.col("doubts").fill_null("") != "").all().alias("doubtful"),
        (~pl.col("status").fill_null("ok").is_in(COMPLETE)).all().alias("failed"),
    )
    has_both = outcomes.group_by("load_id").agg(
        (pl.col("function") == a).any() & (pl.col("function") == b).any()
    )
    if not has_both["function"].any():
        return both.clear().with_columns(state=pl.lit(""))
    states: dict[str, str | pl.Expr] = {
        name: name for name in ("skipped", "failed", "overloaded", "doubtful")
    }
    return (
        both.filter(pl.col("named") & (pl.col("others") == 0))
        .with_columns(state=figure.first_true(states, "measured"))
        .unique(["target", "a", "b"], keep="last", maintain_order=True)
    )


def _grid(target: str, cells: pl.DataFrame, a: str, b: str) -> Any:
    # The colours as data: a second scale of the states would take the legend away.
    hues = {state: hue for state, (_, hue) in _SIGNS.items()}
    data = cells.select("a", "b", "state", hue=pl.col("state").replace_strict(hues))
    size = max(12, min(40, 400 // max(data["a"].n_unique(), data["b"].n_unique(), 1)))
    seen = [state for state in _SIGNS if state in data["state"]]
    x = alt.X("a:O", axis=_axis(a))
    y = alt.Y("b:O", sort="descending", axis=_axis(b))
    shapes = alt.Scale(domain=seen, range=[_SIGNS[state][0] for state in seen])
    chart = alt.Chart(axes.inline(data))
    tiles = chart.mark_rect(stroke="white").encode(
        x, y, alt.Color("hue:N", scale=None), tooltip=["a:O", "b:O", "state:N"]
    )
    legend = figure.legend(symbolFillColor=TEXT, symbolStrokeColor=TEXT)
    signs = chart.mark_point(
        filled=True, fill=TEXT, stroke=TEXT, size=size * size / 16, opacity=1
    ).encode(x, y, shape=alt.Shape("state:N", scale=shapes, legend=legend))
    title = figure.panel_title(target, "", 270)
    return alt.layer(tiles, signs).properties(
        title=title, width={"step": size}, height={"step": size}
    )


def _axis(function: str) -> alt.Axis:
    return axes.axis(f"{function} (requests/s)", grid=False, labelAngle=0)
