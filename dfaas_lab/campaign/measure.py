"""Measures the loads of a plan on one target: the only loop of a campaign."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dfaas_lab.campaign import node
from dfaas_lab.campaign.attempts import FATAL, Attempts
from dfaas_lab.campaign.cooldown import Rest, rest
from dfaas_lab.campaign.outage import wait_until_back
from dfaas_lab.campaign.overload import judge
from dfaas_lab.campaign.readings import Readings
from dfaas_lab.campaign.record import Attempt, LoadRecord, overloaded_loads
from dfaas_lab.campaign.settings import Settings, options_for, order_of
from dfaas_lab.errors import (
    ConnectionFailed,
    CooldownTimeout,
    DfaasLabError,
    GatewayError,
    StoreError,
)
from dfaas_lab.execution.attach import attach
from dfaas_lab.execution.create import create_run
from dfaas_lab.load.dominance import Dominance
from dfaas_lab.load.plan import Plan
from dfaas_lab.progress import ELSEWHERE
from dfaas_lab.run import Run
from dfaas_lab.status import FINAL

if TYPE_CHECKING:
    from dfaas_lab.campaign.files import CampaignFolder
    from dfaas_lab.execution.run_handle import RunHandle
    from dfaas_lab.store import Store
    from dfaas_lab.target import Target

log = logging.getLogger("dfaas_lab.campaign")

_POLL_S = 0.1
_RETRY_S = 5.0


@dataclass
class LoopState:
    """How far a target is: what its progress line says. Written by its loop, read by others."""

    loads: int
    position: int = 0
    measured: int = 0
    skipped: int = 0
    load: str = ""
    text: str = ""
    handle: RunHandle | None = None
    done: bool = False
    iteration_s: float = 0.0


@dataclass
class TargetLoop:
    """The loop over a plan's loads on one target; ``stop`` ends it once what runs is stored."""

    target: Target
    folder: CampaignFolder
    settings: Settings
    store: Store
    options: dict[str, Any]
    stop: threading.Event

    def __post_init__(self) -> None:
        self._plan: Plan = self.settings.plan.limited(self.target.functions)
        self._baseline = Readings()
        self._runs: dict[str, list[str]] = {}
        self._timeout: CooldownTimeout | None = None
        self.state = LoopState(len(self._plan))

    def run(self) -> None:
        """Measure every load that is not stored and not ruled out.

        Raises:
            CooldownTimeout: The node did not become idle.
            DfaasLabError: Nothing can go on: the generator has no k6, the store's disk is full ...
        """
        # By index: the name of a load that is ruled out is not needed.
        known = {
            self._plan.position(record.load): record
            for record in self.folder.loads(self.target.name).values()
        }
        dominance = Dominance(self._plan, overloaded_loads(known.values()))
        self._runs = self._own_runs()
        self._prepare()
        for position, index in enumerate(
            order_of(self._plan, self.settings.order, self.settings.seed), start=1
        ):
            if self.stop.is_set():
                return
            stored = known.get(int(index))
            self.state.position = position
            if dominance.below(int(index)) and (stored is None or stored.missing):
                self.state.skipped += 1
                continue
            record = stored or LoadRecord(self._plan[int(index)], self.settings.iterations)
            if record.missing:
                record = self._measure(record)
            if record.missing:
                return
            self.state.measured += 1
            if record.overloaded:
                dominance.add(record.load)
        self.state.done = True

    @property
    def _record(self) -> LoadRecord:
        return self._attempts.record

    def _prepare(self) -> None:
        stored = self.folder.read().get("baselines", {}).get(self.target.name)
        if stored is not None:
            self._baseline = Readings.from_stored(stored)
            return
        self._baseline = node.idle_now(self.target, self._plan.functions)
        if self.settings.cooldown.fixed_s is None and not self._baseline.measured:
            log.warning(
                "%s: no idle baseline (%s): cooldown looks at replicas only; "
                "cooldown=Cooldown.fixed('10s') rests for a fixed time",
                self.target.name,
                self._baseline.reason,
            )
        self.folder.set_baseline(self.target.name, asdict(self._baseline))

    def _measure(self, record: LoadRecord) -> LoadRecord:
        """Measure the iterations of a load that are missing, until none is or it is stopped."""
        self._attempts = Attempts(self.target, self.folder, self.settings, self.store, record)
        self.state.load = str(record.load)
        log.info(
            "%s: load %d of %d: %s",
            self.target.name, self.state.position, self.state.loads, record.load,
        )  # fmt: skip
        if record.load.idle:
            self._measure_idle()
            return self._record
        for run_id in self._runs.pop(record.load.load_id, []):
            self._finish(run_id)
        began, count = time.monotonic(), len(self._record.missing)
        while self._record.missing and not self.stop.is_set():
            self._one_run()
        self.state.iteration_s = (time.monotonic() - began) / max(count, 1)
        return self._record

    def _one_run(self) -> None:
        """Make one run of the iterations that are missing, and store what came of it."""
        missing, load = self._record.missing, dict(self._record.load)
        try:
            asked = self.target._spec(
                len(missing),
                load=load,
                duration=timedelta(seconds=self.settings.duration_s),
                **options_for(self.options, load),
            )
            handle = create_run(
                self.store.root,
                [self.target._part(asked)],
                label=f"{self.folder.id} {self._record.load}",
                shown=ELSEWHERE,
                campaign={
                    "id": self.folder.id,
                    "target": self.target.name,
                    "load_id": self._record.load.load_id,
                    "iterations": missing,
                },
                pause=self._pause,
            )
        except GatewayError as error:
            wait_until_back(self.target, error, self.stop, self._tell)
        except ConnectionFailed as error:
            self._wait_for_generator(error)
        else:
            self._follow(handle)

    def _finish(self, run_id: str) -> None:
        """Finish a run of an earlier process, which may be under way still."""
        while not self.stop.is_set():
            folder = self.store.find(run_id)
            if Run(folder).status in FINAL:
                self._attempts.store_run(run_id, None)
                return
            try:
                targets = {self.target.name: self.target._session}
                handle = attach(folder, targets, shown=ELSEWHERE, pause=self._pause)
            except ConnectionFailed as error:
                self._wait_for_generator(error)
            else:
                self._follow(handle)

    def _follow(self, handle: RunHandle) -> None:
        """Wait for a run's end, and store what came of it."""
        self.state.handle = handle.start()
        while not handle.done:
            if self.stop.is_set():
                handle.stop()
            time.sleep(_POLL_S)
        error: DfaasLabError | None = None
        try:
            handle.wait()
        except DfaasLabError as failure:
            error = failure
        finally:
            self.state.handle = None
        run = handle.run
        self._attempts.store_run(run.id, error)
        if self._timeout is not None:
            raise self._timeout
        if isinstance(error, FATAL):
            raise error
        if isinstance(error, ConnectionFailed) and run.status not in FINAL:
            self._wait_for_generator(error)
            self._finish(run.id)
        self._wait_for_gateway()

    def _pause(self, run_id: str, number: int, stop: threading.Event) -> None:
        """Before an iteration: judge the one before, wait for the gateway, cool down."""
        if number > 1:
            self._attempts.judge_run(run_id)
            self._wait_for_gateway()
        numbers = self.store.find(run_id).read().get("campaign", {}).get("iterations") or []
        if number == 0 or number > len(numbers):
            return
        rested = self._rest(stop)
        if rested is None:
            return
        self._attempts.write(
            Attempt(
                numbers[number - 1],
                run_id=run_id,
                run_iteration=number,
                rest_s=rested.rest_s,
                idle=rested.readings,
            )
        )
        self._tell("")

    def _rest(self, stop: threading.Event) -> Rest | None:
        """Cool down; None where it was stopped, or the node did not become idle."""
        try:
            rested = rest(
                self.settings.cooldown,
                lambda: node.idle_now(self.target, self._plan.functions),
                self._baseline,
                stop=stop,
                tell=self._tell,
            )
        except CooldownTimeout as error:
            self._timeout = error
            stop.set()  # the run ends here, with what it has
            return None
        if rested.note:
            log.warning("%s: %s", self.target.name, rested.note)
        return None if stop.is_set() else rested

    def _measure_idle(self) -> None:
        """Measure a load of rate 0: the node alone, for as long as a load lasts."""
        for iteration in self._record.missing:
            rested = self._rest(self.stop)
            if self._timeout is not None:
                raise self._timeout
            if rested is None:
                return
            started = datetime.now(UTC)
            self._tell("every rate is 0: the idle node")
            if self.stop.wait(self.settings.duration_s):
                return
            names = list(self._record.load)
            readings = node.during(self.target, started, datetime.now(UTC), names)
            found = judge({}, readings, self.settings.overload)
            self._attempts.write(
                Attempt(
                    iteration,
                    state="measured",
                    started_at=started.isoformat(),
                    rest_s=rested.rest_s,
                    idle=rested.readings,
                    node=readings,
                    overloaded=found.overloaded,
                    reasons=found.reasons,
                )
            )

    def _wait_for_gateway(self) -> None:
        """Where the gateway was away at the last attempt, wait until it is back."""
        last = self._record.attempts[-1] if self._record.attempts else None
        if last is not None and last.state == "outage":
            error = GatewayError(
                f"the gateway of {self.target.name} was away", url=self.target.gateway
            )
            wait_until_back(self.target, error, self.stop, self._tell)

    def _wait_for_generator(self, error: DfaasLabError) -> None:
        log.warning("%s: waiting: %s", self.target.name, error.message)
        self._tell(f"waiting: {error.message}")
        self.stop.wait(_RETRY_S)

    def _tell(self, text: str) -> None:
        self.state.text = text

    def _own_runs(self) -> dict[str, list[str]]:
        """The runs of this campaign on this target, by load id: some attempts may not be stored."""
        found: dict[str, list[str]] = {}
        for run_id in self.store.run_ids():
            if run_id < self.folder.id[: len("20261123T094512")]:
                continue
            try:
                entry = self.store.find(run_id).read().get("campaign") or {}
            except StoreError as error:
                log.warning("run %s cannot be read: %s", run_id, error.message)
                continue
            if entry.get("id") == self.folder.id and entry.get("target") == self.target.name:
                found.setdefault(str(entry.get("load_id")), []).append(run_id)
        return found
