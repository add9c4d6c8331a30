"""Provisioning hosts once per session: what is known to be ready, who else is at it, what is left.

How a playbook runs is in ``playbook``; what its events mean is in ``events``.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from dfaas_lab.errors import HostUnreachable, ProvisionError, RemoteError
from dfaas_lab.progress import Progress
from dfaas_lab.provision.events import Story
from dfaas_lab.provision.locks import hold_here, hold_there, interrupted
from dfaas_lab.provision.marker import is_ready
from dfaas_lab.provision.playbook import Event, Play, PlayEnd, run_play
from dfaas_lab.provision.remote_tasks import end_tasks
from dfaas_lab.provision.report import ProvisionReport, TaskRow
from dfaas_lab.provision.spec import GeneratorSpec, Spec, TargetSpec
from dfaas_lab.remote.remote import Remote

_MOST_FORKS = 25

_ready: dict[Hashable, tuple[TaskRow, ...]] = {}
_ready_lock = threading.Lock()


def provision(
    generators: Sequence[GeneratorSpec],
    targets: Sequence[TargetSpec] = (),
    *,
    force: bool = False,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> ProvisionReport:
    """Make these hosts ready, all at once; what is ready is left alone. Blocks; any thread.

    Args:
        generators: The load generators.
        targets: The hosts of targets.
        force: Run the playbook even where everything is said to be in place.
        progress: Where to tell how far it is.
        cancel: Once it is set, what runs is ended here and on the hosts, within seconds.

    Raises:
        HostUnreachable: One host, and only that one, could not be reached.
        TaskFailed: A task failed on one host, and only there.
        ProvisionError: Several hosts failed (``failures``), or it was interrupted.
    """
    started = time.monotonic()
    wanted: tuple[Spec, ...] = (*generators, *targets)
    specs = list({spec.key: spec for spec in wanted}.values())
    if not force:
        specs_left = [spec for spec in specs if spec.key not in _ready]
        if not specs_left:
            return _cached(specs, started)
    else:
        specs_left = specs
    with Round(specs_left, progress, cancel) as work:
        work.run(force=force)
    rows = tuple(row for spec in specs for row in _ready.get(spec.key, ()))
    return ProvisionReport(
        cached=not work.ran,
        seconds=time.monotonic() - started,
        changed=sum(row.status == "changed" for row in work.rows),
        rows=rows,
    )


def forget(specs: Iterable[Spec] | None = None) -> None:
    """Forget what is known to be ready: of these hosts, or of all."""
    with _ready_lock:
        for key in list(_ready) if specs is None else [spec.key for spec in specs]:
            _ready.pop(key, None)


def _cached(specs: Sequence[Spec], started: float) -> ProvisionReport:
    rows = tuple(row for spec in specs for row in _ready[spec.key])
    return ProvisionReport(cached=True, seconds=time.monotonic() - started, changed=0, rows=rows)


class Round:
    """One call: its hosts, its connections, and what it did.

    Args:
        specs: The hosts that are not known to be ready.
        progress: The bars.
        cancel: Once it is set, everything ends.
        playbook: What is run.
    """

    def __init__(
        self,
        specs: list[Spec],
        progress: Progress | None,
        cancel: threading.Event | None,
        *,
        playbook: str = "setup_global.yml",
    ) -> None:
        self._specs = specs
        self._progress = progress or Progress()
        self._cancel = cancel or threading.Event()
        self._playbook = playbook
        self._remotes = {spec.key: Remote(spec.host) for spec in specs}
        self._failures: dict[Hashable, ProvisionError] = {}
        self.rows: list[TaskRow] = []
        self.ran = False

    def __enter__(self) -> Round:
        return self

    def __exit__(self, *_: object) -> None:
        for remote in self._remotes.values():
            remote.close()

    def run(self, *, force: bool) -> None:
        """Do what is left to do, and raise what went wrong."""
        todo = self._look(self._specs, force=force)
        if todo and not self._cancel.is_set():
            with hold_here(
                [spec.key for spec in todo],
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
            alive = self._each(specs, lambda spec: self._lock_there(spec, stack))
            todo = self._look(alive, force=force)
            if todo and not self._cancel.is_set():
                self._play(todo)

    def _lock_there(self, spec: Spec, stack: ExitStack) -> bool:
        folder = spec.install_dir if isinstance(spec, GeneratorSpec) else None
        held = hold_there(
            self._remotes[spec.key],
            folder or "/",
            cancel=self._cancel,
            waiting=lambda: self._tell([spec], "waits: someone else provisions this host"),
        )
        stack.enter_context(held)
        return True

    def _look(self, specs: list[Spec], *, force: bool) -> list[Spec]:
        """Return the hosts that are not as they shall be; those that are, are written down."""
        if force:
            return specs  # but one that cannot be reached fails in the playbook
        self._tell(specs, "looks")
        return self._each(specs, self._needs_work)

    def _needs_work(self, spec: Spec) -> bool:
        if not is_ready(self._remotes[spec.key], spec):
            return True
        with _ready_lock:
            _ready.setdefault(spec.key, ())
        self._progress.finish(_bar(spec), "ok", "ready")
        return False

    def _each(self, specs: list[Spec], ask: Any) -> list[Spec]:
        """Ask all hosts at once; return those that said yes. One that fails is out of the round."""
        if not specs:
            return []
        with ThreadPoolExecutor(len(specs)) as pool:
            said = list(pool.map(lambda spec: self._asked(spec, ask), specs))
        return [spec for spec, yes in zip(specs, said, strict=True) if yes]

    def _asked(self, spec: Spec, ask: Any) -> bool:
        try:
            return bool(ask(spec))
        except RemoteError as error:
            self._fail(spec, _unreachable(spec, error))
        except ProvisionError as error:
            self._fail(spec, error)
        return False

    def _fail(self, spec: Spec, error: ProvisionError) -> None:
        self._failures[spec.key] = error
        self._progress.finish(_bar(spec), "failed", error.message.splitlines()[0])

    def _play(self, specs: list[Spec]) -> None:
        """Run the playbook: once, or at the same time for hosts that cannot share a run."""
        groups: dict[Hashable, list[Spec]] = {}
        for spec in specs:
            apart = (spec.host.become_password, repr(sorted(spec.variables.items())))
            groups.setdefault(apart, []).append(spec)
        self.ran = True
        with ThreadPoolExecutor(len(groups)) as pool:
            list(pool.map(self._play_together, groups.values()))

    def _play_together(self, specs: list[Spec]) -> None:
        mark = uuid.uuid4().hex
        by_name = {f"host{number}": spec for number, spec in enumerate(specs, start=1)}
        story = Story(
            {name: (_label(spec), spec.host.address) for name, spec in by_name.items()},
            self._progress,
        )
        end: PlayEnd | None = None
        try:
            end = run_play(
                _play(self._playbook, by_name, mark), on_event=story.hear, cancel=self._cancel
            )
        finally:
            if end is None or end.exit_code != 0:
                self._end_tasks(by_name, story, mark)
        self.rows += story.rows
        self._settle(by_name, story, end)

    def _end_tasks(self, by_name: dict[str, Spec], story: Story, mark: str) -> None:
        """End what an interrupt, a time limit or a dead Ansible left running on the hosts."""
        gone = {n for n, error in story.failures.items() if isinstance(error, HostUnreachable)}
        end_tasks([self._remotes[s.key] for n, s in by_name.items() if n not in gone], mark)

    def _settle(self, by_name: dict[str, Spec], story: Story, end: PlayEnd) -> None:
        """Write down which hosts are ready now, and which failed."""
        for name, spec in by_name.items():
            if self._cancel.is_set():
                self._progress.finish(_bar(spec), "interrupted", "interrupted")
            elif name in story.failures:
                self._failures[spec.key] = story.failures[name]
            elif end.exit_code == 0 or story.failures:
                with _ready_lock:
                    _ready[spec.key] = tuple(r for r in story.rows if r.host == _label(spec))
                story.end(name)
            else:
                self._fail(spec, _ansible_failed(spec, end))

    def _tell(self, specs: Iterable[Spec], text: str) -> None:
        for spec in specs:
            self._progress.update(_bar(spec), text=text)

    def _raise_failures(self) -> None:
        failures = tuple(
            self._failures[spec.key] for spec in self._specs if spec.key in self._failures
        )
        if len(failures) == 1:
            raise failures[0]
        if failures:
            text = "\n".join(str(failure) for failure in failures)
            raise ProvisionError(
                f"{len(failures)} of {len(self._specs)} hosts could not be provisioned:\n{text}",
                failures=failures,
                hint="What succeeded stays. Call provision() again after the fixes.",
            )


def _play(playbook: str, by_name: dict[str, Spec], mark: str) -> Play:
    """Return the run of a playbook for these hosts."""
    from dfaas_lab.provision.local_k6 import local_k6

    items = {name: spec.item(name) for name, spec in by_name.items()}
    own = local_k6()
    first = next(iter(by_name.values()))
    return Play(
        playbook,
        {
            **first.variables,
            "generators": [items[n] for n, s in by_name.items() if isinstance(s, GeneratorSpec)],
            "targets": [items[n] for n, s in by_name.items() if isinstance(s, TargetSpec)],
            "k6_local": str(own.path) if own else "",
            "k6_local_version": own.version if own else "",
            "k6_local_machine": own.machine if own else "",
            "run_mark": mark,
        },
        forks=min(len(by_name), _MOST_FORKS),
        become_password=first.host.become_password,
    )


def _label(spec: Spec) -> str:
    return str(spec.host)


def _bar(spec: Spec) -> str:
    return f"provision {_label(spec)}"


def _unreachable(spec: Spec, error: RemoteError) -> HostUnreachable:
    failure = HostUnreachable(error.message, host=spec.host.address, hint=error.hint)
    failure.__cause__ = error
    return failure


def _ansible_failed(spec: Spec, end: PlayEnd) -> ProvisionError:
    tail = "\n".join(end.output.strip().splitlines()[-12:])
    error = ProvisionError(
        f"{_label(spec)}: ansible-playbook ended with {end.exit_code}:\n{tail}",
        hint="Look at the last lines above. Is the installation of Ansible complete?",
    )
    error.failures = (error,)
    return error


__all__ = ["Event", "forget", "provision"]
