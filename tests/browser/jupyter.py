"""JupyterLab with a real browser in front of it, as a person has it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import ConsoleMessage, Page

LIGHT, DARK = "JupyterLab Light", "JupyterLab Dark"
_STARTS_WITHIN_S = 60.0
_SHOWN_WITHIN_MS = 60_000
_SESSION = "window.jupyterapp.shell.currentWidget?.context?.sessionContext"
# What JupyterLab asks of everybody who opens it for the first time is not asked here.
_SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    # A cell that is out of sight is drawn, too: the tests look at all of them.
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
}


class JupyterServer:
    """JupyterLab on loopback, with folders of its own for all that it reads and writes.

    Args:
        folder: An empty folder; notebooks are in ``folder/notebooks``.
    """

    def __init__(self, folder: Path) -> None:
        self.notebooks = folder / "notebooks"
        self.notebooks.mkdir()
        self._runtime = folder / "runtime"
        (folder / "settings").mkdir()
        for plugin, settings in _SETTINGS.items():
            scope, name = plugin.split(":")
            place = folder / "settings" / scope / f"{name}.jupyterlab-settings"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(json.dumps(settings))
        own = {
            "JUPYTER_CONFIG_DIR": folder / "config",
            "JUPYTER_DATA_DIR": folder / "data",
            "JUPYTER_RUNTIME_DIR": self._runtime,
            "JUPYTERLAB_SETTINGS_DIR": folder / "settings",
            "JUPYTERLAB_WORKSPACES_DIR": folder / "workspaces",
            "IPYTHONDIR": folder / "ipython",
        }
        self._log = folder / "jupyter.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", *_options()],
                cwd=self.notebooks,
                env=os.environ | {name: str(path) for name, path in own.items()},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self.url = self._wait()
        except BaseException:
            self.close()
            raise

    def _wait(self) -> str:
        until = time.monotonic() + _STARTS_WITHIN_S
        while True:
            for facts in self._runtime.glob("jpserver-*.json"):
                if text := facts.read_text():
                    return str(json.loads(text)["url"])
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < until, self._log.read_text()
            time.sleep(0.1)

    def kill_kernels(self) -> None:
        """Kill the processes of all kernels."""
        for process in psutil.Process(self._process.pid).children():
            if any("ipykernel" in word for word in process.cmdline()):
                process.kill()

    def close(self) -> None:
        """End it, and the kernels that it started."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def _options() -> list[str]:
    return [
        "--no-browser",
        "--ip=127.0.0.1",
        "--allow-root",
        "--expose-app-in-browser",
        "--IdentityProvider.token=",
        "--LabApp.extension_manager=readonly",
    ]


class Notebook:
    """A notebook that is open in JupyterLab.

    Args:
        page: A page of the browser.
        server: JupyterLab.
        name: The notebook's file.
    """

    def __init__(self, page: Page, server: JupyterServer, name: str) -> None:
        self.page = page
        self.server = server
        self.path = server.notebooks / name
        self.complaints: list[str] = []
        page.set_default_timeout(_SHOWN_WITHIN_MS)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(f"{server.url}lab/tree/{name}?reset")
        page.wait_for_function("window.jupyterapp")
        page.evaluate("window.jupyterapp.restored")
        page.wait_for_selector(".jp-Notebook .jp-CodeCell")
        # Cells that are run before ask which kernel is meant.
        page.wait_for_function(f"{_SESSION}.session?.kernel?.connectionStatus == 'connected'")
        page.evaluate(f"{_SESSION}.session.kernel.info")
        self.command("application:toggle-left-area")

    def _hear(self, said: ConsoleMessage) -> None:
        if said.type in ("warning", "error"):
            self.complaints.append(f"{said.type}: {said.text}")

    def command(self, name: str, **arguments: Any) -> Any:
        """Execute one of JupyterLab's commands, as its menu does, and wait for its end."""
        call = "([name, arguments]) => window.jupyterapp.commands.execute(name, arguments)"
        return self.page.evaluate(call, [name, arguments])

    def begin(self, name: str, **arguments: Any) -> None:
        """Execute a command and do not wait for its end."""
        call = "([name, arguments]) => {window.jupyterapp.commands.execute(name, arguments)}"
        self.page.evaluate(call, [name, arguments])

    def cell(self, index: int) -> Any:
        """Return a code cell by its number among the code cells."""
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(index)

    def select(self, index: int) -> None:
        """Make a code cell the active one."""
        self.cell(index).locator(".jp-InputPrompt").click()

    def run(self, index: int) -> None:
        """Run a code cell and wait for its end."""
        self.begin_cell(index)
        self.wait(index)

    def begin_cell(self, index: int) -> None:
        """Run a code cell and do not wait for its end."""
        self.select(index)
        self.begin("notebook:run-cell")

    def wait(self, index: int) -> None:
        """Wait until a code cell has a number, which it has when it has ended."""
        prompt = self.cell(index).locator(".jp-InputArea-prompt")
        prompt.get_by_text("*").wait_for(state="detached")

    def busy(self) -> bool:
        """Whether a code cell runs or waits to be run."""
        prompts = self.page.locator(".jp-CodeCell .jp-InputArea-prompt").all_inner_texts()
        return any("*" in prompt for prompt in prompts)

    def cell_of(self, source: str) -> Any:
        """Return the code cell whose source holds this."""
        return self.page.locator(".jp-Notebook .jp-CodeCell").filter(
            has=self.page.locator(".jp-Editor").filter(has_text=source)
        )

    def errors(self) -> list[str]:
        """Return the errors that cells show."""
        shown = self.page.locator(".jp-OutputArea-output[data-mime-type*=error]")
        return list(shown.all_inner_texts())

    def kill_kernel(self) -> None:
        """Kill the kernel's process, and wait for the one that JupyterLab starts in its place."""
        self.server.kill_kernels()
        self.page.locator(".jp-Dialog-button.jp-mod-accept").click()
        self.page.wait_for_function(f"{_SESSION}.session?.kernel?.status == 'idle'")

    def theme(self, name: str) -> None:
        """Change the theme, and wait until it is there."""
        self.command("apputils:change-theme", theme=name)
        self.page.wait_for_selector(f"body[data-jp-theme-name='{name}']", state="attached")
        self.page.wait_for_timeout(300)  # its colours fade in

    def width(self, pixels: int, height: int = 900) -> None:
        """Give the browser's window a width."""
        self.page.set_viewport_size({"width": pixels, "height": height})
        self.page.wait_for_timeout(300)  # Lumino lays out after a while

    def save(self) -> int:
        """Save it and return its size in bytes."""
        self.command("docmanager:save")
        return self.path.stat().st_size

    def shoot(self, path: Path) -> None:
        """Take a picture of the whole notebook, in a window that is as high as it is."""
        size = self.page.viewport_size or {"width": 1200, "height": 900}
        scroller = "document.querySelector('.jp-WindowedPanel-outer')"
        last = "[...document.querySelectorAll('.jp-Notebook .jp-Cell')].at(-1)"
        self.page.evaluate(f"{scroller}.scrollTop = 0")
        end = self.page.evaluate(f"{last}.getBoundingClientRect().bottom")
        self.width(size["width"], round(end) + 60)
        self.page.evaluate(f"{scroller}.scrollTop = 0")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=path)
        self.width(size["width"], size["height"])
