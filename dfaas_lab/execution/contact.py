"""Whether a generator still answers while it is asked: what an interrupt goes by."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dfaas_lab.k6.monitor import UNREACHABLE_S

if TYPE_CHECKING:
    from dfaas_lab.remote.remote import Remote


PATIENCE_S = 60.0
"""For how long what is idempotent is tried again over a connection that is lost."""

RETRY_S = 0.5


class Contact:
    """Notes when a generator is asked, so that its silence can be told from our own work.

    Args:
        remote: The generator.
    """

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._asking_since: float | None = None

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Within this block an answer is waited for; after an error, until the next one comes."""
        if self._asking_since is None:
            self._asking_since = time.monotonic()
        yield
        self._asking_since = None

    @property
    def silent_s(self) -> float:
        """For how long the generator has been asked and said nothing, in seconds."""
        since = self._asking_since
        return 0.0 if since is None else time.monotonic() - max(since, self._remote.heard_at)

    def given_up(self, stop: threading.Event) -> bool:
        """Whether an interrupt should wait for it no longer."""
        return stop.is_set() and self.silent_s > UNREACHABLE_S
