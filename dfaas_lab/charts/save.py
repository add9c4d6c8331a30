"""Writes a figure for a paper: PDF, SVG or PNG, in its width, offline."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import altair as alt
import vl_convert

from dfaas_lab.charts.inks import FAINT
from dfaas_lab.display.bundles import png, spec_of
from dfaas_lab.errors import ConfigError
from dfaas_lab.printable import printable
from dfaas_lab.validation import local_path

_DPI = 72.0  # of PDF and SVG: a unit is a point
_PRINT_DPI = 300.0
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
    place = local_path(path, what="path")
    wanted_pt = None if width is None else _points(width)
    spec = spec_of(chart if caption is None else _with_caption(chart, caption))
    svg: str = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
    found = _SVG_WIDTH.search(svg)
    drawn_px = float(found[1]) if found else 500.0
    scale = 1.0 if wanted_pt is None else wanted_pt / drawn_px
    if place.suffix == ".pdf":
        content: bytes = vl_convert.svg_to_pdf(_scaled(svg, scale))
    elif place.suffix == ".svg":
        content = _scaled(svg, scale).encode()
    elif place.suffix == ".png":
        content = png(spec, scale=scale * _PRINT_DPI / _DPI)
    else:
        raise ConfigError(
            f"a figure cannot be written as {place.suffix or 'a file without an ending'}",
            hint="Name it .pdf, .svg or .png.",
        )
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


def _points(width: str) -> float:
    found = _WIDTH.fullmatch(width.strip())
    if found is None or not float(found[1]):
        raise ConfigError(
            f"{width!r} is no width of a figure", hint='Write "3.3in", "8.5cm" or "240pt".'
        )
    return float(found[1]) * _UNITS[found[2]]


def _scaled(svg: str, scale: float) -> str:
    """Change the size at which an SVG is shown; its viewBox keeps the drawing whole."""

    def one(found: re.Match[str]) -> str:
        return f'{found[1]}="{float(found[2]) * scale:.2f}"'

    head, end, rest = svg.partition(">")
    return _SVG_SIZE.sub(one, head) + end + rest


def _with_caption(chart: Any, run: Captioned) -> alt.VConcatChart:
    return alt.vconcat(chart, _caption(run))


def _caption(run: Captioned) -> alt.Chart:
    words = alt.Chart(alt.InlineData(values=[{"text": caption(run)}]), width=500, height=12)
    drawn: alt.Chart = words.mark_text(align="left", x=0, color=FAINT, fontSize=9).encode(
        text="text:N"
    )
    return drawn


def caption(run: Captioned) -> str:
    """Return where a figure's numbers come from: the run, its date, and the machine."""
    manifest: dict[str, Any] = dict(run.provenance)
    date = str(manifest.get("created_at", ""))[:10]
    facts = manifest.get("provenance")
    host = facts.get("host") if isinstance(facts, dict) else None
    machine = host.get("name") if isinstance(host, dict) else None
    return printable(" \u00b7 ".join(str(one) for one in (run.id, date, machine) if one))
