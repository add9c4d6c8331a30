"""Runs a job in a thread with progress on the screen; Ctrl-C ends the job first.

The main thread only waits: so a Kernel Interrupt is taken at once, and no library can take its
signal handlers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from dfaas_lab.errors import Interrupted
from dfaas_lab.progress import Progress, ProgressView, draw_until

Result = TypeVar("Result")
Failure = TypeVar("Failure", bound=BaseException)
Work = Callable[[Progress, threading.Event], Result]

_LONGEST_END_S = 6.0


class _Job(Generic[Result]):
    """What the thread does, and what became of it."""

    def __init__(self, work: Work[Result]) -> None:
        self.progress = Progress()
        self.cancel = threading.Event()
        self._work = work
        self._result: list[Result] = []
        self._error: BaseException | None = None
        # Not Thread.join: an interrupt inside it marks a running thread as ended (CPython 3.11).
        self.done = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name="dfaas-lab-provision", daemon=True).start()

    def _run(self) -> None:
        try:
            self._result.append(self._work(self.progress, self.cancel))
        except BaseException as error:  # raised again in the thread that waits
            self._error = error
        finally:
            self.done.set()

    def result(self) -> Result:
        if self._error is not None:
            raise self._error
        return self._result[0]


def joined(errors: Sequence[BaseException]) -> BaseException:
    """Return the first of some errors, with the others as its notes."""
    first, *others = errors
    return noted(first, others)


def noted(error: Failure, others: Sequence[BaseException]) -> Failure:
    """Return an error, or an interrupt, with what else went wrong as its notes."""
    for other in others:
        error.add_note(f"Also: {other}")
    return error


def run_interruptible(work: Work[Result], view: ProgressView | None = None) -> Result:
    """Run the work in a thread and wait, drawing; a KeyboardInterrupt ends the work first.

    Args:
        work: Called with the progress to tell and the event that asks it to end.
        view: What draws; None is silence.
    """
    job = _Job(work)
    try:
        job.start()  # an interrupt may come before it returns
        draw_until(job.done.wait, view, job.progress.snapshot)
    except KeyboardInterrupt:
        job.cancel.set()
        job.done.wait(_LONGEST_END_S)
        raise Interrupted(
            "it was ended on the way. What was done stays; call it again to do the rest."
        ) from None
    finally:
        if view is not None:
            view.close(job.progress.snapshot())
    return job.result()
