"""Unpacks the tar archive that a generator streams: only wanted files, each within a bound.

Nothing of it is held in memory. ``tarfile`` would read a header of any size into memory, and a few
megabytes of gzip can become any number of bytes, so headers and bytes are counted here.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import time
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from dfaas_lab.remote.process import Process

_BLOCK = 512
_CHUNK = 1 << 20
_MOST_MEMBERS = 2_000
_MOST_SKIPPED = 2 << 30
_LONGEST_NAME = 4096
_MOST_OF_ANY = 1 << 30
_CUT = b"\n[cut here by dfaas_lab: the file is larger than %d MB]\n"
_MEMBER_ERRORS = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError)


class UnreadableArchive(Exception):
    """What came is no archive, not whole, or more than is allowed; the text says which."""


class ReadProcess(io.RawIOBase):
    """Standard output of a command as a file, until a deadline.

    Args:
        process: The command.
        deadline: A ``time.monotonic()``; a read after it is a ``TimeoutError``.
        idle_s: Seconds without a byte after which the connection is given up.
    """

    def __init__(self, process: Process, *, deadline: float, idle_s: float) -> None:
        self._process = process
        self._deadline = deadline
        self._idle_s = idle_s

    def readable(self) -> bool:
        """It can only be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read what is there.

        Raises:
            TimeoutError: The deadline is over.
            ConnectionFailed: The connection was lost, or nothing came for too long.
        """
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        data = self._process.receive(timeout=min(left, self._idle_s), most=len(buffer))
        if data is None:
            if left <= self._idle_s:
                raise TimeoutError
            raise self._process.given_up(f"nothing came for {self._idle_s:g} s")
        buffer[: len(data)] = data
        return len(data)


def unpack(
    stream: io.RawIOBase,
    into: Path,
    *,
    wanted: Mapping[str, int] | None,
    cut: frozenset[str] = frozenset(),
) -> None:
    """Write an archive's wanted files into a folder; the rest is passed over.

    Args:
        stream: A tar archive, compressed with gzip.
        into: The folder.
        wanted: The most bytes of each file, by its name; a name that ends with ``/`` stands for
            all files below that folder, and its bytes for all of them together. None takes
            every plain file that is in no folder, up to 1 GB each.
        cut: Names of files of which the beginning is kept where they are larger; others are errors.

    Raises:
        UnreadableArchive: It is no archive, not whole, or a wanted file is too large.
        OSError: A file cannot be written here.
    """
    with gzip.GzipFile(fileobj=io.BufferedReader(stream, _CHUNK)) as plain:
        _Unpacking(plain, into, wanted, cut).run()  # type: ignore[arg-type]


class _Unpacking:
    """One archive on its way: what was skipped, and what is left of each bound."""

    def __init__(
        self, plain: BinaryIO, into: Path, wanted: Mapping[str, int] | None, cut: frozenset[str]
    ) -> None:
        self._plain = plain
        self._into = into
        self._left = dict(wanted or {})
        self._others = _MOST_OF_ANY if wanted is None else None
        self._cut = cut
        self._skipped = 0

    def run(self) -> None:
        name: str | None = None  # a long one, which comes in a member of its own
        for _ in range(_MOST_MEMBERS):
            member = self._member()
            if member is None:
                self._drain()
                return
            if member.type == tarfile.GNUTYPE_LONGNAME:
                name = self._long_name(member)
                continue
            if member.isreg():
                self._take(name or member.name, member.size)
            else:
                self._skip(_padded(member.size))
            name = None
        raise UnreadableArchive(f"it holds more than {_MOST_MEMBERS} files")

    def _member(self) -> tarfile.TarInfo | None:
        header = self._read(_BLOCK)
        try:
            member = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            if header == bytes(_BLOCK):
                return None
            raise UnreadableArchive(f"it is no archive: {error}") from error
        if member.size < 0:
            raise UnreadableArchive("a file in it has a size below 0")
        return member

    def _long_name(self, member: tarfile.TarInfo) -> str:
        if member.size > _LONGEST_NAME:
            raise UnreadableArchive("a name in it is too long")
        data = self._read(_padded(member.size))[: member.size]
        return data.rstrip(b"\0").decode("utf-8", "surrogateescape")

    def _take(self, name: str, size: int) -> None:
        """Write one plain file; a generator's word is not trusted with a path, a link or a mode."""
        parts = PurePosixPath(name).parts
        bound = parts[0] if len(parts) == 1 else f"{parts[0]}/" if parts else ""
        most = self._left.get(bound, None if bound.endswith("/") else self._others)
        if most is None or ".." in parts or "\0" in name or not name.isprintable():
            self._skip(_padded(size))
            return
        if size > most and bound not in self._cut:
            raise UnreadableArchive(f"{name} has {size} bytes, and {most} are the most")
        path = self._into.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            self._copy(file, min(size, most))
            if size > most:
                file.write(_CUT % (most >> 20))
        if bound.endswith("/"):
            self._left[bound] = most - size
        self._skip(_padded(size) - min(size, most))

    def _copy(self, file: BinaryIO, size: int) -> None:
        while size > 0:
            size -= file.write(self._read(min(size, _CHUNK)))

    def _skip(self, size: int) -> None:
        self._skipped += size
        if self._skipped > _MOST_SKIPPED:
            raise UnreadableArchive("it holds too much that nobody asked for")
        while size > 0:
            size -= len(self._read(min(size, _CHUNK)))

    def _drain(self) -> None:
        """Read to the end, which checks the sum of all."""
        while more := self._some(_CHUNK):
            self._skipped += len(more)
            if self._skipped > _MOST_SKIPPED:
                raise UnreadableArchive("it does not end")

    def _read(self, size: int) -> bytes:
        """Exactly so many bytes."""
        data = b""
        while len(data) < size:
            more = self._some(size - len(data))
            if not more:
                raise UnreadableArchive("it ends too early")
            data = data + more if data else more
        return data

    def _some(self, size: int) -> bytes:
        try:
            return self._plain.read(size)
        except _MEMBER_ERRORS as error:
            raise UnreadableArchive(f"it cannot be read: {error}") from error


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
