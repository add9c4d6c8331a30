"""A real Jupyter kernel, as a notebook's cells use it: executed, interrupted, killed."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from jupyter_client.manager import KernelManager


@dataclass
class Cell:
    """What a cell left: displays, the states of widgets, prints, and the error that ended it.

    ``shown`` holds by display id what is there now, ``comms`` the ids of widgets by their model.
    """

    displayed: list[dict[str, Any]] = field(default_factory=list)
    widgets: list[dict[str, Any]] = field(default_factory=list)
    shown: dict[str, dict[str, Any]] = field(default_factory=dict)
    comms: dict[str, str] = field(default_factory=dict)
    printed: str = ""
    error: str | None = None
    traceback: str = ""

    def take(self, kind: str, content: dict[str, Any]) -> None:
        """Take a message of the kernel."""
        if kind in ("display_data", "execute_result", "update_display_data"):
            self.displayed.append(content["data"])
            place = content.get("transient", {}).get("display_id", str(len(self.displayed)))
            self.shown[place] = content["data"]
        elif kind in ("comm_open", "comm_msg"):
            state = content["data"].get("state", {})
            self.widgets.append(state)
            self.comms |= (
                {state["_model_name"]: content["comm_id"]} if "_model_name" in state else {}
            )
        elif kind == "stream":
            self.printed += content["text"]
        elif kind == "error":
            self.error, self.traceback = content["ename"], "\n".join(content["traceback"])

    def with_mime(self, mime: str) -> list[Any]:
        """Return what was displayed of this kind."""
        return [data[mime] for data in self.displayed if mime in data]


class Kernel:
    """A kernel in a folder.

    Args:
        folder: Its working directory.
    """

    def __init__(self, folder: Path) -> None:
        self._manager: Any = KernelManager(kernel_name="python3")
        self._manager.start_kernel(cwd=str(folder))
        self._client: Any = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)

    def begin(self, code: str) -> str:
        """Execute a cell and do not wait for its end."""
        return str(self._client.execute(code))

    def end(self, cell: str, within_s: float = 60.0) -> Cell:
        """Wait for a cell's end."""
        left = Cell()
        until = time.monotonic() + within_s
        while True:
            try:
                message = self._client.get_iopub_msg(timeout=max(until - time.monotonic(), 0.01))
            except queue.Empty:
                raise AssertionError(f"the cell did not end within {within_s} s: {left}") from None
            if message["parent_header"].get("msg_id") != cell:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                return left
            left.take(kind, content)

    def run(self, code: str, within_s: float = 60.0) -> Cell:
        """Execute a cell, which must end without an error."""
        cell = self.end(self.begin(code), within_s)
        assert cell.error is None, cell.traceback
        return cell

    def click(self, comm: str) -> None:
        """Click a button, as a browser tells it."""
        data = {"method": "custom", "content": {"event": "click"}, "buffers": []}
        message = self._client.session.msg("comm_msg", {"comm_id": comm, "data": data})
        self._client.shell_channel.send(message)

    def watch(self, left: Cell, until: Callable[[Cell], bool], within_s: float = 60.0) -> None:
        """Take what comes after a cell's end, from threads, until it is as it should be."""
        ends = time.monotonic() + within_s
        while not until(left):
            message = self._client.get_iopub_msg(timeout=max(ends - time.monotonic(), 0.01))
            left.take(message["msg_type"], message["content"])

    def complete(self, code: str) -> list[str]:
        """Return what Tab offers at the end of the code."""
        reply = self._client.complete(code, reply=True, timeout=30)
        return [str(one) for one in reply["content"]["matches"]]

    def interrupt(self) -> None:
        """Interrupt it, as the button does."""
        self._manager.interrupt_kernel()

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self._manager.shutdown_kernel(now=True)

    def children(self) -> list[str]:
        """The command lines of the processes that it started and that run."""
        found = psutil.Process(self._manager.provisioner.pid).children(recursive=True)
        lines = []
        for process in found:
            try:
                lines.append(" ".join(process.cmdline()))
            except psutil.Error:
                continue  # it has just ended
        return lines

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
