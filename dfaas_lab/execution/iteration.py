"""One iteration: starts it on the generator, follows k6, and fetches the results."""

from __future__ import annotations

import contextlib
import shlex
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from dfaas_lab.errors import ConnectionFailed, DfaasLabError
from dfaas_lab.execution.iteration_results import IterationResults
from dfaas_lab.k6.launch import Terms, start, starting
from dfaas_lab.k6.monitor import K6Monitor, workspace_state
from dfaas_lab.private_folder import PrivateFolder
from dfaas_lab.remote.liveness import PATIENCE_S, RETRY_S, Liveness
from dfaas_lab.remote.prepared_command import PreparedCommand
from dfaas_lab.remote.workspace import Workspace, remove
from dfaas_lab.retry import retry

if TYPE_CHECKING:
    from dfaas_lab.execution.generator_session import GeneratorSession
    from dfaas_lab.k6.custom_script import CustomScript
    from dfaas_lab.k6.output import Elapsed, End
    from dfaas_lab.k6.plan import K6Plan
    from dfaas_lab.remote.process import Process
    from dfaas_lab.secret_values import SecretValues
    from dfaas_lab.spec.run_spec import RunSpec


Result = TypeVar("Result")

Pause = Callable[[str, int, threading.Event], None]
"""Called with the run's id before an iteration begins: with its number, and what ends the run."""


class Lost(Exception):
    """The generator was left while k6 may still run there; its data can be fetched later."""


@dataclass(frozen=True)
class Started:
    """It was started from here; k6 is followed over this channel."""

    process: Process


@dataclass(frozen=True)
class Found:
    """It had been started before: by another controller, or before a connection was lost."""


@dataclass(frozen=True)
class NotStarted:
    """Nothing runs: there was an interrupt, or it must not be started from here."""


