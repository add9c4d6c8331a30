"""The figures: frames of the contract in, Altair charts out. No files, no global setting.

A chart carries no data beyond what it draws: frames are aggregated in polars first, extremes stay.
It carries no ``config`` either, so it can be placed beside others (``a.chart() | b.chart()``).
None is wider than 640 pixels. :func:`save_figure` writes one for a paper.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

    from dfaas_lab.charts.over_campaign import Marked
    from dfaas_lab.charts.over_rates import Measured
    from dfaas_lab.charts.save import Captioned

__all__ = [
    "campaign_chart",
    "comparison_chart",
    "decomposition_chart",
    "distribution_chart",
    "frontier_chart",
    "node_chart",
    "overlay_chart",
    "rates_chart",
    "run_chart",
    "save_figure",
    "status_chart",
]


def run_chart(
    summary: pl.DataFrame,
    timeline: pl.DataFrame,
    requests: pl.DataFrame | None = None,
    *,
    shared_axes: bool = False,
) -> alt.ConcatChart:
    """Draw one run: per function, latency over time and what became of the requests asked for.

    Bold is the median over the iterations, which stops where one of them has no value; faint behind
    it are the iterations themselves. The thin line is the slowest request of all of them. Latencies
    are those of successful requests, in milliseconds from sending to the last byte.

    Args:
        summary: ``run.summary``.
        timeline: ``run.timeline``.
        requests: ``run.requests``. With it, the quantiles of a point that is several seconds are
            those of its requests; without, they are the largest of its seconds.
        shared_axes: Whether all functions have the same latency axis.

    >>> chart = run_chart(run.summary, run.timeline, run.requests)
    """
    from dfaas_lab.charts.over_time import run_chart as draw

    return draw(summary, timeline, requests, shared_axes=shared_axes)


def rates_chart(
    summaries: pl.DataFrame | Sequence[Measured],
    *,
    doubtful: Collection[str] = (),
    shared_axes: bool = True,
) -> alt.ConcatChart:
    """Draw several runs at different rates: latency, success and goodput against the rate.

    Lines join the medians over the iterations; each point is one iteration, hollow where its run is
    DOUBTFUL. Goodput is requests per second that succeeded; on the dashed line all of them do. The
    rates have a logarithmic axis where they grow by one factor.

    Args:
        summaries: The runs, or their ``summary`` frames, one below the other.
        doubtful: The ids of runs that are in doubt, where frames are given.
        shared_axes: Whether all functions have the same latency axis.

    >>> chart = rates_chart([before, after])
    """
    from dfaas_lab.charts.over_rates import of_runs
    from dfaas_lab.charts.over_rates import rates_chart as draw

    if isinstance(summaries, Sequence):
        summaries, doubtful = of_runs(summaries)
    return draw(summaries, doubtful=doubtful, shared_axes=shared_axes)


def distribution_chart(
    requests: pl.DataFrame,
    *,
    by: str = "function",
    column: Literal["latency_ms", "response_ms"] = "latency_ms",
) -> alt.ConcatChart:
    """Draw how latencies are distributed: the share of successful requests at least so fast.

    Args:
        requests: ``run.requests``, or those of several runs, one below the other.
        by: The column that tells the lines apart: ``function``, ``target``, ``run_id``, or one of
            your own.
        column: ``latency_ms`` (from sending) or ``response_ms`` (from the planned moment).

    >>> chart = distribution_chart(run.requests, column="response_ms")
    """
    from dfaas_lab.charts.distribution import distribution_chart as draw

    return draw(requests, by=by, column=column)


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
    from dfaas_lab.charts.overlay import overlay_chart as draw

    return draw(summary, timeline, by=by)


def status_chart(requests: pl.DataFrame) -> alt.ConcatChart:
    """Draw how many requests had which HTTP status; "no answer" is an error of the network.

    Args:
        requests: ``run.requests``.

    >>> chart = status_chart(run.requests)
    """
    from dfaas_lab.charts.answers import status_chart as draw

    return draw(requests)


def decomposition_chart(requests: pl.DataFrame) -> alt.ConcatChart:
    """Draw what the time of successful requests was spent on, typical and slow ones apart.

    Args:
        requests: ``run.requests``.

    >>> chart = decomposition_chart(run.requests)
    """
    from dfaas_lab.charts.answers import decomposition_chart as draw

    return draw(requests)


def node_chart(metrics: pl.DataFrame, summary: pl.DataFrame | None = None) -> alt.ConcatChart:
    """Draw the metrics of a node, one panel each, with the iterations shaded behind them.

    Args:
        metrics: ``target.metrics(start, end)`` or ``run.node_metrics``.
        summary: ``run.summary``, for the iterations.

    >>> chart = node_chart(run.node_metrics, run.summary)
    """
    from dfaas_lab.charts.node import node_chart as draw

    return draw(metrics, summary)


def campaign_chart(outcomes: pl.DataFrame, limits: Marked | None = None) -> alt.ConcatChart:
    """Draw a campaign: latency and success against rate, the node against load, and the course.

    A function's panel has the loads that it takes alone, where there are any. Lines are means over
    the iterations, with the intervals of :mod:`dfaas_lab.analysis.intervals`; points are hollow
    where an iteration is DOUBTFUL.

    Args:
        outcomes: ``campaign.outcomes``.
        limits: The thresholds of overload (a :class:`dfaas_lab.Overload`), which are marked.

    >>> chart = campaign_chart(campaign.outcomes)
    """
    from dfaas_lab.charts.over_campaign import campaign_chart as draw

    return draw(outcomes, limits)


def frontier_chart(outcomes: pl.DataFrame, a: str, b: str) -> alt.ConcatChart:
    """Draw which loads of two functions were measured, overloaded or ruled out, as a grid.

    Args:
        outcomes: ``campaign.outcomes``.
        a: The function on the x axis.
        b: The function on the y axis.

    Raises:
        ConfigError: No load has both, and no other function.

    >>> chart = frontier_chart(campaign.outcomes, "env", "figlet")
    """
    from dfaas_lab.charts.frontier import frontier_chart as draw

    return draw(outcomes, a, b)


def save_figure(
    chart: alt.TopLevelMixin,
    path: str | Path,
    *,
    width: str | None = None,
    caption: Captioned | None = None,
) -> Path:
    """Write a chart as a file for a paper, without browser or network, and return its path.

    Args:
        chart: Any chart.
        path: Where to; its ending says how: ``.pdf``, ``.svg`` or ``.png`` (300 dots per inch).
        width: The width on paper: ``"3.3in"``, ``"8.5cm"``, ``"240pt"``.
        caption: A run whose id, date and machine are written below the figure.

    Raises:
        ConfigError: The ending or the width cannot be.

    >>> save_figure(run.chart(), "figure.pdf", width="3.3in", caption=run).stat().st_size > 1000
    True
    """
    from dfaas_lab.charts.save import save_figure as write

    return write(chart, path, width=width, run=caption)


def comparison_chart(frame: pl.DataFrame) -> alt.ConcatChart:
    """Draw a comparison: each change with its interval, filled where the sides differ.

    Args:
        frame: ``comparison.frame``.

    >>> chart = comparison_chart(compare(before, after).frame)
    """
    from dfaas_lab.charts.differences import comparison_chart as draw

    return draw(frame)
