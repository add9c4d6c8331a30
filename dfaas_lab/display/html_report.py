"""The HTML report: one page that works offline, with charts as PNG and frames as Parquet.

It measures and summarises nothing; what is in it is made elsewhere.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import vl_convert

from dfaas_lab.display.bundles import Spec, image_html, png, shown_width, spec_of
from dfaas_lab.display.cards import text

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

# The page may run its own scripts (Vega compiles its expressions) and fetch nothing at all.
_NOT_PLAIN = re.compile("[^a-z0-9]+")
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'unsafe-inline'; img-src data: blob:"
)
# A figure has a white ground of its own, in a dark scheme too; none is wider than the window.
_STYLE = """
:root { color-scheme: light dark; --ink: #222; --faint: #5a5a5a; --paper: #fff; --line: #d8d8d8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --faint: #a8a8a8; --paper: #16181c; --line: #3c4048; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 1080px; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
a { color: inherit; } .lead { font-size: 1.1rem; max-width: 46rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; font-size: 13px; }
dt { color: var(--faint); } dd { margin: 0; }
section > div { overflow-x: auto; overflow-wrap: normal; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid var(--line); }
th { font-weight: 600; }
.chart { margin-top: 1rem; }
.chart img, .chart svg { max-width: 100%; height: auto; background: #fff; border-radius: 4px; }
small, .files { color: var(--faint); font-size: 13px; }
"""
_DRAW = """
document.querySelectorAll("div.chart").forEach(function (place) {
  var spec = JSON.parse(place.querySelector("script").textContent);
  var picture = place.querySelector("img"), live = place.querySelector("div");
  var actions = {export: true, source: false, compiled: false, editor: false};
  vegaEmbed(live, spec, {renderer: "svg", actions: actions})
    .then(function () { picture.remove(); })
    .catch(function (error) { live.remove(); console.error(error); });
});
"""


@dataclass(frozen=True)
class Section:
    """A part of a report: HTML that is already escaped, a figure, and the data behind it.

    The title is its heading, and the stem of the names of its files beside the page.
    """

    title: str
    html: str = ""
    chart: alt.TopLevelMixin | None = None
    frame: pl.DataFrame | None = None


def write_report(
    folder: Path,
    title: str,
    sections: Sequence[Section],
    *,
    lead: str = "",
    facts: Mapping[str, object] | None = None,
) -> Path:
    """Write a report and return the place of its page.

    ``lead`` is one sentence: what the reader sees; ``facts`` are where the numbers come from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stems = _stems(sections)
    body = [_section(folder, stem, part) for stem, part in zip(stems, sections, strict=True)]
    libraries = (
        vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
        if any(part.chart for part in sections)
        else ""
    )
    page = folder / "report.html"
    page.write_text(
        "<!doctype html>\n"
        '<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{text(_POLICY)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body><h1>{text(title)}</h1>\n{_head(lead, facts or {})}{''.join(body)}"
        + (f"<script>(function () {{{libraries}\n}})();{_DRAW}</script>" if libraries else "")
        + "</body></html>\n",
        encoding="utf-8",
    )
    return page


def _head(lead: str, facts: Mapping[str, object]) -> str:
    said = f'<p class="lead">{text(lead)}</p>\n' if lead else ""
    rows = "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in facts.items())
    return said + (f"<dl>{rows}</dl>\n" if rows else "")


def _section(folder: Path, stem: str, section: Section) -> str:
    files = []
    figure = ""
    if section.chart is not None:
        spec = spec_of(section.chart)
        picture = png(spec)
        (folder / f"{stem}.png").write_bytes(picture)
        files.append(f"{stem}.png")
        figure = _figure(spec, picture, section.title)
    if section.frame is not None:
        section.frame.write_parquet(folder / f"{stem}.parquet")
        files.append(f"{stem}.parquet")
    beside = " ".join(f'<a href="{name}">{name}</a>' for name in files)
    return (
        f"<section><h2>{text(section.title)}</h2>{section.html}{figure}"
        + (f'<p class="files">Beside this page: {beside}</p>' if beside else "")
        + "</section>\n"
    )


def _figure(spec: Spec, picture: bytes, title: str) -> str:
    # The picture is what is seen until the scripts have drawn the chart, or where there are none.
    encoded = base64.b64encode(picture).decode("ascii")
    image = image_html(encoded, width=shown_width(picture), what=title)
    # No text of the data can end the script element: JSON allows every "<" as an escape.
    data = json.dumps(spec).replace("<", "\\u003c")
    return (
        f'<div class="chart">{image}<div></div>'
        f'<script type="application/json">{data}</script></div>'
    )


def _stems(sections: Sequence[Section]) -> list[str]:
    """Return a name for each section's files: plain, and each another."""
    stems: list[str] = []
    for index, section in enumerate(sections, start=1):
        plain = _NOT_PLAIN.sub("_", section.title.lower()).strip("_")[:60]
        stem = plain or f"section_{index}"
        stems.append(f"{stem}_{index}" if stem in stems else stem)
    return stems
