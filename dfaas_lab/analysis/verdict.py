"""The verdict: checks a run's numbers and collects the doubts about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from dfaas_lab.analysis import generator_doubts, run_doubts
from dfaas_lab.analysis.clock_skew import gateway_skews
from dfaas_lab.analysis.doubt import Doubt, Verdict, grouped
from dfaas_lab.analysis.quantile_bounds import too_few
from dfaas_lab.status import COMPLETE

if TYPE_CHECKING:
    from dfaas_lab.k6.generator_load import IterationOnHost

_SKEW_LIMIT_S = 2.0
_RUN_AGAIN = "Run it again; what was measured until then is stored."
_CLOCK_FIX = "Set both clocks (chrony, systemd-timesyncd); nothing here compares their times."


@dataclass(frozen=True)
class Completion:
    """How far a run came.

    Args:
        status: The run's.
        ordered: How many iterations were asked for, by target.
        stored: How many are stored, by target: a script that makes no HTTP request has no row in
            the summary.
    """

    status: str
    ordered: Mapping[str, int]
    stored: Mapping[str, int]

    def doubts(self, summary: pl.DataFrame) -> list[Doubt]:
        """What of it speaks against the numbers: an end that is not well, and what is missing.

        A run that is under way is judged by what is there, and says so.
        """
        if self.status == "running":
            return []
        doubts = []
        # An iteration's own status is told with it.
        if self.status not in COMPLETE and self.status not in set(summary["status"]):
            doubts.append(Doubt("status", self.status, "ok", _RUN_AGAIN))
        for target, ordered in self.ordered.items():
            found = self.stored.get(target, 0)
            if found < ordered:
                of = f" of {target}" if len(self.ordered) > 1 else ""
                doubts.append(Doubt(f"iterations{of}", str(found), str(ordered), _RUN_AGAIN))
        return doubts


@dataclass(frozen=True)
class Evidence:
    """What a run is judged by, beside its summary; each part may be missing.

    ``answers`` are as :func:`dfaas_lab.analysis.run_doubts.answers_of` makes them, ``hosts`` the
    iterations as their generator saw them.
    """

    timeline: pl.DataFrame | None = None
    answers: pl.DataFrame | None = None
    hosts: Iterable[IterationOnHost] = ()


def verdict_of(
    summary: pl.DataFrame,
    k6_metrics: pl.DataFrame,
    evidence: Evidence | None = None,
    completion: Completion | None = None,
) -> Verdict:
    """Judge a run by its summary, the script's own metrics and what its generator did.

    Of ``k6_metrics``, ``dfaas_date_lead_ms`` (the gateway's date less k6's clock) and
    ``dfaas_repeats`` are used.
    """
    running = completion is not None and completion.status == "running"
    doubts = completion.doubts(summary) if completion else []
    nothing = summary.is_empty() and not (completion and any(completion.stored.values()))
    if nothing and not running and not any(d.what.startswith("iterations") for d in doubts):
        doubts.append(Doubt("iterations", "0", "1 or more", _RUN_AGAIN))
    doubts.extend(_of_frames(summary, k6_metrics, evidence or Evidence()))
    doubts.extend(_of_clock(k6_metrics))
    return Verdict(tuple(doubts), tuple(_remarks(summary)), running)


def _of_frames(summary: pl.DataFrame, k6_metrics: pl.DataFrame, evidence: Evidence) -> list[Doubt]:
    of_run = run_doubts.findings_of(summary, evidence.timeline, evidence.answers)
    repeated = run_doubts.repeats_of(k6_metrics)
    hosts = list(evidence.hosts)
    of_host = generator_doubts.findings_of(hosts, _asked(summary))
    several = len({*summary["target"], *(host.target for host in hosts)}) > 1
    return grouped([*of_run, *repeated, *of_host], several=several)


def _asked(summary: pl.DataFrame) -> dict[tuple[str, int], tuple[float, float | None]]:
    """By target and iteration: requests per second in all, and the least median response."""
    found = summary.group_by("target", "iteration").agg(
        rate=pl.coalesce(pl.col("rate_rps").sum(), 0.0), median=pl.col("response_ms_p50").min()
    )
    return {(target, iteration): (rate, ms) for target, iteration, rate, ms in found.rows()}


def _remarks(summary: pl.DataFrame) -> Iterator[str]:
    lost = summary.filter(pl.col("requests") > 0, pl.col("failed") == pl.col("requests"))
    for (function,), rows in lost.group_by("function", maintain_order=True):
        yield f"load as asked; 100 % of {function} failed ({rows['requests'].sum()} requests)"
    yield from too_few(summary)


def _of_clock(k6_metrics: pl.DataFrame) -> list[Doubt]:
    skews = gateway_skews(k6_metrics)
    several = len(skews) > 1
    return [
        Doubt(
            f"clock of the gateway{f' of {target}' if several else ''} against the generator",
            f"{skew.seconds:+.1f} s",
            f"within {_SKEW_LIMIT_S:g} s",
            _CLOCK_FIX,
        )
        for target, skew in skews.items()
        if abs(skew.seconds) - skew.uncertainty_s > _SKEW_LIMIT_S
    ]
