"""Chooses the progress view, limits how often it is drawn, and catches its errors."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import TextIO

from dfaas_lab.progress import ProgressView, Shown, Step
from dfaas_lab.widgets.notebook import NotebookView
from dfaas_lab.widgets.terminal import TerminalView, is_terminal
from dfaas_lab.widgets.warm_up import warm_up

log = logging.getLogger(__name__)


def choose_view(progress: bool | None = None, *, stream: TextIO | None = None) -> ProgressView:
    """Return the view for where this runs.

    Args:
        progress: None or True chooses (bars in a notebook, else a line of text); False is silence.
        stream: Where text goes; None means standard error.
    """
    if in_kernel():
        warm_up()  # silent or not: what is measured will be drawn
    if progress is False:
        return SilentView()
    if in_kernel():
        return SafeView(NotebookView())
    return SafeView(TerminalView(sys.stderr if stream is None else stream))


def in_kernel() -> bool:
    """Whether this runs in a notebook's kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def is_watched(shown: Shown) -> bool:
    """Whether somebody sees how a run goes, and not only how it ended."""
    wanted = shown.progress is not False or shown.chart or shown.elsewhere
    return bool(wanted) and (in_kernel() or is_terminal(sys.stderr))


class SilentView:
    """Shows nothing."""

    def draw(self, steps: tuple[Step, ...]) -> None:
        """Draw nothing."""

    def close(self, steps: tuple[Step, ...]) -> None:
        """Leave nothing."""


class SafeView:
    """Another view, silent from the first time that it fails.

    It is drawn every ``every_s`` at most, where it costs more than others; what comes in between is
    not drawn.
    """

    def __init__(
        self,
        view: ProgressView,
        *,
        every_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._view = view
        self._every_s = every_s
        self._clock = clock
        self._next_s = float("-inf")

    def draw(self, steps: tuple[Step, ...]) -> None:
        """Draw, or fall silent."""
        now = self._clock()
        if now < self._next_s:
            return
        self._next_s = now + self._every_s
        try:
            self._view.draw(steps)
        except Exception:
            self._fall_silent()

    def close(self, steps: tuple[Step, ...]) -> None:
        """Close, or fall silent."""
        try:
            self._view.close(steps)
        except Exception:
            self._fall_silent()

    def _fall_silent(self) -> None:
        log.debug("progress could not be drawn", exc_info=True)
        self._view = SilentView()


class Together:
    """Several views, one below the other."""

    def __init__(self, *views: ProgressView) -> None:
        self._views = views

    def draw(self, steps: tuple[Step, ...]) -> None:
        """Draw all."""
        for view in self._views:
            view.draw(steps)

    def close(self, steps: tuple[Step, ...]) -> None:
        """Close all."""
        for view in self._views:
            view.close(steps)
