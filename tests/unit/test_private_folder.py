"""Temporary folders that a kill leaves are removed by the next process, and no others."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dfaas_lab.private_folder import PrivateFolder

_MAKE = """
import sys
from dfaas_lab.private_folder import PrivateFolder
made = PrivateFolder("dfaas-x-", parent=sys.argv[1])
(made.path / "file").write_text("x")
print(made.path, flush=True)
sys.stdin.read()
"""


def process(parent: Path) -> subprocess.Popen[str]:
    made = subprocess.Popen(
        [sys.executable, "-c", _MAKE, str(parent)],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert made.stdout is not None
    assert made.stdout.readline().strip().startswith(str(parent))
    return made


def test_it_is_private_and_goes_at_its_end(tmp_path: Path) -> None:
    with PrivateFolder("dfaas-x-", parent=tmp_path) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert list(tmp_path.iterdir()) == [folder]
    assert list(tmp_path.iterdir()) == []
    PrivateFolder("dfaas-x-", parent=tmp_path)  # nobody keeps it
    assert list(tmp_path.iterdir()) == []


def test_nobody_removes_one_that_is_being_made(tmp_path: Path) -> None:
    """Each that is made sweeps, too: it must not take those of the others for left ones."""
    gone: list[Path] = []

    def make() -> None:
        for _ in range(200):
            with PrivateFolder("dfaas-x-", parent=tmp_path) as folder:
                if not folder.exists():
                    gone.append(folder)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gone == []
    assert list(tmp_path.iterdir()) == []


def test_one_in_use_stays_and_one_of_a_killed_process_goes(tmp_path: Path) -> None:
    parent = tmp_path / "with a blank"
    parent.mkdir()
    holder = process(parent)
    cleared: list[Path] = []
    [folder] = parent.iterdir()
    with PrivateFolder("dfaas-x-", parent=parent, clear=cleared.append):
        assert folder.is_dir()
    assert cleared == []
    holder.kill()
    holder.communicate()
    assert folder.is_dir()
    with PrivateFolder("dfaas-y-", parent=parent):
        assert folder.is_dir()  # another kind
    with PrivateFolder("dfaas-x-", parent=parent, clear=cleared.append):
        assert not folder.exists()
    assert cleared == [folder]


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("x")
    (tmp_path / "dfaas-x-link").symlink_to(elsewhere)
    (tmp_path / "dfaas-x-file").write_text("x")
    young, full, old = (tmp_path / f"dfaas-x-{name}" for name in ("young", "full", "old"))
    for folder in (young, full, old):
        folder.mkdir()
    (full / "somebody's").write_text("x")
    for folder in (full, old):
        os.utime(folder, (0, 0))
    with PrivateFolder("dfaas-x-", parent=tmp_path):
        pass
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["dfaas-x-file", "dfaas-x-full", "dfaas-x-link", "dfaas-x-young", "elsewhere"]
    assert (elsewhere / "kept").exists()


def test_a_locked_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("x")
    folder = tmp_path / "dfaas-x-odd"
    folder.mkdir()
    (folder / ".held").symlink_to(tmp_path / "target")
    with PrivateFolder("dfaas-x-", parent=tmp_path):
        assert folder.is_dir()


def test_a_parent_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        PrivateFolder("dfaas-x-", parent=tmp_path / "none")
