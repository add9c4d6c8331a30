"""The facts of a host: processor, memory, system, clock, limits. One command; nothing changes."""

from __future__ import annotations

import re
import shlex
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dfaas_lab.clock import Skew
from dfaas_lab.errors import CommandFailed
from dfaas_lab.printable import printable

if TYPE_CHECKING:
    from dfaas_lab.remote.remote import Remote

_TIMEOUT_S = 15.0
_LONGEST_FACT = 200  # characters
_MOST_DIGITS = 15
_CLOCK = re.compile(r"-?\d{1,12}\.\d{1,9}", re.ASCII)
_FREE = r"""
[ -d "$root" ] && at=$root || at=/
say root_free_kb "$(df -Pk "$at" | sed -n '2s/^[^ ]* *[0-9]* *[0-9]* *\([0-9]*\).*/\1/p')"
"""
# POSIX sh and what every Linux has; what is missing leaves its value empty. The clock is read
# first and last: the two readings enclose everything but the way there and back.
_SCRIPT = (
    r"""
export LC_ALL=C
root=%(root)s
say() { printf '%%s=%%s\n' "$1" "$2"; }
say clock_first "$(date +%%s.%%N)"
say user "$(id -un)"
say hostname "$(uname -n)"
say kernel "$(uname -sr)"
say architecture "$(uname -m)"
say system "$(sed -n 's/^PRETTY_NAME=//p' /etc/os-release | tr -d '"')"
say cpu_model "$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)"
say cores "$(nproc || getconf _NPROCESSORS_ONLN)"
say memory_kb "$(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo)"
say open_files "$(ulimit -n)"
say open_files_most "$(ulimit -Hn)"
say python "$(python3 -V | cut -d ' ' -f 2)"
say root_kind "$(stat -c '%%F' "$root")"
say root_mode "$(stat -c '%%a' "$root")"
say root_owner "$(stat -c '%%U' "$root")"
[ -w "$root" ] && [ -x "$root" ] && say root_writable yes
"""
    + _FREE
    + r"""
say clock_last "$(date +%%s.%%N)"
"""
)


@dataclass(frozen=True)
class HostFacts:
    """What a host says about itself; empty or None where it does not say.

    Args:
        user: The user we are there.
        hostname: Its own name.
        kernel: Like ``Linux 6.1.0``.
        architecture: Like ``x86_64``.
        system: Like ``Debian GNU/Linux 12 (bookworm)``.
        cpu_model: The processor's name.
        cores: Processors that we may use.
        memory_bytes: Memory in all.
        open_files: How many files a process of ours may open; None for no limit.
        open_files_most: How far we may raise that; None for no limit.
        python: Version of ``python3``.
        root: The state of the workspace root.
        skew: How far its clock is ahead of ours.
    """

    user: str
    hostname: str
    kernel: str
    architecture: str
    system: str
    cpu_model: str
    cores: int | None
    memory_bytes: int | None
    open_files: int | None
    open_files_most: int | None
    python: str
    root: RootFacts
    skew: Skew | None

    def provenance(self) -> dict[str, str | int | None]:
        """What is worth keeping beside a measurement."""
        names = ("hostname", "kernel", "architecture", "system", "cpu_model", "cores")
        return {name: getattr(self, name) for name in (*names, "memory_bytes", "open_files")}


@dataclass(frozen=True)
class RootFacts:
    """A folder as a host says it is: ``kind`` is empty where there is none."""

    kind: str
    mode: str
    owner: str
    writable: bool
    free_bytes: int | None


def read_facts(
    remote: Remote,
    workspace_root: str = "/",
    *,
    timeout: float = _TIMEOUT_S,
) -> HostFacts:
    """Ask a host for its facts.

    Raises:
        ConnectionFailed: It cannot be reached.
        CommandFailed: It has no POSIX shell, or its answer makes no sense.
    """
    script = _SCRIPT % {"root": shlex.quote(workspace_root)}
    remote.run("true", timeout=timeout)  # the connection's own time does not blur the clock
    asked_at = time.time()
    result = remote.run(f"/bin/sh -c {shlex.quote(script)} 2>/dev/null", timeout=timeout)
    answered_at = time.time()
    try:
        return parse_facts(result.stdout.decode(errors="replace"), asked_at, answered_at)
    except KeyError as error:
        raise CommandFailed(
            f"{remote.host}: the host's answer makes no sense",
            host=remote.host.address,
            command="the question for its facts",
            exit_code=result.exit_code,
            stderr=result.stderr.decode(errors="replace"),
            hint="Check that /bin/sh works there and prints nothing of its own.",
        ) from error


def with_free_now(facts: HostFacts, remote: Remote, workspace_root: str) -> HostFacts:
    """Return a host's facts with what is free under a folder now; a disk fills up in between.

    Raises:
        ConnectionFailed: It cannot be reached.
    """
    script = (
        f'export LC_ALL=C; root={shlex.quote(workspace_root)}; say() {{ echo "$1=$2"; }}{_FREE}'
    )
    command = f"/bin/sh -c {shlex.quote(script)} 2>/dev/null"
    said = remote.run(command, timeout=_TIMEOUT_S, check=False).text.partition("=")[2]
    return replace(facts, root=replace(facts.root, free_bytes=_bytes(said)))


def parse_facts(text: str, asked_at: float, answered_at: float) -> HostFacts:
    """Return the facts from the script's output and our own times around it.

    Raises:
        KeyError: A line is missing.
    """
    said = {
        name: printable(value)[:_LONGEST_FACT]
        for name, found, value in (line.partition("=") for line in text.splitlines())
        if found
    }
    return HostFacts(
        user=said["user"],
        hostname=said["hostname"],
        kernel=said["kernel"],
        architecture=said["architecture"],
        system=said["system"],
        cpu_model=said["cpu_model"],
        cores=_number(said["cores"]),
        memory_bytes=_bytes(said["memory_kb"]),
        open_files=_number(said["open_files"]),
        open_files_most=_number(said["open_files_most"]),
        python=said["python"],
        root=RootFacts(
            kind=said["root_kind"],
            mode=said["root_mode"],
            owner=said["root_owner"],
            writable=said.get("root_writable") == "yes",
            free_bytes=_bytes(said["root_free_kb"]),
        ),
        skew=_skew(said["clock_first"], said["clock_last"], asked_at, answered_at),
    )


def _skew(first: str, last: str, asked_at: float, answered_at: float) -> Skew | None:
    """The first reading was after we asked, the last before the answer was here."""
    if not (_CLOCK.fullmatch(first) and _CLOCK.fullmatch(last)):  # a date without %N
        return None
    low_s, high_s = float(last) - answered_at, float(first) - asked_at
    return Skew.between(min(low_s, high_s), max(low_s, high_s))


def _bytes(kilobytes: str) -> int | None:
    number = _number(kilobytes)
    return None if number is None else number * 1024


def _number(text: str) -> int | None:
    """A number that a frame and a manifest can hold; a stranger's may be none."""
    return int(text) if text.isdecimal() and len(text) <= _MOST_DIGITS else None
