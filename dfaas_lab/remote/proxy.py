"""A ``ProxyCommand``: a process whose standard input and output lead to a host's SSH port.

Paramiko's own ``ProxyCommand`` does not notice that the process has ended, waits in a busy loop for
it, and dies of a Ctrl-C that is meant for somebody else.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import threading
from typing import IO

from dfaas_lab.remote.ssh_config import in_shell

_LONGEST_END_S = 1.0
_SAID_CHARACTERS = 300


class ProxySocket(socket.socket):
    """Our end of the process; closing it ends the process."""

    _process: subprocess.Popen[bytes] | None = None
    _errors: IO[bytes]
    _closing: threading.Lock

    @classmethod
    def start(cls, command: str) -> ProxySocket:
        """Start the process.

        Raises:
            OSError: There is no shell, or no room for another process.
        """
        ours, theirs = socket.socketpair()
        made = cls(fileno=ours.detach())
        made._closing = threading.Lock()
        made._errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the socket
        try:
            with theirs:
                made._process = subprocess.Popen(
                    in_shell(f"exec {command}"),
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=made._errors,
                    # An interrupt of a notebook or a terminal goes to the whole process group.
                    start_new_session=True,
                )
        except BaseException:
            made.close()
            raise
        return made

    def said(self) -> str:
        """What the process wrote on standard error, as one line; empty once it is closed."""
        if self._errors.closed:
            return ""
        self._errors.seek(0)
        text = self._errors.read().decode(errors="replace")
        return " ".join(text.split())[-_SAID_CHARACTERS:]

    def close(self) -> None:
        """Close our end and end the process."""
        super().close()
        # Paramiko's thread and ours close it at once: both are to find the process ended.
        with self._closing:
            process, self._process = self._process, None
            if process is not None:
                _end(process)
            self._errors.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_LONGEST_END_S)
            return
