"""What a generator itself did while it measured, as its supervisor and k6's log tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from dfaas_lab.analysis.verdict import Doubt

_CPU_LIMIT = 0.80
_MEMORY_LIMIT = 0.10
_FILES_LIMIT = 0.90
# What the generator's own system says when it has no more files, ports, memory or names to give.
_OWN_FAULTS = {
    "too many open files": "no more open files",
    "cannot assign requested address": "no free port",
    "no buffer space available": "no buffer space",
    "cannot allocate memory": "no memory",
    "no such host": "a host name that it does not know",
    "network is unreachable": "no way to the gateway's network",
}


@dataclass(frozen=True)
class HostLoad:
    """What the generator itself did in an iteration; None where it is not known.

    Args:
        cpu_fraction: Mean CPU of all cores, as a ratio 0..1.
        memory_available_bytes: The least memory that was available.
        memory_bytes: All of its memory.
        open_files: The most files that k6 had open.
        open_files_limit: How many it might have.
    """

    cpu_fraction: float | None = None
    memory_available_bytes: int | None = None
    memory_bytes: int | None = None
    open_files: int | None = None
    open_files_limit: int | None = None

    @classmethod
    def read(cls, path: Path) -> HostLoad:
        """Read the supervisor's ``host.csv``.

        Its columns are uptime, busy and idle ticks, available kB, k6's open files, their limit, and
        the memory in kB; the last two may be missing.
        """
        try:
            lines = path.read_text().splitlines()
            rows = [line.split(",") for line in lines if line.count(",") in (4, 6)]
            busy = int(rows[-1][1]) - int(rows[0][1])
            idle = int(rows[-1][2]) - int(rows[0][2])
            free = min(int(row[3]) for row in rows) * 1024
            files = max(int(row[4]) for row in rows)
        except (OSError, ValueError, IndexError):
            return cls()
        limit, memory = (*rows[0][5:], "", "")[:2]
        return cls(
            cpu_fraction=busy / (busy + idle) if busy + idle > 0 else None,
            memory_available_bytes=_possible(free),
            memory_bytes=_possible(int(memory) * 1024) if memory.isdecimal() else None,
            open_files=_possible(files),
            open_files_limit=_possible(int(limit)) if limit.isdecimal() else None,
        )

    def doubts(self, where: str) -> list[Doubt]:
        """What of it speaks against the numbers; ``where`` names the iteration."""
        found = []
        if self.memory_available_bytes is not None and self.memory_bytes:
            share_free = self.memory_available_bytes / self.memory_bytes
            if share_free < _MEMORY_LIMIT:
                what = f"generator memory available in {where}"
                found.append(Doubt(what, f"{share_free:.0%}", f"at least {_MEMORY_LIMIT:.0%}"))
        files, most = self.open_files, self.open_files_limit
        if files is not None and most and files > _FILES_LIMIT * most:
            expected = f"at most {_FILES_LIMIT:.0%} of {most}"
            found.append(Doubt(f"open files of k6 in {where}", str(files), expected))
        return found


def _possible(number: int) -> int | None:
    """A number that a frame can hold; what a stranger's file says may be none."""
    return number if 0 <= number < 2**63 else None


@dataclass(frozen=True)
class IterationOnHost:
    """One iteration as its generator saw it: what the host did, and which faults were its own."""

    target: str
    iteration: int
    load: HostLoad
    own_faults: Mapping[str, int] = field(default_factory=dict)

    def doubts(self, several: bool) -> list[Doubt]:
        """What of it speaks against the numbers; with the target's name where there are several."""
        where = f"iteration {self.iteration}" + (f" of {self.target}" if several else "")
        faults = [
            Doubt(f"errors of the generator itself in {where}: {what}", str(count), "0")
            for what, count in self.own_faults.items()
        ]
        return [*self.load.doubts(where), *faults]


def doubts_of(hosts: Sequence[IterationOnHost]) -> list[Doubt]:
    """What speaks against a run's numbers; the CPU is that of all its iterations in the mean."""
    targets = list(dict.fromkeys(host.target for host in hosts))
    several = len(targets) > 1
    found = []
    for target in targets:
        loads = [host.load.cpu_fraction for host in hosts if host.target == target]
        known = [load for load in loads if load is not None]
        if known and fmean(known) > _CPU_LIMIT:
            what = "generator CPU" + (f" while {target} was measured" if several else "")
            found.append(Doubt(what, f"{fmean(known):.0%}", f"at most {_CPU_LIMIT:.0%}"))
    return found + [doubt for host in hosts for doubt in host.doubts(several)]


def own_faults(log: Path) -> dict[str, int]:
    """Count the lines of k6's log that blame the generator itself, by what it lacked."""
    counts: dict[str, int] = {}
    try:
        with log.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                for word, what in _OWN_FAULTS.items():
                    if word in line:
                        counts[what] = counts.get(what, 0) + 1
    except OSError:
        return {}
    return counts
