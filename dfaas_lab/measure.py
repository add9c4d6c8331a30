"""Measuring one target: its iterations in order, each stored before the next begins."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dfaas_lab.errors import ConnectionFailed, DfaasLabError, StoreError
from dfaas_lab.harvest import Harvest, scratch
from dfaas_lab.k6.execution import Terms, start
from dfaas_lab.k6.following import UNREACHABLE_S, End, Following, look
from dfaas_lab.remote.workspace import Workspace, remove

if TYPE_CHECKING:
    from collections.abc import Callable

    from dfaas_lab.generator import Generator
    from dfaas_lab.k6.custom import CustomScript
    from dfaas_lab.k6.journal import Elapsed
    from dfaas_lab.k6.plan import K6Plan
    from dfaas_lab.order import Order
    from dfaas_lab.progress import Progress, StepState
    from dfaas_lab.remote.process import Process
    from dfaas_lab.store import RunFolder

log = logging.getLogger("dfaas_lab")

FINAL = ("failed", "timed_out", "interrupted", "slo_failed", "ok")
"""The statuses of a run that has ended, the worst first; ``running`` and ``lost`` can go on."""

_PATIENCE_S = 60.0
_RETRY_S = 0.5


class Lost(Exception):
    """The generator was left while k6 may still run there; its data can be fetched later."""


class Measurement:
    """One target's part of a run.

    Args:
        order: What is to be measured.
        target: The target's name.
        generator: Where k6 runs.
        folder: Where the results go.
        workspaces: One for each turn of the order.
        several: Whether the run has other targets, too.
        line: Called with each line that k6 logs.
        begun: Whether another controller may have begun it, or everything was sent already.
        closed: Whether nothing new may be begun, only brought home.
    """

    def __init__(
        self,
        order: Order,
        *,
        target: str,
        generator: Generator,
        folder: RunFolder,
        workspaces: Sequence[Workspace],
        several: bool = False,
        line: Callable[[str], None] | None = None,
        begun: bool = False,
        closed: bool = False,
    ) -> None:
        self._order = order
        self._target = target
        self._generator = generator
        self._harvest = Harvest(generator.remote, folder, target, several)
        self._workspaces = dict(zip(order.turns, workspaces, strict=True))
        self._line = line
        self._begun = begun or order.detached
        self._closed = closed or order.detached
        self._statuses: list[str] = []
        self._asking_since: float | None = None
        self._told = False  # whether the error that is raised is that of an iteration with a status

    @property
    def status(self) -> str:
        """The worst status of the iterations so far; ``lost`` where the generator was left."""
        return worst(self._statuses or ["interrupted"])

    @property
    def silent_s(self) -> float:
        """For how long the generator has been asked and said nothing, in seconds."""
        since = self._asking_since
        if since is None:
            return 0.0
        return time.monotonic() - max(since, self._generator.remote.heard_at)

    def send(self) -> None:
        """Send all iterations of a detached order and start their supervisor.

        Raises:
            WorkspaceError: There is no room for them.
            ConnectionFailed: The generator was lost.
        """
        turns = self._order.turns
        plans = [self._order.plan_of(turn).files() for turn in turns]
        terms = [self._terms(turn, self._generator.k6_path()) for turn in turns]
        start(self._generator.remote, list(self._workspaces.values()), plans, terms).close()

    def ended(self) -> bool:
        """Ask whether the last iteration of a detached order has ended on the generator."""
        last = self._workspaces[self._order.turns[-1]]
        script = f"cd {last.path} 2>/dev/null || exit 0; read -r code _ <exit; [ $code != running ]"
        return bool(self._generator.remote.run(script, check=False))

    def run(self, progress: Progress, stop: threading.Event) -> None:
        """Measure all iterations; ``stop`` ends it early, with what was measured stored.

        Raises:
            DfaasLabError: An iteration failed; what it measured is stored.
        """
        total = self._order.iterations * self._order.plan.duration_s + self._order.warmup_s
        progress.update(self._target, total=total, text="connecting")
        try:
            self._turns(progress, stop)
        except Lost:
            self._statuses.append("lost")
        except BaseException as error:
            if isinstance(error, ConnectionFailed | StoreError):
                self._statuses.append("lost")  # what was measured is on the generator
            elif not self._told:
                self._statuses.append("failed")
            progress.finish(self._target, "failed")
            raise
        finished = sum(status in ("ok", "slo_failed") for status in self._statuses)
        if finished < self._order.iterations and self.status in ("ok", "slo_failed"):
            self._statuses.append("interrupted")
        done: StepState = "ok" if self.status in ("ok", "slo_failed") else "interrupted"
        progress.finish(self._target, done)

    def _turns(self, progress: Progress, stop: threading.Event) -> None:
        for turn in self._order.turns:
            if self._harvest.has(turn):
                status = self._harvest.status(turn)
                self._forget(self._workspaces[turn])
            else:
                status = self._turn(turn, progress, stop)
            if turn or status not in ("ok", "slo_failed"):
                self._statuses.append(status)
            if status not in ("ok", "slo_failed") or stop.is_set():
                break
        if self._order.detached:
            self._forget(*self._workspaces.values())  # those that were not begun, too

    def _turn(self, turn: int, progress: Progress, stop: threading.Event) -> str:
        """Measure one iteration, or bring it home, and return its status."""
        workspace, plan = self._workspaces[turn], self._order.plan_of(turn)
        began = self._begin(turn, stop)
        if began is None:
            return "interrupted"
        following = Following(
            self._generator.remote,
            workspace,
            self._terms(turn),
            process=None if isinstance(began, bool) else began,
            elapsed=lambda event: self._tell(progress, turn, plan, event),
            line=self._line,
        )
        with self._asking():
            end = following.until_end(stop)
        if end.skipped:
            return "interrupted"
        if not end.reached:
            raise self._left()
        return self._bring_home(turn, plan, workspace, end, stop)

    def _begin(self, turn: int, stop: threading.Event) -> Process | bool | None:
        """Start an iteration: its channel, True where it was begun already, None where it is not.

        A connection that is lost on the way leaves it open whether k6 was started: then one looks.
        """
        workspace = self._workspaces[turn]
        unsure = self._begun
        if not self._begun and turn > self._order.turns[0]:
            stop.wait(self._order.rest_s)
        deadline = time.monotonic() + _PATIENCE_S
        with self._asking():
            while True:
                try:
                    if unsure and self._found(workspace):
                        return True
                    self._begun = self._order.detached
                    if stop.is_set() or self._closed:
                        return None
                    return self._start(turn)
                except ConnectionFailed:
                    unsure = True
                    if self._given_up(stop):
                        raise self._left() from None
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(_RETRY_S)

    def _start(self, turn: int) -> Process:
        plan = self._order.plan_of(turn)
        terms = self._terms(turn, self._generator.k6_path())
        remote, workspace = self._generator.remote, self._workspaces[turn]
        return start(remote, [workspace], [plan.files()], [terms])

    def _found(self, workspace: Workspace) -> bool:
        """Whether a workspace was begun; one that was only half sent is removed."""
        remote = self._generator.remote
        state = look(remote, workspace)
        if state == "sent":
            time.sleep(1.0)  # whoever sent it may start it in this moment
            state = look(remote, workspace)
        if state == "sent" and not self._closed:
            remove(remote, workspace)
        return state == "begun" or (state == "sent" and self._closed)

    def _bring_home(
        self,
        turn: int,
        plan: K6Plan | CustomScript,
        workspace: Workspace,
        end: End,
        stop: threading.Event,
    ) -> str:
        """Fetch and store what k6 wrote; only then may an error be raised."""
        with scratch() as name:
            fetched = Path(name)
            with self._asking():
                try:
                    self._harvest.fetch(workspace, fetched, lambda: self._given_up(stop))
                except ConnectionFailed:
                    if stop.is_set():
                        raise self._left() from None
                    raise
            status, error = self._harvest.store(turn, plan, fetched, workspace, end)
        if error is not None:
            self._statuses.append(status)
            self._told = True
            self._generator.forget_k6()
            if self._order.detached:
                self._forget(*(w for w in self._workspaces.values() if w != workspace))
            raise error
        self._forget(workspace)
        return status

    def _forget(self, *workspaces: Workspace) -> None:
        """Remove workspaces whose results are safe here; what stays there harms nobody."""
        try:
            with self._asking():
                remove(self._generator.remote, *workspaces)
        except DfaasLabError as error:
            log.warning("%s keeps a workspace: %s", self._generator.host, error)

    def _terms(self, turn: int, k6_path: str = "") -> Terms:
        order, plan = self._order, self._order.plan
        return Terms(
            k6_path=k6_path,
            limit_s=order.limit_s,
            lease_s=order.lease_s,
            rest_s=round(order.rest_s) if order.detached and turn > order.turns[0] else 0,
            options=plan.options,
            script=plan.script_name,
        )

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        self._asking_since = time.monotonic()
        try:
            yield
        finally:
            self._asking_since = None

    def _given_up(self, stop: threading.Event) -> bool:
        return stop.is_set() and self.silent_s > UNREACHABLE_S

    def _left(self) -> Lost:
        where = self._generator.host
        log.warning("%s does not answer: k6 ends there with its lease, if it runs", where)
        return Lost()

    def _tell(
        self, progress: Progress, turn: int, plan: K6Plan | CustomScript, event: Elapsed
    ) -> None:
        duration = plan.duration_s
        before = max(turn - 1, 0) * self._order.plan.duration_s
        before += self._order.warmup_s if turn else 0.0
        what = f"iteration {turn}/{self._order.iterations}" if turn else "warm-up"
        elapsed = min(event.seconds, duration)
        text = f"{what}, {elapsed:.0f} of {duration:g} s, {event.complete} requests"
        progress.update(self._target, done=before + elapsed, text=text)


def worst(statuses: Sequence[str]) -> str:
    """The worst of some statuses."""
    return next((status for status in ("lost", *FINAL) if status in statuses), "ok")