@dataclass(frozen=True)
class Iteration:
    """One iteration of a run on one target.

    Args:
        number: From 1; 0 is the warm-up.
        workspace: Where it runs.
        spec: What is measured.
        generator: On what.
        results: Where its results are stored.
        liveness: Whether the generator responds.
        pause: Called before it begins, but not where it is found to have begun already.
    """

    number: int
    workspace: Workspace
    spec: RunSpec
    generator: GeneratorSession
    results: IterationResults
    liveness: Liveness
    pause: Callable[[int, threading.Event], None] | None = None

    @property
    def plan(self) -> K6Plan | CustomScript:
        """What k6 is asked to do."""
        return self.spec.plan_of(self.number)

    def files(self) -> dict[str, bytes]:
        """The files of its workspace."""
        plan = self.plan.expecting(self.results.latencies_s)
        return plan.files() | self.spec.trust.files()

    def terms(self, k6_path: str = "") -> Terms:
        """On what terms the supervisor runs it."""
        spec = self.spec
        return Terms(
            k6_path=k6_path,
            limit_s=spec.limit_of(self.number),
            lease_s=spec.lease_s,
            rest_s=spec.rest_there_s(self.number),
            options=f"{spec.plan.options} {spec.trust.k6_options}".strip(),
            script=spec.plan.script_name,
            folder=spec.plan.folder,
        )

    def starting(self) -> PreparedCommand:
        """Start ahead what :meth:`begin` needs on the generator; it makes nothing there yet."""
        return PreparedCommand(self.generator.remote, starting(self.workspace))

    def begin(
        self,
        stop: threading.Event,
        *,
        unsure: bool,
        closed: bool,
        ahead: PreparedCommand | None = None,
        finished: Sequence[Workspace] = (),
    ) -> Started | Found | NotStarted:
        """Start it, unless that has been done or must not be done.

        A connection that is lost on the way leaves it open whether k6 was started: then one looks.

        Args:
            stop: Whether nothing more shall be begun.
            unsure: Whether another controller may have begun it.
            closed: Whether it must not be begun from here.
            ahead: What was started for it, of :meth:`starting`.
            finished: Workspaces that are removed before it is begun.

        Raises:
            Lost: The generator does not answer, and there was an interrupt.
            ConnectionFailed: It stayed away.
        """
        first = self.number == self.spec.numbers[0]
        rest_s = 0.0 if first or self.spec.detached else self.spec.rest_s
        if unsure and self._patiently(stop, lambda: self._was_begun(closed)):
            return Found()
        if closed:
            return NotStarted()
        stop.wait(rest_s)
        if (pause := self.pause) is not None:
            self._patiently(stop, lambda: pause(self.number, stop))
        tried = False

        def start_once() -> Started | Found | NotStarted:
            nonlocal tried
            if tried and self._was_begun(closed):
                return Found()
            tried = True
            return NotStarted() if stop.is_set() else Started(self._start(ahead, finished))

        return self._patiently(stop, start_once)

    def _patiently(self, stop: threading.Event, ask: Callable[[], Result]) -> Result:
        """Ask the generator until it answers; one that an interrupt does not wait for is lost."""
        try:
            return retry(
                ask,
                on=ConnectionFailed,
                pause_s=RETRY_S,
                within_s=PATIENCE_S,
                give_up=lambda: self.liveness.given_up(stop),
            )
        except ConnectionFailed:
            if self.liveness.given_up(stop):
                raise Lost from None
            raise

    def follow(
        self,
        process: Process | None,
        stop: threading.Event,
        *,
        elapsed: Callable[[Elapsed], None],
        line: Callable[[str], None] | None,
    ) -> End:
        """Follow it to its end.

        Raises:
            Lost: The generator does not answer, and there was an interrupt.
            ConnectionFailed: It stayed away beyond the lease.
        """
        following = K6Monitor(
            self.generator.remote,
            self.workspace,
            self.terms(),
            process=process,
            elapsed=elapsed,
            line=line,
            hide=self._secrets().masked,
        )
        with self.liveness.asking():
            end = following.until_end(stop)
        if not end.reached:
            raise Lost
        return end

    def fetch_results(
        self, end: End, ahead: PreparedCommand, stop: threading.Event
    ) -> tuple[str, DfaasLabError | None]:
        """Fetch and store what k6 wrote; return the status and the error to raise for it.

        Args:
            end: How it ended.
            ahead: What was started for it, of ``results.fetching``.
            stop: Whether there was an interrupt.

        Raises:
            Lost: The generator does not answer, and there was an interrupt.
            ConnectionFailed: It stayed away.
            StoreError: It could not be stored.
        """
        with PrivateFolder("dfaas-lab-fetch-") as fetched:
            try:
                with self.liveness.asking():
                    self.results.fetch(
                        self.workspace, fetched, ahead, lambda: self.liveness.given_up(stop)
                    )
            except ConnectionFailed:
                if stop.is_set():
                    raise Lost from None
                raise
            return self.results.store(self.number, self.plan, fetched, self.workspace, end)

    def _secrets(self) -> SecretValues:
        """What must be hidden; of a script that another controller began, the generator knows."""
        plan = self.plan
        if plan.is_builtin or plan.secrets:
            return plan.secrets
        there = f"cat {shlex.quote(self.workspace.path)}/env"
        with contextlib.suppress(DfaasLabError):  # what follows tells that it does not answer
            said = self.generator.remote.run(there, check=False, timeout=10)
            plan = plan.knowing(said.stdout)
        return plan.secrets

    def _start(self, ahead: PreparedCommand | None, finished: Sequence[Workspace]) -> Process:
        with self.liveness.asking():
            return start(
                self.generator.remote,
                [self.workspace],
                [self.files()],
                [self.terms(self.generator.k6_path())],
                finished=finished,
                ahead=ahead,
            )

    def _was_begun(self, closed: bool) -> bool:
        """Whether it was begun; a workspace that was only half sent is removed."""
        remote = self.generator.remote
        with self.liveness.asking():
            state = workspace_state(remote, self.workspace)
            if state == "sent":
                time.sleep(1.0)  # whoever sent it may start it in this moment
                state = workspace_state(remote, self.workspace)
            if state == "sent" and not closed:
                remove(remote, self.workspace)
        return state == "begun" or (state == "sent" and closed)
