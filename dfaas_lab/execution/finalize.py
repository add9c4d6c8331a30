"""Finalizes a run: writes its status and the clock skew into its manifest."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from dfaas_lab.analysis.clock_skew import clock_skew
from dfaas_lab.errors import DfaasLabError
from dfaas_lab.retry import uninterrupted
from dfaas_lab.run import Run
from dfaas_lab.stored_run import StoredRun

if TYPE_CHECKING:
    from dfaas_lab.store import RunFolder


@uninterrupted
def finalize(folder: RunFolder, *, status: str, read: Run | None = None) -> None:
    """Write the run's final status, and how far each gateway's clock was from its generator's.

    ``status`` is the worst of its iterations'; none is ``ok`` that is not in the store. ``read`` is
    the run, where some of its frames have been read.

    Raises:
        StoreError: It cannot be written.
    """
    status = StoredRun(folder).status(status)
    run = read or Run(folder)
    said: dict[str, object] = {"status": status, "clock_skew": clock_skew(run.k6_metrics)}
    with contextlib.suppress(DfaasLabError):  # a listing without it is still a listing
        said["outcome"] = _outcome(run, status)
    folder.update(**said)


def _outcome(run: Run, status: str) -> dict[str, object]:
    """Return what a listing of runs tells of this one, so that it need not read its frames."""
    good = run.requests.filter(~run.requests["failed"])["latency_ms"]
    verdict = run._stored.verdict(run._manifest | {"status": status}, run, run._loads)
    return {
        "requests": int(run.summary["requests"].sum()),
        "latency_ms_p95": good.quantile(0.95, interpolation="linear"),
        "verdict": str(verdict).partition(":")[0],
    }
