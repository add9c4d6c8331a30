"""Finds the k6 of this machine that can be copied to a generator."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from dfaas_lab.errors import ConfigError

NAMED_BY = "DFAAS_LAB_K6"
"""The environment variable that names the k6 to copy: the embedded lab runs on it."""


@dataclass(frozen=True)
class LocalK6:
    """A k6 for Linux that can be run here."""

    path: Path
    version: str
    machine: str


def local_k6(system: str = "") -> LocalK6 | None:
    """Return this machine's k6; None where it has none, or one that is not for Linux.

    The environment variable ``DFAAS_LAB_K6`` names one. Else the folder of the interpreter is
    searched first, then PATH: a kernel that was started by its absolute path has no virtual
    environment on PATH.

    Args:
        system: The system that this machine runs; empty means that it is asked.

    Raises:
        ConfigError: What ``DFAAS_LAB_K6`` names is no k6 that runs here.
    """
    if (system or platform.system()) != "Linux":
        return (
            None  # of a Mac with the processor of the generator, for instance: no copy runs there
        )
    if named := os.environ.get(NAMED_BY):
        return _named(named)
    beside = str(Path(sys.executable).parent)
    found = shutil.which("k6", path=beside + os.pathsep + os.environ.get("PATH", os.defpath))
    if found is None:
        return None
    return _ask(found, Path(found).stat().st_mtime_ns)


def _named(path: str) -> LocalK6:
    found = shutil.which(path)
    k6 = None if found is None else _ask(found, Path(found).stat().st_mtime_ns)
    if k6 is None:
        raise ConfigError(
            f"{NAMED_BY}={path!r} is no k6 that runs here",
            hint="Give the path of a k6 for Linux, or unset the variable.",
        )
    return k6


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
