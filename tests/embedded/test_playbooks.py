"""The playbooks without Python: `ansible-playbook` on the command line."""

from __future__ import annotations

import os
import subprocess
import sys

from dfaas_lab.provision.spec import playbooks_folder


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
