"""The faces of progress: bars in a notebook, a line in a terminal, or nothing.

They draw what :mod:`dfaas_lab.progress` holds and decide nothing. A face never fails: what cannot
be drawn is not drawn.
"""

from __future__ import annotations

import html
import logging
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any, Protocol, TextIO

from dfaas_lab.progress import Progress, ProgressView, Step

log = logging.getLogger(__name__)

_MARKS = {"running": "\u2026", "ok": "\u2713", "failed": "\u2717", "interrupted": "\u25a0"}
_BAR_STYLES = {"running": "", "ok": "success", "failed": "danger", "interrupted": "warning"}
_CELLS = 20
_JOB_FRAME_S = 0.25


def choose_view(progress: bool | None = None, *, stream: TextIO | None = None) -> ProgressView:
    """Return the face for where this runs.

    Args:
        progress: None or True chooses (bars in a notebook, else a line of text); False is silence.
        stream: Where text goes; None means standard error.
    """
    if progress is False:
        return SilentFace()
    if _in_kernel():
        return SafeView(NotebookFace())
    return SafeView(TerminalFace(sys.stderr if stream is None else stream))


class SilentFace:
    """Shows nothing."""

    def draw(self, steps: tuple[Step, ...]) -> None:
        """Draw nothing."""

    def close(self, steps: tuple[Step, ...]) -> None:
        """Leave nothing."""


class SafeView:
    """Another face, silent from the first time that it fails."""

    def __init__(self, face: ProgressView) -> None:
        self._face: ProgressView = face

    def draw(self, steps: tuple[Step, ...]) -> None:
        """Draw, or fall silent."""
        try:
            self._face.draw(steps)
        except Exception:
            self._fall_silent()

    def close(self, steps: tuple[Step, ...]) -> None:
        """Close, or fall silent."""
        try:
            self._face.close(steps)
        except Exception:
            self._fall_silent()

    def _fall_silent(self) -> None:
        log.debug("progress could not be drawn", exc_info=True)
        self._face = SilentFace()


class TerminalFace:
    """One line that is written over on a terminal; a line for each finished step anywhere.

    Args:
        stream: Where to write; it is a terminal if it says so.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._shown = ""
        self._told: set[str] = set()

    def draw(self, steps: tuple[Step, ...]) -> None:
        """Tell what ended, and show what is under way."""
        for step in steps:
            if step.state != "running":
                self._tell(step)
        running = [step for step in steps if step.state == "running"]
        self._show(_line(running[-1]) if running else "")

    def close(self, steps: tuple[Step, ...]) -> None:
        """Tell how each step ended."""
        self._show("")
        for step in steps:
            self._tell(step)

    def _tell(self, step: Step) -> None:
        if step.label not in self._told:
            self._told.add(step.label)
            self._show("")
            self._stream.write(_end(step) + "\n")
            self._stream.flush()

    def _show(self, line: str) -> None:
        if self._live and line != self._shown:
            width = shutil.get_terminal_size().columns - 1
            self._stream.write("\r\x1b[K" + line[:width])
            self._stream.flush()
            self._shown = line


class NotebookFace:
    """A bar for each step while it runs; a readable line for each in the saved notebook.

    Widgets are not saved with a notebook, nor shown by GitHub: the last thing drawn is plain HTML.
    Without ipywidgets that line is all there is, and it is kept up to date. Above the bars of a run
    its id is written as text, which outlives the kernel.
    """

    def __init__(self) -> None:
        self._handle: Any = None
        self._text: Any = None  # an output of its own, where there is a run
        self._bars: Any = None
        self._last: tuple[Step, ...] = ()

    def draw(self, steps: tuple[Step, ...]) -> None:
        """Bring the bars up to date."""
        if not steps or steps == self._last:
            return
        self._last = steps
        if self._handle is None:
            self._open(steps)
        elif self._bars is None:
            self._handle.update(_static(steps), raw=True)
        else:
            self._bars.update(steps)

    def close(self, steps: tuple[Step, ...]) -> None:
        """Put text in the place of the bars."""
        if self._handle is None:
            if not steps:
                return
            self._open(steps)
        if self._text is not None:
            self._text.update(_static(steps), raw=True)
            self._handle.update({"text/html": "", "text/plain": ""}, raw=True)
        else:
            self._handle.update(_static(steps), raw=True)
        if self._bars is not None:
            self._bars.close()

    def _open(self, steps: tuple[Step, ...]) -> None:
        from IPython.display import display

        try:
            self._bars = _Bars()
        except ImportError:
            self._handle = display(_static(steps), raw=True, display_id=True)  # type: ignore[no-untyped-call]
            return
        runs = {step.run_id for step in steps if step.run_id}
        if runs:
            self._text = display(_attach(runs), raw=True, display_id=True)  # type: ignore[no-untyped-call]
        self._bars.update(steps)
        self._handle = display(self._bars.box, display_id=True)  # type: ignore[no-untyped-call]


class _Bars:
    """The widgets of a notebook's face, a row for each step."""

    def __init__(self) -> None:
        import ipywidgets

        self._widgets = ipywidgets
        self._rows: dict[str, tuple[Any, Any]] = {}
        self.box = ipywidgets.VBox()

    def update(self, steps: tuple[Step, ...]) -> None:
        for step in steps:
            if step.label not in self._rows:
                self._add(step.label)
            bar, words = self._rows[step.label]
            bar.value = step.fraction
            bar.bar_style = _BAR_STYLES[step.state]
            words.value = html.escape(_sentence(step))

    def _add(self, label: str) -> None:
        bar = self._widgets.FloatProgress(min=0.0, max=1.0, layout={"width": "220px"})
        words = self._widgets.HTML()
        self._rows[label] = bar, words
        self.box.children = (*self.box.children, self._widgets.HBox([bar, words]))

    def close(self) -> None:
        for row in self.box.children:
            for widget in row.children:
                widget.close()
            row.close()
        self.box.close()


