"""Checks a host, and what makes it a generator: k6, its limits, its workspace root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dfaas_lab.checks.finding import Finding, attempt
from dfaas_lab.errors import CommandFailed, ConnectionFailed, DfaasLabError
from dfaas_lab.provision.marker import read_marker
from dfaas_lab.remote.connection import failed_at
from dfaas_lab.remote.facts import read_facts

if TYPE_CHECKING:
    from dfaas_lab.clock import Skew
    from dfaas_lab.remote.facts import HostFacts
    from dfaas_lab.remote.remote import Remote

# k6 opens a file for each VU's connection.
_MIN_OPEN_FILES = 4096
_MIN_FREE_BYTES = 500_000_000
_MAX_SKEW_S = 1.0
_PROVISION = "Call generator.provision()."


def check_host(remote: Remote, workspace_root: str = "/") -> tuple[list[Finding], HostFacts | None]:
    """Look at a host: reachable, host key, key accepted, Python, processors, clock.

    Returns:
        What was found, and the host's facts; None where it could not be asked.
    """
    address = str(remote.host)
    try:
        facts = read_facts(remote, workspace_root)
    except ConnectionFailed as error:
        stages = ("reachable", "host key", "key accepted")
        failed = stages.index(failed_at(error))
        good = [Finding(stage, True, address) for stage in stages[:failed]]
        return [*good, Finding(stages[failed], False, error.message, error.hint)], None
    except CommandFailed as error:
        return [
            Finding("reachable", True, address),
            Finding("shell", False, error.message, error.hint),
        ], None
    except DfaasLabError as error:  # the ssh configuration, or a key that is not supported
        return [Finding("configuration", False, error.message, error.hint)], None
    return [
        Finding("reachable", True, address),
        Finding("host key", True, "known"),
        Finding("key accepted", True, f"as {facts.user}"),
        Finding(
            "Python",
            bool(facts.python),
            facts.python or "not found",
            "Install python3 there: Ansible needs it.",
        ),
        Finding("processors", bool(facts.cores), _machine(facts)),
        _clock(facts.skew),
    ], facts


@dataclass(frozen=True)
class GeneratorToCheck:
    """A generator to check, and what it shall be; None takes any k6, or any playbook.

    ``on_facts`` is called with the host's facts.
    """

    name: str
    remote: Remote
    workspace_root: str
    k6_version: str | None = None
    playbook_digest: str | None = None
    on_facts: Callable[[HostFacts], None] | None = None


def check_generator(one: GeneratorToCheck) -> tuple[list[Finding], HostFacts | None]:
    """Look at a generator: what :func:`check_host` does, and k6, its limits, its workspace root."""
    findings, facts = check_host(one.remote, one.workspace_root)
    if facts is not None:
        findings += [
            _open_files(facts),
            _workspace_root(facts, one.workspace_root),
            attempt("k6", lambda: _k6(one)),
        ]
        if one.on_facts is not None:
            one.on_facts(facts)
    return findings, facts


def _machine(facts: HostFacts) -> str:
    memory = f"{facts.memory_bytes / 2**30:.1f} GiB" if facts.memory_bytes else "memory unknown"
    cores = facts.cores or "no"
    return f"{cores} x {facts.cpu_model or facts.architecture}, {memory}, {facts.system}"


def _clock(skew: Skew | None) -> Finding:
    if skew is None:
        return Finding("clock", None, "it shows whole seconds only: not compared")
    return Finding(
        "clock",
        abs(skew.seconds) - skew.uncertainty_s <= _MAX_SKEW_S,
        f"{skew} from this machine's",
        "Set the clocks by NTP, on both: timedatectl set-ntp true",
    )


def _open_files(facts: HostFacts) -> Finding:
    soft, most = facts.open_files, facts.open_files_most
    # The launch command raises the soft limit as far as it may.
    reach = most if soft is not None else None
    return Finding(
        "open files",
        reach is None or reach >= _MIN_OPEN_FILES,
        f"{soft or 'no limit'}, may be raised to {most or 'no limit'}",
        f"Raise it there to {_MIN_OPEN_FILES} or more (nofile in /etc/security/limits.conf).",
    )


def _workspace_root(facts: HostFacts, path: str) -> Finding:
    root = facts.root
    free = "" if root.free_bytes is None else f", {root.free_bytes / 1e9:.1f} GB free"
    if not root.kind:
        return Finding("workspace root", False, f"{path} is not there", _PROVISION)
    if root.kind != "directory":
        return Finding("workspace root", False, f"{path} is a {root.kind}", "Remove it there.")
    if not root.writable or root.owner not in ("root", facts.user):
        detail = f"{path} belongs to {root.owner} ({root.mode})"
        return Finding("workspace root", False, detail, "Give another workspace_root=.")
    enough = root.free_bytes is None or root.free_bytes >= _MIN_FREE_BYTES
    return Finding("workspace root", enough, f"{path}{free}", "Make room there.")


def _k6(one: GeneratorToCheck) -> Finding:
    marker = read_marker(one.remote, one.workspace_root)
    if marker is None:
        return Finding("k6", False, "not provisioned", _PROVISION)
    if not marker.answers:
        return Finding("k6", False, f"{marker.k6_path} does not run", _PROVISION)
    said = f"{marker.k6_version} ({marker.k6_path})"
    if one.k6_version not in (None, marker.k6_version):
        return Finding("k6", False, f"{said}, not {one.k6_version}", _PROVISION)
    if one.playbook_digest not in (None, marker.playbook_digest):
        # A run needs no more than the k6 that is there.
        older = "set up by another playbook, or for other settings"
        return Finding("k6", None, f"{said}, {older}", _PROVISION)
    return Finding("k6", True, said)
