"""One iteration on its way: begun on the generator or found there, followed, and brought home."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dfaas_lab.errors import ConnectionFailed, DfaasLabError
from dfaas_lab.execution.contact import PATIENCE_S, RETRY_S, Contact
from dfaas_lab.execution.iteration_results import IterationResults, scratch
from dfaas_lab.k6.launch import Terms, start
from dfaas_lab.k6.monitor import End, K6Monitor, look
from dfaas_lab.remote.workspace import Workspace, remove

if TYPE_CHECKING:
    from dfaas_lab.execution.generator_session import GeneratorSession
    from dfaas_lab.k6.custom_script import CustomScript
    from dfaas_lab.k6.output import Elapsed
    from dfaas_lab.k6.plan import K6Plan
    from dfaas_lab.remote.process import Process
    from dfaas_lab.spec.run_spec import RunSpec


Pause = Callable[[str, int, threading.Event], None]
"""Called with the run's id before an iteration begins: with its number, and what ends the run."""


class Lost(Exception):
    """The generator was left while k6 may still run there; its data can be fetched later."""


@dataclass(frozen=True)
class Iteration:
    """One iteration of an order.

    Args:
        number: From 1; 0 is the warm-up.
        workspace: Where it runs.
        order: What is measured.
        generator: On what.
        harvest: What brings it home.
        contact: What notes whether the generator answers.
        pause: Called before it begins, but not where it is found to have begun already.
    """

    number: int
    workspace: Workspace
    order: RunSpec
    generator: GeneratorSession
    harvest: IterationResults
    contact: Contact
    pause: Callable[[int, threading.Event], None] | None = None

    @property
    def plan(self) -> K6Plan | CustomScript:
        """What k6 is asked to do."""
        return self.order.plan_of(self.number)

    def terms(self, k6_path: str = "") -> Terms:
        """On what terms the supervisor runs it."""
        order = self.order
        return Terms(
            k6_path=k6_path,
            limit_s=order.limit_of(self.number),
            lease_s=order.lease_s,
            rest_s=order.rest_there_s(self.number),
            options=order.plan.options,
            script=order.plan.script_name,
        )

    def begin(self, stop: threading.Event, *, unsure: bool, closed: bool) -> Process | bool | None:
        """Start it: its channel, True where it was begun already, None where it is not begun.

        A connection that is lost on the way leaves it open whether k6 was started: then one looks.

        Args:
            stop: Whether nothing more shall be begun.
            unsure: Whether another controller may have begun it.
            closed: Whether it must not be begun from here.

        Raises:
            Lost: The generator does not answer, and there was an interrupt.
            ConnectionFailed: It stayed away.
        """
        first = self.number == self.order.numbers[0]
        rest_s = 0.0 if first or self.order.detached else self.order.rest_s
        pause = self.pause
        deadline = time.monotonic() + PATIENCE_S + rest_s
        while True:
            try:
                if unsure:
                    with self.contact.asking():
                        if self._found(closed):
                            return True
                if closed:
                    return None
                stop.wait(rest_s)
                rest_s = 0.0
                if pause is not None:
                    pause(self.number, stop)
                    pause, deadline = None, time.monotonic() + PATIENCE_S
                if stop.is_set():
                    return None
                with self.contact.asking():
                    return self._start()
            except ConnectionFailed:
                unsure = True
                if self.contact.given_up(stop):
                    raise Lost from None
                if time.monotonic() > deadline:
                    raise
                time.sleep(RETRY_S)

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
        )
        with self.contact.asking():
            end = following.until_end(stop)
        if not end.reached:
            raise Lost
        return end

    def fetch_results(self, end: End, stop: threading.Event) -> tuple[str, DfaasLabError | None]:
        """Fetch and store what k6 wrote; return the status and the error to raise for it.

        Raises:
            Lost: The generator does not answer, and there was an interrupt.
            ConnectionFailed: It stayed away.
            StoreError: It could not be stored.
        """
        with scratch() as name:
            fetched = Path(name)
            try:
                with self.contact.asking():
                    self.harvest.fetch(self.workspace, fetched, lambda: self.contact.given_up(stop))
            except ConnectionFailed:
                if stop.is_set():
                    raise Lost from None
                raise
            return self.harvest.store(self.number, self.plan, fetched, self.workspace, end)

    def _start(self) -> Process:
        terms = self.terms(self.generator.k6_path())
        return start(self.generator.remote, [self.workspace], [self.plan.files()], [terms])

    def _found(self, closed: bool) -> bool:
        """Whether it was begun; a workspace that was only half sent is removed."""
        remote = self.generator.remote
        state = look(remote, self.workspace)
        if state == "sent":
            time.sleep(1.0)  # whoever sent it may start it in this moment
            state = look(remote, self.workspace)
        if state == "sent" and not closed:
            remove(remote, self.workspace)
        return state == "begun" or (state == "sent" and closed)
