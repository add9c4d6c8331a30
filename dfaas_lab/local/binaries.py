"""Prometheus and node exporter for the embedded lab: those on PATH, or Debian's in a cache.

Nothing is installed: ``apt-get download`` and ``dpkg -x`` need no root and start no service.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger("dfaas_lab")

_PACKAGES = ("prometheus", "prometheus-node-exporter")
_NODE_EXPORTER = ("prometheus-node-exporter", "node_exporter")
_FETCH_S = 120.0
# One that could not be fetched is not tried again by every lab.
_PATIENCE_S = 3600.0
_HINT = "install prometheus and prometheus-node-exporter (apt install), or put them on PATH"


@dataclass(frozen=True)
class Binaries:
    """The paths of both programs."""

    prometheus: str
    node_exporter: str


def find() -> Binaries | None:
    """Return the programs; None, with a warning that says what to install, where there are none."""
    found = _on_path()
    if found is not None:
        return found
    problem = ""
    with contextlib.suppress(OSError):
        found, problem = _cached()
    if found is None:
        log.warning(
            "the embedded lab has no Prometheus, so metrics are null: %s%s",
            _HINT,
            f" ({problem})" if problem else "",
        )
    return found


def _on_path() -> Binaries | None:
    prometheus = shutil.which("prometheus")
    exporter = next((path for name in _NODE_EXPORTER if (path := shutil.which(name))), None)
    return Binaries(prometheus, exporter) if prometheus and exporter else None


def _cached() -> tuple[Binaries | None, str]:
    import platformdirs
    from filelock import FileLock

    cache = Path(platformdirs.user_cache_dir("dfaas_lab")) / "prometheus"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / "usr/bin"
    found = Binaries(str(folder / _PACKAGES[0]), str(folder / _PACKAGES[1]))
    with FileLock(cache / "lock"):
        problem = "" if _is_there(found) else _fetch(cache)
    return (found, "") if _is_there(found) else (None, problem)


def _is_there(found: Binaries) -> bool:
    return Path(found.prometheus).is_file() and Path(found.node_exporter).is_file()


def _fetch(cache: Path) -> str:
    """Fetch and unpack both; return what went wrong."""
    failed = cache / "failed"
    with contextlib.suppress(OSError):
        if time.time() - failed.stat().st_mtime < _PATIENCE_S:
            return failed.read_text(encoding="utf-8")
    log.info("fetching Debian's Prometheus (23 MB) into %s", cache)
    problem = _unpacked(cache)
    if problem:
        failed.write_text(problem, encoding="utf-8")
    for package in cache.glob("*.deb"):
        package.unlink()
    return problem


def _unpacked(cache: Path) -> str:
    apt, dpkg = shutil.which("apt-get"), shutil.which("dpkg")
    if apt is None or dpkg is None:
        return "there is no apt-get here to fetch them with"
    try:
        _run([apt, "download", *_PACKAGES], cache)
        for package in cache.glob("*.deb"):
            _run([dpkg, "-x", str(package), str(cache)], cache)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        return f"they could not be fetched: {said.strip()[-200:]}"
    return ""


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=_FETCH_S, check=True
    )
