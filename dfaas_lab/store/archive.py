"""A run as one archive file: written, and opened without trust in its content.

An archive is a zip file of the run's folder. Opening one runs no code and writes nothing but plain
files, of the names that a run has, into a private folder.
"""

from __future__ import annotations

import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dfaas_lab.errors import StoreError
from dfaas_lab.private_folder import PrivateFolder
from dfaas_lab.regular_file import open_regular
from dfaas_lab.store.files import beside, errors_as_store_error
from dfaas_lab.store.folder import PLAIN_NAME, WRITTEN, RunFolder
from dfaas_lab.store.manifest import NAME
from dfaas_lab.validation import local_path

_NAMED = r"[A-Za-z0-9_.~ ()+,@%-]{1,200}/"
_PART = rf"(?:iteration=[1-9][0-9]{{0,8}}|warmup)/(?:target={_NAMED}(?:generator={_NAMED})?)?"
_WRITTEN_NAME = r"(?!\.{1,2}\Z)[A-Za-z0-9_.~ ()+,@%-]{1,200}"
_MEMBER = re.compile(
    rf"run_id=[A-Za-z0-9][A-Za-z0-9._-]{{0,127}}/"
    rf"(?:(?:{_PART})?(?:{PLAIN_NAME.pattern})|{_PART}{WRITTEN}/{_WRITTEN_NAME})"
)
# A run of a million requests is 0.1 GB and compresses 20-fold at best; a bomb does 1000-fold.
MAX_BYTES = 50 * 10**9
_MAX_RATIO = 200
_SMALL = 100 * 10**6
_MAX_MEMBERS = 100_000
_COMPRESSED = (".parquet", ".gz", ".zip", ".png")
_BLOCK = 1 << 20


@dataclass(frozen=True)
class OpenedArchive(RunFolder):
    """The folder of a run that came out of an archive; it goes when the object goes."""

    held: PrivateFolder | None = field(default=None, repr=False, compare=False)


def save(folder: RunFolder, path: str | Path) -> Path:
    """Write a run into one zip file, whole or not at all, and return its path.

    A file that is there is replaced.

    Raises:
        StoreError: It cannot be written, or the run is not there or of a newer dfaas_lab.
    """
    folder.read()
    final = local_path(path, what="path")
    with (
        beside(final) as part,
        zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as zip_,
    ):
        for file in sorted(folder.path.rglob("*")):
            _add(zip_, file, folder)
    return final


def open_archive(path: str | Path, *, max_bytes: int = MAX_BYTES) -> OpenedArchive:
    """Open an archive, also one from a stranger, and return the run in it.

    Raises:
        StoreError: It is no archive of a run, holds something that a run does not, unpacks to too
            much, is damaged, or was written by a newer dfaas_lab.
    """
    source = local_path(path, what="path")
    folder = PrivateFolder("dfaas-lab-run-")
    try:
        opened = _opened(source, folder, max_bytes)
    except BaseException:
        folder.close()
        raise
    opened.read()
    return opened


def _opened(source: Path, folder: PrivateFolder, max_bytes: int) -> OpenedArchive:
    try:
        with (
            errors_as_store_error(source, "opening"),
            open_regular(source) as file,
            zipfile.ZipFile(file) as zip_,
        ):
            members = list(_checked(zip_, source, max_bytes))
            for member in members:
                _unpack(zip_, member, folder.path)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        # RuntimeError is zipfile's word for a password, NotImplementedError for an odd method.
        raise _refused(source, f"it is damaged or no zip file ({error})") from error
    run = folder.path / members[0].filename.partition("/")[0]
    return OpenedArchive(path=run, staging=folder.path / ".staging", held=folder)


def _add(zip_: zipfile.ZipFile, file: Path, folder: RunFolder) -> None:
    name = f"run_id={folder.run_id}/{file.relative_to(folder.path).as_posix()}"
    if file.is_symlink() or not file.is_file() or not _MEMBER.fullmatch(name):
        return
    stored = file.suffix in _COMPRESSED
    zip_.write(file, name, zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED)


def _checked(zip_: zipfile.ZipFile, source: Path, max_bytes: int) -> Iterator[zipfile.ZipInfo]:
    members = [member for member in zip_.infolist() if not member.is_dir()]
    names = {member.filename.casefold() for member in members}
    total = sum(member.file_size for member in members)
    if len(members) > _MAX_MEMBERS or total > max_bytes:
        raise _refused(
            source, f"it would unpack to {total / 1e9:,.1f} GB in {len(members):,} files"
        )
    if total > _SMALL and total > _MAX_RATIO * source.stat().st_size:
        raise _refused(source, "it would unpack to more than 200 times its size")
    if len(names) < len(members):
        raise _refused(source, "it holds a file twice")
    runs = {member.filename.partition("/")[0] for member in members}
    if len(runs) != 1 or f"{next(iter(runs))}/{NAME}".casefold() not in names:
        raise _refused(source, "it does not hold one run")
    for member in members:
        kind = stat.S_IFMT(member.external_attr >> 16)
        if not _MEMBER.fullmatch(member.filename) or kind not in (0, stat.S_IFREG):
            raise _refused(source, f"it holds {member.filename!r}, which no run has")
        yield member


def _unpack(zip_: zipfile.ZipFile, member: zipfile.ZipInfo, into: Path) -> None:
    target = into / member.filename
    target.parent.mkdir(parents=True, exist_ok=True)
    # Reads at most the declared size, which was counted, whatever the data says.
    with zip_.open(member) as packed, target.open("xb") as file:
        shutil.copyfileobj(packed, file, _BLOCK)


def _refused(source: Path, reason: str) -> StoreError:
    return StoreError(
        f"{source} is no archive of a run: {reason}",
        path=str(source),
        hint="Ask for it to be made again with run.save().",
    )
