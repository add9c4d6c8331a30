"""How a result looks where it is shown. Pure: frames, texts and charts in; HTML and MIME out."""

from dfaas_lab.display.bundles import (
    Spec,
    chart_bundle,
    image_html,
    mimebundle,
    png,
    publish,
    shown_metadata,
    shown_width,
    spec_of,
)
from dfaas_lab.display.tables import (
    run_html,
    summary_html,
    summary_text,
    table_html,
    text,
)

__all__ = [
    "Spec",
    "chart_bundle",
    "image_html",
    "mimebundle",
    "png",
    "publish",
    "run_html",
    "shown_metadata",
    "shown_width",
    "spec_of",
    "summary_html",
    "summary_text",
    "table_html",
    "text",
]
