"""Provisions hosts: checks them, locks them, and runs the playbook in batches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

from dfaas_lab.errors import ConfigError, DfaasLabError, ProvisionError
from dfaas_lab.progress import Progress
from dfaas_lab.provision.events import bar
from dfaas_lab.provision.locks import (
    common_folder,
    hold_here,
    hold_there,
    identity,
    interrupted,
)
from dfaas_lab.provision.marker import is_ready
from dfaas_lab.provision.playbook_run import GroupEnd, run_group
from dfaas_lab.provision.report import TaskRow, failure_of, joined
from dfaas_lab.provision.spec import GeneratorSpec, Spec
from dfaas_lab.remote.remote import Remote


class HostProvisioning:
    """The hosts of one call, our connections to them, and what became of them."""

    def __init__(
        self,
        specs: Sequence[Spec],
        progress: Progress | None,
        cancel: threading.Event | None,
        *,
        playbook: str = "setup_global.yml",
    ) -> None:
        self._specs = list(specs)
        self._progress = progress or Progress()
        self._cancel = cancel or threading.Event()
        self._playbook = playbook
        self._remotes = {spec.key: Remote(spec.host) for spec in specs}
        self._machines: dict[Hashable, str] = {}
        self._failures: dict[Hashable, ProvisionError] = {}
        self.rows: list[TaskRow] = []
        self.ready: dict[Hashable, tuple[TaskRow, ...]] = {}
        self.ran = False

    def __enter__(self) -> HostProvisioning:
        return self

    def __exit__(self, *_: object) -> None:
        for remote in self._remotes.values():
            remote.close()

    def run(self, *, force: bool) -> None:
        """Do what is left to do, and raise what went wrong.

        Raises:
            ProvisionError: See :func:`dfaas_lab.provision.provision`.
        """
        todo = self._unready(self._specs, force=force)
        if todo and not self._cancel.is_set():
            with hold_here(
                [spec.state_key for spec in todo],
                cancel=self._cancel,
                waiting=lambda: self._tell(todo, "waits: another notebook here is at it"),
            ):
                self._run_locked(todo, force=force)
        if self._cancel.is_set():
            raise interrupted()
        self._raise_failures()

    def _run_locked(self, specs: list[Spec], *, force: bool) -> None:
        """Hold the hosts' own locks, look again, and run the playbook where that is needed."""
        with ExitStack() as stack:
            alive = self._lock_there(specs, stack)
            todo = self._unready(alive, force=force)
            if todo and not self._cancel.is_set():
                self._play(todo)

    def _lock_there(self, specs: list[Spec], stack: ExitStack) -> list[Spec]:
        """Lock each machine once, in an order that all laptops share; return who answered."""
        alive = self._each(specs, self._identify)
        machines: dict[str, list[Spec]] = {}
        for spec in alive:
            machines.setdefault(self._machines[spec.key], []).append(spec)
        for _, here in sorted(machines.items()):
            # Where one of its users is not let in, another one locks it.
            any(self._try(spec, partial(self._lock, here, stack)) for spec in here)
        return [spec for spec in alive if spec.key not in self._failures]

    def _identify(self, spec: Spec) -> bool:
        self._machines[spec.key] = identity(self._remotes[spec.key])
        return True

    def _lock(self, here: list[Spec], stack: ExitStack, spec: Spec) -> bool:
        folders = (s.install_dir or "" if isinstance(s, GeneratorSpec) else "" for s in here)
        held = hold_there(
            self._remotes[spec.key],
            common_folder(folders),
            cancel=self._cancel,
            waiting=lambda: self._tell(here, "waits: someone else provisions this host"),
        )
        stack.enter_context(held)
        return True

    def _unready(self, specs: list[Spec], *, force: bool) -> list[Spec]:
        """Return the hosts that are not as they shall be; those that are, are written down."""
        if force:
            return specs
        self._tell(specs, "looks")
        return self._each(specs, self._is_unready)

    def _is_unready(self, spec: Spec) -> bool:
        if not is_ready(self._remotes[spec.key], spec):
            return True
        self.ready[spec.key] = ()
        self._progress.finish(bar(spec.label), "ok", "ready")
        return False

    def _each(self, specs: list[Spec], ask: Callable[[Spec], bool]) -> list[Spec]:
        """Ask all hosts at once; return those that said yes. One that fails is out of the round."""
        if not specs:
            return []
        with ThreadPoolExecutor(len(specs)) as pool:
            said = list(pool.map(lambda spec: self._try(spec, ask), specs))
        return [spec for spec, yes in zip(specs, said, strict=True) if yes]

    def _try(self, spec: Spec, ask: Callable[[Spec], bool]) -> bool:
        try:
            return ask(spec)
        except ConfigError as error:
            if len(self._specs) == 1:
                raise  # nothing was begun anywhere
            self._fail(spec, failure_of(spec, error))
        except DfaasLabError as error:
            self._fail(spec, failure_of(spec, error))
        return False

    def _fail(self, spec: Spec, error: ProvisionError) -> None:
        self._failures[spec.key] = error
        self._progress.finish(bar(spec.label), "failed", error.message.splitlines()[0])

    def _play(self, specs: list[Spec]) -> None:
        """Run the playbook: once, or more often for hosts that cannot share a run."""
        self.ran = True
        for batch in batches_of(specs, lambda spec: self._machines[spec.key]):
            if self._cancel.is_set():
                return
            with ThreadPoolExecutor(len(batch)) as pool:
                for end in pool.map(self._run_group, batch):
                    self._take(end)

    def _run_group(self, specs: list[Spec]) -> GroupEnd:
        return run_group(
            self._playbook, specs, self._remotes, progress=self._progress, cancel=self._cancel
        )

    def _take(self, end: GroupEnd) -> None:
        self.rows += end.rows
        for spec, rows in end.ready:
            self.ready[spec.key] = rows
        for spec, error in end.failures:
            self._failures[spec.key] = error

    def _tell(self, specs: Iterable[Spec], text: str) -> None:
        for spec in specs:
            self._progress.update(bar(spec.label), text=text)

    def _raise_failures(self) -> None:
        failures = tuple(
            self._failures[spec.key] for spec in self._specs if spec.key in self._failures
        )
        if failures:
            raise joined(failures, len(self._specs))


Batch = list[list[Spec]]


def batches_of(specs: Iterable[Spec], machine_of: Callable[[Spec], Hashable]) -> list[Batch]:
    """Return the runs: those of a batch at the same time, one batch after the other.

    Hosts share a run where they share variables and the password for sudo. A machine that is named
    twice (as a generator and as a target, or by two users) comes once in a batch: two runs there
    would fight over APT and over the list of what was installed.
    """
    batches: list[dict[Hashable, list[Spec]]] = []
    coming: dict[Hashable, int] = {}  # how often a machine came already
    for spec in specs:
        machine = machine_of(spec)
        number = coming.get(machine, 0)
        coming[machine] = number + 1
        if number == len(batches):
            batches.append({})
        together = (spec.host.become_password, repr(sorted(spec.variables.items())))
        batches[number].setdefault(together, []).append(spec)
    return [list(batch.values()) for batch in batches]
