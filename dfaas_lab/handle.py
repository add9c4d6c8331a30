"""A run under way: its thread, its progress, and Ctrl-C that brings home what was measured."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dfaas_lab.measure import Measurement, attach_run, worst
from dfaas_lab.progress import Face, Progress
from dfaas_lab.run import Run

if TYPE_CHECKING:
    from dfaas_lab.store import RunFolder

_FRAME_S = 0.12


class RunHandle:
    """A run that goes on in the background. ``wait()`` returns it; ``stop()`` ends it early."""

    def __init__(self, measurements: Sequence[Measurement], folder: RunFolder) -> None:
        self._measurements = measurements
        self._folder = folder
        self._stop = threading.Event()
        self._done = threading.Event()
        self._errors: list[BaseException] = []
        self.progress = Progress()

    def start(self) -> RunHandle:
        """Start measuring and return at once."""
        threading.Thread(target=self._work, name="dfaas-lab-run", daemon=True).start()
        return self

    @property
    def done(self) -> bool:
        """Whether the run has ended."""
        return self._done.is_set()

    @property
    def run(self) -> Run:
        """What has been measured and stored so far."""
        return Run(self._folder)

    def stop(self) -> None:
        """Ask k6 to end; what it measured is stored."""
        self._stop.set()

    def wait(self, face: Face | None = None) -> Run:
        """Wait for the end and return the run.

        A KeyboardInterrupt ends k6, brings its data home, and goes on; a second one leaves at once.

        Raises:
            DfaasLabError: An iteration failed; ``error.run`` holds what was measured.
        """
        try:
            while not self._done.wait(_FRAME_S):
                if face is not None:
                    face.draw(self.progress.snapshot())
        except KeyboardInterrupt:
            self._stop.set()
            self._done.wait()
            raise
        finally:
            if face is not None:
                face.close(self.progress.snapshot())
        if self._errors:
            raise self._errors[0]
        return self.run

    def _work(self) -> None:
        # Daemons, unlike an executor's threads: after a second interrupt nobody waits for them.
        parts = [
            threading.Thread(target=self._measure, args=(part,), daemon=True)
            for part in self._measurements
        ]
        try:
            for thread in parts:
                thread.start()
            for thread in parts:
                thread.join()
            self._folder.update(status=worst([part.status for part in self._measurements]))
        except BaseException as error:  # raised again in the thread that waits
            self._errors.append(error)
        finally:
            for failure in self._errors:
                attach_run(failure, self.run)
            self._done.set()

    def _measure(self, part: Measurement) -> None:
        try:
            part.run(self.progress, self._stop)
        except BaseException as error:  # raised again in the thread that waits
            self._errors.append(error)
