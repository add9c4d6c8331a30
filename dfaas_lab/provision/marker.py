"""The marker that provisioning leaves on a host, read over one SSH command."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dfaas_lab.provision.spec import GeneratorSpec, Spec
from dfaas_lab.remote.shell import answer

if TYPE_CHECKING:
    from dfaas_lab.remote.remote import Remote

TARGET_MARKER = "/opt/dfaas-lab/target.json"
_LONGEST = 65536
_TIMEOUT_S = 15.0

# The marker counts only where its k6 is there and still says what it is.
_READ = """m=%s
[ %s "$m" ] && [ -f "$m" ] || exit 0
head -c 65536 "$m" | tr -d '\\n'; echo
k6=$(sed -n 's/.*"k6_path": *"\\([^"]*\\)".*/\\1/p' "$m")
[ -n "$k6" ] && [ -x "$k6" ] && "$k6" version 2>/dev/null
:"""


@dataclass(frozen=True)
class Marker:
    """What a host was made into.

    Args:
        playbook_digest: Of the playbooks and what they were told.
        k6_version: The version that was installed; empty on a target.
        k6_path: Where k6 is; empty on a target.
        answers: Whether that k6 is there and of that version.
    """

    playbook_digest: str
    k6_version: str = ""
    k6_path: str = ""
    answers: bool = False


def read_marker(remote: Remote, workspace_root: str) -> Marker | None:
    """Return the marker of the login user below that workspace root, or None.

    Raises:
        ConnectionFailed: The host cannot be reached.
        CommandFailed: The user's shell there runs no commands.
    """
    path = f"{shlex.quote(workspace_root)}/.provisioned-$(id -un).json"
    return _read(remote, path, "-O")  # in a folder where anybody may write


def is_ready(remote: Remote, spec: Spec) -> bool:
    """Return whether the host is as the spec wants it, as the marker says."""
    if not isinstance(spec, GeneratorSpec):
        marker = _read(remote, TARGET_MARKER, "-f")
        return marker is not None and marker.playbook_digest == spec.digest()
    marker = read_marker(remote, spec.workspace_root)
    if marker is None or not marker.answers or marker.playbook_digest != spec.digest():
        return False
    return spec.wanted_version in ("", marker.k6_version)


def _read(remote: Remote, path: str, test: str) -> Marker | None:
    said = answer(remote, _READ % (path, test), timeout=_TIMEOUT_S)
    line, _, says = said.partition("\n")
    marker = parse_marker(line, says)
    if marker is not None and "\\" in line:
        # JSON had to escape something in the path, and the shell cannot undo that.
        command = f"{shlex.quote(marker.k6_path)} version"
        marker = parse_marker(line, answer(remote, command, timeout=_TIMEOUT_S))
    return marker


def parse_marker(line: str, says: str) -> Marker | None:
    """Return the marker of its JSON and of what its k6 says about itself, or None.

    >>> parse_marker('{"format": 1, "playbook_digest": "d"}', "")
    Marker(playbook_digest='d', k6_version='', k6_path='', answers=False)
    """
    if len(line) > _LONGEST:
        return None
    try:
        data = json.loads(line)
        if data["format"] != 1:
            return None
        names = ("playbook_digest", "k6_version", "k6_path")
        digest, version, path = (str(data.get(name, "")) for name in names)
        if not digest or not f"{digest}{version}{path}".isprintable():
            return None
        return Marker(digest, version, path, says.split()[1:2] == [f"v{version}"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
