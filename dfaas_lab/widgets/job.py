"""A background job as a widget: its state, its bars, and a Stop button."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from dfaas_lab.progress import Progress, ProgressView, draw_until
from dfaas_lab.widgets.choose import SafeView, Together, in_kernel
from dfaas_lab.widgets.notebook import NotebookView
from dfaas_lab.widgets.warm_up import warm_up


class Job(Protocol):
    """What goes on in the background, and can be stopped."""

    progress: Progress

    @property
    def going(self) -> bool:
        """Whether it has not ended."""

    def stop(self) -> None:
        """Ask it to end."""


def show_job(job: Job, plain: str, run_id: str, chart: ProgressView | None = None) -> None:
    """Show a job in a notebook: its bars and a Stop, a chart below; the run's id stays as text.

    ``plain`` is shown where there are no widgets, and of a job that does not go on.
    """
    from IPython.display import display

    if not job.going or not in_kernel():
        display({"text/plain": plain}, raw=True)  # type: ignore[no-untyped-call]
        return
    warm_up()
    bars = NotebookView(job.stop)
    # Here, and not in the thread: it belongs to the cell that runs now.
    bars.open(job.progress.snapshot(), [run_id])
    view = Together(SafeView(bars), *([chart] if chart is not None else []))
    view.draw(job.progress.snapshot())
    threading.Thread(target=_follow, args=(job, view), daemon=True).start()


def _follow(job: Job, view: ProgressView) -> None:
    """Draw until the job has ended, then leave a line of text."""

    def ended(within_s: float) -> bool:
        time.sleep(within_s)
        return not job.going

    draw_until(ended, view, job.progress.snapshot)
    view.close(job.progress.snapshot())
