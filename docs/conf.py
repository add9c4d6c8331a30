"""Sphinx's configuration; ``docs/build.py`` makes the pages that it reads."""

from __future__ import annotations

import dfaas_lab

project = "dfaas_lab"
author = "The dfaas_lab authors"
version = release = dfaas_lab.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_nb"]
suppress_warnings = ["mystnb.unknown_mime_type"]  # Vega-Lite; its picture is beside it
html_theme = "furo"
html_title = "dfaas_lab"
html_show_sourcelink = False
html_copy_source = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_use_rtype = False

myst_heading_anchors = 3
# The gallery draws its figures while the site is built; the other notebooks are shown as they are.
nb_execution_mode = "auto"
nb_execution_excludepatterns = ["notebooks/0[!4]*"]
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_show_tb = True
# A page is read without a network: pictures, and no widgets, whose scripts come from elsewhere.
nb_ipywidgets_js: dict[str, dict[str, str]] = {}
nb_mime_priority_overrides = [
    ("html", "image/png", 1),
    ("html", "application/vnd.jupyter.widget-view+json", None),
]
