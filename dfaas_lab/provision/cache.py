"""The cache of this session: which hosts are ready, so that each is made ready once."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from dfaas_lab.errors import ConfigError
from dfaas_lab.provision.hosts import HostProvisioning
from dfaas_lab.provision.report import ProvisionReport, TaskRow
from dfaas_lab.provision.spec import GeneratorSpec, TargetSpec

if TYPE_CHECKING:
    from dfaas_lab.progress import Progress
    from dfaas_lab.provision.spec import GeneratorSpec, Spec, TargetSpec

# All that is ready, by key, with the tasks that made it so in this session.
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
        ConfigError: Two generators want different versions of k6 in one place.
    """
    started = time.monotonic()
    specs = distinct((*generators, *targets))
    _refuse_two_versions(generators)
    if force:
        forget(spec.key for spec in specs)  # what fails now is not known to be ready any more
    left = [spec for spec in specs if spec.key not in _ready]
    changed, ran = 0, False
    if left:
        with HostProvisioning(left, progress, cancel) as work:
            try:
                work.run(force=force)
            finally:
                remember(work.ready)
                _displace(spec for spec in left if spec.key in work.ready)
        changed, ran = sum(row.status == "changed" for row in work.rows), work.ran
    rows = tuple(row for spec in specs for row in _ready.get(spec.key, ()))
    return ProvisionReport(not ran, time.monotonic() - started, changed, rows)


def distinct(specs: Iterable[Spec]) -> list[Spec]:
    """Return the hosts, each once, in their order."""
    return list({spec.key: spec for spec in specs}.values())


def _refuse_two_versions(generators: Iterable[GeneratorSpec]) -> None:
    wanted: dict[Hashable, str] = {}
    for spec in generators:
        version = spec.wanted_version  # empty: any will do
        other = wanted.setdefault(spec.slot, version) if version else ""
        if other != version:
            raise ConfigError(
                f"{spec.label}: k6 {other} and {version} are wanted in {spec.workspace_root}",
                hint="Give each of these generators a workspace_root of its own.",
            )


def _displace(new: Iterable[Spec]) -> None:
    """Forget what these hosts were before: the marker there tells the newest state only."""
    slots = {spec.key: spec.slot for spec in new}
    with _ready_lock:
        for key in [key for key in _ready if isinstance(key, tuple) and key not in slots]:
            if any(key[: len(slot)] == slot for slot in slots.values()):
                del _ready[key]


def forget(keys: Iterable[Hashable] | None = None) -> None:
    """Forget what is known to be ready: what has these keys (``spec.key``), or all."""
    with _ready_lock:
        for key in list(_ready) if keys is None else keys:
            _ready.pop(key, None)


def known(key: Hashable) -> tuple[TaskRow, ...] | None:
    """Return the tasks that made it ready in this session; None where it is not known to be."""
    return _ready.get(key)


def remember(ready: Mapping[Hashable, tuple[TaskRow, ...]]) -> None:
    """Keep what is ready. One that nothing was done to keeps the tasks that made it so."""
    with _ready_lock:
        for key, rows in ready.items():
            if rows or key not in _ready:
                _ready[key] = rows


def teardown(
    generators: Sequence[GeneratorSpec],
    targets: Sequence[TargetSpec] = (),
    *,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> ProvisionReport:
    """Remove what was installed on these hosts and the login user's workspaces there.

    What was there before provisioning stays, and what other users of a generator still need.

    Args:
        generators: The load generators.
        targets: The hosts of targets.
        progress: Where to tell how far it is.
        cancel: Once it is set, what runs is ended.

    Raises:
        ProvisionError: As for :func:`dfaas_lab.provision.provision`.
    """
    started = time.monotonic()
    specs = distinct((*generators, *targets))
    forget(spec.key for spec in specs)
    with HostProvisioning(specs, progress, cancel, playbook="teardown.yml") as work:
        try:
            work.run(force=True)
        finally:
            forget(spec.key for spec in specs)
    changed = sum(row.status == "changed" for row in work.rows)
    return ProvisionReport(False, time.monotonic() - started, changed, tuple(work.rows))
