"""Provisions one target over HTTP, once its hosts are ready.

The steps are in ``target_steps``; the whole lab is set up in ``provision.lab``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dfaas_lab.errors import ProvisionError, TaskFailed
from dfaas_lab.progress import Progress, StepState
from dfaas_lab.provision import cache
from dfaas_lab.provision.events import bar
from dfaas_lab.provision.locks import hold_here, interrupted
from dfaas_lab.provision.report import ProvisionReport, TaskRow
from dfaas_lab.provision.spec import GeneratorSpec, TargetSpec
from dfaas_lab.provision.target_steps import SetupStep, set_up_target

if TYPE_CHECKING:
    from dfaas_lab.load import Function
    from dfaas_lab.services.gateway import Gateway
    from dfaas_lab.services.prometheus import Prometheus

Hosts = Future[ProvisionReport]


@dataclass(frozen=True, eq=False)
class TargetSetup:
    """A target as it shall be set up; ``Target`` makes it.

    Args:
        name: The target's name.
        gateway: The gateway's URL.
        functions: Those with an image are deployed, all must answer.
        prometheus: The URL of its Prometheus.
        generator: What loads it.
        via: The generator through which it is reached from here.
        host: Its own host, where something is installed there.
        services: Returns the gateway and Prometheus, as they are reached from here.
        check_reachable: Looks from the generator whether the gateway listens.
    """

    name: str
    gateway: str
    functions: tuple[Function, ...]
    prometheus: str | None
    generator: GeneratorSpec
    via: GeneratorSpec | None
    host: TargetSpec | None
    services: Callable[[], tuple[Gateway, Prometheus | None]]
    check_reachable: Callable[[], None]

    @property
    def key(self) -> Hashable:
        """What makes two targets the same to the session; a password makes no difference."""
        hosts = (self.generator.host, self.via and self.via.host)
        return ("services", self.name, self.gateway, self.functions, self.prometheus, *hosts)

    @property
    def needs(self) -> list[GeneratorSpec | TargetSpec]:
        """The hosts that must be ready before the target can be."""
        return [spec for spec in (self.host, self.via) if spec is not None]


@dataclass(frozen=True)
class TargetEnd:
    """What became of a target: neither rows nor a failure where it was left out."""

    rows: tuple[TaskRow, ...] = ()
    failure: ProvisionError | None = None


@dataclass(frozen=True)
class TargetProvisioning:
    """Provisioning of one target: its steps, its progress, its end."""

    target: TargetSetup
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
        needed = self.target.needs
        if not needed:
            return None
        self._tell(f"waits for {needed[0].label}")
        if not end_of(hosts)[1]:
            return None
        # Several may have one address, on different ports: what is ready is known by its key.
        return next((spec.label for spec in needed if cache.get(spec.key) is None), None)

    def _set_up(self) -> TargetEnd:
        gateway, prometheus = self.target.services()
        steps = set_up_target(
            gateway,
            self.target.functions,
            prometheus,
            reach=self.target.check_reachable,
            say=self._tell,
            sleep=self._sleep,
        )
        name = self.target.name
        rows = tuple(TaskRow(name, s.task, s.status, s.seconds, s.message) for s in steps)
        if steps[-1].error is not None:
            self._finish("failed", f"{steps[-1].task}: {steps[-1].message}")
            return TargetEnd(rows, _failure(self.target, steps[-1]))
        cache.put({self.target.key: rows})
        self._finish("ok", "ready")
        return TargetEnd(rows)

    def _tell(self, text: str) -> None:
        if self.cancel.is_set():
            raise interrupted()
        self.progress.update(bar(self.target.name), text=text)

    def _finish(self, state: StepState, text: str) -> None:
        self.progress.finish(bar(self.target.name), state, text)

    def _sleep(self, seconds: float) -> None:
        if self.cancel.wait(seconds):
            raise interrupted()


def end_of(hosts: Hosts) -> tuple[ProvisionReport | None, list[ProvisionError]]:
    """Wait for the playbook; return its report, or what failed."""
    try:
        return hosts.result(), []
    except ProvisionError as error:
        return None, list(error.failures or (error,))


def _failure(target: TargetSetup, step: SetupStep) -> TaskFailed:
    failure = TaskFailed(
        f"{target.name}: the task {step.task!r} failed: {step.message}",
        host=target.name,
        task=step.task,
        detail=step.message,
        hint=step.error.hint if step.error else "",
    )
    failure.__cause__ = step.error
    return failure
