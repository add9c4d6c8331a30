"""Liveness: how long a host has not responded, so that Ctrl-C can stop waiting for it.

The rule: a host counts as silent while an answer is awaited and nothing, on any connection, has
come from it since (``Remote.last_seen``). Time in which nothing is asked of it does not count.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dfaas_lab.remote.remote import Remote

UNREACHABLE_S = 3.0
"""After so long without a byte, an interrupt no longer waits for a host."""

PATIENCE_S = 60.0
"""For how long what is idempotent is tried again over a connection that is lost."""

RETRY_S = (0.5, 0.5)
"""The shortest and the longest pause between two such tries."""


class Liveness:
    """Whether a host responds to one of those who use it."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._asking_since: float | None = None

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Within this block an answer is awaited; after an error, until the next one comes."""
        if self._asking_since is None:
            self._asking_since = time.monotonic()
        yield
        self._asking_since = None

    @property
    def silent_s(self) -> float:
        """For how long the host has been asked and has not responded, in seconds."""
        since = self._asking_since
        return 0.0 if since is None else time.monotonic() - max(since, self._remote.last_seen)

    def given_up(self, stop: threading.Event) -> bool:
        """Whether an interrupt should wait for it no longer."""
        return stop.is_set() and self.silent_s > UNREACHABLE_S
