"""A line for what takes a while and has no progress to show: what goes on, and how it ended."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from dfaas_lab.display import words
from dfaas_lab.progress import Progress, ProgressView, StepState
from dfaas_lab.widgets.choose import SafeView, in_kernel
from dfaas_lab.widgets.notebook import NotebookView
from dfaas_lab.widgets.terminal import TerminalView

_LONG_S = 1.0


@contextlib.contextmanager
def busy(
    what: str, text: str, *, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[str], None]]:
    """Say what goes on; where it took more than a second, a line with its end stays.

    Yields:
        What takes a few words about the result.

    >>> with busy("check", "asks 2 hosts") as tell:
    ...     tell("14 checks, 1 lacking")
    """
    view: ProgressView = SafeView(
        NotebookView(bars=False) if in_kernel() else TerminalView(sys.stderr)
    )
    steps, began = Progress(), clock()
    state: StepState = "failed"
    steps.update(what, text=text)
    view.draw(steps.snapshot())
    try:
        yield lambda said: steps.update(what, text=said)
        state = "ok"
    except KeyboardInterrupt:
        state = "interrupted"
        raise
    finally:
        took_s = clock() - began
        (step,) = steps.snapshot()
        steps.finish(what, state, f"{step.text} \u00b7 {words.span(took_s)}")
        view.close(steps.snapshot() if took_s > _LONG_S else ())
