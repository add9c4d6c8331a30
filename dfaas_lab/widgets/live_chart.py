"""The live chart in a notebook cell; at the end the run's chart takes its place."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from dfaas_lab.charts.live import live_svg
from dfaas_lab.k6.live import LiveSeries
from dfaas_lab.progress import ProgressView, Shown, Step
from dfaas_lab.widgets.choose import SafeView, in_kernel

log = logging.getLogger(__name__)

_EVERY_S = 1.0
_EMPTY = {"text/html": "", "text/plain": ""}

Figure = Callable[[], Mapping[str, Any]]

_final: dict[str, tuple[Any, int]] = {}
"""The figure that the newest run left, and the cell in which it is, by the run's id."""


class LiveChart:
    """Rate, latency and failures over time, and at the end what ``figure`` makes.

    The picture alone stays: a notebook that shows the run, too, has its specification once. A cell
    that makes several runs keeps the figure of the last. ``figure`` makes its MIME bundle.
    """

    def __init__(self, series: Mapping[str, LiveSeries], figure: Figure, run_id: str) -> None:
        self._series = series
        self._figure = figure
        self._run_id = run_id
        self._handle: Any = None
        self._in_cell = -1

    def draw(self, steps: tuple[Step, ...]) -> None:  # noqa: ARG002 (it draws what was measured)
        """Bring the chart up to date; the first time takes its place, in the cell that runs now."""
        from IPython.display import display

        if self._handle is None:
            self._in_cell = _cell()
            for run_id in list(_final):
                forget_figure(run_id)
            self._handle = display(_EMPTY, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        points = {name: series.points() for name, series in self._series.items()}
        if any(points.values()):
            total_s = max(series.total_s for series in self._series.values())
            svg = live_svg(points, total_s)
            self._handle.update({"text/html": svg, "text/plain": "the run so far"}, raw=True)

    def close(self, steps: tuple[Step, ...]) -> None:
        """Put the run's figure in its place; where there is none, what was drawn stays."""
        self.draw(steps)
        try:
            picture = {kind: self._figure()[kind] for kind in ("image/png", "text/plain")}
        except Exception:  # nothing was measured, or it cannot be drawn
            log.debug("a run's figure cannot be drawn", exc_info=True)
            return
        from dfaas_lab.display.bundles import shown_metadata

        self._handle.update(picture, raw=True, metadata=shown_metadata(picture))
        _final.clear()
        _final[self._run_id] = self._handle, self._in_cell


def chart_view(
    shown: Shown,
    series: Mapping[str, LiveSeries],
    figure: Figure,
    run_id: str,
) -> ProgressView | None:
    """Return the live chart where it is wanted, and this is a notebook."""
    wanted = shown.progress is not False if shown.chart is None else shown.chart
    if not wanted or not series or not in_kernel():
        return None
    return SafeView(LiveChart(series, figure, run_id), every_s=_EVERY_S)


def forget_figure(run_id: str) -> None:
    """Remove the figure that a run left in this cell, since the cell shows it again below."""
    handle, cell = _final.get(run_id, (None, -1))
    if handle is not None and cell == _cell():
        handle.update(_EMPTY, raw=True)


def _cell() -> int:
    from IPython import get_ipython

    return int(getattr(get_ipython(), "execution_count", -1))
