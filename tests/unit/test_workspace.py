"""A workspace has one shape of path, and what comes out of one is only plain files."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path
from typing import cast

import pytest

from dfaas_lab.errors import ConfigError
from dfaas_lab.remote.results_archive import unpack
from dfaas_lab.remote.workspace import Workspace, packed


@pytest.mark.parametrize("root", ["relative", "/tmp/../etc", "/a\0b", ""])
def test_a_root_is_an_absolute_path(root: str) -> None:
    with pytest.raises(ConfigError):
        Workspace(root, Workspace.new("/tmp/x").id)


@pytest.mark.parametrize("id_", ["", "..", "a/b", "*", "00000000-0000-1000-8000-000000000000"])
def test_only_a_uuid4_is_a_workspace(id_: str) -> None:
    with pytest.raises(ConfigError):
        Workspace("/tmp/dfaas-runs", id_)


def test_workspaces_are_never_the_same() -> None:
    assert Workspace.new("/tmp/x").path != Workspace.new("/tmp/x").path


def test_an_archive_from_a_generator_cannot_leave_its_folder(tmp_path: Path) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name in ("../outside", "/tmp/absolute-of-dfaas-lab", "./samples.csv", "sub/inner"):
            entry = tarfile.TarInfo(name)
            entry.size = 2
            archive.addfile(entry, io.BytesIO(b"ok"))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    into = tmp_path / "into"
    into.mkdir()
    packed_once = io.BytesIO(gzip.compress(content.getvalue()))
    unpack(cast("io.RawIOBase", packed_once), into, wanted=None)
    assert [path.name for path in into.iterdir()] == ["samples.csv"]
    assert [path.name for path in tmp_path.iterdir()] == ["into"]


def test_what_is_packed_is_for_its_owner_only() -> None:
    with tarfile.open(fileobj=io.BytesIO(packed({"a": b"1"}))) as archive:
        (member,) = archive
        assert (member.name, member.size, member.mode) == ("a", 1, 0o600)
