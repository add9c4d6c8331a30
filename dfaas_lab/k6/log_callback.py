"""Calls the user's ``live`` callback with k6's log lines, in a thread of its own."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

log = logging.getLogger("dfaas_lab.k6")

_DRAIN_S = 2.0


class LogCallback:
    """Tells a callback each line of a run, in order, without holding up who tells.

    One for all iterations and targets, so that the callback is never called twice at once. What it
    raises ends its listening, not the measurement.
    """

    def __init__(self, callback: Callable[[str], None]) -> None:
        self._callback = callback
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def emit(self, line: str) -> None:
        """Tell a line; returns at once."""
        if self._over.is_set():
            return
        self._lines.put(line)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="dfaas-lab-live", daemon=True
                )
                self._thread.start()

    def close(self) -> None:
        """Tell nothing more; waits a moment for the lines that were told."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            self._lines.put(None)
            thread.join(_DRAIN_S)
        self._over.set()  # who blocks is told no more when it comes back

    def _work(self) -> None:
        while (line := self._lines.get()) is not None and not self._over.is_set():
            try:
                self._callback(line)
            except Exception:
                self._over.set()
                log.warning("live= failed and is called no more", exc_info=True)
