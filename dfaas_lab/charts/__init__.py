"""The charts: frames in, Altair charts out. They write no file and change no global setting.

A chart carries no data beyond what it draws: frames are aggregated in polars first, extremes stay.
It carries no ``config`` either, so it can be placed beside others (``a.chart() | b.chart()``).
None is wider than 640 pixels. :func:`save_figure` writes one for a paper.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dfaas_lab.charts.answers import decomposition_chart, status_chart
    from dfaas_lab.charts.differences import comparison_chart
    from dfaas_lab.charts.distribution import distribution_chart
    from dfaas_lab.charts.frontier import frontier_chart
    from dfaas_lab.charts.node import node_chart
    from dfaas_lab.charts.over_campaign import campaign_chart
    from dfaas_lab.charts.over_rates import rates_chart
    from dfaas_lab.charts.over_time import run_chart
    from dfaas_lab.charts.overlay import overlay_chart
    from dfaas_lab.charts.save import save_figure

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


# Altair takes a second to import: a figure's module is imported when it is first drawn.
_HOMES = {
    "campaign_chart": "over_campaign",
    "comparison_chart": "differences",
    "decomposition_chart": "answers",
    "distribution_chart": "distribution",
    "frontier_chart": "frontier",
    "node_chart": "node",
    "overlay_chart": "overlay",
    "rates_chart": "over_rates",
    "run_chart": "over_time",
    "save_figure": "save",
    "status_chart": "answers",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
