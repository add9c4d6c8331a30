"""Runs a job in a thread with progress on the screen; Ctrl-C ends the job first.

The main thread only waits: so a Kernel Interrupt is taken at once, and no library can take its
signal handlers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Generic, TypeVar

from dfaas_lab.errors import Interrupted
from dfaas_lab.progress import Progress, ProgressView, draw_until

Result = TypeVar("Result")
Failure = TypeVar("Failure", bound=BaseException)

_LONGEST_END_S = 6.0


class Job(Generic[Result]):
    """Some work in a thread of its own: ``done`` is set when it has ended, however it ended.

    The thread is a daemon: after a second interrupt nobody waits for it.
    """

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work = work
        self._result: list[Result] = []
        self._thread: threading.Thread | None = None
        self.error: BaseException | None = None
        # Not Thread.join: an interrupt inside it marks a running thread as ended (CPython 3.11).
        self.done = threading.Event()

    def start(self) -> None:
        """Start it, if that has not been done."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="dfaas-lab-job", daemon=True)
            try:
                self._thread.start()
            except RuntimeError as error:  # of threading, where an interrupt hits its own lock
                raise error.__context__ or error  # noqa: B904 - it is the interrupt itself

    @property
    def begun(self) -> bool:
        """Whether its thread runs or ran; an interrupt may have come before it did."""
        return self._thread is not None and self._thread.ident is not None

    def _run(self) -> None:
        try:
            self._result.append(self._work())
        except BaseException as error:  # raised again in the thread that waits
            self.error = error
        finally:
            self.done.set()

    def result(self) -> Result:
        """What the work returned, or its error."""
        if self.error is not None:
            raise self.error
        return self._result[0]


def side_by_side(work: Iterable[Callable[[], Result]]) -> list[Job[Result]]:
    """Do some work at once, each in a thread of its own; return the jobs, which have ended."""
    jobs = [Job(one) for one in work]
    for job in jobs:
        job.start()
    for job in jobs:
        job.done.wait()
    return jobs


def joined(errors: Sequence[BaseException]) -> BaseException:
    """Return the first of some errors, with the others as its notes."""
    first, *others = errors
    return noted(first, others)


def noted(error: Failure, others: Sequence[BaseException]) -> Failure:
    """Return an error, or an interrupt, with what else went wrong as its notes."""
    for other in others:
        error.add_note(f"Also: {other}")
    return error


def run_interruptible(
    work: Callable[[Progress, threading.Event], Result], view: ProgressView | None = None
) -> Result:
    """Run the work in a thread and wait, drawing; a KeyboardInterrupt ends the work first.

    Args:
        work: Called with the progress to tell and the event that asks it to end.
        view: What draws; None is silence.
    """
    progress, cancel = Progress(), threading.Event()
    job = Job(partial(work, progress, cancel))
    try:
        job.start()  # an interrupt may come before it returns
        draw_until(job.done.wait, view, progress.snapshot)
    except KeyboardInterrupt:
        cancel.set()
        job.done.wait(_LONGEST_END_S)
        raise Interrupted(
            "it was ended on the way. What was done stays; call it again to do the rest."
        ) from None
    finally:
        if view is not None:
            view.close(progress.snapshot())
    return job.result()
