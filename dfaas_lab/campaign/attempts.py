"""The attempts of one load on one target: each iteration of a run is judged and stored."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import polars as pl

from dfaas_lab.campaign import node
from dfaas_lab.campaign.outage import is_reachable, was_away
from dfaas_lab.campaign.overload import judge, misdirected
from dfaas_lab.campaign.record import Attempt, LoadRecord
from dfaas_lab.errors import (
    ConfigError,
    ConnectionFailed,
    DfaasLabError,
    K6Missing,
    K6ScriptError,
    StoreError,
)
from dfaas_lab.retry import uninterrupted
from dfaas_lab.run import Run
from dfaas_lab.status import FINAL

if TYPE_CHECKING:
    from dfaas_lab.campaign.files import CampaignFolder
    from dfaas_lab.campaign.settings import Settings
    from dfaas_lab.store import Store
    from dfaas_lab.target import Target

FATAL = (K6Missing, K6ScriptError, ConfigError, StoreError)
"""After these nothing can go on without the user."""


@dataclass
class Attempts:
    """What is known of a load, in memory and in the campaign's files."""

    target: Target
    folder: CampaignFolder
    settings: Settings
    store: Store
    record: LoadRecord

    def write(self, attempt: Attempt) -> None:
        """Store an attempt: a new one, or what became of one that was begun."""
        self.record = self.record.with_attempt(attempt)
        self.folder.write_load(self.target.name, self.record)

    def store_run(self, run_id: str, error: DfaasLabError | None) -> None:
        """Store what became of a run's iterations, once it has ended."""
        self.judge_run(run_id)
        open_ones = [one for one in self.record.begun if one.run_id == run_id]
        status = Run(self.store.find(run_id)).status
        if status not in FINAL:
            return
        failed = error is not None and not isinstance(error, (*FATAL, ConnectionFailed))
        if failed or (error is None and status in ("failed", "timed_out")):
            reason = error.message if error is not None else f"the run ended as {status}"
            for one in open_ones or self._not_begun(run_id):
                self.write(replace(one, state="failed", reasons=(reason,)))
        elif open_ones:  # cut short: it will be measured again
            self.record = self.record.without(open_ones)
            self.folder.write_load(self.target.name, self.record)

    def _not_begun(self, run_id: str) -> list[Attempt]:
        """Of a run that failed before anything began: its first iteration."""
        if any(one.run_id == run_id for one in self.record.attempts):
            return []
        return [Attempt(self.record.missing[0], run_id=run_id)]

    @uninterrupted
    def judge_run(self, run_id: str) -> None:
        """Judge the iterations of a run that are stored, and store them as attempts."""
        folder = self.store.find(run_id)
        run = Run(folder)
        numbers = folder.read().get("campaign", {}).get("iterations") or []
        for number in folder.iterations():
            if number > len(numbers):
                continue
            key = (run_id, number)
            begun = next(
                (a for a in self.record.attempts if (a.run_id, a.run_iteration) == key),
                Attempt(numbers[number - 1], run_id=run_id, run_iteration=number),
            )
            if begun.state == "begun":
                ended = self._judged(run, begun)
                if ended is not None:
                    self.write(ended)

    def _judged(self, run: Run, begun: Attempt) -> Attempt | None:
        rows = run.summary.filter(pl.col("iteration") == begun.run_iteration)
        statuses = set(rows["status"])
        if not statuses or "interrupted" in statuses:
            return None
        started: datetime = rows["started_at"].min()  # type: ignore[assignment]
        names = list(self.record.load)
        readings = node.of_iteration(self.target, run, begun.run_iteration, names)
        seen = replace(begun, started_at=started.isoformat(), node=readings)
        if statuses & {"failed", "timed_out"}:
            return replace(seen, state="failed", reasons=(f"k6 {', '.join(sorted(statuses))}",))
        requests = run.requests.filter(pl.col("iteration") == begun.run_iteration)
        first_ones = len(self.record.of(begun.iteration)) <= 2
        if first_ones and was_away(requests, lambda: is_reachable(self.target)):
            return replace(seen, state="outage", reasons=("the gateway was away",))
        rates = {
            row["function"]: row["success_rate"]
            for row in rows.iter_rows(named=True)
            if row["rate_rps"]
        }
        found = judge(rates, readings, self.settings.overload)
        others, told = misdirected(requests)
        if found.overloaded and told:
            found = judge(rates | others, readings, self.settings.overload)
            if not found.overloaded:
                return replace(seen, state="failed", reasons=(told,))
        doubts = generator_doubts(
            run, begun.run_iteration, on_generator=shares_generator(self.target.gateway)
        )
        return replace(
            seen,
            state="doubtful" if doubts else "measured",
            overloaded=found.overloaded and not doubts,
            functions=found.functions,
            reasons=found.reasons,
            doubts=doubts,
        )


def generator_doubts(run: Run, iteration: int, *, on_generator: bool = False) -> tuple[str, ...]:
    """Return what the generator itself did that speaks against one iteration of a run.

    A doubt that names no iteration is of all of them. Where the node is ``on_generator``, busy
    processors are the node's load as well as the generator's, and no fault.
    """
    causes = {"generator"} if on_generator else {"generator", "processor"}
    return tuple(
        str(doubt)
        for doubt in run.verdict.doubts
        if doubt.cause in causes and iteration in (doubt.iterations or (iteration,))
    )


def shares_generator(gateway: str) -> bool:
    """Whether a gateway's URL, as the generator sees it, is the generator itself."""
    host = urlsplit(gateway).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
