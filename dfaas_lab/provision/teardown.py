"""Taking away what provisioning installed, and every workspace of ours; nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dfaas_lab.provision.cache import distinct, forget
from dfaas_lab.provision.hosts import HostProvisioning
from dfaas_lab.provision.report import ProvisionReport
from dfaas_lab.provision.spec import GeneratorSpec, TargetSpec

if TYPE_CHECKING:
    from dfaas_lab.progress import Progress


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
