"""MIME bundles for notebooks: a table, a chart and a picture of the chart.

It knows no frame and no class of the domain, and reads no file.
"""

from __future__ import annotations

import base64
import html
import io
import logging
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NewType

from dfaas_lab.display.compact import compact

if TYPE_CHECKING:
    import altair as alt
    from PIL import Image

log = logging.getLogger(__name__)

_PNG_SCALE = 1.25
_COLOURS, _EXACT = 48, 28  # of a picture; and of these, how many are just as they were drawn
# Viewers with a dark theme draw on dark, and the figures' ink is dark.
_PAPER = "white"
# JupyterLab 4.6 and VS Code draw Vega-Lite 5 and do not know version 6, which Altair 6 writes; the
# charts of this package use nothing that 5 has not.
_VEGALITE_5 = "application/vnd.vegalite.v5+json"
_SCHEMA_5 = "https://vega.github.io/schema/vega-lite/v5.json"
# XML 1.0, section 2.2: what no XML may hold, so no SVG; vl-convert ends the process at one of them.
_NO_XML = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\ud800-\\udfff\\ufffe\\uffff]")

# A Vega-Lite specification whose every text can be drawn; only spec_of makes one.
Spec = NewType("Spec", dict[str, Any])


def publish(table: Callable[[], str], figure: Callable[[], dict[str, Any]], plain: str) -> None:
    """Show a result in the notebook that runs: a table, and below it a chart.

    These are two outputs, since of one output a viewer shows one form only: JupyterLab, VS Code,
    GitHub and nbconvert each choose differently among table, interactive chart and picture.
    Whatever fails to be drawn is left out, down to the plain text.
    """
    from IPython.display import display

    bundle: dict[str, Any] = {"text/plain": plain}
    bundle |= _attempt(lambda: {"text/html": table()})
    display(bundle, raw=True)  # type: ignore[no-untyped-call]
    if drawn := _attempt(figure):
        display(drawn, raw=True, metadata=shown_metadata(drawn))  # type: ignore[no-untyped-call]


def mimebundle(
    table: Callable[[], str], figure: Callable[[], dict[str, Any]], plain: str
) -> dict[str, Any]:
    """Return a result as one MIME bundle, for what asks for it and shows one form only.

    The HTML holds the chart as a picture, so that no form is without it.
    """
    drawn = _attempt(figure)
    bundle = {"text/plain": plain} | _attempt(lambda: {"text/html": table()})
    if "text/html" in bundle and "image/png" in drawn:
        picture = drawn["image/png"]
        bundle["text/html"] += f"<p>{image_html(picture, width=_width(drawn))}</p>"
    return drawn | bundle


def chart_bundle(chart: alt.TopLevelMixin) -> dict[str, Any]:
    """Return a chart as Vega-Lite for viewers that draw it, and as a PNG for all others."""
    spec = spec_of(chart)
    bundle: dict[str, Any] = {
        _VEGALITE_5: compact(spec) | {"$schema": _SCHEMA_5},
        "text/plain": f"<{type(chart).__name__}>",
    }
    picture = _attempt(lambda: {"image/png": base64.b64encode(png(spec)).decode("ascii")})
    return bundle | picture


def shown_metadata(bundle: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata with which viewers show a bundle's picture in its right size."""
    return {"image/png": {"width": _width(bundle)}} if "image/png" in bundle else {}


def spec_of(chart: alt.TopLevelMixin) -> Spec:
    """Return a chart as Vega-Lite, with a replacement character for what cannot be drawn.

    The user may have enabled a data transformer (``vegafusion``) that refuses to make Vega-Lite.
    """
    import altair as alt

    with alt.data_transformers.enable("default"):
        return Spec({"background": _PAPER} | _drawable(chart.to_dict()))


def png(spec: Spec, *, scale: float = _PNG_SCALE) -> bytes:
    """Return a Vega-Lite specification as a PNG, drawn here without browser or network.

    It has a palette: that takes a fifth of the room, and a figure has few colours.
    """
    from PIL import Image

    packed = io.BytesIO()
    with Image.open(io.BytesIO(full_png(spec, scale=scale))) as picture:
        flat = picture.convert("RGB")
    flat = flat.quantize(palette=_palette(flat), dither=Image.Dither.NONE)
    flat.save(packed, "PNG", optimize=True)
    return packed.getvalue()


def full_png(spec: Spec, *, scale: float) -> bytes:
    """Return a Vega-Lite specification as a PNG with all its colours, as for a paper."""
    import vl_convert

    drawn: bytes = vl_convert.vegalite_to_png(spec, scale=scale, allowed_base_urls=[])
    return drawn


def _palette(picture: Image.Image) -> Image.Image:
    """Return the most frequent colours, and others so that each colour has one that is near.

    Pillow's own choices forget the colour of small things, or change that of all.
    """
    from PIL import Image

    counted: Any = picture.getcolors(picture.width * picture.height)
    exact = [value for _, colour in sorted(counted, reverse=True)[:_EXACT] for value in colour]
    others = picture.quantize(_COLOURS - _EXACT, method=Image.Quantize.MAXCOVERAGE)
    palette = Image.new("P", (1, 1))
    palette.putpalette([*exact, *(others.getpalette() or ())][: 3 * _COLOURS])
    return palette


def image_html(picture: str, *, width: int, what: str = "chart") -> str:
    """Return a PNG (as base64) as an image that needs no other file."""
    return f'<img alt="{html.escape(what)}" width="{width}" src="data:image/png;base64,{picture}">'


def shown_width(picture: bytes) -> int:
    """Return the width at which a PNG of :func:`png` is to be shown, in pixels of the page."""
    # RFC 2083, section 4.1.1: the header is the first chunk and begins with the width.
    return round(int.from_bytes(picture[16:20], "big") / _PNG_SCALE)


def _drawable(value: Any) -> Any:
    if isinstance(value, str):
        return _NO_XML.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_drawable(key): _drawable(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_drawable(one) for one in value]
    return value


def _width(bundle: Mapping[str, Any]) -> int:
    return shown_width(base64.b64decode(bundle["image/png"][:64]))


def _attempt(make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    # A display never fails (rule 8): what cannot be drawn is missing, and the log says why.
    try:
        return make()
    except Exception:
        log.debug("could not be drawn", exc_info=True)
        return {}
