"""Measuring one target: its iterations in order, each stored before the next begins."""

from __future__ import annotations

import logging
import math
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dfaas_lab.config import Limits
from dfaas_lab.errors import ConfigError, ConnectionFailed, DfaasLabError, ResultsUnreadable
from dfaas_lab.k6.execution import End, Following, Terms, sent_names, start
from dfaas_lab.k6.outcome import Outcome, outcome_of
from dfaas_lab.k6.plan import K6Plan
from dfaas_lab.k6.results import Frames, read
from dfaas_lab.load import seconds
from dfaas_lab.remote.workspace import Workspace, fetch, remove

if TYPE_CHECKING:
    from collections.abc import Callable

    from dfaas_lab.generator import Generator
    from dfaas_lab.k6.journal import Elapsed
    from dfaas_lab.progress import Progress
    from dfaas_lab.store import RunFolder

log = logging.getLogger("dfaas_lab")

_FETCH_TRIES = 3
_WORST = ("failed", "timed_out", "interrupted", "slo_failed", "ok")


@dataclass(frozen=True)
class Order:
    """What is to be measured: a plan, how often, and on what terms."""

    plan: K6Plan
    iterations: int = 1
    limits: Limits = field(default_factory=Limits)
    rest_s: float = 0.0
    warmup_s: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.limits, Limits):
            raise ConfigError(
                f"limits={self.limits!r} is no Limits", hint="Give Limits(timeout=..., lease=...)."
            )
        whole = isinstance(self.iterations, int) and not isinstance(self.iterations, bool)
        if not whole or self.iterations < 1:
            raise ConfigError(
                f"iterations={self.iterations!r}: there must be at least one",
                hint="Give a whole number from 1.",
            )
        if self.limit_s < 1:
            raise ConfigError("a time limit of 0 s ends k6 at once", hint="Give 1s or more.")
        if self.lease_s < 3:
            raise ConfigError(f"a lease of {self.lease_s} s is too short", hint="Give 3s or more.")

    @property
    def limit_s(self) -> int:
        """The time limit of one iteration on the generator, in seconds."""
        if self.limits.timeout is None:
            return math.ceil(self.plan.time_limit_s)
        return math.ceil(seconds(self.limits.timeout, what="limits.timeout"))

    @property
    def lease_s(self) -> int:
        """How long k6 may go on without its controller, in seconds."""
        return math.floor(seconds(self.limits.lease, what="limits.lease"))