class Job(Protocol):
    """What goes on in the background, and can be stopped."""

    progress: Progress

    @property
    def going(self) -> bool:
        """Whether it has not ended."""

    def stop(self) -> None:
        """Ask it to end."""


def show_job(job: Job, plain: str, run_id: str) -> None:
    """Show a job in a notebook: a bar, its words, and a Stop; a line of text when it has ended.

    Args:
        job: The job.
        plain: What is shown where there are no widgets, and of a job that does not go on.
        run_id: The run's id, which stays as text.
    """
    from IPython.display import display

    try:
        if not job.going or not _in_kernel():
            raise ImportError
        box = _JobBox(job)
    except ImportError:
        display({"text/plain": plain}, raw=True)  # type: ignore[no-untyped-call]
        return
    text = display(_attach([run_id]), raw=True, display_id=True)  # type: ignore[no-untyped-call]
    shown = display(box.box, display_id=True)  # type: ignore[no-untyped-call]
    threading.Thread(target=box.follow, args=(text, shown), daemon=True).start()


class _JobBox:
    """The widgets of a job that goes on: its bars, and a button that stops it."""

    def __init__(self, job: Job) -> None:
        import ipywidgets

        self._job = job
        self._bars = _Bars()
        self._button = ipywidgets.Button(description="Stop", icon="stop", button_style="warning")
        self._button.on_click(self._stop)
        self._bars.update(job.progress.snapshot())
        self.box = ipywidgets.VBox([self._bars.box, self._button])

    def _stop(self, _: object) -> None:
        self._button.disabled = True
        self._button.description = "Stopping"
        self._job.stop()

    def follow(self, text: Any, shown: Any) -> None:
        """Draw until the job has ended, then leave a line of text."""
        try:
            while self._job.going:
                self._bars.update(self._job.progress.snapshot())
                time.sleep(_JOB_FRAME_S)
            text.update(_static(self._job.progress.snapshot()), raw=True)
            shown.update({"text/html": "", "text/plain": ""}, raw=True)
            self._bars.close()
            self._button.close()
            self.box.close()
        except Exception:  # a display never fails: the job goes on without it
            log.debug("a job could not be drawn", exc_info=True)


def _attach(runs: Iterable[str]) -> dict[str, str]:
    """Say how a run is found again: this stays where the kernel is killed."""
    return _lines(
        [f"run {one}, should this kernel end: lab.attach({one!r})" for one in sorted(runs)]
    )


def _static(steps: tuple[Step, ...]) -> dict[str, str]:
    return _lines([_end(step) for step in steps])


def _lines(lines: list[str]) -> dict[str, str]:
    return {
        "text/plain": "\n".join(lines),
        "text/html": "<br>".join(html.escape(line) for line in lines),
    }


def _end(step: Step) -> str:
    return f"{_MARKS[step.state]} {_sentence(step)}"


def _line(step: Step) -> str:
    filled = round(step.fraction * _CELLS)
    return f"[{'#' * filled}{'.' * (_CELLS - filled)}] {_sentence(step)}"


def _sentence(step: Step) -> str:
    # A task's name or a host's message may hold anything, a terminal's escape sequences too.
    # Parts of a line are separated by dots, the first one from the label too.
    between = " " if step.text.startswith("\u00b7") else ": "
    words = f"{step.label}{between}{step.text}" if step.text else step.label
    return "".join(c if c.isprintable() else " " for c in words)


def _in_kernel() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None
