"""Writes a chart as PDF, SVG or PNG, in the width that a paper needs. Works offline."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import altair as alt
import vl_convert
from PIL import Image

from dfaas_lab.charts.colours import FAINT
from dfaas_lab.display.bundles import Spec, full_png, spec_of
from dfaas_lab.display.origin import date_of, machines_of
from dfaas_lab.errors import ConfigError
from dfaas_lab.printable import printable
from dfaas_lab.validation import local_path

_DPI = 72.0  # of PDF and SVG: a unit is a point
_PRINT_DPI = 300.0
_CHARACTER_PX = 4.9  # of a caption, in the mean
_UNITS = {"in": 72.0, "cm": 72.0 / 2.54, "mm": 72.0 / 25.4, "pt": 1.0, "px": 0.75}
_WIDTH = re.compile(r"(\d+(?:\.\d+)?)\s*(in|cm|mm|pt|px)")
_SVG_WIDTH = re.compile(r'<svg[^<>]*?\bwidth="([\d.]+)"')
_SVG_SIZE = re.compile(r'\b(width|height)="([\d.]+)"')


class Captioned(Protocol):
    """What a caption is made of: a run, or anything with an id and a manifest."""

    @property
    def id(self) -> str:
        """What it is called."""

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Its manifest."""


def save_figure(
    chart: alt.TopLevelMixin,
    path: str | Path,
    *,
    width: str | None = None,
    caption: Captioned | str | None = None,
) -> Path:
    """Write a chart as a file for a paper, without browser or network, and return its path.

    Args:
        chart: Any chart.
        path: Where to; its ending says how: ``.pdf``, ``.svg`` or ``.png`` (300 dots per inch).
        width: The width on paper: ``"3.3in"``, ``"8.5cm"``, ``"240pt"``.
        caption: A run whose id, date and machine are written below the figure; or a text.

    Raises:
        ConfigError: The ending, the width or the caption cannot be.

    >>> save_figure(run.chart(), "figure.pdf", width="3.3in", caption=run).stat().st_size > 1000
    True
    """
    place = local_path(path, what="path")
    wanted_pt = None if width is None else _points(width)
    if place.suffix not in _ENDINGS:
        raise ConfigError(
            f"a figure cannot be written as {place.suffix or 'a file without an ending'}",
            hint="Name it .pdf, .svg or .png.",
        )
    spec = spec_of(chart)
    if caption is not None:
        spec = spec_of(_with_caption(chart, _words(caption), _width_of(_svg(spec))))
    svg = _svg(spec)
    scale = 1.0 if wanted_pt is None else wanted_pt / _width_of(svg)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(_ENDINGS[place.suffix](spec, svg, scale))
    return place


def _pdf(_: Spec, svg: str, scale: float) -> bytes:
    # A unit of a PDF is a point; the converter takes an SVG's for one.
    content: bytes = vl_convert.svg_to_pdf(_scaled(svg, scale))
    return content


def _paper_svg(_: Spec, svg: str, scale: float) -> bytes:
    # Without its unit, a length of an SVG is a pixel: three quarters of a point (CSS, 5.2).
    return _scaled(svg, scale, unit="pt").encode()


def _print_png(spec: Spec, _: str, scale: float) -> bytes:
    stream = io.BytesIO()
    with Image.open(io.BytesIO(full_png(spec, scale=scale * _PRINT_DPI / _DPI))) as picture:
        picture.convert("RGB").save(stream, "PNG", optimize=True, dpi=(_PRINT_DPI, _PRINT_DPI))
    return stream.getvalue()


_ENDINGS: dict[str, Callable[[Spec, str, float], bytes]] = {
    ".pdf": _pdf,
    ".svg": _paper_svg,
    ".png": _print_png,
}


def _svg(spec: Spec) -> str:
    drawn: str = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
    return drawn


def _width_of(svg: str) -> float:
    found = _SVG_WIDTH.search(svg)
    return float(found[1]) if found else 500.0


def _points(width: str) -> float:
    found = _WIDTH.fullmatch(width.strip())
    if found is None or not float(found[1]):
        raise ConfigError(
            f"{width!r} is no width of a figure", hint='Write "3.3in", "8.5cm" or "240pt".'
        )
    return float(found[1]) * _UNITS[found[2]]


def _scaled(svg: str, scale: float, *, unit: str = "") -> str:
    """Change the size at which an SVG is shown; its viewBox keeps the drawing whole."""
    head, end, rest = svg.partition(">")
    sized = _SVG_SIZE.sub(lambda one: f'{one[1]}="{float(one[2]) * scale:.2f}{unit}"', head)
    return sized + end + rest


def _with_caption(chart: Any, words: str, width_px: float) -> alt.VConcatChart:
    """Put the caption below, in lines that do not make the figure wider."""
    lines = textwrap.wrap(words, max(20, int(width_px / _CHARACTER_PX)))
    text = alt.Chart(alt.InlineData(values=[{"text": lines}]), width=10, height=12 * len(lines))
    drawn = text.mark_text(align="left", baseline="top", x=0, y=0, color=FAINT, fontSize=9)
    below = alt.vconcat(chart, drawn.encode(text="text:N"))
    # Else the figure's legend moves above its title.
    own: alt.VConcatChart = below.resolve_scale(
        color="independent", fill="independent", shape="independent", strokeDash="independent"
    )
    return own


def _words(run: Captioned | str) -> str:
    """Return where a figure's numbers come from: the run, its date, and the machines."""
    if isinstance(run, str):
        return printable(run)
    manifest = getattr(run, "provenance", None)
    if manifest is None:
        raise ConfigError(
            f"caption={type(run).__name__} tells of no machine", hint="Give a run, or a text."
        )
    said = [run.id, date_of(manifest), *machines_of(manifest)]
    return printable(" \u00b7 ".join(one for one in said if one))
