"""Reads a file that a user names: only a regular one, up to a number of bytes.

A FIFO would wait for ever, a device such as ``/dev/zero`` never ends, and a huge file fills memory.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file to be read; a symbolic link is followed.

    Raises:
        OSError: It cannot be opened, or is no regular file (``strerror`` says which).
    """
    # Without O_NONBLOCK the opening of a FIFO waits for its writer.
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(number).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(number, "rb")
    os.close(number)
    if stat.S_ISDIR(mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, "it is a FIFO or a device, no regular file", str(path))


def text_of_regular(path: Path, *, most_bytes: int = 65 << 20) -> io.TextIOWrapper:
    """Open the beginning of a regular file to be read line by line as UTF-8.

    One line may be all of a file, so no more is read than what k6 writes of a log and is kept here.
    """
    with open_regular(path) as file:
        size = min(os.fstat(file.fileno()).st_size, most_bytes)
        return io.TextIOWrapper(io.BytesIO(file.read(size)), encoding="utf-8", errors="replace")


def read_regular(path: Path, *, most_bytes: int = 64 << 20) -> bytes:
    """Return the content of a regular file; a symbolic link is followed.

    Raises:
        OSError: It cannot be opened, is no regular file, or is larger (``strerror`` says which).
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = b"" if size > most_bytes else file.read(size + 1)  # a read takes its room first
        if len(content) > size:
            content += file.read(most_bytes - size)
    size = max(size, len(content))  # it may grow, and files of /proc tell no size
    if size > most_bytes:
        raise OSError(
            errno.EFBIG, f"it has {size:,} bytes, and {most_bytes:,} are the most", str(path)
        )
    return content
