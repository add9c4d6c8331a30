"""The figures: frames of the contract in, Altair charts out. No files, no global setting.

A chart carries no data beyond what it draws: frames are aggregated in polars first. It carries no
``config`` either, so it can be placed beside others (``run.chart() | other.chart()``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

__all__ = ["comparison_chart", "rates_chart", "run_chart"]


def run_chart(summary: pl.DataFrame, timeline: pl.DataFrame) -> alt.ConcatChart:
    """Draw one run: per function, latency over time and what became of the requests asked for.

    Bold is the median over the iterations; what is faint behind it are the iterations themselves.
    Where a point is several seconds, its quantile is the median of those of the seconds.

    Args:
        summary: ``run.summary``.
        timeline: ``run.timeline``.
    """
    from dfaas_lab.charts.over_time import run_chart as draw

    return draw(summary, timeline)


def rates_chart(summaries: pl.DataFrame) -> alt.ConcatChart:
    """Draw several runs at different rates: latency and success against the rate asked for.

    Lines join the medians over the iterations; each point is one iteration.

    Args:
        summaries: The ``summary`` frames of the runs, one below the other.

    >>> rates_chart(pl.concat([run.summary for run in runs]))  # doctest: +SKIP
    """
    from dfaas_lab.charts.over_rates import rates_chart as draw

    return draw(summaries)


def comparison_chart(frame: pl.DataFrame) -> alt.ConcatChart:
    """Draw a comparison: each change with its interval, filled where the sides differ.

    Args:
        frame: ``comparison.frame``.

    >>> comparison_chart(compare(before, after).frame)  # doctest: +SKIP
    """
    from dfaas_lab.charts.differences import comparison_chart as draw

    return draw(frame)
