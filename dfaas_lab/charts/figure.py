"""Parts that all charts share: panels, titles, colour scales, the page."""

from __future__ import annotations

import itertools
import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import altair as alt
import polars as pl

from dfaas_lab.charts import axes
from dfaas_lab.charts.colours import FAINT, GROUPS, TEXT, LineStyle
from dfaas_lab.display.bundles import chart_bundle, shown_metadata
from dfaas_lab.printable import printable

MAX_PANELS = 24
MAX_OVERLAID = 8  # iterations drawn one by one; above it, the range that they cover
MAX_ROWS = 4000  # in one figure: Altair refuses 5,000, and a saved notebook grows with each
_LINE, _HEADING = 80, 48  # characters of a line of a subtitle, and of a title
Shown = TypeVar("Shown", bound=alt.TopLevelMixin)


class Figure(alt.ConcatChart):
    """A chart that is shown everywhere, also where there is no JavaScript or no network.

    Altair's own renderer fetches Vega from the network. One that the user chose is respected.
    """

    def _repr_mimebundle_(self, *args: Any, **kwargs: Any) -> Any:
        vars(self).get("_tell", lambda: None)()
        if alt.renderers.active != "default":
            return super()._repr_mimebundle_(*args, **kwargs)
        bundle = chart_bundle(self)
        return bundle, shown_metadata(bundle)


def on_show(chart: Shown, tell: Callable[[], None]) -> Shown:
    """Call something when a notebook shows a figure, and return the same figure."""
    object.__setattr__(chart, "_tell", tell)  # set as usual, it would be in the specification
    return chart


Drawn = alt.Chart | alt.LayerChart | alt.FacetChart | alt.VConcatChart
"""What can be a panel of a figure."""


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


def shown(frame: pl.DataFrame) -> tuple[list[Panel], int, str]:
    """Return the panels that a figure has room for, their width, and a note on the others."""
    every = panels(frame)
    note = f"{MAX_PANELS} of {len(every)} functions are shown" if len(every) > MAX_PANELS else ""
    return every[:MAX_PANELS], width_of(len(every)), note


def width_of(count: int) -> int:
    """Return the width in pixels of each of so many panels: with its axes a page is 640 at most."""
    return 500 if count == 1 else 214


def page(charts: Sequence[Drawn], title: str, notes: Iterable[str]) -> alt.ConcatChart:
    """Put the panels onto one figure, with a title and notes that say how to read it."""
    heading = alt.Title(
        textwrap.wrap(title, _HEADING) or "",
        subtitle=_lines(note for note in notes if note),
        anchor="start",
        fontSize=15,
        subtitleFontSize=11,
        color=TEXT,
        subtitleColor=FAINT,
        subtitlePadding=4,
        offset=14,
    )
    return Figure(
        concat=charts if charts else [_nothing()],
        columns=2,
        spacing={"row": 30, "column": 22},
        title=heading,
    )


def _lines(notes: Iterable[str]) -> list[str]:
    """Join notes into lines that are no wider than a figure: a longer one would stretch it."""
    lines = [""]
    for note in itertools.chain.from_iterable(textwrap.wrap(note, _LINE) for note in notes):
        joined = f"{lines[-1]} \u00b7 {note}" if lines[-1] else note
        if len(joined) <= _LINE:
            lines[-1] = joined
        else:
            lines.append(note)
    return lines


def _nothing() -> alt.Chart:
    text = alt.Chart(axes.inline([{"text": "nothing was measured"}]), width=500, height=60)
    words: alt.Chart = text.mark_text(color=FAINT, fontSize=13).encode(text="text:N")
    return words


def panel_title(panel: Panel | str, subtitle: str, width: int) -> alt.TitleParams:
    """Return a panel's title: the function, and one line of numbers below it."""
    return alt.Title(
        # Here too: whoever saves the figure by Altair's own means is not to lose the process.
        _cut(printable(panel if isinstance(panel, str) else panel.title), width // 7),
        subtitle=_cut(subtitle, width // 4),
        anchor="start",
        frame="group",
        fontSize=12,
        subtitleFontSize=10,
        color=TEXT,
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


def number(value: float) -> str:
    """Return a number with three digits or more, as people write it."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def legend(**more: Any) -> alt.Legend:
    """Return a legend on top of the figure."""
    return alt.Legend(title=None, orient="top", labelColor=TEXT, labelFontSize=11, **more)


def colour(names: dict[str, str]) -> alt.Color:
    """Return the colour of each kind of mark, with one legend on top of the figure."""
    squares = legend(
        direction="horizontal",
        columns=len(names),
        symbolType="square",
        symbolStrokeWidth=0,
        symbolOpacity=1,
        labelLimit=400,
        offset=6,
    )
    scale = alt.Scale(domain=list(names), range=list(names.values()))
    return alt.Color("kind:N", scale=scale, legend=squares)


def group_styles(groups: Sequence[str]) -> tuple[alt.Color, alt.StrokeDash]:
    """Return colour and dash for rows with a ``group``, with one legend for both."""
    styles = dict(zip(groups, itertools.cycle(GROUPS), strict=False))
    lines = legend(
        columns=3, symbolType="stroke", symbolSize=300, symbolStrokeWidth=2, labelLimit=180
    )
    return _styles("group:N", styles, lines)


def _styles(
    field: str, styles: dict[str, LineStyle], lines: alt.Legend | None
) -> tuple[alt.Color, alt.StrokeDash]:
    hues = alt.Scale(domain=list(styles), range=[style.colour for style in styles.values()])
    dashes = alt.Scale(
        domain=list(styles), range=[list(style.dash) or [1, 0] for style in styles.values()]
    )
    return (
        alt.Color(field, scale=hues, legend=lines),
        alt.StrokeDash(field, scale=dashes, legend=lines),
    )


def kind_styles(kinds: dict[str, LineStyle]) -> tuple[Any, Any]:
    """Return colour and dash for rows with a ``kind`` whose names are at the ends of the lines.

    One kind has no scale: all panels of a figure share theirs.
    """
    if len(kinds) == 1:
        (style,) = kinds.values()
        return alt.ColorValue(style.colour), alt.StrokeDashValue(list(style.dash) or [1, 0])
    return _styles("kind:N", kinds, None)


def long(frame: pl.DataFrame, index: Sequence[str], kinds: dict[str, str]) -> pl.DataFrame:
    """Turn value columns into rows of ``kind`` (the legend's name for the column) and ``value``."""
    named = frame.select(
        *index, *(axes.finite(column).alias(name) for column, name in kinds.items())
    )
    return named.unpivot(list(kinds.values()), index=list(index), variable_name="kind")


def first_true(conditions: dict[str, str | pl.Expr], otherwise: str) -> pl.Expr:
    """Return the name of the first condition (or column) that holds in a row."""
    named = (pl.when(one).then(pl.lit(name)) for name, one in conditions.items())
    return pl.coalesce(*named, pl.lit(otherwise))
