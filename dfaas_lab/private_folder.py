"""Temporary folders of this user that a kill cannot leave behind: each is locked while it is used.

The kernel gives a lock up when its process ends, however it ends. So the next process that makes a
folder of the same kind finds what nobody holds any more, and removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
import weakref
from collections.abc import Callable
from pathlib import Path

_LOCK = ".held"
# Between the making of a folder and of its lock.
_NEWBORN_S = 60.0
_ATTEMPTS = 10


class PrivateFolder:
    """A folder that only this user can read, removed at its end; a context manager.

    Those of the same kind that a kill left are removed before one is made. It goes with the object,
    too.

    Args:
        prefix: How its name begins, the same for all of a kind.
        parent: Where it is made; None means the usual temporary folder.
        clear: Called with the path of each one that a kill left, before it is removed.
    """

    def __init__(
        self,
        prefix: str,
        *,
        parent: str | Path | None = None,
        clear: Callable[[Path], None] | None = None,
    ) -> None:
        sweep(Path(parent or tempfile.gettempdir()), prefix, clear=clear)
        self.path, held = make_held(prefix, parent, _LOCK)
        self._end = weakref.finalize(self, _remove, self.path, held)

    def close(self) -> None:
        """Remove it with all that is in it."""
        self._end()

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.close()


def make_held(prefix: str, parent: str | Path | None, lock: str) -> tuple[Path, int | None]:
    """Make a folder, and lock a file in it; return both, None where it cannot be locked.

    Whoever sweeps may find the folder before it is locked, and remove it: then it is made again.
    """
    for _ in range(_ATTEMPTS):
        path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        held = hold(path / lock)
        if held is not None:
            return path, held
        _remove(path, None)
    return Path(tempfile.mkdtemp(prefix=prefix, dir=parent)), None


def hold(lock: Path) -> int | None:
    """Lock a file and return its descriptor; None where another process holds it, or it is gone."""
    try:
        descriptor = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    if os.fstat(descriptor).st_nlink == 0:  # who held it until now has removed it
        os.close(descriptor)
        return None
    return descriptor


def sweep(parent: Path, prefix: str, *, clear: Callable[[Path], None] | None = None) -> None:
    """Remove the folders of a kind that nobody holds; what cannot be removed stays."""
    for path in parent.glob(f"{prefix}*"):
        if not is_own_folder(path):
            continue
        if not (path / _LOCK).exists():
            remove_newborn(path)
        elif (held := hold(path / _LOCK)) is not None:
            if clear is not None:
                clear(path)
            _remove(path, held)


def is_own_folder(path: Path) -> bool:
    """Whether it is a folder of this user, and no link to one."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


def remove_newborn(path: Path) -> None:
    """Remove a folder that was made and never locked: it is empty, and old by now."""
    with contextlib.suppress(OSError):
        if time.time() - path.stat().st_mtime > _NEWBORN_S:
            path.rmdir()


def _remove(path: Path, held: int | None) -> None:
    shutil.rmtree(path, ignore_errors=True)
    if held is not None:
        os.close(held)
