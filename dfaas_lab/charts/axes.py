"""Axes of the charts (time, latency, rate), and labels at the ends of lines."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt
import polars as pl

from dfaas_lab.charts.colours import FAINT, GRID, TEXT

_LABEL = 11  # pixels from one label to the next
_SHORT_S = 120  # a longer time is told in minutes and seconds
_RATIO = 1.02  # how equal the steps of geometric rates are
_WIDE = 60  # latencies from 1 to this many times 1 are read better on a logarithmic scale


def axis(
    title: str | None,
    *,
    labels: bool = True,
    values: Sequence[float] | None = None,
    grid: bool = True,
    **more: Any,
) -> alt.Axis:
    """Return an axis; ``values`` are its ticks, where they are not Vega's."""
    return alt.Axis(
        title=title if labels else None,
        labels=alt.Undefined if labels else False,
        ticks=alt.Undefined if labels else False,
        # With a count, Vega leaves out every second value where there are more.
        tickCount=5 if values is None else alt.Undefined,
        values=alt.Undefined if values is None else list(values),
        format=",~f",
        grid=grid,
        gridColor=GRID,
        domainColor=FAINT,
        tickColor=FAINT,
        labelColor=TEXT,
        titleColor=TEXT,
        titleFontWeight="normal",
        titleFontSize=11,
        labelFontSize=10,
        labelOverlap=True if values is None else "greedy",
        **more,
    )


def seconds_axis(title: str, last_s: float, *, labels: bool = True, wide: bool = True) -> alt.Axis:
    """Return a time axis: seconds, or minutes and seconds where it is long."""
    steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 86_400]
    most = 8 if wide else 4
    step = next((one for one in steps if last_s / one <= most), math.ceil(last_s / most))
    values = [float(at) for at in range(0, math.floor(last_s) + 1, step)]
    if last_s <= _SHORT_S:
        return axis(f"{title} (s)", labels=labels, values=values)
    minutes = "floor(datum.value / 60) + ':' + format(datum.value % 60, '02d')"
    hours = "floor(datum.value / 3600) + ':' + format(floor(datum.value / 60) % 60, '02d')"
    unit, expr = ("min:s", minutes) if last_s < 2 * 3600 else ("h:min", hours)
    return axis(f"{title} ({unit})", labels=labels, values=values, labelExpr=expr)


def rate_x(rates: Iterable[float], title: str, *, labels: bool = True) -> alt.X:
    """Return a horizontal axis of rates, which doubles where they grow by one factor."""
    asked = sorted({float(rate) for rate in rates})
    if _geometric(asked):
        scale = alt.Scale(type="log", base=2, domain=[asked[0] / 1.2, asked[-1] * 1.2])
        return alt.X("rate_rps:Q", scale=scale, axis=axis(title, labels=labels, values=asked))
    scale = alt.Scale(domain=[0.0, max([1.0, *asked]) * 1.05])
    return alt.X("rate_rps:Q", scale=scale, axis=axis(title, labels=labels))


def _geometric(rates: Sequence[float]) -> bool:
    """Whether the rates grow by one factor: then they are read on a scale that doubles."""
    if len(rates) < 3 or rates[0] <= 0:
        return False
    steps = [b / a for a, b in itertools.pairwise(rates)]
    return min(steps) > 1.4 and max(steps) / min(steps) < _RATIO


def up_from_0(field: str, title: str, highest: float, steps: int = 5) -> alt.Y:
    """Return a vertical axis from 0 to a round number, which is its highest tick.

    Vega's own choice may end between two ticks; then the panels of one row do not line up.
    """
    values = round_ticks(highest, steps)
    scale = alt.Scale(domain=[0, values[-1]])
    return alt.Y(field, axis=axis(title, values=values), scale=scale)


def lower_edge(y: alt.Y) -> alt.Y:
    """Return the vertical encoding of a band's ``low`` on the axis of its line.

    Without ``stack``, Vega-Lite warns that it cannot stack where the axis is logarithmic.
    """
    low = y.copy()
    low["shorthand"], low["stack"] = "low:Q", None
    return low


def round_ticks(highest: float, steps: int = 5) -> list[float]:
    """Return ticks from 0 to a round number that is not below ``highest``."""
    step = next(size for size in _round_numbers(highest / steps) if size * steps >= highest)
    return [index * step for index in range(math.ceil(highest / step - 1e-9) + 1)]


