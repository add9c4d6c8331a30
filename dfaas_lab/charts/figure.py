"""What the figures have in common: colours, axes, panels, the page. It knows no frame's meaning."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import polars as pl

from dfaas_lab.display import chart_bundle, shown_metadata
from dfaas_lab.printable import printable

# After Okabe and Ito (2008) and Tol: told apart with any colour vision, and by lightness in print.
BLUE, PURPLE, SKY, VERMILION, BLACK = "#0072B2", "#AA4499", "#A6CEE3", "#D55E00", "#333333"
INK, FAINT, GRID = "#222222", "#666666", "#E8E8E8"
COLUMNS = 3
MAX_PANELS = 24
MAX_OVERLAID = 8  # iterations drawn one by one; above it, the range that they cover
MAX_ROWS = 4000  # in one figure: Altair refuses 5,000, and a saved notebook grows with each
_LINE = 100  # characters of a subtitle
_WIDE = 60  # latencies from 1 to this many times 1 are read better on a logarithmic scale


class Figure(alt.ConcatChart):
    """A chart that is shown everywhere, also where there is no JavaScript or no network.

    Altair's own renderer fetches Vega from the network. One that the user chose is respected.
    """

    def _repr_mimebundle_(self, *args: Any, **kwargs: Any) -> Any:
        if alt.renderers.active != "default":
            return super()._repr_mimebundle_(*args, **kwargs)
        bundle = chart_bundle(self)
        return bundle, shown_metadata(bundle)


@dataclass(frozen=True)
class Panel:
    """One function of one target in a figure."""

    target: str
    function: str
    title: str

    def of(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the rows that belong to this panel."""
        return frame.filter(
            pl.col("target").eq_missing(self.target), pl.col("function").eq_missing(self.function)
        )


def panels(summary: pl.DataFrame) -> list[Panel]:
    """Return one panel per function and target, in the order of the frame."""
    pairs = summary.select("target", "function").unique(maintain_order=True).rows()
    several = len({target for target, _ in pairs}) > 1
    return [
        Panel(target, function, f"{function} on {target}" if several else str(function))
        for target, function in pairs
    ]


def hidden(every: Sequence[Panel]) -> str:
    """Say how many panels do not fit, in a figure of at most MAX_PANELS."""
    rest = len(every) - MAX_PANELS
    return f"{MAX_PANELS} of {len(every)} functions are shown" if rest > 0 else ""


def width_of(count: int) -> int:
    """Return the width in pixels of each of so many panels."""
    return {1: 560, 2: 380}.get(count, 270)


def page(
    charts: Sequence[alt.VConcatChart | alt.LayerChart | alt.Chart],
    title: str,
    notes: Iterable[str],
) -> alt.ConcatChart:
    """Put the panels onto one figure, with a title and notes that say how to read it."""
    heading = alt.Title(
        title,
        subtitle=_lines(note for note in notes if note),
        anchor="start",
        fontSize=15,
        subtitleFontSize=11,
        color=INK,
        subtitleColor=FAINT,
        subtitlePadding=4,
        offset=14,
    )
    return Figure(
        concat=charts if charts else [_nothing()],
        columns=COLUMNS,
        spacing={"row": 30, "column": 26},
        title=heading,
    )


def _lines(notes: Iterable[str]) -> list[str]:
    """Join notes into lines that are no wider than a figure: a longer one would stretch it."""
    lines = [""]
    for note in notes:
        joined = f"{lines[-1]} \u00b7 {note}" if lines[-1] else note
        if len(joined) <= _LINE:
            lines[-1] = joined
        else:
            lines.append(note)
    return lines


def _nothing() -> alt.Chart:
    text = alt.Chart(inline([{"text": "nothing was measured"}]), width=560, height=60)
    words: alt.Chart = text.mark_text(color=FAINT, fontSize=13).encode(text="text:N")
    return words


