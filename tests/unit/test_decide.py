"""What the playbooks decide for a generator: the shell that looks and decides, run as it is."""

from __future__ import annotations

import getpass
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from dfaas_lab.provision.spec import playbooks_folder

MACHINE = os.uname().machine


def decide(root: Path, **given: str) -> subprocess.CompletedProcess[str]:
    settings = {
        "root": str(root),
        "become": "false",
        "password": "false",
        "source": "auto",
        "version": "1.1.0",
        "folder": "",
        "tuning": "false",
        "own_version": "1.1.0",
        "own_machine": MACHINE,
        **given,
    }
    files = playbooks_folder() / "files"
    script = "\n".join(
        [f"{name}={shlex.quote(value)}" for name, value in settings.items()]
        + [(files / name).read_text() for name in ("look.sh", "decide.sh")]
    )
    home = {**os.environ, "HOME": str(root.parent)}
    return subprocess.run(["/bin/sh", "-c", script], env=home, text=True, capture_output=True)


def decided(root: Path, **given: str) -> dict[str, str]:
    done = decide(root, **given)
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def refused(root: Path, **given: str) -> str:
    done = decide(root, **given)
    assert done.returncode == 1, done.stdout
    return done.stderr


@pytest.mark.parametrize(
    ("given", "source"),
    [
        ({}, "copy"),
        ({"version": "1.0.0"}, "release"),
        ({"own_version": "", "own_machine": ""}, "release"),
        ({"own_machine": "riscv64"}, "release"),
        ({"source": "release"}, "release"),
    ],
)
def test_a_copy_is_the_default_where_there_is_one_that_fits(
    tmp_path: Path, given: dict[str, str], source: str
) -> None:
    assert decided(tmp_path / "runs", **given)["source"] == source


def test_where_k6_goes(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    home = decided(root)
    assert home["k6_path"] == f"{tmp_path}/.local/share/dfaas-lab/k6-1.1.0/k6"
    assert home["k6_link"] == f"{tmp_path}/.local/bin/k6"
    with_sudo = decided(root, become="true", password="true")
    assert with_sudo["k6_path"] == "/opt/dfaas-lab/k6-1.1.0/k6"
    assert with_sudo["k6_link"] == "/usr/local/bin/k6"
    assert with_sudo["used_by"].startswith(f"generator-{getpass.getuser()}-")
    chosen = decided(root, become="true", password="true", folder="/srv/it's here")
    assert chosen["k6_path"] == "/srv/it's here/k6-1.1.0/k6"
    assert chosen["k6_stamp"] == "/srv/it's here/k6-1.1.0/.dfaas-lab"
    assert chosen["k6_link"] == chosen["used_by"] == ""
    packaged = decided(root, become="true", password="true", folder="/srv/x", source="apt")
    assert packaged["k6_path"] == "/usr/bin/k6"
    assert packaged["used_by"]


def test_what_would_not_work_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    assert "needs v1.0.0 for" in refused(root, source="copy", version="1.0.0")
    assert "without the v" in refused(root, version="v1.1.0")
    assert "no k6 to copy" in refused(root, source="copy", own_version="")
    assert "k6_source=apt needs root or sudo" in refused(root, source="apt")
    assert "k6_tuning needs root or sudo" in refused(root, tuning="true")


def test_the_workspace_root(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    root.mkdir(mode=0o755)
    assert decided(root)["root_is"] == "folder"
    (root / "0d1b6d3a-6f0a-4b35-9a39-0c1f2a3b4c5d").mkdir()
    assert decided(root)["root_holds"] == ""
    (root / "thesis.tex").touch()
    assert "holds other things (thesis.tex)" in refused(root)
    root.chmod(0o1777)
    assert decided(root)["root_holds"] == "thesis.tex"  # as /tmp does
    link = tmp_path / "link"
    link.symlink_to(root)
    assert "is a symbolic link" in refused(link)
    assert "is no folder" in refused(root / "thesis.tex")
