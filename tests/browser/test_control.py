"""A person at JupyterLab in Chromium interrupts a run, stops one, and loses a kernel."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect

from dfaas_lab.local import LocalLab
from tests.browser.conftest import SHOTS, Open
from tests.browser.jupyter import DARK, JupyterServer, Notebook
from tests.embedded.k6_there import k6_there, wait_for_k6

pytestmark = pytest.mark.slow

LAB = 'from dfaas_lab import Lab\nlab = Lab.from_file("lab.json")\nlab.provision()'
RUN = 'run = lab.target.run_k6(load={"env": 5}, duration="60s")'
LAST = "lab.target.last_run"
START = 'handle = lab.target.start_k6(load={"env": 5}, duration="60s")\nhandle'
WRONG = 'lab.target.run_k6(load={"nobody": 5})'
WHOLE = "%tb"
SHORT = 'run = lab.target.run_k6(load={"env": 5}, duration="8s", iterations=2)'
ATTACH = "run = lab.attach()\nrun"
CELLS = [LAB, RUN, LAST, START, WRONG, WHOLE, SHORT, ATTACH]


@pytest.fixture(scope="module")
def notebook(server: JupyterServer, local: LocalLab, open_notebook: Open) -> Iterator[Notebook]:
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(book, server.notebooks / "control.ipynb")
    notebook = open_notebook("control.ipynb")
    notebook.run(CELLS.index(LAB))
    yield notebook
    notebook.theme(DARK)
    notebook.shoot(SHOTS / "control.png")


def _lines(notebook: Notebook, cell: str) -> list[str]:
    """The lines of a cell's error, as they are on the screen."""
    text = notebook.cell(CELLS.index(cell)).locator(".jp-OutputArea-output pre").last.inner_text()
    return [line for line in text.splitlines() if line.strip()]


def _wait_for_samples(local: LocalLab) -> None:
    (process,) = wait_for_k6(local.workspace_root, 1)
    samples = Path(process.cwd()) / "samples.csv"
    until = time.monotonic() + 60
    while not samples.exists() or b"http_reqs" not in samples.read_bytes():
        assert time.monotonic() < until, "k6 measures nothing"
        time.sleep(0.05)


def test_an_error_takes_15_lines_and_the_magic_shows_all(notebook: Notebook) -> None:
    notebook.run(CELLS.index(WRONG))
    lines = _lines(notebook, WRONG)
    assert len(lines) <= 15
    assert WRONG in lines[0]
    assert any("nobody" in line for line in lines)
    notebook.run(CELLS.index(WHOLE))
    assert len(_lines(notebook, WHOLE)) > 15


def test_an_interrupt_ends_k6_and_says_in_a_line_what_is_kept(
    notebook: Notebook, local: LocalLab
) -> None:
    notebook.begin_cell(CELLS.index(RUN))
    _wait_for_samples(local)
    notebook.page.wait_for_timeout(2500)
    notebook.command("notebook:interrupt-kernel")
    notebook.wait(CELLS.index(RUN))
    assert k6_there(local.workspace_root) == []
    lines = _lines(notebook, RUN)
    assert len(lines) <= 15
    assert any("k6 was ended" in line and "kept" in line for line in lines)
    notebook.run(CELLS.index(LAST))
    shown = notebook.cell(CELLS.index(LAST))
    assert "interrupted" in shown.inner_text()
    expect(shown.locator("canvas.marks")).to_have_count(1)  # Vega draws after the cell has ended


def test_stop_ends_a_run_in_the_background(notebook: Notebook, local: LocalLab) -> None:
    index = CELLS.index(START)
    notebook.run(index)
    cell = notebook.cell(index)
    _wait_for_samples(local)
    assert "RUNNING" in cell.inner_text()
    notebook.shoot(SHOTS / "background.png")
    cell.get_by_role("button", name="Stop").click()
    wait_for_k6(local.workspace_root, 0)
    cell.get_by_text("\u25a0 node1").wait_for()
    assert cell.get_by_role("button", name="Stop").count() == 0


def test_a_killed_kernel_is_replaced_and_the_run_goes_on(
    notebook: Notebook, local: LocalLab
) -> None:
    index = CELLS.index(SHORT)
    notebook.begin_cell(index)
    _wait_for_samples(local)
    notebook.kill_kernel()
    told = notebook.cell(index).inner_text()
    assert "lab.attach('" in told
    notebook.run(CELLS.index(LAB))
    notebook.run(CELLS.index(ATTACH))
    shown = notebook.cell(CELLS.index(ATTACH))
    assert "2" in shown.locator("table").inner_text()
    expect(shown.locator("canvas.marks")).to_have_count(1)  # Vega draws after the cell has ended
    assert notebook.errors() == []
