"""Making a lab ready: the playbooks on its hosts and each target over HTTP, as one report.

How each is done is the business of ``provision`` and of ``setting_up``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from dfaas_lab.progress import Progress
from dfaas_lab.provision import (
    GeneratorSpec,
    ProvisionReport,
    TargetSpec,
    bar,
    forget,
    interrupted,
    joined,
    known,
    provision,
    teardown,
)
from dfaas_lab.provision.targets import TargetTurn, end_of, host_of, key_of

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
    return [spec for target in targets if (spec := host_of(target)) is not None]


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
    every, progress, cancel = list(targets), progress or Progress(), cancel or threading.Event()
    generators, hosts = generators_of(every), hosts_of(every)
    if force:
        forget(key_of(target) for target in every)
    todo = [target for target in every if known(key_of(target)) is None]
    specs: list[GeneratorSpec | TargetSpec] = [*generators, *hosts]
    new = [spec for spec in specs if force or known(spec.key) is None]
    for label in [spec.label for spec in new] + [target.name for target in todo]:
        progress.update(bar(label), text="starts")  # the order is the same every time
    with ThreadPoolExecutor(_AT_ONCE + 1) as pool:
        work = partial(provision, force=force, progress=progress, cancel=cancel)
        playbook = pool.submit(work, generators, hosts)
        ends = [pool.submit(TargetTurn(t, progress, cancel).run, playbook) for t in todo]
    report, failures = end_of(playbook)
    done = [end.result() for end in ends]
    failures += [end.failure for end in done if end.failure is not None]
    if cancel.is_set():
        raise interrupted()
    if report is None or failures:
        raise joined(failures, len(specs) + len(every))
    rows = [row for target in every for row in known(key_of(target)) or ()]
    return ProvisionReport(
        report.cached,
        time.monotonic() - started,
        report.changed + sum(row.status == "changed" for end in done for row in end.rows),
        (*report.rows, *rows),
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
    forget(key_of(target) for target in every)
    return teardown(generators_of(every), hosts_of(every), progress=progress, cancel=cancel)
