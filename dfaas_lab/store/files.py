"""Writes files whole or not at all, and makes names safe on disk."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import shutil
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

from dfaas_lab.errors import StoreError

# A file name has 255 bytes; "target=" and a digest must fit in too.
_LONGEST = 160
# What network file systems answer to fsync() of a folder; the files themselves are safe.
_NO_FOLDERS = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)
_SYNCS = 8
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def errors_as_store_error(path: Path, doing: str) -> Iterator[None]:
    """Turn the system's errors into one that says what could not be done, and what to do."""
    try:
        yield
    except OSError as error:
        full = error.errno in _FULL
        raise StoreError(
            f"{'the disk is full: ' if full else ''}{doing} {path} failed: "
            f"{error.strerror or error}",
            path=str(path),
            hint="Free some space (lab.store.prune() removes old runs) and repeat. "
            "What was stored before is unharmed."
            if full
            else "What was stored before is unharmed.",
        ) from error


def safe_name(name: str) -> str:
    """Return any text as a part of a file name: percent-encoded, as hive readers expect it."""
    name = name.encode(errors="surrogateescape").decode(
        errors="replace"
    )  # of a foreign file system
    quoted = quote(name, safe=" ()+,@")
    if len(quoted) <= _LONGEST:
        return quoted
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    # Whole characters: a cut escape is no UTF-8, and other readers decode it.
    parts = itertools.accumulate(quote(character, safe=" ()+,@") for character in name)
    return max((part for part in parts if len(part) <= _LONGEST - 20), key=len) + "-" + digest


@contextlib.contextmanager
def staged(staging: Path, final: Path, *, within: Path | None = None) -> Iterator[Path]:
    """Give an empty folder that becomes ``final`` when the block ends without an error.

    Args:
        staging: Where it is made; on the same disk.
        final: Where it goes.
        within: A folder that must be there, and is never made anew: where a disk went away, its
            place is not that disk. None makes every folder on the way.

    Raises:
        StoreError: ``final`` is there already, or something could not be written.
    """
    with errors_as_store_error(final, "writing"):
        staging.mkdir(parents=within is None, exist_ok=True)
        beside = staging / uuid.uuid4().hex
        beside.mkdir()
        try:
            yield beside
            sync_tree(beside)
            if final.parent != within:
                final.parent.mkdir(parents=within is None, exist_ok=True)
            _rename_new(beside, final)
            sync_folder(final.parent)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _rename_new(beside: Path, final: Path) -> None:
    # rename(2) replaces an empty folder only, and ours is never empty: two writers cannot both win.
    try:
        beside.rename(final)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        raise StoreError(
            f"{final} is there already: results are never overwritten",
            path=str(final),
            hint="Give the run another id, or remove the old one with lab.store.prune().",
        ) from error


@contextlib.contextmanager
def beside(final: Path) -> Iterator[Path]:
    """Give the path of a new file, which replaces ``final`` when the block ends without an error.

    A reader sees the old file or the new one, and a kill leaves one of them. The name is short:
    that of ``final`` may have the most bytes that a name can have.

    Raises:
        StoreError: It could not be written.
    """
    part = final.with_name(f".{uuid.uuid4().hex}.part")
    with errors_as_store_error(final, "writing"):
        try:
            yield part
            _sync_file(part)
            part.replace(final)
            sync_folder(final.parent)
        finally:
            part.unlink(missing_ok=True)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file beside and rename it over the old one: a reader sees one or the other."""
    with beside(path) as part:
        part.write_bytes(content)


def sync_tree(folder: Path) -> None:
    """Make sure that a folder with its files survives a power cut."""
    found = [(Path(parent), names) for parent, _, names in os.walk(folder)]
    # Side by side, for then the disk writes them at once.
    with ThreadPoolExecutor(_SYNCS, "dfaas-lab-sync") as threads:
        list(threads.map(_sync_file, (parent / name for parent, names in found for name in names)))
    for parent, _ in found:
        sync_folder(parent)


def sync_folder(folder: Path) -> None:
    """Make sure that a folder's entries survive a power cut, where its file system can."""
    try:
        _sync_file(folder)
    except OSError as error:
        if error.errno not in _NO_FOLDERS:
            raise


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
