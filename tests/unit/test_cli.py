"""The command, as a user calls it: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import dfaas_lab
from dfaas_lab.checks.machine import check_machine
from tests.scenarios import scenarios


def dfaas_lab_command(
    *arguments: str, path: str = "/usr/bin:/bin", folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dfaas_lab.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def test_it_tells_its_version() -> None:
    ended = dfaas_lab_command("--version")
    assert ended.returncode == 0
    assert ended.stdout.split() == ["dfaas-lab", dfaas_lab.__version__]


def test_without_a_command_it_says_what_there_is() -> None:
    ended = dfaas_lab_command()
    assert ended.returncode == 2
    assert "usage" in ended.stderr


def test_check_names_what_is_there(tmp_path: Path) -> None:
    ended = dfaas_lab_command("check", folder=tmp_path)
    for thing in ("Python", "ssh client", "Ansible", "k6", "open files", "room for results"):
        assert thing in ended.stdout


def test_check_says_what_to_do_about_what_is_missing(tmp_path: Path) -> None:
    ended = dfaas_lab_command("check", path=str(tmp_path))
    assert ended.returncode == 1
    assert "LACKS ssh client" in ended.stdout
    assert "openssh-client" in ended.stdout
    # Found without PATH, as in a kernel that was started by its absolute path.
    assert "LACKS Ansible" not in ended.stdout


def test_check_gives_the_columns_of_the_contract(tmp_path: Path) -> None:
    found = check_machine(tmp_path / "not" / "yet")
    assert found.columns == ["host", "check", "ok", "detail", "fix"]
    assert found.filter(check="room for results")["ok"].item() is True


def test_a_folder_that_cannot_be_written_is_no_room() -> None:
    place = Path("/proc")  # not even root writes there
    found = check_machine(place).filter(check="room for results")
    assert found["ok"].item() is False
    assert found["fix"].item()


@pytest.mark.parametrize("name", scenarios(["missing.yml", "broken.yml"], ["broken.yml"]))
def test_an_error_is_a_message_and_no_traceback(tmp_path: Path, name: str) -> None:
    (tmp_path / "broken.yml").write_text("generators: [")
    ended = dfaas_lab_command("check", str(tmp_path / name))
    assert ended.returncode == 1
    assert ended.stderr.startswith("dfaas-lab: ")
    assert name in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("serve", "--write", "missing/lab.yml"), "--write FILE"),
        pytest.param(("serve", "--write", "."), "--write FILE", marks=pytest.mark.slow),
        pytest.param(("demo", "--report", "a-file"), "--report FOLDER", marks=pytest.mark.slow),
        (("demo", "--report", "a-file/below"), "--report FOLDER"),
    ],
)
def test_what_cannot_be_written_is_told_before_anything_starts(
    tmp_path: Path, arguments: tuple[str, ...], hint: str
) -> None:
    (tmp_path / "a-file").write_text("mine")
    ended = dfaas_lab_command(*arguments, folder=tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("dfaas-lab: ")
    assert hint in ended.stderr
    assert "Traceback" not in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a-file"]
    assert (tmp_path / "a-file").read_text() == "mine"
