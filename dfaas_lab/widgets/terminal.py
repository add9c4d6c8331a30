"""The progress view of a terminal, or of a file that holds printed text."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from typing import TextIO

from dfaas_lab.progress import Step
from dfaas_lab.widgets.lines import end, sentence

_CELLS = 20
_TURN_S = 2


def is_terminal(stream: TextIO) -> bool:
    """Whether a line of a stream can be written over; it may be closed, or none."""
    try:
        return stream.isatty() and os.environ.get("TERM") != "dumb"
    except (AttributeError, ValueError, OSError):
        return False


class TerminalView:
    """One line that is written over on a terminal; a line for each finished step anywhere.

    Of several steps that go on, each has the line for two seconds.
    """

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._live = is_terminal(stream)
        self._shown = ""
        self._told: set[str] = set()

    def draw(self, steps: tuple[Step, ...]) -> None:
        """Tell what ended, and show what is under way."""
        for step in steps:
            if step.state != "running":
                self._tell(step)
        running = [step for step in steps if step.state == "running"]
        turn = int(self._clock() / _TURN_S) % max(len(running), 1)
        self._show(_line(running[turn]) if running else "")

    def close(self, steps: tuple[Step, ...]) -> None:
        """Tell how each step ended."""
        self._show("")
        for step in steps:
            self._tell(step)

    def _tell(self, step: Step) -> None:
        if step.label not in self._told:
            self._told.add(step.label)
            self._show("")
            self._stream.write(end(step) + "\n")
            self._stream.flush()

    def _show(self, line: str) -> None:
        if self._live and line != self._shown:
            width = shutil.get_terminal_size().columns - 1
            self._stream.write("\r\x1b[K" + line[:width])
            self._stream.flush()
            self._shown = line


def _line(step: Step) -> str:
    filled = round(step.fraction * _CELLS)
    return f"[{'#' * filled}{'.' * (_CELLS - filled)}] {sentence(step)}"
