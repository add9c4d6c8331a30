"""The progress view of a notebook: bars, then text at the end."""

from __future__ import annotations

import contextlib
import html
from collections.abc import Callable, Iterable
from typing import Any

from dfaas_lab.display.cards import chip
from dfaas_lab.progress import Step
from dfaas_lab.widgets.lines import ends, how_to_attach, sentence

_BAR_STYLES = {"running": "", "ok": "success", "failed": "danger", "interrupted": "warning"}
_EMPTY = {"text/html": "", "text/plain": ""}


class NotebookView:
    """A bar for each step while it runs; a readable line for each in the saved notebook.

    Widgets are not saved with a notebook, nor shown by GitHub: the last thing drawn is plain HTML.
    Without ipywidgets that line is all there is, and it is kept up to date. Above the bars of a run
    its id is written as text, which outlives the kernel.

    Args:
        stop: Called by a button below the bars; None has no button. It cannot be pressed while a
            cell runs, since a kernel does one thing at a time.
        bars: Whether there are bars, where ipywidgets is there.
    """

    def __init__(self, stop: Callable[[], None] | None = None, *, bars: bool = True) -> None:
        self._wanted = bars
        self._stop = stop
        self._handle: Any = None
        self._text: Any = None  # an output of its own, where there is a run
        self._bars: Any = None
        self._last: tuple[Step, ...] = ()
        self._runs: set[str] = set()

    def draw(self, steps: tuple[Step, ...]) -> None:
        """Bring the bars up to date."""
        if not steps or steps == self._last:
            return
        self._last = steps
        runs = {step.run_id for step in steps if step.run_id}
        if self._handle is None:
            self.open(steps, runs)
        elif self._bars is None:
            self._handle.update(ends(steps), raw=True)
        else:
            self._bars.update(steps)
            self._name(runs)

    def close(self, steps: tuple[Step, ...]) -> None:
        """Put text in the place of the bars."""
        if self._handle is None:
            if not steps:
                return
            self.open(steps, ())
        if self._text is not None:
            self._text.update(ends(steps), raw=True)
            self._handle.update(_EMPTY, raw=True)
        else:
            self._handle.update(ends(steps), raw=True)
        if self._bars is not None:
            self._bars.close()

    def _name(self, runs: set[str]) -> None:
        """Say how the runs that go on now are found again: a comparison makes one after another."""
        if runs and runs != self._runs and self._text is not None:
            self._runs = runs
            self._text.update(how_to_attach(runs), raw=True)

    def open(self, steps: tuple[Step, ...], runs: Iterable[str]) -> None:
        """Show the bars, in the cell that runs now."""
        from IPython.display import display

        with contextlib.suppress(ImportError):
            self._bars = _bars(self._stop) if self._wanted else None
        if self._bars is None:
            self._handle = display(ends(steps), raw=True, display_id=True)  # type: ignore[no-untyped-call]
            return
        if runs:
            self._runs = set(runs)
            self._text = display(how_to_attach(runs), raw=True, display_id=True)  # type: ignore[no-untyped-call]
        self._bars.update(steps)
        self._handle = display(self._bars.box, display_id=True)  # type: ignore[no-untyped-call]


_SPARE: list[Bars] = []


def _bars(stop: Callable[[], None] | None) -> Bars:
    """Return bars, those that were closed before where there are any.

    A notebook that is executed saves every widget that was made: some 5 kB for each run.
    """
    while stop is None and _SPARE:
        bars = _SPARE.pop()
        if bars.box.comm is not None:  # the user has not closed it
            return bars
    return Bars(stop)


class Bars:
    """The widgets: a row for each step, and below them a state with a button, where it can stop."""

    def __init__(self, stop: Callable[[], None] | None = None) -> None:
        import ipywidgets

        self._widgets = ipywidgets
        self._rows: dict[str, tuple[Any, Any]] = {}
        self._spare: list[Any] = []
        self._stop = stop
        self.button: Any = None
        # One for all: a layout has 45 values, and all are saved.
        self._layout = ipywidgets.Layout()
        self._bar_layout = ipywidgets.Layout(width="180px", min_width="180px")
        below = () if stop is None else (self._stop_row(),)
        self.box = ipywidgets.VBox(below, layout=self._layout)

    def update(self, steps: tuple[Step, ...]) -> None:
        """Bring all rows up to date."""
        for step in steps:
            if step.label not in self._rows:
                self._add(step.label)
            bar, words = self._rows[step.label]
            bar.value = step.fraction
            bar.bar_style = _BAR_STYLES[step.state]
            words.value = html.escape(sentence(step))

    def close(self) -> None:
        """Remove all widgets, but keep those without a button for the next bars."""
        if self._stop is None:
            self._spare += self.box.children
            self._rows, self.box.children = {}, ()
            if self not in _SPARE:
                _SPARE.append(self)
            return
        for row in self.box.children:
            for widget in row.children:
                widget.close()
            row.close()
        self.box.close()

    def _add(self, label: str) -> None:
        if not self._spare:
            bar = self._widgets.FloatProgress(min=0.0, max=1.0, layout=self._bar_layout)
            words = self._widgets.HTML(layout=self._layout)
            self._spare.append(self._widgets.HBox([bar, words], layout=self._layout))
        row = self._spare.pop(0)
        rows, below = len(self._rows), self.box.children
        self._rows[label] = row.children
        self.box.children = (*below[:rows], row, *below[rows:])

    def _stop_row(self) -> Any:
        state = self._widgets.HTML(chip("RUNNING"))
        self.button = self._widgets.Button(
            description="Stop", icon="stop", button_style="warning", tooltip="End k6; keep its data"
        )
        self.button.on_click(self._stopped)
        return self._widgets.HBox([state, self.button])

    def _stopped(self, button: Any) -> None:
        button.disabled = True
        button.description = "Stopping"
        if self._stop is not None:
            self._stop()
