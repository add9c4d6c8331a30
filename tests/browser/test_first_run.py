"""Notebook 01 in JupyterLab in Chromium: what a person sees of it."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import pytest
import vl_convert
from nbconvert import HTMLExporter
from playwright.sync_api import Browser, expect

from tests.browser.conftest import SHOTS, Open
from tests.browser.jupyter import DARK, LIGHT, JupyterServer, Notebook
from tests.browser.seen import chart_widths, contrasts, inks, papers, spilled
from tests.unit.test_chart_colours import contrast

pytestmark = pytest.mark.slow

SOURCE = Path(__file__).parents[2] / "notebooks/01_first_run.ipynb"
VEGALITE = "application/vnd.vegalite.v5+json"
_ENDS_WITHIN_S = 280
# How far each bar is, and what the live chart draws; sampled while all cells run.
_MOVING = """
() => [
  [...document.querySelectorAll(".progress-bar")].map(bar => bar.style.width),
  [...document.querySelectorAll("svg[aria-label='the run so far']")].map(svg => svg.innerHTML),
]
"""


@dataclass
class FirstRun:
    """The notebook when all its cells have run, and what moved meanwhile."""

    notebook: Notebook
    bars: set[str] = field(default_factory=set)
    live_charts: set[str] = field(default_factory=set)

    def watch(self) -> None:
        until = time.monotonic() + _ENDS_WITHIN_S
        while self.notebook.busy():
            assert time.monotonic() < until, "the cells do not end"
            bars, charts = self.notebook.page.evaluate(_MOVING)
            self.bars.update(bars)
            self.live_charts.update(charts)
            self.notebook.page.wait_for_timeout(150)


@pytest.fixture(scope="module")
def first_run(server: JupyterServer, open_notebook: Open) -> FirstRun:
    book = nbformat.read(SOURCE, 4)
    (parameters,) = [cell for cell in book.cells if cell.id == "parameters"]
    parameters.source = re.sub(r'duration = ".*"', 'duration = "1s"', parameters.source)
    nbformat.write(book, server.notebooks / SOURCE.name)
    notebook = open_notebook(SOURCE.name)
    seen = FirstRun(notebook)
    notebook.begin("notebook:run-all-cells")
    seen.watch()
    assert notebook.errors() == []
    return seen


def test_bars_and_the_live_chart_move_and_end_as_a_line_and_a_figure(first_run: FirstRun) -> None:
    page = first_run.notebook.page
    assert len(first_run.bars) > 4
    assert len(first_run.live_charts) > 1
    assert page.locator(".progress-bar").count() == 0
    assert page.locator("svg[aria-label='the run so far']").count() == 0
    lines = page.locator(".jp-OutputArea-output").filter(
        has_text="\u2713 node1 \u00b7 3 \u00d7 1 s"
    )
    assert lines.count() == 5
    assert lines.first.get_by_text("requests \u00b7 p95").count() == 1


def test_a_run_is_a_card_a_table_and_a_chart(first_run: FirstRun) -> None:
    run = first_run.notebook.cell_of("run_k6(iterations, load={")
    assert re.search("VALID|DOUBTFUL", run.inner_text())
    assert run.get_by_text("p95").count() > 0
    expect(run.locator("canvas.marks")).to_have_count(1)  # Vega draws after the cell has ended
    rates = first_run.notebook.cell_of("rates_chart(runs)")
    expect(rates.locator("canvas.marks")).to_have_count(1)  # Vega draws after the cell has ended
    verdicts = first_run.notebook.cell_of("lab.store.runs()")
    assert len(re.findall("VALID|DOUBTFUL", verdicts.inner_text())) == 4


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_all_text_can_be_read(first_run: FirstRun, theme: str) -> None:
    notebook = first_run.notebook
    notebook.theme(theme)
    found = contrasts(notebook.page)
    assert len(found) > 100
    assert [(text, round(ratio, 2)) for text, ratio in found if ratio < 4.5] == []
    assert papers(notebook.page) == [[255, 255, 255, 255]] * 2


def test_the_text_of_charts_can_be_read_on_their_paper(first_run: FirstRun) -> None:
    first_run.notebook.save()
    book = nbformat.read(first_run.notebook.path, 4)
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    specs = [output.data[VEGALITE] for output in outputs if VEGALITE in output.get("data", {})]
    assert len(specs) == 2
    for spec in specs:
        found = inks(vl_convert.vegalite_to_svg(spec, allowed_base_urls=[]))
        assert all(contrast(ink.upper()) >= 4.5 for ink in found), found


@pytest.mark.parametrize("width", [800, 1200, 1400])
def test_nothing_is_wider_than_its_place(first_run: FirstRun, width: int) -> None:
    notebook = first_run.notebook
    for theme in (LIGHT, DARK):
        notebook.theme(theme)
        notebook.width(width)
        assert spilled(notebook.page) == []
        assert max(chart_widths(notebook.page)) <= 640
        notebook.shoot(SHOTS / f"first_run_{width}_{theme.split()[-1].lower()}.png")


def test_the_browser_complains_of_nothing(first_run: FirstRun) -> None:
    assert first_run.notebook.complaints == []


def test_a_saved_notebook_is_small(first_run: FirstRun) -> None:
    assert first_run.notebook.save() < 150_000


def test_without_javascript_the_figures_are_there(first_run: FirstRun, browser: Browser) -> None:
    first_run.notebook.save()
    page_text, _ = HTMLExporter().from_filename(str(first_run.notebook.path))
    page_text = re.sub(r"<script.*?</script>", "", page_text, flags=re.DOTALL)
    context = browser.new_context(
        java_script_enabled=False, viewport={"width": 1000, "height": 900}
    )
    page = context.new_page()
    page.set_content(page_text)
    pictures = page.locator(".jp-OutputArea img")
    assert pictures.count() == 2
    widths = [picture.bounding_box()["width"] for picture in pictures.all()]  # type: ignore[index]
    assert all(300 < width <= 640 for width in widths)
    assert page.get_by_text("\u2713 node1 \u00b7 3 \u00d7 1 s").count() == 5
    page.screenshot(path=SHOTS / "first_run_without_javascript.png", full_page=True)
    context.close()
