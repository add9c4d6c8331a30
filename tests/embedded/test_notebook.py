"""What a person sees in a notebook, in a real kernel on the embedded lab."""

from __future__ import annotations

import base64
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

SETUP = """
from dfaas_lab import Lab
lab = Lab.local()
lab.provision()
"""
RUN = """
run = lab.target.run_k6(2, load={"env": 5}, duration="1s", label="<b>hostile</b>")
run
"""
SILENT = 'quiet = lab.target.run_k6(load={"env": 5}, duration="1s", progress=False)'
CHART = "run.chart()"
END = "lab.close()"


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[list[Any]]:
    """Return the outputs of each cell of an executed notebook."""
    sources = [SETUP, RUN, SILENT, CHART, END]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in sources])
    folder = str(tmp_path_factory.mktemp("notebook"))
    client = NotebookClient(
        book, timeout=120, kernel_name="python3", resources={"metadata": {"path": folder}}
    )
    return [cell.outputs for cell in client.execute().cells]


def _with(outputs: list[Any], mime: str) -> list[Any]:
    return [output["data"][mime] for output in outputs if mime in output.get("data", {})]


def test_a_run_shows_verdict_table_and_chart(cells: list[list[Any]]) -> None:
    shown = cells[1]
    html = "".join(_with(shown, "text/html"))
    assert "VALID" in html or "DOUBTFUL" in html
    assert "p95 (ms)" in html
    (picture,) = _with(shown, "image/png")
    assert base64.b64decode(picture).startswith(b"\x89PNG")
    (spec,) = _with(shown, "application/vnd.vegalite.v5+json")
    assert "vega-lite" in spec["$schema"]


def test_the_chart_is_not_hidden_behind_the_table(cells: list[list[Any]]) -> None:
    # A viewer shows one form of an output, and each chooses differently.
    for output in cells[1]:
        assert not {"text/html", "image/png"} <= set(output.get("data", {}))


def test_progress_leaves_text_and_no_widget(cells: list[list[Any]]) -> None:
    for outputs in cells[:2]:
        assert not _with(outputs, "application/vnd.jupyter.widget-view+json")
        assert any("\u2713" in text for text in _with(outputs, "text/plain"))


def test_silence_is_silence(cells: list[list[Any]]) -> None:
    assert cells[2] == []


def test_what_a_user_wrote_is_not_markup(cells: list[list[Any]]) -> None:
    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag != "b" or attrs, "the label is markup"

    for html in _with(cells[1], "text/html"):
        Tags().feed(html)


def test_a_chart_needs_no_network(cells: list[list[Any]]) -> None:
    assert _with(cells[3], "image/png")
    assert not _with(cells[3], "text/html")


NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_begins_with_parameters_and_holds_no_logic(path: Path) -> None:
    book = nbformat.read(path, 4)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert "parameters" in code[0].metadata.tags
    assert all(not cell.outputs for cell in code)
    assert all(len(cell.source.splitlines()) <= 6 for cell in code)
    assert not any("def " in cell.source or "import os" in cell.source for cell in code)
