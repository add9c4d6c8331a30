"""Making a lab ready: the playbooks on its hosts and each target over HTTP, as one report.

How each is done is the business of ``provision`` and of ``services.target_setup``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dfaas_lab.errors import ProvisionError, TaskFailed
from dfaas_lab.progress import Progress
from dfaas_lab.provision import (
    GeneratorSpec,
    ProvisionReport,
    TargetSpec,
    TaskRow,
    bar,
    forget,
    hold_here,
    interrupted,
    joined,
    known,
    provision,
    remember,
    teardown,
)
from dfaas_lab.services.target_setup import SetupStep, set_up_target

if TYPE_CHECKING:
    from dfaas_lab.target import Target

# More at the same time would be many connections from one machine, and no faster.
_AT_ONCE = 16


def generators_of(targets: Iterable[Target]) -> list[GeneratorSpec]:
    """Return the generators that load these targets, and those through which they are reached."""
    both = [one for target in targets for one in (target.generator, target.via) if one is not None]
    return [generator.spec() for generator in dict.fromkeys(both)]


def hosts_of(targets: Iterable[Target]) -> list[TargetSpec]:
    """Return the hosts of targets on which something is installed."""
    return [
        TargetSpec(host=target.host, name=target.name, install_monitoring=True)
        for target in targets
        if target.host is not None and target.install_monitoring
    ]


def prepare(
    targets: Iterable[Target],
    *,
    force: bool = False,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> ProvisionReport:
    """Make targets and their generators ready, all at once and once per session. Blocks.

    A target waits for the hosts that it needs: its own where monitoring is installed there, and
    the generator through which it is reached. Where one of these failed, the target is left out.

    Args:
        targets: The targets.
        force: Do it even where everything is known to be in place.
        progress: Where to tell how far it is.
        cancel: Once it is set, what runs is ended here and on the hosts, within seconds.

    Raises:
        ProvisionError: One failure per host or target (``failures``); what succeeded stays.
    """
    started = time.monotonic()
    work = _Work(list(targets), force, progress or Progress(), cancel or threading.Event())
    if force:
        forget(_key(target) for target in work.targets)
    todo = [target for target in work.targets if known(_key(target)) is None]
    work.announce(todo)
    with ThreadPoolExecutor(_AT_ONCE + 1) as pool:
        hosts = pool.submit(work.hosts)
        ends = [pool.submit(work.set_up, target, hosts) for target in todo]
    playbook, failures = _end_of(hosts)
    done = [end.result() for end in ends]
    failures += [end.failure for end in done if end.failure is not None]
    if work.cancel.is_set():
        raise interrupted()
    if playbook is None or failures:
        raise joined(failures, len(work.specs) + len(work.targets))
    rows = [row for target in work.targets for row in known(_key(target)) or ()]
    changed = sum(row.status == "changed" for end in done for row in end.rows)
    return ProvisionReport(
        playbook.cached,
        time.monotonic() - started,
        playbook.changed + changed,
        (*playbook.rows, *rows),
    )


def take_down(
    targets: Iterable[Target],
    *,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> ProvisionReport:
    """Remove what was installed on the generators and the hosts of these targets, nothing else.

    Functions that were deployed stay: they belong to the gateway.

    Raises:
        ProvisionError: With one failure per host.
    """
    every = list(targets)
    forget(_key(target) for target in every)
    return teardown(generators_of(every), hosts_of(every), progress=progress, cancel=cancel)


@dataclass(frozen=True)
class _End:
    """What became of a target."""

    rows: tuple[TaskRow, ...] = ()
    failure: ProvisionError | None = None


@dataclass(frozen=True)
class _Work:
    """What is to be made ready, and how it is told and ended."""

    targets: list[Target]
    force: bool
    progress: Progress
    cancel: threading.Event

    @property
    def specs(self) -> list[GeneratorSpec | TargetSpec]:
        """The hosts that the playbook is for."""
        return [*generators_of(self.targets), *hosts_of(self.targets)]

    def announce(self, todo: Iterable[Target]) -> None:
        """Begin the bars in an order that is the same every time."""
        for spec in self.specs:
            if self.force or known(spec.key) is None:
                self.progress.update(bar(str(spec.host)), text="starts")
        for target in todo:
            self.progress.update(bar(target.name), text="starts")

    def hosts(self) -> ProvisionReport:
        """Run the playbook."""
        return provision(
            generators_of(self.targets),
            hosts_of(self.targets),
            force=self.force,
            progress=self.progress,
            cancel=self.cancel,
        )

    def set_up(self, target: Target, hosts: Future[ProvisionReport]) -> _End:
        """Set a target up, once what it needs is there; an interrupt ends it where it is."""
        needed = _needs(target)
        try:
            if needed:
                self._tell(target, f"waits for {needed[0]}")
                if any(_failed(failure, needed) for failure in _end_of(hosts)[1]):
                    self.progress.finish(bar(target.name), "failed", f"{needed[0]} is not ready")
                    return _End()
            with hold_here(
                [("target", target.gateway)],
                cancel=self.cancel,
                waiting=lambda: self._tell(target, "waits: another notebook here is at it"),
            ):
                return self._set_up(target)
        except ProvisionError:  # only an interrupt raises one
            self.progress.finish(bar(target.name), "interrupted", "interrupted")
            return _End()

    def _set_up(self, target: Target) -> _End:
        gateway, prometheus = target.services()
        steps = set_up_target(
            gateway,
            target.functions,
            prometheus,
            say=lambda task: self._tell(target, task),
            sleep=self._sleep,
        )
        rows = tuple(
            TaskRow(target.name, step.task, step.status, step.seconds, step.message)
            for step in steps
        )
        if steps[-1].error is not None:
            self.progress.finish(
                bar(target.name), "failed", f"{steps[-1].task}: {rows[-1].message}"
            )
            return _End(rows, _failure(target, steps[-1]))
        remember({_key(target): rows})
        self.progress.finish(bar(target.name), "ok", "ready")
        return _End(rows)

    def _tell(self, target: Target, text: str) -> None:
        if self.cancel.is_set():
            raise interrupted()
        self.progress.update(bar(target.name), text=text)

    def _sleep(self, seconds: float) -> None:
        if self.cancel.wait(seconds):
            raise interrupted()


def _key(target: Target) -> Hashable:
    """What makes two targets the same to the session's cache; a password makes no difference."""
    via = target.via and target.via.host
    return ("services", target.name, target.gateway, target.functions, target.prometheus, via)


def _needs(target: Target) -> list[str]:
    """Return the addresses of the hosts that must be ready before the target can be."""
    own = [target.host.address] if target.host and target.install_monitoring else []
    return own + ([target.via.host.address] if target.via else [])


def _failed(failure: ProvisionError, addresses: list[str]) -> bool:
    """Return whether it is about one of these hosts; one that names no host is about all."""
    return getattr(failure, "host", addresses[0]) in addresses


def _end_of(
    hosts: Future[ProvisionReport],
) -> tuple[ProvisionReport | None, list[ProvisionError]]:
    try:
        return hosts.result(), []
    except ProvisionError as error:
        return None, list(error.failures or (error,))


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
