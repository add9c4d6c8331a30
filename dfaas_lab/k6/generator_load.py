"""The load of the generator itself while k6 ran: CPU, memory, open files, faults."""

from __future__ import annotations

import contextlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median_low

from dfaas_lab.regular_file import read_regular, text_of_regular

# What the generator's own system says when it has no more files, ports, memory or names to give.
_OWN_FAULTS = {
    "too many open files": "no more open files",
    "cannot assign requested address": "no free port",
    "no buffer space available": "no buffer space",
    "cannot allocate memory": "no memory",
    "no such host": "a host name that it does not know",
    "network is unreachable": "no way to the gateway's network",
}
_ABORTED = "abortOnFail"
_LONGEST_BAR = 400  # characters; on a longer line the pattern would be slow
_BAR = re.compile(r"\[[ ]*\d+% \].* ([\dhms.]+)/([\dhms.]+)")
# Of a shorter interval the ticks of the clock (10 ms) are too coarse to tell a share.
_LEAST_INTERVAL_S = 0.5


@dataclass(frozen=True)
class HostLoad:
    """What the generator itself did in an iteration; None where it is not known.

    Args:
        cpu_fraction: Mean CPU of all cores, as a ratio 0..1.
        memory_available_bytes: The least memory that was available.
        memory_bytes: All of its memory.
        open_files: The most files that k6 had open.
        open_files_limit: How many it might have.
        cpu_fraction_max: CPU of all cores in the busiest second of the load.
        core_fraction: CPU of the core that was busiest in the median second of the load.
        cpu_wait_ms: How long k6's threads, all together, waited for a processor in a second of the
            load, in the mean (``/proc/PID/schedstat``, which counts the run queue).
        cpu_wait_ms_max: The same in the worst second of the load.
        throttled_ms_max: How long k6's control group was kept from the processors in the worst
            second (``cpu.stat``).
        steal_fraction_max: What the hypervisor took of the processors in the worst second.
    """

    cpu_fraction: float | None = None
    memory_available_bytes: int | None = None
    memory_bytes: int | None = None
    open_files: int | None = None
    open_files_limit: int | None = None
    cpu_fraction_max: float | None = None
    core_fraction: float | None = None
    cpu_wait_ms: float | None = None
    cpu_wait_ms_max: float | None = None
    throttled_ms_max: float | None = None
    steal_fraction_max: float | None = None

    @classmethod
    def read(cls, path: Path, load_from_s: float = 0.0) -> HostLoad:
        """Read the supervisor's ``host.csv``.

        Its columns are uptime, busy and idle ticks, available kB, k6's open files, their limit,
        the memory in kB, k6's wait in ns, its throttling in us, stolen ticks, and busy and idle
        ticks of each core. All after the fifth may be missing.

        Args:
            path: The file.
            load_from_s: When the load began, in seconds after the file's first line: what k6 takes
                for its own start does not count in the worst second.
        """
        try:
            lines = read_regular(path).decode().splitlines()
            rows = [line.split(",") for line in lines if line.count(",") in (4, 6, 10)]
            busy = int(rows[-1][1]) - int(rows[0][1])
            idle = int(rows[-1][2]) - int(rows[0][2])
            free = min(int(row[3]) for row in rows) * 1024
            files = max(int(row[4]) for row in rows)
            worst = _worst([_numbers(row) for row in rows if len(row) == 11], load_from_s)
        except (OSError, ValueError, IndexError, OverflowError):
            return cls()
        limit, memory = (*rows[0][5:7], "", "")[:2]
        return cls(
            cpu_fraction=busy / (busy + idle) if busy + idle > 0 else None,
            memory_available_bytes=_possible(free),
            memory_bytes=_possible(int(memory) * 1024) if memory.isdecimal() else None,
            open_files=_possible(files),
            open_files_limit=_possible(int(limit)) if limit.isdecimal() else None,
            **worst,
        )


def _numbers(row: Sequence[str]) -> list[float]:
    """Uptime, busy, idle, waited ns, throttled us, stolen, then two of each core; NaN: not told."""
    cores = [int(ticks) for core in row[10].split() for ticks in core.split("/")]
    told = (int(row[place]) if row[place] else math.nan for place in (7, 8))
    return [float(row[0]), int(row[1]), int(row[2]), *told, int(row[9]), *cores]


def _worst(rows: Sequence[Sequence[float]], load_from_s: float) -> dict[str, float | None]:
    """The worst second of each kind, among those of the load."""
    steps = [
        [now - then for then, now in zip(before, after, strict=False)]
        for before, after in pairwise(rows)
        if after[0] - before[0] >= _LEAST_INTERVAL_S
        and before[0] - rows[0][0] >= load_from_s - _LEAST_INTERVAL_S
    ]
    waits = [waited / 1e6 / s for s, _, _, waited, *_ in steps if waited >= 0]
    throttled = [us / 1e3 / s for s, _, _, _, us, *_ in steps if not math.isnan(us)]
    busy = [step[1:3] for step in steps]
    stolen = [step[5] / sum(step[1:3]) for step in steps if sum(step[1:3]) > 0]
    return {
        "cpu_fraction_max": max(_shares(busy), default=None),
        "core_fraction": max(_cores(steps), default=None),
        "cpu_wait_ms": sum(waits) / len(waits) if waits else None,
        "cpu_wait_ms_max": max(waits, default=None),
        "throttled_ms_max": max(throttled, default=None),
        "steal_fraction_max": max(stolen, default=None),
    }


def _shares(ticks: Iterable[Sequence[float]]) -> list[float]:
    """Busy ticks by all; of no ticks there is no share."""
    return [busy / (busy + idle) for busy, idle in ticks if busy + idle > 0]


def _cores(steps: Sequence[Sequence[float]]) -> Iterator[float]:
    """The share of each core in its median second."""
    for core in range(6, min(map(len, steps), default=0), 2):
        if shares := _shares(step[core : core + 2] for step in steps):
            yield median_low(shares)


def _possible(number: int) -> int | None:
    """A number that a frame can hold; what a stranger's file says may be none."""
    return number if 0 <= number < 2**63 else None


@dataclass(frozen=True)
class IterationOnHost:
    """One iteration as its generator saw it: what the host did, and which faults were its own.

    Args:
        target: The target's name.
        iteration: Its number.
        load: What the host did.
        own_faults: How many errors were the generator's own, by what it lacked.
        aborted: How far k6 came where a threshold ended it before its time: ``1.9s of 20s``.
    """

    target: str
    iteration: int
    load: HostLoad
    own_faults: Mapping[str, int] = field(default_factory=dict)
    aborted: str = ""


def read_log(log: Path) -> tuple[Counter[str], str]:
    """Read k6's log: faults of the generator itself, and how far k6 came where it was aborted."""
    faults: Counter[str] = Counter()
    last, is_aborted = "", False
    with contextlib.suppress(OSError), text_of_regular(log) as lines:
        for line in lines:
            faults.update(what for word, what in _OWN_FAULTS.items() if word in line)
            is_aborted = is_aborted or _ABORTED in line
            if len(line) <= _LONGEST_BAR and (found := _BAR.search(line)):
                last = f"{found[1]} of {found[2]}"
    return faults, (last or "ended before its time") if is_aborted else ""
