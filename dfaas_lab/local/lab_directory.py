"""The private directory of an embedded lab: made, marked as in use, and removed.

A directory is in use as long as its process manager holds the lock in it. One whose lock is free
was left by one that was killed: whoever finds it may end its processes and remove it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from dfaas_lab.local import processes
from dfaas_lab.private_folder import hold, is_own_folder, make_held, remove_newborn

PREFIX = "dfaas-lab-local-"
#: Every process that the lab starts carries the directory's name in this variable.
MARK = "DFAAS_LAB_ID"
_LOCK = "keeper.lock"


class LabDirectory:
    """A lab's private directory, mode 700, in the directory for temporary files.

    Args:
        path: Where it is.
        lock: The descriptor that holds its lock; None where somebody else holds it.
    """

    def __init__(self, path: Path, lock: int | None = None) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def make(cls) -> LabDirectory:
        """Make a new directory and take its lock."""
        directory = cls(*make_held(PREFIX, _temporary(), _LOCK))
        if directory._lock is None:
            raise OSError(f"no file in {directory.path} can be locked")
        for name in ("home", "log", "ssh", "tmp"):
            (directory.path / name).mkdir(mode=0o700)
        return directory

    @property
    def mark(self) -> str:
        """The name that marks this lab's processes."""
        return self.path.name

    @property
    def home(self) -> Path:
        """The home directory of whoever logs in."""
        return self.path / "home"

    @property
    def workspace_root(self) -> Path:
        """The generator's workspace root; provisioning makes it."""
        return self.path / "runs"

    def log(self, name: str) -> Path:
        """Return the log file of one of the lab's processes."""
        return self.path / "log" / f"{name}.log"

    def lock(self) -> bool:
        """Take the lock and keep it; False when another has it, or it is gone."""
        self._lock = hold(self.path / _LOCK)
        return self._lock is not None

    def clear(self) -> None:
        """End this lab's processes that still run, and remove the directory; needs the lock."""
        for _ in range(100):
            strays = list(_strays(self.path))
            for pid in strays:
                processes.kill(pid)
            if not strays:
                break
            time.sleep(0.01)
        self.remove()

    def remove(self) -> bool:
        """Remove the directory, also where a mode forbids it; True when it is gone."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self.path.exists():
            _unlock_tree(self.path)
            shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        return not self.path.exists()


def sweep() -> None:
    """Clear what labs of this user left whose process manager was killed."""
    for path in _temporary().glob(f"{PREFIX}*"):
        if not is_own_folder(path):
            continue
        directory = LabDirectory(path)
        if not (path / _LOCK).exists():
            remove_newborn(path)
        elif directory.lock():
            directory.clear()


def _temporary() -> Path:
    # Not tempfile.gettempdir(): it tries the directory with a file, which a kill leaves there.
    return Path(os.environ.get("TMPDIR") or "/tmp").resolve()  # noqa: S108 - mkdtemp is used


def _strays(root: Path) -> Iterator[int]:
    """Find this lab's processes: by their mark or, where the environment was cleared, by place.

    A process with a terminal is somebody who looks around, and one older than the lab is not its
    child: neither counts by place.
    """
    mark = f"{MARK}={root.name}".encode()
    born = _ticks_of(root / _LOCK)
    for pid in processes.all_pids():
        if pid == os.getpid():
            continue
        fields = processes.stat_fields(pid)
        if not fields or fields[0] == "Z":
            continue
        is_later = int(fields[4]) == 0 and int(fields[19]) >= born
        if mark in _environment(pid) or (is_later and _is_inside(pid, root)):
            yield pid


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # gone, or another user's
        return []


def _is_inside(pid: int, root: Path) -> bool:
    for link in ("cwd", "exe"):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/{link}").readlink().is_relative_to(root):
                return True
    return False


def _ticks_of(path: Path) -> float:
    """Return when a file was made last, in clock ticks since boot, rounded down by a second."""
    try:
        age_s = time.time() - path.stat().st_mtime
    except OSError:
        return float("inf")
    now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    return (now_s - age_s - 1.0) * os.sysconf("SC_CLK_TCK")


def _unlock_tree(root: Path) -> None:
    """Give ourselves the right to empty every directory of a tree."""
    for directory, names, _ in os.walk(root):
        for name in names:
            entry = Path(directory, name)
            with contextlib.suppress(OSError):
                if not entry.is_symlink():
                    entry.chmod(0o700)
