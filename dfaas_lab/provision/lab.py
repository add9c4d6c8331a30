"""Provisions a lab: the playbook on its hosts, then each target over HTTP. One report."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from dfaas_lab.progress import Progress
from dfaas_lab.provision import cache
from dfaas_lab.provision.events import bar
from dfaas_lab.provision.locks import interrupted
from dfaas_lab.provision.provision import provision, teardown
from dfaas_lab.provision.report import ProvisionReport, joined
from dfaas_lab.provision.spec import GeneratorSpec, TargetSpec
from dfaas_lab.provision.targets import TargetProvisioning, TargetSetup, end_of

# More at the same time would be many connections from one machine, and no faster.
_AT_ONCE = 16


def generators_of(targets: Iterable[TargetSetup]) -> list[GeneratorSpec]:
    """Return the generators that load these targets, and those through which they are reached."""
    both = [one for target in targets for one in (target.generator, target.via) if one is not None]
    return list({id(spec): spec for spec in both}.values())


def hosts_of(targets: Iterable[TargetSetup]) -> list[TargetSpec]:
    """Return the hosts of targets on which something is installed."""
    return [target.host for target in targets if target.host is not None]


def prepare(
    targets: Iterable[TargetSetup],
    *,
    force: bool = False,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> ProvisionReport:
    """Make targets and their generators ready, all at once and once per session. Blocks.

    A target waits for the hosts that it needs: its own where monitoring is installed there, and
    the generator through which it is reached. Where one of these failed, the target is left out.
    Once ``cancel`` is set, what runs is ended here and on the hosts, within seconds.

    Raises:
        ProvisionError: One failure per host or target (``failures``); what succeeded stays.
    """
    started = time.monotonic()
    every, progress, cancel = list(targets), progress or Progress(), cancel or threading.Event()
    generators, hosts = generators_of(every), hosts_of(every)
    if force:
        cache.evict(target.key for target in every)
    todo = [target for target in every if cache.get(target.key) is None]
    specs: list[GeneratorSpec | TargetSpec] = [*generators, *hosts]
    new = [spec for spec in specs if force or cache.get(spec.key) is None]
    for label in [spec.label for spec in new] + [target.name for target in todo]:
        progress.update(bar(label), text="starts")  # the order is the same every time
    with ThreadPoolExecutor(_AT_ONCE + 1) as pool:
        work = partial(provision, force=force, progress=progress, cancel=cancel)
        playbook = pool.submit(work, generators, hosts)
        ends = [pool.submit(TargetProvisioning(t, progress, cancel).run, playbook) for t in todo]
    report, failures = end_of(playbook)
    done = [end.result() for end in ends]
    failures += [end.failure for end in done if end.failure is not None]
    if cancel.is_set():
        raise interrupted()
    if report is None or failures:
        raise joined(failures, len(specs) + len(every))
    rows = [row for target in every for row in cache.get(target.key) or ()]
    return ProvisionReport(
        report.cached,
        time.monotonic() - started,
        report.changed + sum(row.status == "changed" for end in done for row in end.rows),
        (*report.rows, *rows),
    )


def take_down(
    targets: Iterable[TargetSetup],
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
    cache.evict(target.key for target in every)
    return teardown(generators_of(every), hosts_of(every), progress=progress, cancel=cancel)
