"""Whether a run's numbers can be believed: the doubts, each with its number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dfaas_lab.analysis.clock_skew import gateway_skews
from dfaas_lab.printable import printable

if TYPE_CHECKING:
    import polars as pl

_SKEW_LIMIT_S = 2.0
_WELL = ("ok", "slo_failed")


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
    insecure: bool = False
    """Whether certificates were not checked, as ``Target(insecure=True)`` asks for."""

    @property
    def valid(self) -> bool:
        """True where there is no doubt."""
        return not self.doubts

    def __str__(self) -> str:
        noted = " (certificates were not checked: insecure=True)" if self.insecure else ""
        if self.valid:
            return f"VALID{noted}"
        # Names of functions come from scripts and archives: they may hold a terminal's commands.
        return printable("DOUBTFUL: " + "; ".join(str(doubt) for doubt in self.doubts) + noted)


@dataclass(frozen=True)
class Completion:
    """How far a run came.

    Args:
        status: The run's.
        ordered: How many iterations were asked for, by target.
        stored: How many are stored, by target; None counts those of the summary, in which a script
            that makes no HTTP request has no row.
    """

    status: str
    ordered: Mapping[str, int] = field(default_factory=dict)
    stored: Mapping[str, int] | None = None

    def doubts(self, summary: pl.DataFrame) -> list[Doubt]:
        """What of it speaks against the numbers: an end that is not well, and what is missing.

        A run that is under way is judged by what is there, and says so.
        """
        if self.status == "running":
            return [Doubt("status", self.status, "ended")]
        doubts = []
        # An iteration's own status is told with it.
        if self.status not in _WELL and self.status not in set(summary["status"]):
            doubts.append(Doubt("status", self.status, "ok"))
        for target, ordered in self.ordered.items():
            found = self._found(target, summary)
            if found < ordered:
                of = f" of {target}" if len(self.ordered) > 1 else ""
                doubts.append(Doubt(f"iterations{of}", str(found), str(ordered)))
        return doubts

    def _found(self, target: str, summary: pl.DataFrame) -> int:
        if self.stored is not None:
            return self.stored.get(target, 0)
        return summary.filter(target=target)["iteration"].n_unique()


def verdict_of(
    summary: pl.DataFrame,
    k6_metrics: pl.DataFrame,
    on_host: Iterable[Doubt] = (),
    course: Completion | None = None,
) -> Verdict:
    """Judge a run by its summary, the script's own metrics and what its generator did.

    Args:
        summary: The run's summary (DESIGN: one row per iteration and function).
        k6_metrics: For the clock: ``dfaas_date_lead_ms``, the gateway's date less k6's clock.
        on_host: What the generator itself did that speaks against it.
        course: How the run ended, and how many iterations it should have.
    """
    doubts = course.doubts(summary) if course else []
    nothing = summary.is_empty() and not (course and any((course.stored or {}).values()))
    if nothing and not any(doubt.what.startswith("iterations") for doubt in doubts):
        doubts.append(Doubt("iterations", "0", "1 or more"))
    several = summary["target"].n_unique() > 1
    for row in summary.iter_rows(named=True):
        doubts.extend(_of_row(row, several))
    doubts.extend(on_host)
    doubts.extend(_of_clock(k6_metrics))
    return Verdict(tuple(doubts))


def _of_row(row: dict[str, object], several: bool) -> list[Doubt]:
    where = f"{row['function']} in iteration {row['iteration']}"
    where += f" of {row['target']}" if several else ""
    doubts = []
    if row["status"] not in _WELL:
        doubts.append(Doubt(f"{where}: status", str(row["status"]), "ok"))
    dropped, unfinished, requests = row["dropped"], row["unfinished"], row["requests"]
    if isinstance(dropped, int) and dropped:
        doubts.append(Doubt(f"{where}: dropped iterations", str(dropped), "0"))
    if isinstance(unfinished, int) and unfinished:
        doubts.append(Doubt(f"{where}: requests in flight at the end", str(unfinished), "0"))
    rate, duration = row["rate_rps"], row["duration_s"]
    if isinstance(rate, float) and isinstance(duration, float) and isinstance(requests, int):
        asked, got = rate * duration, requests + (unfinished if isinstance(unfinished, int) else 0)
        if abs(got - asked) > 1.0 + 1e-9 and row["status"] in _WELL:
            doubts.append(Doubt(f"{where}: requests started", str(got), f"{asked:g} +- 1"))
    return doubts


def _of_clock(k6_metrics: pl.DataFrame) -> list[Doubt]:
    skews = gateway_skews(k6_metrics)
    expected = f"within {_SKEW_LIMIT_S:g} s"
    return [
        Doubt(f"clock of {_gateway(target, skews)} against the generator", f"{s:+.1f} s", expected)
        for target, skew in skews.items()
        if abs(s := skew.seconds) - skew.uncertainty_s > _SKEW_LIMIT_S
    ]


def _gateway(target: str, skews: Mapping[str, object]) -> str:
    return "the gateway" if len(skews) == 1 else f"the gateway of {target}"