@dataclass(frozen=True)
class LatencyAxis:
    """A vertical axis of milliseconds: from 0, or logarithmic between round numbers."""

    bottom: float
    top: float
    ticks: tuple[float, ...]
    log: bool

    @classmethod
    def over(cls, values: pl.Series, *, log: bool) -> LatencyAxis:
        """Return the axis on which these values are read best."""
        known = values.filter((values > 0) & values.is_finite())
        lowest, highest = known.min(), known.max()
        if not isinstance(lowest, float) or not isinstance(highest, float):
            lowest = highest = 1.0
            log = False
        if not log:
            ticks = round_ticks(highest)
            return cls(0.0, ticks[-1], tuple(ticks), log=False)
        top = next(number for number in _round_numbers(highest) if number >= highest)
        bottom = [number for number in _round_numbers(lowest / 10) if number <= lowest][-1]
        ticks = [number for number in _round_numbers(bottom) if bottom <= number <= top]
        if len(ticks) > 7:
            ticks = [tick for tick in ticks if math.log10(tick) % 1 == 0 or tick in (bottom, top)]
        return cls(bottom, top, tuple(ticks), log=True)

    def y(self, field: str = "value:Q", title: str = "latency") -> alt.Y:
        """Return the encoding."""
        kind: Literal["log", "linear"] = "log" if self.log else "linear"
        return alt.Y(
            field,
            axis=axis(
                f"{title} (ms, log scale)" if self.log else f"{title} (ms)", values=self.ticks
            ),
            scale=alt.Scale(type=kind, domain=[self.bottom, self.top]),
        )

    def height_of(self, value: float, pixels: int) -> float:
        """Return how far above the bottom a value is drawn, in pixels."""
        if not self.log:
            return pixels * value / self.top
        span = math.log(self.top / self.bottom)
        return pixels * math.log(max(value, self.bottom) / self.bottom) / span


def _round_numbers(near: float) -> list[float]:
    """Return 1, 2 and 5 times the powers of ten, from below ``near`` on."""
    first = math.floor(math.log10(max(near, 1e-6)))
    powers = range(first, first + 10)
    # From text: 10.0 ** -1 * 2 is no round number.
    return [float(f"{digit}e{power}") for power in powers for digit in (1, 2, 5)]


def spans_decades(frames: Iterable[pl.DataFrame], columns: Sequence[str]) -> bool:
    """Say whether in one of these frames latencies differ so much that they need a log scale."""
    for frame in frames:
        values = in_one(frame, columns)
        known = values.filter((values > 0) & values.is_finite())
        lowest, highest = known.min(), known.max()
        if isinstance(lowest, float) and isinstance(highest, float) and highest > _WIDE * lowest:
            return True
    return False


def line_ends(
    ends: Sequence[tuple[str, float, float]], x: alt.X, y: LatencyAxis, height: int
) -> list[alt.Chart]:
    """Write names at the ends of lines, moved apart where they would cover each other.

    Of each line the name, and the last point's x and y; ``height`` is the panel's, in pixels.
    """
    free, rows = -math.inf, []
    for name, at, value in sorted(ends, key=lambda end: end[2]):
        wanted = y.height_of(value, height)
        free = max(free + _LABEL, wanted)
        place = {x.shorthand.split(":")[0]: at, "end": value, "moved": round(wanted - free, 1)}
        rows.append({"name": name, **place})
    if not rows:
        return []
    words = alt.Chart(inline(rows)).mark_text(
        align="left", dx=5, dy=alt.ExprRef("datum.moved"), color=TEXT, fontSize=10
    )
    vertical = alt.Y("end:Q", axis=y.y()["axis"], scale=y.y()["scale"])
    return [words.encode(x, vertical, text="name:N")]


def inline(rows: pl.DataFrame | list[dict[str, Any]]) -> alt.InlineData:
    """Return rows as the chart's own data, whatever transformer the user has enabled in Altair."""
    return alt.InlineData(values=rows if isinstance(rows, list) else rows.to_dicts())


def in_one(rows: pl.DataFrame, columns: Iterable[str]) -> pl.Series:
    """Return the values of several columns, one below the other."""
    return pl.concat([rows[name].cast(pl.Float64).rename("value") for name in columns])


def finite(*columns: str) -> pl.Expr:
    """Return these columns with null for what is no finite number (JSON has no NaN)."""
    numbers = pl.col(columns).cast(pl.Float64)
    return pl.when(numbers.is_finite()).then(numbers.round(4))
