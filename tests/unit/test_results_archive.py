"""What a generator sends as results is bounded: names, bytes of each file, files, and memory."""

from __future__ import annotations

import contextlib
import gzip
import io
import random
import tarfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from dfaas_lab.k6.launch import CUT, WANTED
from dfaas_lab.remote import results_archive
from dfaas_lab.remote.results_archive import UnreadableArchive, unpack

SMALL = {"samples.csv": 5000, "journal": 1 << 20, "written/": 3000}


def archive(files: dict[str, bytes], format_: int = tarfile.GNU_FORMAT) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=format_) as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return gzip.compress(content.getvalue(), 1)


def taken(folder: Path, data: bytes, cut: frozenset[str] = frozenset()) -> dict[str, bytes]:
    folder.mkdir(exist_ok=True)
    unpack(cast("io.RawIOBase", io.BytesIO(data)), folder, wanted=SMALL, cut=cut)
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_only_wanted_names_are_written(tmp_path: Path) -> None:
    long = "written/" + "n" * 150
    files = {"./samples.csv": b"s" * 600, "core": b"c" * 9000, "written/a/b": b"w", long: b"l"}
    files |= {"written/../../out": b"x", "/journal": b"x", "written": b"x", "written/a\nb": b"x"}
    got = taken(tmp_path / "into", archive(files))
    assert got == {"samples.csv": b"s" * 600, "written/a/b": b"w", long: b"l"}
    assert [path.name for path in tmp_path.iterdir()] == ["into"]


@pytest.mark.parametrize("format_", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_each_form_of_tar_is_read(tmp_path: Path, format_: int) -> None:
    assert taken(tmp_path, archive({"samples.csv": b"1"}, format_)) == {"samples.csv": b"1"}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"samples.csv": b"s" * 5001}, "samples.csv has 5001 bytes, and 5000 are the most"),
        ({"written/a": b"w" * 2000, "written/b": b"w" * 1001}, "written/b has 1001 bytes"),
        ({f"f{number}": b"" for number in range(2001)}, "more than 2000 files"),
    ],
)
def test_what_is_too_much_is_told(tmp_path: Path, files: dict[str, bytes], said: str) -> None:
    with pytest.raises(UnreadableArchive, match=said):
        taken(tmp_path, archive(files))


def test_a_log_is_cut_where_it_is_too_long(tmp_path: Path) -> None:
    sent = archive({"journal": b"l" * (2 << 20), "samples.csv": b"after"})
    got = taken(tmp_path, sent, frozenset(("journal",)))
    assert got["journal"].startswith(b"l" * (1 << 20) + b"\n[cut here")
    assert len(got["journal"]) < (1 << 20) + 100
    assert got["samples.csv"] == b"after"


class Bomb(io.RawIOBase):
    """An archive that is made while it is read, so that the test itself needs no memory.

    Args:
        header: Of its one file.
        most: The bytes of it that are sent at most.
    """

    def __init__(self, header: bytes, most: int) -> None:
        self._parts = self._pieces(header, most)
        self._rest = b""
        self.read_bytes = 0

    @staticmethod
    def _pieces(header: bytes, most: int) -> Iterator[bytes]:
        yield gzip.compress(header)
        block = gzip.compress(bytes(1 << 20), 9)
        for _ in range(most >> 20):
            yield block

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest and (piece := next(self._parts, b"")):
            self._rest = piece
        data, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(data)] = data
        self.read_bytes += len(data)
        return len(data)


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.type = size, kind
    return entry.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    ("name", "size", "kind"),
    [
        ("core", 20 << 30, tarfile.REGTYPE),
        ("x", 20 << 30, tarfile.XHDTYPE),  # tarfile would read the whole header into memory
        ("x", 20 << 30, tarfile.GNUTYPE_LONGNAME),
        ("samples.csv", 20 << 30, tarfile.REGTYPE),
        ("fifo", 20 << 30, tarfile.FIFOTYPE),
    ],
)
def test_a_bomb_takes_neither_memory_nor_disk(
    tmp_path: Path, name: str, size: int, kind: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results_archive, "_MOST_SKIPPED", 64 << 20)
    bomb = Bomb(header(name, size, kind), 256 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableArchive):
            unpack(bomb, tmp_path, wanted=SMALL)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    assert not list(tmp_path.iterdir())


def test_zeros_behind_the_end_do_not_go_on_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results_archive, "_MOST_SKIPPED", 16 << 20)
    with pytest.raises(UnreadableArchive, match="does not end"):
        unpack(Bomb(bytes(1024), 256 << 20), tmp_path, wanted=SMALL)


def test_whatever_is_broken_in_it_is_told_as_that(tmp_path: Path) -> None:
    whole = archive({"samples.csv": b"s" * 900, "journal": bytes(3000)})
    chance = random.Random(7)
    broken = [whole[:size] for size in range(0, len(whole), 7)]
    for _ in range(300):
        spoiled = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            spoiled[chance.randrange(len(spoiled))] = chance.randrange(256)
        broken.append(bytes(spoiled))
    plain = bytearray(gzip.decompress(whole))
    for _ in range(300):
        spoiled = bytearray(plain)
        spoiled[chance.randrange(512)] = chance.randrange(256)
        broken.append(gzip.compress(bytes(spoiled), 1))
    for data in broken:
        with contextlib.suppress(UnreadableArchive):  # nothing else
            taken(tmp_path / "into", data)


def test_what_k6_writes_is_wanted() -> None:
    assert {"samples.csv", "summary.json", "journal", "host.csv", "began"} <= set(WANTED)
    assert set(WANTED) >= CUT
