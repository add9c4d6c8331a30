"""Reading a file that somebody names: only a regular one, and only so much of it.

A FIFO would wait for ever, a device such as ``/dev/zero`` never ends, and a huge file fills memory.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def read_regular(path: Path, *, most_bytes: int) -> bytes:
    """Return the content of a regular file.

    Args:
        path: The file; a symbolic link is followed.
        most_bytes: The most that it may hold.

    Raises:
        OSError: It cannot be opened, is no regular file, or is larger (``strerror`` says which).
    """
    # Without O_NONBLOCK the opening of a FIFO waits for its writer.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        found = os.fstat(file.fileno())
        if stat.S_ISDIR(found.st_mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is a FIFO or a device, no regular file", str(path))
        size = found.st_size
        content = file.read(most_bytes + 1) if size <= most_bytes else b""
    size = max(size, len(content))  # it may grow, and files of /proc tell no size
    if size > most_bytes:
        raise OSError(
            errno.EFBIG, f"it has {size:,} bytes, and {most_bytes:,} are the most", str(path)
        )
    return content
