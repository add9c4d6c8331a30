"""Makes generators ready in a moment, as the playbook leaves one that has k6: the marker alone.

Running the playbook takes five seconds of a processor: only tests of provisioning need that.
"""

from __future__ import annotations

import json
import os
import pwd
from pathlib import Path

from dfaas_lab import Generator, Lab
from dfaas_lab.provision.local_k6 import local_k6


def make_ready(lab: Lab) -> None:
    """Provision a lab on this machine; whoever looks finds that its playbook has run."""
    for generator in lab.generators.values():
        _mark(generator)
    assert lab.provision(progress=False).cached


def _mark(generator: Generator) -> None:
    k6 = local_k6()
    assert k6 is not None
    marker = {
        "format": 1,
        "playbook_digest": generator._spec().digest(),
        "k6_version": k6.version,
        "k6_path": str(k6.path),
        "k6_source": "present",
    }
    user = pwd.getpwuid(os.getuid()).pw_name
    root = Path(generator.workspace_root)
    root.mkdir(exist_ok=True)
    root.chmod(0o1777)
    (root / f".provisioned-{user}.json").write_text(json.dumps(marker))
