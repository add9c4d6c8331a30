"""One browser, one JupyterLab and one embedded lab for all tests here."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from dfaas_lab.local import LocalLab, start
from tests.browser.jupyter import JupyterServer, Notebook

#: What was seen, for people to look at; git ignores it.
SHOTS = Path(__file__).parents[2] / "build/screenshots"
Open = Callable[[str], Notebook]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        if "DFAAS_LAB_TESTBED" in os.environ:
            pytest.fail("there is no Chromium here: apt-get install chromium")
        pytest.skip("there is no Chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        # Chromium's sandbox cannot be had by root, nor in most containers.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    server = JupyterServer(tmp_path_factory.mktemp("jupyter"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def open_notebook(browser: Browser, server: JupyterServer) -> Iterator[Open]:
    """Open notebooks that are in the server's folder, each in a window of its own."""
    contexts = []

    def one(name: str) -> Notebook:
        contexts.append(browser.new_context(viewport={"width": 1200, "height": 900}))
        return Notebook(contexts[-1].new_page(), server, name)

    yield one
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def local(server: JupyterServer) -> Iterator[LocalLab]:
    """A lab that outlives kernels; ``lab.json`` beside the notebooks describes it."""
    with start() as lab:
        (server.notebooks / "lab.json").write_text(json.dumps(lab.facts()))
        yield lab