class Measurement:
    """One target's part of a run.

    Args:
        order: What is to be measured.
        target: The target's name.
        generator: Where k6 runs.
        folder: Where the results go.
        several: Whether the run has other targets, too.
        line: Called with each line that k6 logs.
    """

    def __init__(
        self,
        order: Order,
        *,
        target: str,
        generator: Generator,
        folder: RunFolder,
        several: bool = False,
        line: Callable[[str], None] | None = None,
    ) -> None:
        self._order = order
        self._target = target
        self._generator = generator
        self._folder = folder
        self._part = target if several else None
        self._line = line
        self._statuses: list[str] = []

    @property
    def status(self) -> str:
        """The worst status of the iterations so far."""
        return worst(self._statuses) if self._statuses else "interrupted"

    def run(self, progress: Progress, stop: threading.Event) -> None:
        """Measure all iterations; ``stop`` ends it early, with what was measured stored.

        Raises:
            DfaasLabError: An iteration failed; what it measured is stored.
        """
        progress.update(self._target, total=self._total_s(), text="connecting")
        try:
            k6_path = self._generator.k6_path()
            if self._order.warmup_s and not stop.is_set():
                self._iteration(0, k6_path, progress, stop)
            for iteration in range(1, self._order.iterations + 1):
                if iteration > 1:
                    stop.wait(self._order.rest_s)
                if stop.is_set():
                    break
                self._iteration(iteration, k6_path, progress, stop)
        except BaseException:
            # k6 that was stopped has said so already; whatever else is raised is a failure.
            if self._statuses[-1:] not in (["timed_out"], ["interrupted"]):
                self._statuses.append("failed")
            progress.finish(self._target, "failed")
            raise
        interrupted = stop.is_set()
        if interrupted and len(self._statuses) < self._order.iterations:
            self._statuses.append("interrupted")
        progress.finish(self._target, "interrupted" if interrupted else "ok")

    def _total_s(self) -> float:
        return self._order.iterations * self._order.plan.load.duration_s + self._order.warmup_s

    def _iteration(
        self, iteration: int, k6_path: str, progress: Progress, stop: threading.Event
    ) -> None:
        order, remote = self._order, self._generator.remote
        plan = order.plan if iteration else order.plan.lasting(order.warmup_s)
        workspace = Workspace.new(self._generator.workspace_root)
        terms = Terms(k6_path=k6_path, limit_s=order.limit_s, lease_s=order.lease_s)
        began_at = datetime.now(UTC)
        process = start(remote, [workspace], plan.files(), [terms])
        following = Following(
            remote,
            workspace,
            terms,
            process=process,
            elapsed=lambda event: self._tell(progress, iteration, plan, event),
            line=self._line,
        )
        end = following.until_end(stop)
        if not end.reached:
            log.warning("%s does not answer: k6 ends there with its lease", remote.host)
            return
        outcome = outcome_of(end.exit_code, end.reason, end.killed)
        self._bring_home(iteration, plan, workspace, outcome, end, began_at)

    def _tell(self, progress: Progress, iteration: int, plan: K6Plan, event: Elapsed) -> None:
        duration = plan.load.duration_s
        before = max(iteration - 1, 0) * self._order.plan.load.duration_s
        before += self._order.warmup_s if iteration else 0.0
        what = f"iteration {iteration}/{self._order.iterations}" if iteration else "warm-up"
        elapsed = min(event.seconds, duration)
        text = f"{what}, {elapsed:.0f} of {duration:g} s, {event.complete} requests"
        progress.update(self._target, done=before + elapsed, text=text)

    def _bring_home(
        self,
        iteration: int,
        plan: K6Plan,
        workspace: Workspace,
        outcome: Outcome,
        end: End,
        began_at: datetime,
    ) -> None:
        """Fetch and store what k6 wrote; only then may an error be raised."""
        with tempfile.TemporaryDirectory(prefix="dfaas-lab-fetch-") as name:
            fetched = Path(name)
            self._fetch(workspace, fetched)
            frames, unreadable = self._frames(iteration, plan, fetched, outcome.status, began_at)
            self._folder.write_iteration(
                max(iteration, 1), frames, _kept(fetched), target=self._part, warmup=not iteration
            )
        if iteration:
            self._statuses.append(outcome.status if unreadable is None else "failed")
        place = f"{self._generator.host}:{workspace.path}"
        if outcome.error is not None:
            self._generator.forget_k6()
            raise outcome.error(
                f"{self._generator.host}: {outcome.what}",
                exit_code=end.exit_code,
                workspace=place,
                log_tail=end.log_tail,
                hint=outcome.hint,
            )
        if unreadable is not None:
            unreadable.workspace, unreadable.log_tail = place, end.log_tail
            raise unreadable
        remove(self._generator.remote, workspace)

    def _fetch(self, workspace: Workspace, into: Path) -> None:
        for left in reversed(range(_FETCH_TRIES)):
            try:
                return fetch(self._generator.remote, workspace, into, without=sent_names())
            except ConnectionFailed:  # fetching again is idempotent
                if not left:
                    raise
        return None

    def _frames(
        self, iteration: int, plan: K6Plan, fetched: Path, status: str, began_at: datetime
    ) -> tuple[Frames, ResultsUnreadable | None]:
        try:
            return (
                read(
                    fetched / "samples.csv",
                    run_id=self._folder.run_id,
                    target=self._target,
                    iteration=iteration,
                    load=plan.load,
                    scenarios=plan.functions,
                    started_at=began_at,
                    status=status,
                ),
                None,
            )
        except ResultsUnreadable as error:
            return Frames.empty(), error


def worst(statuses: list[str]) -> str:
    """The worst of some statuses."""
    return next((status for status in _WORST if status in statuses), "ok")


def _kept(fetched: Path) -> Mapping[str, Path]:
    """The raw files that are stored: k6's own summary and log, and what the host did."""
    names = {"summary.json": "summary.json", "journal": "k6.log", "host.csv": "host.csv"}
    return {kept: fetched / name for name, kept in names.items() if (fetched / name).exists()}


def attach_run(error: BaseException, run: object) -> None:
    """Give an error of ours the run that it ended."""
    if isinstance(error, DfaasLabError):
        error.run = run  # type: ignore[assignment]
