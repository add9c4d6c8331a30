"""Whether a run's numbers can be believed: the doubts, each with its number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_CPU_LIMIT = 0.80
_MEMORY_LIMIT = 0.10
_FILES_LIMIT = 0.90
_SKEW_LIMIT_S = 2.0
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
class Doubt:
    """One reason not to believe a run: what, what was measured, what was expected."""

    what: str
    measured: str
    expected: str

    def __str__(self) -> str:
        return f"{self.what}: {self.measured} (expected {self.expected})"


@dataclass(frozen=True)
class Verdict:
    """Whether a run can be believed."""

    doubts: tuple[Doubt, ...] = ()

    @property
    def valid(self) -> bool:
        """True where there is no doubt."""
        return not self.doubts

    def __str__(self) -> str:
        if self.valid:
            return "VALID"
        return "DOUBTFUL: " + "; ".join(str(doubt) for doubt in self.doubts)


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
            memory_available_bytes=free,
            memory_bytes=int(memory) * 1024 if memory.isdecimal() else None,
            open_files=files,
            open_files_limit=int(limit) if limit.isdecimal() else None,
        )

    def doubts(self, where: str) -> list[Doubt]:
        """What of it speaks against the numbers; ``where`` names the iteration."""
        found = []
        if self.cpu_fraction is not None and self.cpu_fraction > _CPU_LIMIT:
            share = f"{self.cpu_fraction:.0%}"
            found.append(Doubt(f"generator CPU in {where}", share, f"at most {_CPU_LIMIT:.0%}"))
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


def verdict_of(
    summary: pl.DataFrame, k6_metrics: pl.DataFrame, hosts: Sequence[IterationOnHost]
) -> Verdict:
    """Judge a run by its summary, the script's own metrics and what its generator did.

    Args:
        summary: The run's summary (DESIGN: one row per iteration and function).
        k6_metrics: For the clock: ``dfaas_date_lead_ms``, the gateway's date less k6's clock.
        hosts: What the generator did in each iteration.
    """
    doubts: list[Doubt] = []
    several = summary["target"].n_unique() > 1
    for row in summary.iter_rows(named=True):
        doubts.extend(_of_row(row, several))
    for host in hosts:
        doubts.extend(host.doubts(several))
    for (target,), own in k6_metrics.group_by("target", maintain_order=True):
        doubts.extend(_of_clock(own, f" of {target}" if several else ""))
    return Verdict(tuple(doubts))


def _of_row(row: dict[str, object], several: bool) -> list[Doubt]:
    where = f"{row['function']} in iteration {row['iteration']}"
    where += f" of {row['target']}" if several else ""
    doubts = []
    if row["status"] in ("interrupted", "timed_out", "failed"):
        doubts.append(Doubt(f"{where}: status", str(row["status"]), "ok"))
    dropped, unfinished, requests = row["dropped"], row["unfinished"], row["requests"]
    if isinstance(dropped, int) and dropped:
        doubts.append(Doubt(f"{where}: dropped iterations", str(dropped), "0"))
    if isinstance(unfinished, int) and unfinished:
        doubts.append(Doubt(f"{where}: requests in flight at the end", str(unfinished), "0"))
    rate, duration = row["rate_rps"], row["duration_s"]
    if isinstance(rate, float) and isinstance(duration, float) and isinstance(requests, int):
        asked, got = rate * duration, requests + (unfinished if isinstance(unfinished, int) else 0)
        if abs(got - asked) > 1.0 + 1e-9 and row["status"] in ("ok", "slo_failed"):
            doubts.append(Doubt(f"{where}: requests started", str(got), f"{asked:g} +- 1"))
    return doubts


def _of_clock(k6_metrics: pl.DataFrame, of: str) -> list[Doubt]:
    import polars as pl

    leads = k6_metrics.filter(pl.col("metric") == "dfaas_date_lead_ms")
    if leads.is_empty():
        return []
    # A Date has whole seconds: the true skew is between max(lead) and min(lead) + 1 s.
    low_s, high_s = float(leads["max"].max()) / 1000, float(leads["min"].min()) / 1000 + 1.0  # type: ignore[arg-type]
    if low_s <= _SKEW_LIMIT_S and high_s >= -_SKEW_LIMIT_S:
        return []
    skew = (low_s + high_s) / 2
    return [
        Doubt(f"clock of the gateway{of} against the generator", f"{skew:+.1f} s", "within 2 s")
    ]
