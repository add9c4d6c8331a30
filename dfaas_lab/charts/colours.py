"""The colours and dashes of the charts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TEXT, FAINT, GRID, PAPER = "#222222", "#5A5A5A", "#E8E8E8", "#FFFFFF"


@dataclass(frozen=True)
class LineStyle:
    """How a kind of line is drawn: two kinds differ in lightness and dash, not in hue alone.

    ``tests/unit/test_chart_colours.py`` holds the differences in numbers, for print in grey and for
    readers without red or green cones.
    """

    colour: str
    dash: tuple[int, ...] = ()

    def line(self, **more: Any) -> dict[str, Any]:
        """Return the properties of a line mark."""
        dash = {"strokeDash": list(self.dash)} if self.dash else {}
        return {"color": self.colour, **dash, **more}


P50, P95, P99 = LineStyle("#0B3C7D"), LineStyle("#E07800", (7, 3)), LineStyle("#B3367F", (2, 2))
SUCCEEDED = LineStyle("#1B7F4B")
MOST = LineStyle("#8A8A8A")  # a maximum, always thin
ASKED = "#D0D0D0"  # what was asked for, behind what came of it
ANSWERED, FAILED, DROPPED, UNFINISHED = "#A6CEE3", "#C62828", "#333333", "#9A7B4F"
GROUPS = (
    P50,
    P95,
    P99,
    LineStyle("#179A8E", (8, 2, 2, 2)),
    LineStyle("#5C4326", (4, 4)),
    LineStyle("#7F9CD6", (12, 3)),
)
"""For runs or targets in one panel, in their order; the seventh begins again."""
