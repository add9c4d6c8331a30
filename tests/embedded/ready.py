"""The generator of an embedded lab, and how it is made ready in a moment: k6 and the marker.

Running the playbook takes five seconds of a processor: only tests of provisioning need that.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from dfaas_lab import Generator, Host, Lab
from dfaas_lab.local import LocalLab
from dfaas_lab.provision.local_k6 import local_k6


def host_of(local: LocalLab, **changes: Any) -> Host:
    """The SSH server of an embedded lab, as a user names it."""
    ssh = local.ssh
    host = Host(ssh.host, port=ssh.port, user=ssh.user, key=ssh.key, known_hosts=ssh.known_hosts)
    return replace(host, **changes)


def make_ready(lab: Lab) -> None:
    """Provision a lab on this machine; whoever looks finds that its playbook has run."""
    for generator in lab.generators.values():
        _install(generator)
    assert lab.provision(progress=False).cached


def _install(generator: Generator) -> None:
    k6, spec = local_k6(), generator._spec()
    assert k6 is not None
    # A copy, as the playbook makes one: tests replace it, and remove it.
    place = Path(str(spec.install_dir)) / f"k6-{k6.version}" / "k6"
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(k6.path, place)
    marker = {
        "format": 1,
        "playbook_digest": spec.digest(),
        "k6_version": k6.version,
        "k6_path": str(place),
        "k6_source": "copy",
    }
    root = Path(generator.workspace_root)
    root.mkdir(exist_ok=True)
    root.chmod(0o1777)
    user = pwd.getpwuid(os.getuid()).pw_name
    (root / f".provisioned-{user}.json").write_text(json.dumps(marker))
