"""Every figure, drawn by JupyterLab's own Vega in Chromium."""

from __future__ import annotations

import nbformat
import pytest

from dfaas_lab.display.bundles import chart_bundle
from tests.browser.conftest import SHOTS, Open
from tests.browser.jupyter import DARK, JupyterServer, Notebook
from tests.browser.seen import chart_widths, spilled
from tests.unit.chart_gallery import every_chart

pytestmark = pytest.mark.slow

CHARTS = every_chart()


@pytest.fixture(scope="module")
def gallery(server: JupyterServer, open_notebook: Open) -> Notebook:
    """A notebook in which each figure is shown already."""
    cells = []
    for name, draw in CHARTS.items():
        output = nbformat.v4.new_output("display_data", data=chart_bundle(draw()))
        cells.append(nbformat.v4.new_code_cell(f"# {name}", outputs=[output]))
    book = nbformat.v4.new_notebook(cells=cells)
    book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(book, server.notebooks / "gallery.ipynb")
    notebook = open_notebook("gallery.ipynb")
    notebook.page.wait_for_function(
        f"document.querySelectorAll('canvas.marks').length == {len(CHARTS)}"
    )
    return notebook


def test_vega_warns_of_nothing(gallery: Notebook) -> None:
    assert gallery.complaints == []


@pytest.mark.parametrize("width", [800, 1200])
def test_every_figure_fits(gallery: Notebook, width: int) -> None:
    gallery.theme(DARK)
    gallery.width(width)
    gallery.shoot(SHOTS / f"gallery_{width}.png")
    widths = dict(zip(CHARTS, chart_widths(gallery.page), strict=True))
    assert {name: wide for name, wide in widths.items() if wide > 610} == {}
    assert spilled(gallery.page) == []
