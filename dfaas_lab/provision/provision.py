"""Provisions hosts with the playbook, each once per session; and teardown."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING

from dfaas_lab.errors import ConfigError
from dfaas_lab.provision import cache
from dfaas_lab.provision.hosts import HostProvisioning
from dfaas_lab.provision.report import ProvisionReport

if TYPE_CHECKING:
    from dfaas_lab.progress import Progress
    from dfaas_lab.provision.spec import GeneratorSpec, Spec, TargetSpec


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
        cache.evict(spec.key for spec in specs)  # what fails now is not known to be ready any more
    left = [spec for spec in specs if cache.get(spec.key) is None]
    changed, ran = 0, False
    if left:
        with HostProvisioning(left, progress, cancel) as work:
            try:
                work.run(force=force)
            finally:
                cache.put(work.ready)
                cache.evict_older(spec for spec in left if spec.key in work.ready)
        changed, ran = sum(row.status == "changed" for row in work.rows), work.ran
    rows = tuple(row for spec in specs for row in cache.get(spec.key) or ())
    return ProvisionReport(not ran, time.monotonic() - started, changed, rows)


def distinct(specs: Iterable[Spec]) -> list[Spec]:
    """Return the hosts, each once, in their order."""
    return list({spec.key: spec for spec in specs}.values())


def _refuse_two_versions(generators: Iterable[GeneratorSpec]) -> None:
    wanted: dict[Hashable, str] = {}
    for spec in generators:
        version = spec.wanted_version  # empty: any will do
        other = wanted.setdefault(spec.state_key, version) if version else ""
        if other != version:
            raise ConfigError(
                f"{spec.label}: k6 {other} and {version} are wanted in {spec.workspace_root}",
                hint="Give each of these generators a workspace_root of its own.",
            )


def teardown(
    generators: Sequence[GeneratorSpec],
    targets: Sequence[TargetSpec] = (),
    *,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> ProvisionReport:
    """Remove what was installed on these hosts and the login user's workspaces there.

    What was there before provisioning stays, and what other users of a generator still need.

    Raises:
        ProvisionError: As for :func:`provision`.
    """
    started = time.monotonic()
    specs = distinct((*generators, *targets))
    cache.evict(spec.key for spec in specs)
    with HostProvisioning(specs, progress, cancel, playbook="teardown.yml") as work:
        try:
            work.run(force=True)
        finally:
            cache.evict(spec.key for spec in specs)
    changed = sum(row.status == "changed" for row in work.rows)
    return ProvisionReport(False, time.monotonic() - started, changed, tuple(work.rows))
