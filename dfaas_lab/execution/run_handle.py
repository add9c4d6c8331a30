"""The handle of a run under way: its job, its progress, and Ctrl-C."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from dfaas_lab.background import Job, joined, noted, side_by_side
from dfaas_lab.errors import DfaasLabError
from dfaas_lab.execution.finalize import finalize
from dfaas_lab.execution.messages import add_attach_hint, interrupted
from dfaas_lab.execution.target_run import TargetRun
from dfaas_lab.printable import printable
from dfaas_lab.progress import FRAME_S, Progress, ProgressView, Shown, draw_until
from dfaas_lab.remote.liveness import UNREACHABLE_S
from dfaas_lab.run import Run
from dfaas_lab.status import FINAL, worst
from dfaas_lab.widgets import Together, chart_view, choose_view, show_job

if TYPE_CHECKING:
    from dfaas_lab.k6.log_callback import LogCallback
    from dfaas_lab.store import RunFolder

log = logging.getLogger("dfaas_lab")

DEFAULT = Shown()


class RunHandle:
    """A run that goes on in the background. ``wait()`` returns it; ``stop()`` ends it early.

    A detached run goes on by itself; here it is followed only after ``wait()`` or ``stop()``.

    Args:
        target_runs: The targets' parts.
        folder: The run's folder in the store.
        shown: How ``wait()``, or a notebook, shows how it goes.
        log_callback: What the parts tell k6's lines; closed at the end.
        new: Whether nobody else can have begun it.

    >>> handle = target.start_k6(load={"env": 5}, duration="1s")
    >>> handle.wait().id == handle.run.id
    True
    """

    def __init__(
        self,
        target_runs: Sequence[TargetRun],
        folder: RunFolder,
        *,
        shown: Shown = DEFAULT,
        log_callback: LogCallback | None = None,
        new: bool = False,
    ) -> None:
        self._target_runs = target_runs
        self._folder = folder
        self._shown = shown
        self._log_callback = log_callback
        self._new = new
        self._stop = threading.Event()
        self._job = Job(self._work)
        self._errors: list[BaseException] = []
        self._ended: Run | None = None
        self.progress = Progress()
        self._tell(self.run)

    def __repr__(self) -> str:
        run_id = self._folder.run_id
        if not self._job.begun:
            state = "not followed from here"
            told = f"wait() follows it, from elsewhere lab.attach({run_id!r})"
        else:
            state = "running" if self.going else "ended"
            steps = self.progress.snapshot()
            told = "; ".join(f"{step.label} {step.text}" for step in steps) or "nothing yet"
        return printable(f"RunHandle({run_id!r}, {state}): {told}")

    def _ipython_display_(self) -> None:
        show_job(self, repr(self), self._folder.run_id, self._chart())

    @property
    def going(self) -> bool:
        """Whether it is measured from here, and has not ended; asks nobody.

        >>> handle.going
        False
        """
        return self._job.begun and not self._job.done.is_set()

    def start(self) -> RunHandle:
        """Start measuring, if nobody has yet, and return at once.

        >>> handle.start().wait().status  # started already, and ended
        'ok'
        """
        self._job.start()
        return self

    def send(self) -> RunHandle:
        """Send a detached run to its generators, which go on alone.

        >>> handle = target.start_k6(load={"env": 5}, duration="1s", detach=True)  # it was sent
        >>> handle.wait().status
        'ok'
        """
        self._new = False
        try:
            for part in self._target_runs:
                part.send()
        except BaseException as error:
            # Some of it may have been sent, and goes on: whoever attaches finds out.
            self._folder.update(status="lost")
            self._tell(self.run)
            if isinstance(error, DfaasLabError):
                error.run = self.run
            add_attach_hint(error, self.run)
            raise
        return self

    @property
    def done(self) -> bool:
        """Whether the run has ended; of a detached one that nobody follows, the generator is asked.

        Raises:
            ConnectionFailed: The generator cannot be asked.

        >>> handle.done
        True
        """
        if self._job.begun:
            return self._job.done.is_set()
        return self.run.status in FINAL or all(part.ended() for part in self._target_runs)

    @property
    def run(self) -> Run:
        """What has been measured and stored so far.

        >>> handle.run.summary.height
        1
        """
        return self._ended or Run(self._folder)

    def stop(self) -> None:
        """Ask k6 to end; what it measured is stored.

        >>> handle = target.start_k6(load={"env": 5}, duration="30s")
        >>> handle.stop()
        >>> handle.wait().status
        'interrupted'
        """
        self._stop.set()
        self.start()

    def wait(self, view: ProgressView | None = None) -> Run:
        """Wait for the end and return the run; ``view`` draws progress, where one is given.

        A KeyboardInterrupt ends k6, brings its data home, and goes on; a second one leaves at once,
        and so does the first where the generator is silent for 3 s: then ``lab.attach()`` can fetch
        what it measured.

        Raises:
            DfaasLabError: An iteration failed; ``error.run`` holds what was measured.

        >>> handle.wait().summary["status"].to_list()
        ['ok']
        """
        try:
            view = view or self._view()
            self.start()
            draw_until(self._job.done.wait, view, self.progress.snapshot)
        except KeyboardInterrupt:
            self._end_early()
            raise noted(interrupted(self.run), self._errors) from None
        finally:
            if view is not None:
                view.close(self.progress.snapshot())
        return self._job.result()

    def _end_early(self) -> None:
        """After an interrupt: end k6 and bring home what it measured, or begin nothing at all."""
        self._stop.set()
        if self._job.begun:
            self._come_home()
        elif self._new:  # nobody who attaches shall begin it
            finalize(self._folder, status="interrupted")
            self._ended = Run(self._folder)
            self._tell(self._ended)

    def _view(self) -> ProgressView:
        view, chart = choose_view(self._shown.progress), self._chart()
        return view if chart is None else Together(view, chart)

    def _chart(self) -> ProgressView | None:
        series = {part.name: part.live for part in self._target_runs if part.live}
        return chart_view(self._shown, series, self._figure, self._folder.run_id)

    def _figure(self) -> dict[str, Any]:
        """The run's figure as a MIME bundle; empty where nothing was measured."""
        run = self.run
        return {} if run.summary.is_empty() else run._figure

    def _come_home(self) -> None:
        """Wait until everything is stored, but not for a generator that does not answer."""
        began = time.monotonic()
        while not self._job.done.wait(FRAME_S):
            asked_s = time.monotonic() - began
            going = [part for part in self._target_runs if not part.over]
            if going and all(min(part.silent_s, asked_s) > UNREACHABLE_S for part in going):
                log.warning("no answer: lab.attach(%r) fetches what is there", self._folder.run_id)
                self._folder.update(status="lost")
                self._tell(self.run)
                return

    def _tell(self, run: Run) -> None:
        """Make it the last run of its targets: when it begins, and when it has ended."""
        for part in self._target_runs:
            part.set_last_run(run)

    def _work(self) -> Run:
        try:
            # Of all processes with this store, one brings the run home; the others wait for it.
            with self._folder.claimed(self._stop) as claimed:
                if claimed and self.run.status not in FINAL:
                    self._measure_all()
        except BaseException as error:
            self._errors.append(error)
        if self._log_callback is not None:
            self._log_callback.close()
        self._ended = Run(self._folder)
        for failure in self._errors:
            if isinstance(failure, DfaasLabError):
                failure.run = self._ended
            add_attach_hint(failure, self._ended)
        self._tell(self._ended)
        if self._errors:
            raise joined(self._errors)
        return self._ended

    def _measure_all(self) -> None:
        jobs = side_by_side(
            partial(part.run, self.progress, self._stop) for part in self._target_runs
        )
        self._errors += [job.error for job in jobs if job.error is not None]
        first, *others = self._target_runs
        # What the only one has read need not be read again.
        read = None if others else first.read
        status = worst([part.status for part in self._target_runs])
        finalize(self._folder, status=status, read=read)
