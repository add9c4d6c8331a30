"""Setting one target up over HTTP, once the hosts that it needs are ready; rows and an error.

What is done there is ``services.target_setup``'s business; the whole lab is ``preparing``'s.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dfaas_lab.errors import ConnectionFailed, GatewayError, ProvisionError, TaskFailed
from dfaas_lab.execution.preflight import look_for_gateway
from dfaas_lab.progress import Progress, StepState
from dfaas_lab.provision import (
    GeneratorSpec,
    ProvisionReport,
    TargetSpec,
    TaskRow,
    bar,
    hold_here,
    interrupted,
    known,
    remember,
)
from dfaas_lab.provision.target_steps import SetupStep, set_up_target

if TYPE_CHECKING:
    from dfaas_lab.target import Target

Hosts = Future[ProvisionReport]


@dataclass(frozen=True)
class TargetEnd:
    """What became of a target: neither rows nor a failure where it was left out."""

    rows: tuple[TaskRow, ...] = ()
    failure: ProvisionError | None = None


@dataclass(frozen=True)
class TargetTurn:
    """A target whose turn it is, and how it is told and ended."""

    target: Target
    progress: Progress
    cancel: threading.Event

    def run(self, hosts: Hosts) -> TargetEnd:
        """Set it up, and remember that it is ready; an interrupt ends it where it is."""
        try:
            lost = self._lost(hosts)
            if lost is not None:
                self._finish("failed", f"{lost} is not ready")
                return TargetEnd()
            with hold_here(
                [("target", self.target.gateway)],
                cancel=self.cancel,
                waiting=lambda: self._tell("waits: another notebook here is at it"),
            ):
                return self._set_up()
        except ProvisionError:  # only an interrupt raises one
            self.progress.finish(bar(self.target.name), "interrupted", "interrupted")
            return TargetEnd()

    def _lost(self, hosts: Hosts) -> str | None:
        """Wait for the hosts that the target needs; return one where that failed."""
        needed = _needs(self.target)
        if not needed:
            return None
        self._tell(f"waits for {needed[0].label}")
        if not end_of(hosts)[1]:
            return None
        # Several may have one address, on different ports: what is ready is known by its key.
        return next((spec.label for spec in needed if known(spec.key) is None), None)

    def _set_up(self) -> TargetEnd:
        gateway, prometheus = self.target.services()
        steps = set_up_target(
            gateway, self.target.functions, prometheus, say=self._tell, sleep=self._sleep
        )
        if steps[-1].error is None:
            steps.append(self._from_generator())
        name = self.target.name
        rows = tuple(TaskRow(name, s.task, s.status, s.seconds, s.message) for s in steps)
        if steps[-1].error is not None:
            self._finish("failed", f"{steps[-1].task}: {steps[-1].message}")
            return TargetEnd(rows, _failure(self.target, steps[-1]))
        remember({key_of(self.target): rows})
        self._finish("ok", "ready")
        return TargetEnd(rows)

    def _from_generator(self) -> SetupStep:
        """Who measures must reach the gateway: the generator."""
        task, began = "Reach the gateway from the generator", time.monotonic()
        self._tell(task)
        try:
            look_for_gateway(self.target)
        except GatewayError as error:
            return SetupStep(task, "failed", time.monotonic() - began, error.message, error)
        except ConnectionFailed as error:  # that is the generator's own failure, told as such
            return SetupStep(task, "skipped", time.monotonic() - began, error.message)
        return SetupStep(task, "ok", time.monotonic() - began)

    def _tell(self, text: str) -> None:
        if self.cancel.is_set():
            raise interrupted()
        self.progress.update(bar(self.target.name), text=text)

    def _finish(self, state: StepState, text: str) -> None:
        self.progress.finish(bar(self.target.name), state, text)

    def _sleep(self, seconds: float) -> None:
        if self.cancel.wait(seconds):
            raise interrupted()


def key_of(target: Target) -> Hashable:
    """Return what makes two targets the same to the session; a password makes no difference."""
    hosts = (target.generator.host, target.via and target.via.host)
    return ("services", target.name, target.gateway, target.functions, target.prometheus, *hosts)


def host_of(target: Target) -> TargetSpec | None:
    """Return the target's own host, where something is installed there."""
    if target.host is None or not target.install_monitoring:
        return None
    return TargetSpec(host=target.host, name=target.name, install_monitoring=True)


def end_of(hosts: Hosts) -> tuple[ProvisionReport | None, list[ProvisionError]]:
    """Wait for the playbook; return its report, or what failed."""
    try:
        return hosts.result(), []
    except ProvisionError as error:
        return None, list(error.failures or (error,))


def _needs(target: Target) -> list[GeneratorSpec | TargetSpec]:
    """Return the hosts that must be ready before the target can be."""
    both = (host_of(target), target.via.spec() if target.via else None)
    return [spec for spec in both if spec is not None]


def _failure(target: Target, step: SetupStep) -> TaskFailed:
    failure = TaskFailed(
        f"{target.name}: the task {step.task!r} failed: {step.message}",
        host=target.name,
        task=step.task,
        detail=step.message,
        hint=step.error.hint if step.error else "",
    )
    failure.__cause__ = step.error
    return failure
