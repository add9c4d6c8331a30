"""Calls a user's listener with k6's lines, in a thread of its own: it may be slow, or fail."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

log = logging.getLogger("dfaas_lab.k6")

_DRAIN_S = 2.0


class Listener:
    """Tells a callback each line, in order, without holding up who tells.

    What the callback raises ends its listening, not the measurement.

    Args:
        callback: Called with each line, from one thread.
    """

    def __init__(self, callback: Callable[[str], None]) -> None:
        self._callback = callback
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="dfaas-lab-live", daemon=True)
        self._thread.start()

    def tell(self, line: str) -> None:
        """Tell a line; returns at once."""
        self._lines.put(line)

    def close(self) -> None:
        """Tell nothing more; waits a moment for the lines that were told."""
        self._lines.put(None)
        self._thread.join(_DRAIN_S)

    def _work(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._callback(line)
            except Exception:
                log.warning("live= failed and is called no more", exc_info=True)
                return
