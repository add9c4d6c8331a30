"""The playbooks as files: what Ansible's own lint says about them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from dfaas_lab.provision.spec import playbooks_folder


def test_the_playbooks_pass_the_strictest_lint() -> None:
    files = sorted(str(file) for file in playbooks_folder().rglob("*.yml"))
    command = [sys.executable, "-m", "ansiblelint", "--offline", "--profile", "production"]
    done = subprocess.run(
        [*command, *[file for file in files if "group_vars" not in file]],
        cwd=playbooks_folder().parent,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_playbooks_refuse_to_do_nothing() -> None:
    for name in ("setup_global.yml", "teardown.yml"):
        done = subprocess.run(
            [sys.executable, "-m", "ansible", "playbook", str(playbooks_folder() / name)],
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            text=True,
            capture_output=True,
        )
        assert done.returncode == 2
        assert "No host is named" in done.stdout
