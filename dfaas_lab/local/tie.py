"""What every process of the lab does at its start: read its task, tie its life to the keeper's.

The keeper's side is in :mod:`dfaas_lab.local.child`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from dfaas_lab.local import processes
from dfaas_lab.local.lab_directory import LabDirectory


def task() -> dict[str, Any]:
    """Return what the keeper asks of this process: one JSON object on stdin.

    Not on the command line and not in the environment: it holds a password.
    """
    given: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    return given


def to_keeper(keeper: int, room: Path) -> None:
    """End this process, and what the lab started, when the keeper dies without a word."""

    def orphaned(_number: int, _frame: FrameType | None) -> None:
        # One of the keeper's children gets the lock and clears up; the others only end.
        left = LabDirectory(room)
        if left.lock():
            left.clear()
        os._exit(0)

    signal.signal(signal.SIGHUP, orphaned)
    processes.signal_at_parents_death(signal.SIGHUP)
    if os.getppid() != keeper:  # it died before the kernel knew what we want
        orphaned(0, None)


def announce(**facts: object) -> None:
    """Tell the keeper that this process serves; what is printed from now on goes to its log."""
    print(json.dumps(facts), flush=True)  # noqa: T201 - the keeper reads it
    os.dup2(2, 1)
