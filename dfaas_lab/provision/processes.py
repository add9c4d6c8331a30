"""Ending processes of this machine by what their arguments contain; no remote ones."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path


def kill_by_argument(mark: str, *, timeout_s: float = 2.0) -> None:
    """Kill every process whose arguments contain the mark, and wait until none is left.

    Args:
        mark: A text that no other process has, for instance the path of a private folder.
        timeout_s: When to give up.
    """
    deadline = time.monotonic() + timeout_s
    while pids := [pid for pid, line in _processes() if mark in line and pid != os.getpid()]:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            return
        time.sleep(0.02)


def _processes() -> Iterator[tuple[int, str]]:
    """Yield each process with its arguments; a zombie has none."""
    if Path("/proc/self/cmdline").exists():
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                yield int(folder.name), line.decode(errors="replace")
        return
    listing = subprocess.run(
        ["ps", "-axww", "-o", "pid=,args="],  # noqa: S607 (where the system has it)
        capture_output=True,
        text=True,
        check=False,
    )
    for entry in listing.stdout.splitlines():
        pid, _, arguments = entry.strip().partition(" ")
        yield int(pid), arguments
