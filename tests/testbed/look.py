"""What is on a host, but for what a login, sudo and Ansible themselves leave on any. No test."""

from __future__ import annotations

import re

from tests.testbed.machines import Machine

_NOT_OURS = re.compile(
    r"^/(proc|sys|dev|run|tmp/systemd-private|var/log|var/lib/systemd|var/lib/apt/lists"
    r"|var/cache|var/lib/dpkg|var/tmp/systemd|etc/machine-id|root/\.|home/[a-z]+/\.ansible"
    r"|var/lib/sudo)"
)


def files_of(machine: Machine) -> set[str]:
    """Return the paths of all files and folders that may be somebody's."""
    listing = machine.run("find / -xdev -not -path '/proc/*' -not -path '/sys/*'; find /tmp")
    return {path for path in listing.splitlines() if not _NOT_OURS.match(path)}