def panel_title(panel: Panel, subtitle: str, width: int) -> alt.TitleParams:
    """Return a panel's title: the function, and one line of numbers below it."""
    return alt.Title(
        # Here too: whoever saves the figure by Altair's own means is not to lose the process.
        _cut(printable(panel.title), width // 7),
        subtitle=subtitle,
        anchor="start",
        frame="group",
        fontSize=12,
        subtitleFontSize=10,
        color=INK,
        subtitleColor=FAINT,
        offset=6,
    )


def _cut(words: str, cells: int) -> str:
    # Vega's own limit may cut a character above U+FFFF in two, and then the picture cannot be made.
    used = 0
    for index, character in enumerate(words):
        used += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if used > cells:
            return words[:index] + "\u2026"
    return words


def inline(rows: pl.DataFrame | list[dict[str, Any]]) -> alt.InlineData:
    """Return rows as the chart's own data, whatever transformer the user has enabled in Altair."""
    return alt.InlineData(values=rows if isinstance(rows, list) else rows.to_dicts())


def axis(
    title: str | None, *, labels: bool = True, ticks: int = 5, values: Sequence[float] | None = None
) -> alt.Axis:
    """Return an axis in the house style; ``values`` are the ticks, where they are not Vega's."""
    return alt.Axis(
        title=title,
        labels=labels,
        ticks=labels,
        # With a count, Vega leaves out every second value where there are more.
        tickCount=ticks if values is None else alt.Undefined,
        values=alt.Undefined if values is None else list(values),
        format=",~f",
        grid=True,
        gridColor=GRID,
        domainColor=FAINT,
        tickColor=FAINT,
        labelColor=INK,
        titleColor=INK,
        titleFontWeight="normal",
        titleFontSize=11,
        labelFontSize=10,
        labelOverlap=values is None,
    )


def up_from_0(field: str, title: str, highest: float, steps: int = 5) -> alt.Y:
    """Return a vertical axis from 0 to a round number, which is its highest tick.

    Vega's own choice may end between two ticks; then the panels of one row do not line up.
    """
    step = next(size for size in _round_numbers(highest / steps) if size * steps >= highest)
    values = [index * step for index in range(math.ceil(highest / step - 1e-9) + 1)]
    scale = alt.Scale(domain=[0, values[-1]], nice=False)
    return alt.Y(field, axis=axis(title, values=values), scale=scale)


def latency_y(values: pl.Series, *, log: bool) -> alt.Y:
    """Return the vertical axis for these latencies in milliseconds."""
    known = values.filter(values > 0)
    lowest, highest = known.min(), known.max()
    if not isinstance(lowest, float) or not isinstance(highest, float):
        return up_from_0("value:Q", "latency (ms)", 1.0)
    if not log:
        return up_from_0("value:Q", "latency (ms)", highest)
    top = next(number for number in _round_numbers(highest) if number >= highest)
    bottom = [number for number in _round_numbers(lowest / 10) if number <= lowest][-1]
    ticks = [number for number in _round_numbers(bottom) if bottom <= number <= top]
    if len(ticks) > 7:
        ticks = [tick for tick in ticks if math.log10(tick) % 1 == 0 or tick in (bottom, top)]
    scale = alt.Scale(type="log", domain=[bottom, top], nice=False)
    return alt.Y("value:Q", axis=axis("latency (ms, log scale)", values=ticks), scale=scale)


def _round_numbers(near: float) -> list[float]:
    """Return 1, 2 and 5 times the powers of ten, from below ``near`` on."""
    first = math.floor(math.log10(max(near, 1e-6)))
    powers = range(first, first + 10)
    # From text: 10.0 ** -1 * 2 is no round number.
    return [float(f"{digit}e{power}") for power in powers for digit in (1, 2, 5)]


def spans_decades(frames: Iterable[pl.DataFrame], columns: Sequence[str]) -> bool:
    """Say whether in one of these frames latencies differ so much that they need a log scale."""
    for frame in frames:
        values = pl.concat([frame.select(finite(name).alias("value")) for name in columns])
        known = values["value"].filter(values["value"] > 0)
        lowest, highest = known.min(), known.max()
        if isinstance(lowest, float) and isinstance(highest, float) and highest > _WIDE * lowest:
            return True
    return False


def number(value: float) -> str:
    """Return a number with three digits or more, as people write it."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def colour(names: dict[str, str]) -> alt.Color:
    """Return the colour of each kind of mark, with one legend on top of the figure."""
    legend = alt.Legend(
        title=None,
        orient="top",
        direction="horizontal",
        columns=len(names),
        symbolType="square",
        symbolStrokeWidth=0,
        symbolOpacity=1,
        labelColor=INK,
        labelFontSize=11,
        labelLimit=400,
        offset=6,
    )
    scale = alt.Scale(domain=list(names), range=list(names.values()))
    return alt.Color("kind:N", scale=scale, legend=legend)


def finite(*columns: str) -> pl.Expr:
    """Return these columns with null for what is no finite number (JSON has no NaN)."""
    numbers = pl.col(columns).cast(pl.Float64)
    return pl.when(numbers.is_finite()).then(numbers.round(4))


def long(frame: pl.DataFrame, index: Sequence[str], kinds: dict[str, str]) -> pl.DataFrame:
    """Turn value columns into rows of ``kind`` (the legend's name for the column) and ``value``."""
    named = frame.select(*index, *(finite(column).alias(name) for column, name in kinds.items()))
    return named.unpivot(list(kinds.values()), index=list(index), variable_name="kind")
