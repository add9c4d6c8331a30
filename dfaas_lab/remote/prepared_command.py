"""Starts a command over SSH before it is needed: it waits for its input on an open channel."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from dfaas_lab.errors import DfaasLabError

if TYPE_CHECKING:
    from dfaas_lab.remote.process import Process
    from dfaas_lab.remote.remote import Remote


class PreparedCommand:
    """Starts a command in the background; opening a channel and a shell takes 7 ms and round trips.

    The command must do nothing before it has read its input: it ends where the connection is lost.

    Args:
        remote: The host.
        command: What is run.
    """

    def __init__(self, remote: Remote, command: str) -> None:
        self._remote = remote
        self._command = command
        self._lock = threading.Lock()
        self._closed = False
        self._process: Process | None = None
        self._thread = threading.Thread(target=self._open, name="dfaas-lab-ahead", daemon=True)
        self._thread.start()

    def take(self) -> Process:
        """Return the running command, once; after that, or where it could not be, start it anew.

        Raises:
            ConnectionFailed: The host cannot be reached.
        """
        self._thread.join()
        process, self._process = self._process, None
        return process or self._remote.open(self._command)

    def close(self) -> None:
        """Close the channel where nobody took it; a host that does not answer is not waited for."""
        with self._lock:
            self._closed = True
            process, self._process = self._process, None
        if process is not None:
            process.close()

    def _open(self) -> None:
        with contextlib.suppress(DfaasLabError):  # whoever takes it starts it anew, and is told
            process = self._remote.open(self._command)
            with self._lock:
                if not self._closed:
                    self._process = process
                    return
            process.close()
