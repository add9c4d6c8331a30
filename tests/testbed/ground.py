"""What all parts of the testbed stand on: its names, its folder, and commands on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

# All that is made carries it, so that a later start can sweep what a crash left.
PREFIX = "dfl-"
STATE = Path("/var/tmp/dfl-testbed")


def sh(*command: str | Path, check: bool = True, **kwargs: object) -> str:
    """Run a command on this machine and return its output."""
    done = subprocess.run(  # type: ignore[call-overload]
        [str(part) for part in command], text=True, capture_output=True, **kwargs
    )
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr or done.stdout}")
    return str(done.stdout)


def missing_tools() -> list[str]:
    """Return what this machine lacks to be a testbed."""
    tools = ("mmdebstrap", "systemd-nspawn", "ip", "iptables", "ssh-keygen", "unshare")
    lacks = [tool for tool in tools if shutil.which(tool) is None]
    return lacks if os.geteuid() == 0 else [*lacks, "root"]
