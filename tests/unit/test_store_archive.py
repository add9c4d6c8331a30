"""An archive holds a run whole; one from a stranger does no harm."""

from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path

import pytest

from dfaas_lab.errors import StoreError
from dfaas_lab.store import FORMAT, Store, open_archive, save
from tests.unit.stored_runs import frames_of

MANIFEST = json.dumps({"format": FORMAT, "run_id": "run-1"})


def test_an_archive_gives_back_the_run(tmp_path: Path) -> None:
    run = Store(tmp_path / "results").create_run("run-1", {"label": "ü"}, {"plan.json": b"{}"})
    for number in (1, 2):
        for target in ("mid", "a/b ..%"):
            frames = frames_of(tmp_path, "run-1", number, target=target)
            run.write_iteration(number, frames, {"k6.log": b"line\n"}, target=target)
    path = save(run, tmp_path / "run.zip")
    opened = open_archive(path)
    assert opened.path.is_dir()
    assert opened.run_id == "run-1"
    assert opened.read() == run.read()
    assert opened.frame("requests").equals(run.frame("requests"))
    assert (opened.path / "plan.json").read_bytes() == b"{}"
    assert {p.relative_to(opened.path) for p in opened.path.rglob("*")} == {
        p.relative_to(run.path) for p in run.path.rglob("*")
    }
    where = opened.path
    del opened
    assert not where.exists()


def test_an_archive_is_replaced_whole(tmp_path: Path) -> None:
    run = Store(tmp_path / "results").create_run("run-1")
    path = tmp_path / "run.zip"
    path.write_bytes(b"old")
    save(run, path)
    assert open_archive(path).run_id == "run-1"
    with pytest.raises(StoreError, match="writing"):
        save(run, tmp_path / "no" / "folder" / "run.zip")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["results", "run.zip"]


def test_a_link_in_a_run_is_not_followed(tmp_path: Path) -> None:
    run = Store(tmp_path / "results").create_run("run-1")
    (tmp_path / "secret").write_text("secret")
    (run.path / "link.txt").symlink_to(tmp_path / "secret")
    assert not (open_archive(save(run, tmp_path / "run.zip")).path / "link.txt").exists()


def hostile(folder: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    path = folder / "hostile.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zip_:
        zip_.writestr("run_id=run-1/manifest.json", MANIFEST)
        for name, content in members:
            zip_.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt",
        "/tmp/evil.txt",
        "run_id=run-1/../../evil.txt",
        "run_id=run-1/iteration=1/../../../evil.txt",
        "run_id=run-1/..\\evil.txt",
        "run_id=run-1/iteration=1/target=../x/evil.txt",
        "run_id=run-1/.hidden",
        "run_id=run-1/sub/evil.txt",
        "run_id=run-2/manifest.json",
        "run_id=run-1/\x1b[31m",
        "C:evil.txt",
    ],
)
def test_a_name_that_no_run_has_is_refused(tmp_path: Path, name: str) -> None:
    path = hostile(tmp_path, (name, b"evil"))
    with pytest.raises(StoreError, match="no archive of a run"):
        open_archive(path)
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_are_refused(tmp_path: Path, kind: int) -> None:
    member = zipfile.ZipInfo("run_id=run-1/link")
    member.external_attr = (kind | 0o777) << 16
    with pytest.raises(StoreError, match="which no run has"):
        open_archive(hostile(tmp_path, (member, b"/etc/passwd")))


def test_bombs_are_refused(tmp_path: Path) -> None:
    bomb = hostile(tmp_path, ("run_id=run-1/zeros", bytes(300_000_000)))
    with pytest.raises(StoreError, match="200 times"):
        open_archive(bomb)
    with pytest.raises(StoreError, match="would unpack to"):
        open_archive(hostile(tmp_path, ("run_id=run-1/x", bytes(2000))), max_bytes=1000)


def test_a_size_that_lies_is_refused(tmp_path: Path) -> None:
    path = hostile(tmp_path, ("run_id=run-1/x", b"A" * 5000))
    content = path.read_bytes()
    lie = content.replace((5000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert lie != content
    path.write_bytes(lie)
    with pytest.raises(StoreError, match="damaged"):
        open_archive(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_twice_is_refused(tmp_path: Path) -> None:
    for twin in ("run_id=run-1/manifest.json", "run_id=run-1/MANIFEST.json"):
        with pytest.raises(StoreError, match="twice"):
            open_archive(hostile(tmp_path, (twin, b"{}")))


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04" + bytes(100)])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="no zip file"):
        open_archive(path)
    with pytest.raises(StoreError, match="No such file"):
        open_archive(tmp_path / "none.zip")


def test_a_newer_archive_is_refused_with_a_clear_word(tmp_path: Path) -> None:
    path = tmp_path / "new.zip"
    with zipfile.ZipFile(path, "w") as zip_:
        zip_.writestr("run_id=run-1/manifest.json", json.dumps({"format": FORMAT + 1}))
    with pytest.raises(StoreError, match="newer dfaas_lab"):
        open_archive(path)


def test_parquet_that_is_none_is_an_error_and_not_a_crash(tmp_path: Path) -> None:
    folder = "run_id=run-1/iteration=1"
    files = [(f"{folder}/{name}.parquet", b"PAR1 evil PAR1") for name in ("summary", "requests")]
    opened = open_archive(hostile(tmp_path, *files))
    with pytest.raises(StoreError, match="cannot be read"):
        opened.frame("requests")
